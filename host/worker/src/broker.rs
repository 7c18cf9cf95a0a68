//! The way to the broker: sockets that came with the job, a thread for each that is in use.
//!
//! The query engine's threads must not wait for a socket, and an asynchronous runtime that watches
//! sockets makes some of its own, which the jail forbids. So a request goes to a thread that blocks.
//! Threads are started when they are needed; each keeps its socket for good, unless the broker goes
//! astray on it or falls silent: then both are given up.

mod line;
mod task;

use std::collections::VecDeque;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use glovebox_query::{Answer, Broker, BrokerFailure, FileNumber, RowScan, Rows};
use tokio::sync::{mpsc, oneshot};

use self::line::Line;
use self::task::{End, Task};

/// Stack of a thread: it moves bytes and reads short JSON texts.
const STACK_BYTES: usize = 512 << 10;

/// Batches of a scan that wait for whoever reads them.
const BATCHES_AHEAD: usize = 2;

/// Sockets that scans of foreign tables leave to others. Such a scan keeps its socket while its
/// batches wait, and they may wait for something that needs a socket.
const KEPT_FREE: usize = 2;

/// A broker at the other end of some sockets.
#[derive(Debug)]
pub(crate) struct SocketBroker(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    state: Mutex<State>,
    work: Condvar,
    /// Sockets at the start.
    lines: usize,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// Sockets without a thread.
    unused: Vec<Line>,
    /// Threads, each with a socket.
    threads: usize,
    /// Threads that have nothing to do.
    idle: usize,
    /// Scans of foreign tables that go on.
    scans: usize,
    waiting: VecDeque<Task>,
}

impl State {
    fn alive(&self) -> usize {
        self.threads + self.unused.len()
    }
}

impl SocketBroker {
    /// A broker behind `sockets` that is given up when it says nothing for as long as `patience`.
    pub(crate) fn new(sockets: Vec<UnixStream>, patience: Duration) -> Self {
        let unused: Vec<Line> =
            sockets.into_iter().map(|socket| Line::new(socket, patience)).collect();
        let lines = unused.len();
        let state = State { unused, ..State::default() };
        Self(Arc::new(Pool { state: Mutex::new(state), work: Condvar::new(), lines }))
    }
}

impl Drop for SocketBroker {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }
}

impl Broker for SocketBroker {
    fn ranges(&self, file: FileNumber, ranges: Vec<Range<u64>>) -> Answer<Vec<u8>> {
        let (to, answer) = oneshot::channel();
        self.0.start(Task::Ranges { file, ranges, to });
        answer
    }

    fn deleted_rows(&self, file: FileNumber) -> Answer<Vec<u64>> {
        let (to, answer) = oneshot::channel();
        self.0.start(Task::DeletedRows { file, to });
        answer
    }

    fn rows(&self, scan: RowScan) -> mpsc::Receiver<Result<Rows, BrokerFailure>> {
        let (to, rows) = mpsc::channel(BATCHES_AHEAD);
        self.0.start(Task::Rows { scan, to });
        rows
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands `task` to a thread.
    fn start(self: &Arc<Self>, task: Task) {
        let mut state = self.lock();
        if task.is_scan() {
            let alive = state.alive();
            if state.scans + KEPT_FREE.min(alive.saturating_sub(1)) >= alive {
                drop(state);
                task.fail(if alive > 0 { BrokerFailure::CROWDED } else { BrokerFailure::GONE });
                return;
            }
            state.scans += 1;
        }
        state.waiting.push_back(task);
        self.staff(state);
    }

    /// Sees to it that somebody does what waits.
    fn staff(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.idle < state.waiting.len() && !state.closed {
            while let Some(line) = state.unused.pop() {
                let pool = Arc::clone(self);
                let started = std::thread::Builder::new()
                    .name("broker".into())
                    .stack_size(STACK_BYTES)
                    .spawn(move || pool.work(&line));
                // Without a thread the socket is of no use.
                if started.is_ok() {
                    state.threads += 1;
                    break;
                }
            }
        }
        if state.threads > 0 {
            drop(state);
            self.work.notify_all();
            return;
        }
        let forgotten = std::mem::take(&mut state.waiting);
        state.scans = 0;
        drop(state);
        forgotten.into_iter().for_each(|task| task.fail(BrokerFailure::GONE));
    }

    /// What a thread does: one task after the other, until its socket is of no use.
    fn work(self: &Arc<Self>, line: &Line) {
        while let Some(task) = self.next() {
            let is_scan = task.is_scan();
            let end = task.run(line, &|| self.can_spare());
            let mut state = self.lock();
            state.scans = state.scans.saturating_sub(usize::from(is_scan));
            if end == End::Lost {
                break;
            }
        }
        let mut state = self.lock();
        state.threads = state.threads.saturating_sub(1);
        self.staff(state);
    }

    /// Waits for a task; none comes any more when nobody can ask.
    fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(task) = state.waiting.pop_front() {
                return Some(task);
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle = state.idle.saturating_sub(1);
        }
    }

    /// Whether a socket can be given up only to be done with an answer.
    fn can_spare(&self) -> bool {
        self.lock().alive() > self.lines / 2 + 1
    }
}

#[cfg(test)]
mod tests;
