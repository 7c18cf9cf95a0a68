//! `logging`: text and progress for the parties that the room names.

use std::borrow::Cow;

use glovebox_contract::media::{MAX_DISPLAY_BYTES, MediaType};

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

    fn display(&mut self, media_type: String, data: Vec<u8>) -> wasmtime::Result<()> {
        match displayable(&media_type, &data, self.log_bytes) {
            Ok((media_type, data)) => {
                self.log_bytes = self.log_bytes.saturating_sub(data.len() as u64 + 1);
                self.log.display(media_type, &data);
                Ok(())
            }
            // The line is charged like any other, so a flood of refused displays ends too.
            Err(why) => self.log(Level::Warn, format!("a display was dropped: {why}")),
        }
    }
}

/// What of a display is kept: all of it, with control characters replaced, or nothing.
fn displayable<'a>(
    media_type: &str,
    data: &'a [u8],
    bytes_left: u64,
) -> Result<(MediaType, Cow<'a, [u8]>), String> {
    let known: MediaType = media_type
        .parse()
        .map_err(|error| format!("its type is `{}`: {error}", harmless(media_type, 80, false)))?;
    let fits_in = |data: &[u8]| {
        let size = data.len();
        if size > MAX_DISPLAY_BYTES {
            return Err(format!("it has {size} bytes; at most {MAX_DISPLAY_BYTES} are kept"));
        }
        if size as u64 >= bytes_left {
            return Err(format!("it has {size} bytes; the log limit leaves {bytes_left}"));
        }
        Ok(())
    };
    fits_in(data)?;
    if !known.fits(data) {
        return Err(format!("it is not {known}"));
    }
    let Some(text) = known.text(data) else { return Ok((known, data.into())) };
    // A replaced character can be longer than what it stands for.
    let clean = harmless(&text.replace("\r\n", "\n"), usize::MAX, true).into_bytes();
    fits_in(&clean)?;
    Ok((known, clean.into()))
}
