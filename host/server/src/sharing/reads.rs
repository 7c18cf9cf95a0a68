//! Reads in the log of the room: every table that a recipient asked for, at most once a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use glovebox_contract::statement::SharedRead;

use super::caller::Caller;
use super::error::{Result, SharingError};
use super::names::Listed;

/// For so long another read of the same version is not logged again.
const SECONDS: u64 = 60;

/// So many reads are remembered before old ones are forgotten.
const MANY: usize = 10_000;

/// What tells one read from another: room, owner, recipient, share, table, version.
type Read = ([String; 3], String, String, u64);

/// Reads that were logged lately, each with when.
#[derive(Default)]
pub(crate) struct Reads {
    lately: Mutex<HashMap<Read, u64>>,
}

impl Reads {
    /// Whether the read is to be logged. Two at once are logged once.
    fn begin(&self, read: &Read, now: u64) -> bool {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |at: u64| now.abs_diff(at) < SECONDS;
        if lately.get(read).is_some_and(|at| fresh(*at)) {
            return false;
        }
        if lately.len() >= MANY {
            lately.retain(|_, at| fresh(*at));
        }
        lately.insert(read.clone(), now);
        true
    }

    fn forget(&self, read: &Read) {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner).remove(read);
    }
}

/// Logs that the recipient reads a version of the table. What cannot be logged is not served.
pub(crate) async fn record(caller: &Caller, listed: &Listed, version: u64) -> Result<()> {
    let what = listed.key.in_statement(&caller.owner);
    let read: Read = (caller.id(), listed.share.to_string(), what.clone(), version);
    let reads = &caller.app.sharing().reads;
    if !reads.begin(&read, caller.now) {
        return Ok(());
    }
    let statement = SharedRead {
        owner: caller.owner.clone(),
        recipient: caller.name.clone(),
        share: listed.share.clone(),
        version,
        what,
    };
    let recorded =
        caller.app.with(&caller.slot, move |room| Ok(room.record_shared_read(statement)?));
    let recorded = recorded.await;
    if recorded.is_err() {
        reads.forget(&read);
    }
    recorded.map(drop).map_err(SharingError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_logged_once_a_minute() {
        let reads = Reads::default();
        let read = |version| (["r", "o", "n"].map(String::from), "s".into(), "t".into(), version);
        assert!(reads.begin(&read(1), 100));
        assert!(!reads.begin(&read(1), 100));
        assert!(!reads.begin(&read(1), 159));
        assert!(reads.begin(&read(2), 159));
        assert!(reads.begin(&read(1), 160));
        reads.forget(&read(1));
        assert!(reads.begin(&read(1), 161));
        for version in 0..20_000 {
            reads.begin(&read(version), 1000 + version);
        }
        assert!(reads.lately.lock().unwrap().len() <= MANY);
    }
}
