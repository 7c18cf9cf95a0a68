//! The pipe through which a dying worker process says why.

use std::fs::File;
use std::io::{self, PipeWriter, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Instant;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Longest report that is kept, in bytes.
const MAX_REPORT_BYTES: usize = 32 * 1024;

/// The host's end.
#[derive(Debug)]
pub(crate) struct Report {
    pipe: File,
}

impl Report {
    /// A pipe: the end to read, and the end to give to the process.
    pub(crate) fn new() -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((Self { pipe: File::from(OwnedFd::from(reader)) }, writer))
    }

    /// Reads to the end, which comes when the process is gone; `None` when `deadline` is first.
    pub(crate) fn read(&mut self, deadline: Instant) -> Option<String> {
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match self.pipe.read(&mut piece) {
                Ok(0) => return Some(String::from_utf8_lossy(&text).into_owned()),
                Ok(read) => {
                    let room = MAX_REPORT_BYTES - text.len();
                    text.extend(piece.iter().take(read.min(room)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = deadline.checked_duration_since(Instant::now())?;
                    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
                    let _ = poll(&mut [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)], timeout);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
            if Instant::now() >= deadline {
                return None;
            }
        }
    }
}
