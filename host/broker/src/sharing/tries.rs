//! Trying again.

use std::time::Duration;

use glovebox_contract::reason::ReasonCode;

use crate::error::Failure;

/// How often a request is sent.
const TRIES: u32 = 5;

/// How long the first try waits for the second; each further waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Longest wait that a server may ask for.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How often something may be tried again, and how long to wait before.
pub(super) struct Tries {
    left: u32,
    pub(super) wait: Duration,
}

impl Default for Tries {
    fn default() -> Self {
        Self { left: TRIES, wait: FIRST_WAIT }
    }
}

impl Tries {
    /// Waits for the next try; hands the failure back when there is none, or trying is no use.
    pub(super) async fn next(&mut self, failure: Failure) -> Result<(), Failure> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 || failure.reason != ReasonCode::SourceUnavailable {
            return Err(failure);
        }
        tokio::time::sleep(self.wait).await;
        self.wait = self.wait.saturating_mul(2).min(LONGEST_WAIT);
        Ok(())
    }
}
