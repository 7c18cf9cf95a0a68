//! Log lines and progress of a notebook, on their way to the host.

use std::sync::Arc;
use std::time::{Duration, Instant};

use glovebox_contract::media::MediaType;
use glovebox_job::event::{Event, LogLevel};
use glovebox_job::text::{MAX_LOG_LINE_BYTES, clean_line};
use glovebox_sandbox::services::{self, GuestLog};

use crate::work::Host;

/// Bytes that a line costs besides its text, so that empty lines are not free.
const LINE_COST: u64 = 16;

/// Most lines, whatever the room allows: the host takes so many events and no more.
const MAX_LINES: u64 = 50_000;

/// Most bytes, whatever the room allows, for the same reason.
const MAX_BYTES: u64 = 16 << 20;

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
        Self {
            bytes_left: bytes.min(MAX_BYTES),
            dropped: 0,
            host,
            lines: 0,
            reported: None,
            reports: 0,
        }
    }

    /// Takes what a line or a display of `bytes` bytes costs. Tells whether there was enough.
    fn charge(&mut self, bytes: usize) -> bool {
        let cost = LINE_COST + bytes as u64;
        if cost > self.bytes_left || self.lines >= MAX_LINES {
            // One line too long ends the log; a hole in the middle would mislead.
            self.bytes_left = 0;
            self.dropped += 1;
            return false;
        }
        self.bytes_left -= cost;
        self.lines += 1;
        true
    }
}

impl GuestLog for EventLog {
    fn log(&mut self, level: services::LogLevel, message: &str) {
        let text = clean_line(message, MAX_LOG_LINE_BYTES);
        if !self.charge(text.len()) {
            return;
        }
        let level = match level {
            services::LogLevel::Debug => LogLevel::Debug,
            services::LogLevel::Info => LogLevel::Info,
            services::LogLevel::Warn => LogLevel::Warn,
            services::LogLevel::Error => LogLevel::Error,
        };
        self.host.tell(&Event::Log { level, text });
    }

    fn display(&mut self, media_type: MediaType, data: &[u8]) {
        if self.charge(data.len()) {
            self.host.tell(&Event::Display { media_type, data: data.to_vec() });
        }
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
            let text = format!("the log is full, lines dropped: {}", self.dropped);
            self.host.tell(&Event::Log { level: LogLevel::Warn, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use glovebox_job::channel::WorkerChannel;
    use glovebox_job::frame::{self, FrameError, MAX_EVENT_BYTES};

    use super::*;

    /// What the host hears of a log with `bytes` bytes.
    fn heard(bytes: u64, guest: impl FnOnce(&mut EventLog)) -> Vec<Event> {
        let (host_end, worker_end) = UnixStream::pair().expect("a socket");
        let host = Arc::new(Host::new(WorkerChannel::from_stream(worker_end)));
        let mut log = EventLog::new(host, bytes);
        // Read as it is written: a large event is more than a socket holds.
        let reader = std::thread::spawn(move || {
            let mut events = Vec::new();
            loop {
                match frame::read(&host_end, MAX_EVENT_BYTES, None) {
                    Ok(event) => events.push(event),
                    Err(FrameError::Closed) => return events,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        guest(&mut log);
        drop(log);
        reader.join().expect("the events")
    }

    fn line(level: LogLevel, text: &str) -> Event {
        Event::Log { level, text: text.into() }
    }

    #[test]
    fn lines_are_clean_and_limited() {
        let check = |bytes: u64, lines: &[&str], expect: &[Event]| {
            let found = heard(bytes, |log| {
                lines.iter().for_each(|text| log.log(services::LogLevel::Info, text));
            });
            assert_eq!(found, expect);
        };
        check(100, &["one", "two"], &[line(LogLevel::Info, "one"), line(LogLevel::Info, "two")]);
        check(100, &["a\u{1b}[1mb\nc"], &[line(LogLevel::Info, "a\u{fffd}[1mb c")]);
        check(
            40,
            &["one", "two", "three", ""],
            &[
                line(LogLevel::Info, "one"),
                line(LogLevel::Info, "two"),
                line(LogLevel::Warn, "the log is full, lines dropped: 2"),
            ],
        );
        check(0, &[""], &[line(LogLevel::Warn, "the log is full, lines dropped: 1")]);
    }

    #[test]
    fn displays_cost_what_lines_cost() {
        let shown = |text: &str| Event::Display {
            media_type: MediaType::Plain,
            data: text.as_bytes().to_vec(),
        };
        let found = heard(60, |log| {
            log.display(MediaType::Plain, b"one");
            log.log(services::LogLevel::Info, "two");
            log.display(MediaType::Plain, b"three is too long");
            log.display(MediaType::Plain, b"");
        });
        let full = line(LogLevel::Warn, "the log is full, lines dropped: 2");
        assert_eq!(found, [shown("one"), line(LogLevel::Info, "two"), full]);
    }

    #[test]
    fn the_largest_display_fits_an_event() {
        let data = vec![b'x'; glovebox_contract::media::MAX_DISPLAY_BYTES];
        let found = heard(4 << 20, |log| log.display(MediaType::Plain, &data));
        assert_eq!(found, [Event::Display { media_type: MediaType::Plain, data }]);
    }

    #[test]
    fn progress_is_rare_but_its_end_is_told() {
        let found = heard(0, |log| (0..=10_000).for_each(|done| log.progress(done, Some(10_000))));
        assert!(found.len() < 100, "{}", found.len());
        assert_eq!(found.first(), Some(&Event::Progress { done: 0, total: Some(10_000) }));
        assert_eq!(found.last(), Some(&Event::Progress { done: 10_000, total: Some(10_000) }));
    }
}
