//! Adding an asset takes as long as uploading, building and compiling take, so it goes on when the
//! call that began it has been answered, and again when the gateway was stopped in between.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::add;
use crate::app::App;
use crate::error::Failure;
use crate::store::Pending;

/// How long a call waits for the end. The client gives up after 60 seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait before a host that is away is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// Starts to add an asset and waits a while. What fails in that time fails the call; what takes
/// longer is pending.
pub(super) fn start(app: &Arc<App>, pending: Pending) -> Result<(), Failure> {
    let (tell, hear) = mpsc::channel();
    spawn(app, pending, Some(tell))?;
    match hear.recv_timeout(PATIENCE) {
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(())) | Err(mpsc::RecvTimeoutError::Timeout) => Ok(()),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(Failure::internal("adding an asset ended without a word"))
        }
    }
}

/// Goes on with what was not finished when the gateway stopped.
pub(crate) fn resume(app: &Arc<App>) -> Result<(), Failure> {
    for pending in app.store.pending(None)? {
        if pending.failure.is_none() {
            let asset = app.store.asset(&pending)?;
            spawn(app, Pending { asset, ..pending }, None)?;
        }
    }
    Ok(())
}

fn spawn(
    app: &Arc<App>,
    pending: Pending,
    tell: Option<mpsc::Sender<Result<(), Failure>>>,
) -> Result<(), Failure> {
    let app = Arc::clone(app);
    let again = tell.is_none();
    let work = move || {
        let ended = add_patiently(&app, &pending, again);
        let failure = ended.as_ref().err();
        if let Some(failure) = failure {
            tracing::warn!(room = %pending.room, kind = pending.kind, name = pending.name, %failure, "an asset was not added");
        }
        note_end(&app, &pending, failure.map(Failure::message));
        // Whoever still listens has the failure, and it is over; otherwise it is kept.
        if tell.is_some_and(|tell| tell.send(ended).is_ok()) {
            note_end(&app, &pending, None);
        }
    };
    let thread = thread::Builder::new().name("add-asset".into()).spawn(work);
    thread.map(drop).map_err(Failure::internal)
}

/// After a restart nobody waits, so a host that is away is waited for.
fn add_patiently(app: &App, pending: &Pending, again: bool) -> Result<(), Failure> {
    loop {
        match add::add(app, pending, again) {
            Err(failure) if again && failure.is_unavailable() => thread::sleep(PAUSE),
            ended => return ended,
        }
    }
}

fn note_end(app: &App, pending: &Pending, failure: Option<&str>) {
    if let Err(error) = app.store.end(pending, failure) {
        tracing::error!(%error, "the end of adding an asset cannot be noted");
    }
}
