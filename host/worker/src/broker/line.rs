//! One socket to the broker: a request goes out, its answer comes in.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use glovebox_contract::reason::ReasonCode;
use glovebox_job::broker::{
    self, BrokerAnswer, BrokerRequest, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES,
};
use glovebox_query::BrokerFailure;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};

/// Bytes that are set aside on a broker's word alone.
const TRUSTED_BYTES: usize = 16 << 20;

/// The socket is of no use any more: what is in it cannot be told from the next answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost(pub(super) BrokerFailure);

const GONE: Lost = Lost(BrokerFailure::GONE);
const ASTRAY: Lost = Lost(BrokerFailure::ASTRAY);

/// A socket, and how long the other end may say nothing.
#[derive(Debug)]
pub(super) struct Line {
    socket: UnixStream,
    patience: Duration,
}

impl Line {
    pub(super) fn new(socket: UnixStream, patience: Duration) -> Self {
        Self { socket, patience }
    }

    /// Sends a message that [`glovebox_job::broker::encode`] made.
    pub(super) fn send(&self, message: &[u8]) -> Result<(), Lost> {
        let mut rest = message;
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        while !rest.is_empty() {
            match send(self.socket.as_raw_fd(), rest, flags) {
                Ok(0) => return Err(GONE),
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLOUT)?,
                Err(_) => return Err(GONE),
            }
        }
        Ok(())
    }

    /// Reads the head of an answer.
    pub(super) fn answer(&self) -> Result<BrokerAnswer, Lost> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| ASTRAY)?;
        if length == 0 || length > MAX_ANSWER_BYTES {
            return Err(ASTRAY);
        }
        let mut text = vec![0; length];
        self.fill(&mut text)?;
        serde_json::from_slice(&text).map_err(|_| ASTRAY)
    }

    /// Reads `length` bytes that were announced.
    pub(super) fn bytes(&self, length: u64) -> Result<Vec<u8>, Lost> {
        let length = usize::try_from(length).map_err(|_| ASTRAY)?;
        let mut bytes = vec![0; length.min(TRUSTED_BYTES)];
        let mut filled = 0;
        loop {
            self.fill(bytes.get_mut(filled..).unwrap_or_default())?;
            filled = bytes.len();
            let more = (length - filled).min(filled);
            if more == 0 {
                return Ok(bytes);
            }
            let memory = |_| Lost(BrokerFailure::new(ReasonCode::MemoryLimit));
            bytes.try_reserve_exact(more).map_err(memory)?;
            bytes.resize(filled + more, 0);
        }
    }

    fn fill(&self, buffer: &mut [u8]) -> Result<(), Lost> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match recv(self.socket.as_raw_fd(), rest, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Err(GONE),
                Ok(read) => filled += read,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLIN)?,
                Err(_) => return Err(GONE),
            }
        }
        Ok(())
    }

    /// Waits until the socket is ready, but not for ever.
    fn wait(&self, for_what: PollFlags) -> Result<(), Lost> {
        let deadline = Instant::now().checked_add(self.patience).ok_or(GONE)?;
        loop {
            let left = deadline.checked_duration_since(Instant::now()).ok_or(GONE)?;
            // What is left of a millisecond is waited for, too.
            let left = left.saturating_add(Duration::from_millis(1));
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.socket.as_fd(), for_what)], timeout) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(_) => return Err(GONE),
            }
        }
    }
}

/// The request on the wire; none when it is too long.
pub(super) fn encode(request: &BrokerRequest) -> Option<Vec<u8>> {
    broker::encode(request, MAX_REQUEST_BYTES).ok()
}
