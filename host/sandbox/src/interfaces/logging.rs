//! `logging`: text and progress for the parties that the room names.

use super::bindings::glovebox::guest::logging::{Host, Level};
use crate::services::LogLevel;
use crate::state::HostState;
use crate::text::harmless;

/// Longest line in bytes.
const MAX_LINE_BYTES: usize = 4096;

impl Host for HostState {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        for line in message.lines() {
            let line = harmless(line, MAX_LINE_BYTES, false);
            // The line end counts too, so that empty lines are not free.
            let cost = line.len() as u64 + 1;
            if cost > self.log_bytes {
                if self.log_bytes > 0 {
                    self.log.log(LogLevel::Warn, "the log limit is reached; the rest is dropped");
                }
                self.log_bytes = 0;
                return Ok(());
            }
            self.log_bytes -= cost;
            self.log.log(level, &line);
        }
        Ok(())
    }

    fn progress(&mut self, done: u64, total: Option<u64>) -> wasmtime::Result<()> {
        self.log.progress(done, total);
        Ok(())
    }
}
