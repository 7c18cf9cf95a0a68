//! The log of a room, and waiting for more of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use glovebox_api::limits::{LOG_PAGE_BYTES, LOG_PAGE_ENTRIES, MAX_WAIT_SECONDS};
use glovebox_api::media;
use glovebox_api::wire::{LogPage, LogQuery};
use glovebox_contract::envelope::Envelope;
use tokio::time::Instant;

use crate::app::App;
use crate::auth::{Member, Signed};
use crate::error::{HttpError, Result};
use crate::watch::Place;

/// How often a waiting request looks whether another process has appended.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// `GET /v1/rooms/{id}/log`
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    Extension(place): Extension<Place>,
    signed: Signed,
) -> Result<Json<LogPage>> {
    let query: LogQuery = signed.query()?;
    let limit = query.limit.unwrap_or(LOG_PAGE_ENTRIES);
    if !(1..=LOG_PAGE_ENTRIES).contains(&limit) {
        return Err(HttpError::malformed(format!("limit: it is 1 to {LOG_PAGE_ENTRIES}")));
    }
    if query.wait_seconds > MAX_WAIT_SECONDS {
        return Err(HttpError::malformed(format!("wait_seconds: it is 0 to {MAX_WAIT_SECONDS}")));
    }
    let member = signed.member(&app).await?;
    if member.view.size() <= query.from && query.wait_seconds > 0 {
        place.leave();
        wait(&app, &member, query.from, Duration::from_secs(query.wait_seconds)).await;
        // The key may have been changed while its holder waited.
        signed.member(&app).await?;
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let page = app.with(&member.slot, move |room| {
        let (checkpoint, size) = (room.checkpoint().to_owned(), room.state().statements());
        let entries =
            if query.from < size { room.entries_from(query.from, limit)? } else { vec![] };
        Ok(LogPage { checkpoint, entries: within_bytes(entries), size })
    });
    Ok(Json(page.await?))
}

/// As many entries as fit an answer, at least one.
fn within_bytes(entries: Vec<Envelope>) -> Vec<Envelope> {
    let mut bytes = 0_usize;
    let fits = |entry: &Envelope| {
        let fits = bytes < LOG_PAGE_BYTES;
        bytes = bytes.saturating_add(entry.to_bytes().len());
        fits
    };
    entries.into_iter().take_while(fits).collect()
}

/// Returns when the log has an entry at `from`, when the time is over, or when the host stops.
async fn wait(app: &Arc<App>, member: &Member, from: u64, time: Duration) {
    // Who finds no place among those that wait is answered at once and asks again.
    let Ok(_place) = app.waiting_requests.try_acquire() else { return };
    let mut views = member.slot.subscribe();
    let mut stopping = app.stopping.subscribe();
    let until = Instant::now() + time;
    loop {
        let over = tokio::select! {
            // It cannot be closed: the slot outlives the request.
            _ = views.wait_for(|view| view.size() > from) => true,
            _ = stopping.wait_for(|stopping| *stopping) => true,
            () = tokio::time::sleep_until(until) => true,
            () = tokio::time::sleep(LOOK_AGAIN) => false,
        };
        if over {
            return;
        }
        // A failure shows to the call that comes after.
        let _ = app.fresh(&member.slot).await;
    }
}

/// `GET /v1/rooms/{id}/bundle`
pub(crate) async fn bundle(State(app): State<Arc<App>>, signed: Signed) -> Result<Response> {
    let member = signed.member(&app).await?;
    let bundle = app.with(&member.slot, |room| Ok(room.bundle()?)).await?;
    let bundle_type = HeaderValue::from_static(media::BUNDLE);
    Ok(([(header::CONTENT_TYPE, bundle_type)], bundle).into_response())
}
