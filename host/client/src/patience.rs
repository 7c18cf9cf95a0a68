//! Asking again while a host is away.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::Result;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Pauses that grow, until patience ends.
pub(crate) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { until: Instant::now() + patience, pause: FIRST_PAUSE }
    }

    /// Waits before the next try, at least as long as the host asks. Says `false` instead when
    /// patience would end before.
    pub(crate) fn wait(&mut self, at_least: Option<Duration>) -> bool {
        let pause = jittered(self.pause).max(at_least.unwrap_or_default());
        if Instant::now() + pause > self.until {
            return false;
        }
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
        thread::sleep(pause);
        true
    }
}

/// Up to a quarter more, so that clients of a host that comes back do not all knock at once.
fn jittered(pause: Duration) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let part = now.unwrap_or_default().subsec_nanos() % 256;
    pause.saturating_add(pause.saturating_mul(part) / 1024)
}

/// Makes a request that may be made twice, until it works or fails for good.
pub(crate) fn patiently<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    let mut patience = Patience::new(patience);
    loop {
        match attempt() {
            Err(error) if error.is_passing() => {
                if !patience.wait(error.retry_after()) {
                    return Err(error);
                }
            }
            done => return done,
        }
    }
}
