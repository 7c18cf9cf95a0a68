//! Notices that the runner took its request back while the run goes on.
//!
//! The statement may come through another value of [`Room`] or another process, so the log is
//! asked. What is found there is a hint that ends the work early; the room judges the statement
//! itself before it logs how the run ended.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::Body;

use crate::error::RoomError;
use crate::room::{DATABASE, Room};
use crate::store::Store;

/// How often the log is asked.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Looks for the statement that cancels a run.
pub(crate) struct CancelWatch {
    database: PathBuf,
    /// Opened when it is needed: a short run never asks.
    store: Option<Store>,
    /// The first entry that has not been looked at.
    next: u64,
    run: RunId,
    asked: Instant,
    cancelled: bool,
}

impl CancelWatch {
    /// Watches what comes after the state that `room` has, which has the request.
    pub(crate) fn new(room: &Room, run: RunId) -> Self {
        Self {
            database: room.path.join(DATABASE),
            store: None,
            next: room.state.statements(),
            run,
            asked: Instant::now(),
            cancelled: false,
        }
    }

    /// Why the run is to be ended, if it is. Cheap: the log is asked a few times a second.
    pub(crate) fn reason(&mut self) -> Option<ReasonCode> {
        if !self.cancelled && self.asked.elapsed() >= ASK_EVERY {
            self.ask();
        }
        self.cancelled.then_some(ReasonCode::Cancelled)
    }

    /// [`CancelWatch::reason`] as the error of a read that it ends.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        match self.reason() {
            None => Ok(()),
            Some(reason) => Err(io::Error::other(reason.as_str())),
        }
    }

    /// Looks at the log now. The error when the run is cancelled.
    pub(crate) fn ask_now(&mut self) -> Result<(), RoomError> {
        self.ask();
        if self.cancelled { Err(self.error()) } else { Ok(()) }
    }

    /// `error`, or that the run is cancelled when it is.
    pub(crate) fn explain(&self, error: RoomError) -> RoomError {
        if self.cancelled { self.error() } else { error }
    }

    fn error(&self) -> RoomError {
        RoomError::new(ReasonCode::Cancelled, format!("run {} was cancelled", self.run))
    }

    /// Errors wait for the end of the run: there the log is read again.
    fn ask(&mut self) {
        self.asked = Instant::now();
        if self.store.is_none() {
            self.store = Store::open(&self.database).ok();
        }
        let Some(store) = &self.store else { return };
        let Ok((entries, _)) = store.read_from(self.next) else { return };
        for entry in entries {
            self.next = self.next.saturating_add(1);
            let statement = Envelope::from_bytes(&entry.envelope)
                .ok()
                .and_then(|envelope| envelope.unverified().ok());
            let cancels = statement.map(|statement| statement.body);
            self.cancelled |=
                matches!(cancels, Some(Body::Cancel(cancel)) if cancel.run == self.run);
        }
    }
}
