//! Log lines and progress of a notebook, on their way to the host.

use std::sync::Arc;
use std::time::{Duration, Instant};

use glovebox_job::event::{Event, LogLevel};
use glovebox_job::text::{MAX_LOG_LINE_BYTES, clean_line};
use glovebox_sandbox::services::{self, GuestLog};

use crate::work::Host;

/// Bytes that a line costs besides its text, so that empty lines are not free.
const LINE_COST: u64 = 16;

/// Most lines, whatever the room allows: the host takes so many events and no more.
const MAX_LINES: u64 = 50_000;

/// Least time between two reports of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Most reports of progress.
const MAX_REPORTS: u32 = 20_000;

/// Sends what a guest says, as far as the room's limit goes. The rest is counted and dropped.
pub(crate) struct EventLog {
    bytes_left: u64,
    dropped: u64,
    host: Arc<Host>,
    lines: u64,
    reported: Option<Instant>,
    reports: u32,
}

impl EventLog {
    /// A log of at most `bytes` bytes of text.
    pub(crate) fn new(host: Arc<Host>, bytes: u64) -> Self {
        Self { bytes_left: bytes, dropped: 0, host, lines: 0, reported: None, reports: 0 }
    }
}

impl GuestLog for EventLog {
    fn log(&mut self, level: services::LogLevel, message: &str) {
        let text = clean_line(message, MAX_LOG_LINE_BYTES);
        let cost = LINE_COST + text.len() as u64;
        if cost > self.bytes_left || self.lines >= MAX_LINES {
            // One line too long ends the log; a hole in the middle would mislead.
            self.bytes_left = 0;
            self.dropped += 1;
            return;
        }
        self.bytes_left -= cost;
        self.lines += 1;
        let level = match level {
            services::LogLevel::Debug => LogLevel::Debug,
            services::LogLevel::Info => LogLevel::Info,
            services::LogLevel::Warn => LogLevel::Warn,
            services::LogLevel::Error => LogLevel::Error,
        };
        self.host.tell(&Event::Log { level, text });
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        let now = Instant::now();
        let early = self.reported.is_some_and(|last| now - last < PROGRESS_INTERVAL);
        if self.reports >= MAX_REPORTS || (early && total != Some(done)) {
            return;
        }
        self.reported = Some(now);
        self.reports += 1;
        self.host.tell(&Event::Progress { done, total });
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        if self.dropped > 0 {
            let text = format!("{} more lines were dropped: the log is full", self.dropped);
            self.host.tell(&Event::Log { level: LogLevel::Warn, text });
        }
    }
}
