//! The threads of the broker.

use std::future::Future;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Instant;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::Failure;

/// Threads that the broker's tasks share.
const THREADS: usize = 4;

/// A runtime of the broker's own, so that it works the same whatever its caller runs on.
pub(crate) struct Engine {
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Engine {
    pub(crate) fn start() -> Result<Self, Failure> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("broker")
            .enable_all()
            .build()
            .map_err(|error| Failure::unavailable(format!("no threads to read with: {error}")))?;
        let handle = runtime.handle().clone();
        Ok(Self { runtime: Some(runtime), handle })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs a task to its end, or until a deadline, and gives its result. Blocks; may be called
    /// from any thread, also one of another runtime.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        task: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let task = self.handle.spawn(async move {
            // Nobody listens any more when the deadline has passed.
            let _ = sender.send(task.await);
        });
        let result = match deadline {
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => {
                receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            }
        };
        match result {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => {
                task.abort();
                Err(Failure::unavailable("it did not answer in time"))
            }
            // Whoever wrote a log or a listing may have found a way to end its reader.
            Err(RecvTimeoutError::Disconnected) => {
                Err(Failure::unreadable("what it answers cannot be understood"))
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Dropping a runtime waits, which an asynchronous caller must not.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use glovebox_contract::reason::ReasonCode;

    use super::*;

    #[test]
    fn whatever_a_task_does_its_caller_goes_on() {
        let engine = Engine::start().unwrap();
        let soon = || Some(Instant::now() + Duration::from_millis(50));
        assert_eq!(engine.wait(None, async { Ok(7) }), Ok(7));
        let hung = engine.wait(soon(), std::future::pending::<Result<(), Failure>>());
        assert_eq!(hung.unwrap_err().reason, ReasonCode::SourceUnavailable);
        let panicked = engine.wait(None, async {
            let digits: [u8; 0] = [];
            Ok(digits[std::hint::black_box(1)])
        });
        assert_eq!(panicked.unwrap_err().reason, ReasonCode::InputUnreadable);

        let other = Engine::start().unwrap();
        let (answer, read) = mpsc::sync_channel(1);
        other.handle().spawn(async move {
            answer.send(engine.wait(None, async { Ok(8) })).unwrap();
        });
        assert_eq!(read.recv().unwrap(), Ok(8), "also on another runtime's thread");
    }
}
