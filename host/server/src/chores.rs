//! What the host does by itself, now and then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use glovebox_api::limits::UPLOAD_IDLE_SECONDS;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::{App, blocking};
use crate::error::Result;
use crate::tls::Certificate;

/// How often the host looks at what other processes did to its rooms, and closes idle ones.
const OFTEN: Duration = Duration::from_secs(10);

/// A room is closed when nobody has used it for so long.
const IDLE: Duration = Duration::from_secs(60);

/// How often what has expired is removed.
const SELDOM: Duration = Duration::from_secs(3600);

/// Does them until the host ends.
pub(crate) async fn run(app: Arc<App>, mut certificate: Option<Certificate>) {
    let mut often = interval(OFTEN);
    let mut seldom = interval(SELDOM);
    often.set_missed_tick_behavior(MissedTickBehavior::Delay);
    seldom.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            _ = often.tick() => {
                if let Some(certificate) = &mut certificate {
                    certificate.renew();
                }
                look_around(&app).await
            }
            _ = seldom.tick() => {
                let swept = sweep(&app).await;
                crate::sharing::housekeep(&app).await;
                swept
            }
        };
        // What failed is tried again the next time.
        if let Err(error) = done {
            tracing::warn!(reason = %error.reason(), "a chore failed");
        }
    }
}

async fn look_around(app: &Arc<App>) -> Result<()> {
    let app = app.clone();
    blocking(move || {
        if let Some(before) = Instant::now().checked_sub(IDLE) {
            app.catalog.close_idle(before);
        }
        for slot in app.catalog.all().iter().filter(|slot| slot.is_stale()) {
            slot.act(&app.catalog, |_| Ok(()))?;
        }
        Ok(app.find_rooms()?)
    })
    .await
}

/// Removes uploads that nobody used, and outputs that have expired: opening a room anew does.
async fn sweep(app: &Arc<App>) -> Result<()> {
    let app = app.clone();
    blocking(move || {
        let swept =
            crate::uploads::uploads(&app)?.sweep(Duration::from_secs(UPLOAD_IDLE_SECONDS))?;
        if swept > 0 {
            tracing::info!(swept, "uploads that nobody used were removed");
        }
        for slot in app.catalog.all() {
            match app.home.room_by_id(&slot.id) {
                Ok(room) => slot.keep(&app.catalog, room),
                Err(error) => tracing::error!(room = %slot.id, %error, "a room cannot be opened"),
            }
        }
        Ok(())
    })
    .await
}
