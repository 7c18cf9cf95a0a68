//! Messages on a socket: four bytes of length, most significant first, then that much JSON.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest job in bytes: a run over some ten thousand files.
pub const MAX_JOB_BYTES: usize = 16 << 20;

/// Longest event in bytes: a manifest at its largest.
pub const MAX_EVENT_BYTES: usize = 2 << 20;

/// Why a message could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The other end is gone.
    #[error("the other end closed the socket")]
    Closed,
    /// The deadline passed first.
    #[error("the deadline passed")]
    Deadline,
    /// The length is zero or above the cap.
    #[error("a message of {bytes} bytes, allowed are 1 to {max_bytes}")]
    Length {
        /// Length that was announced or needed.
        bytes: usize,
        /// The cap.
        max_bytes: usize,
    },
    /// The caller does not want to wait any longer.
    #[error("the wait was ended")]
    Stopped,
    /// The bytes are no message of the wanted type.
    #[error("a message that is not well-formed: {0}")]
    Malformed(#[source] serde_json::Error),
    /// The message ends in the middle.
    #[error("the socket was closed in the middle of a message")]
    Truncated,
    /// The system refused.
    #[error("the socket failed: {0}")]
    Io(#[source] io::Error),
}

/// How often a caller that may end its wait is asked.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Until when to wait for the other end.
pub(crate) struct Wait<'a> {
    deadline: Option<Instant>,
    /// Asked again and again; ends the wait by saying so.
    stop: Option<&'a mut dyn FnMut() -> bool>,
}

impl<'a> Wait<'a> {
    /// Until `deadline`, or for ever without one.
    pub(crate) fn until(deadline: Option<Instant>) -> Self {
        Self { deadline, stop: None }
    }

    /// Until `deadline` or until `stop` says so.
    pub(crate) fn unless(deadline: Instant, stop: &'a mut dyn FnMut() -> bool) -> Self {
        Self { deadline: Some(deadline), stop: Some(stop) }
    }

    /// How long the next read may take; `None` is for ever.
    fn next(&mut self) -> Result<Option<Duration>, FrameError> {
        let left = self.deadline.map(time_left).transpose()?;
        let Some(stop) = &mut self.stop else { return Ok(left) };
        if stop() {
            return Err(FrameError::Stopped);
        }
        Ok(Some(left.map_or(ASK_EVERY, |left| left.min(ASK_EVERY))))
    }
}

/// Writes one message. Waits until `deadline`, or for ever without one.
pub fn write(
    stream: &UnixStream,
    message: &impl Serialize,
    max_bytes: usize,
    deadline: Option<Instant>,
) -> Result<(), FrameError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message).map_err(FrameError::Malformed)?;
    let bytes = frame.len() - 4;
    let length = u32::try_from(bytes)
        .ok()
        .filter(|_| bytes <= max_bytes)
        .ok_or(FrameError::Length { bytes, max_bytes })?;
    for (to, from) in frame.iter_mut().zip(length.to_be_bytes()) {
        *to = from;
    }
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        if let Some(deadline) = deadline {
            stream.set_write_timeout(Some(time_left(deadline)?)).map_err(FrameError::Io)?;
        }
        match (&mut &*stream).write(rest) {
            Ok(0) => return Err(FrameError::Closed),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) => retry_or_fail(error)?,
        }
    }
    Ok(())
}

/// Reads one message. Waits until `deadline`, or for ever without one. Reads not one byte more.
pub fn read<T: DeserializeOwned>(
    stream: &UnixStream,
    max_bytes: usize,
    deadline: Option<Instant>,
) -> Result<T, FrameError> {
    let wait = &mut Wait::until(deadline);
    read_sized(stream, max_bytes, wait).map(|(message, _)| message)
}

/// Like [`read`]; tells the length of the message too.
pub(crate) fn read_sized<T: DeserializeOwned>(
    stream: &UnixStream,
    max_bytes: usize,
    wait: &mut Wait<'_>,
) -> Result<(T, usize), FrameError> {
    let mut header = [0; 4];
    fill(stream, &mut header, wait, FrameError::Closed)?;
    let bytes = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
    if bytes == 0 || bytes > max_bytes {
        return Err(FrameError::Length { bytes, max_bytes });
    }
    let mut body = vec![0; bytes];
    fill(stream, &mut body, wait, FrameError::Truncated)?;
    let message = serde_json::from_slice(&body).map_err(FrameError::Malformed)?;
    Ok((message, bytes))
}

/// Waits until the other end is closed; a byte that comes instead is an error.
pub(crate) fn wait_for_end(stream: &UnixStream, deadline: Instant) -> Result<(), FrameError> {
    let mut byte = [0; 1];
    match fill(stream, &mut byte, &mut Wait::until(Some(deadline)), FrameError::Closed) {
        Err(FrameError::Closed) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(FrameError::Length { bytes: 1, max_bytes: 0 }),
    }
}

/// Fills `buffer`; `at_start` is the error when the socket is closed before its first byte.
fn fill(
    stream: &UnixStream,
    buffer: &mut [u8],
    wait: &mut Wait<'_>,
    at_start: FrameError,
) -> Result<(), FrameError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        if let Some(time) = wait.next()? {
            stream.set_read_timeout(Some(time)).map_err(FrameError::Io)?;
        }
        match (&mut &*stream).read(rest) {
            Ok(0) if filled == 0 => return Err(at_start),
            Ok(0) => return Err(FrameError::Truncated),
            Ok(read) => filled += read,
            Err(error) => retry_or_fail(error)?,
        }
    }
    Ok(())
}

fn time_left(deadline: Instant) -> Result<Duration, FrameError> {
    deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
        .ok_or(FrameError::Deadline)
}

fn retry_or_fail(error: io::Error) -> Result<(), FrameError> {
    match error.kind() {
        // The timeout is shorter than asked for when a signal came; the caller looks at the clock.
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(()),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Err(FrameError::Closed),
        _ => Err(FrameError::Io(error)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Event, LogLevel};

    /// What the host reads when a worker sends `bytes` and is gone.
    fn read_event(bytes: &[u8]) -> Result<Event, FrameError> {
        let (host_end, mut worker_end) = UnixStream::pair().expect("a socket");
        worker_end.write_all(bytes).expect("send");
        drop(worker_end);
        read(&host_end, MAX_EVENT_BYTES, Some(Instant::now() + Duration::from_secs(10)))
    }

    fn frame_of(event: &Event) -> Vec<u8> {
        let (mut host_end, worker_end) = UnixStream::pair().expect("a socket");
        write(&worker_end, event, MAX_EVENT_BYTES, None).expect("write");
        drop(worker_end);
        let mut bytes = Vec::new();
        host_end.read_to_end(&mut bytes).expect("read");
        bytes
    }

    #[test]
    fn a_message_above_the_cap_is_not_written() {
        let (_host_end, worker_end) = UnixStream::pair().expect("a socket");
        let error = write(&worker_end, &"too long", 4, None).expect_err("the cap");
        assert_eq!(error.to_string(), "a message of 10 bytes, allowed are 1 to 4");
    }

    #[test]
    fn a_wait_can_be_ended_in_the_middle_of_a_message() {
        let check = |sent: &[u8], asked_before: usize| {
            let (host_end, mut worker_end) = UnixStream::pair().expect("a socket");
            worker_end.write_all(sent).expect("send");
            let started = Instant::now();
            let mut asked = 0;
            let mut stop = || {
                asked += 1;
                asked > asked_before
            };
            let wait = &mut Wait::unless(started + Duration::from_secs(60), &mut stop);
            let error = read_sized::<Event>(&host_end, 100, wait).expect_err("stopped");
            assert!(matches!(error, FrameError::Stopped), "{error}");
            assert!(started.elapsed() < Duration::from_secs(10));
        };
        check(b"", 0);
        check(b"", 2);
        check(&[0, 0], 3);
        check(&[0, 0, 0, 9, b'{'], 4);
    }

    #[test]
    fn a_deadline_in_the_past_is_a_deadline() {
        let (host_end, _worker_end) = UnixStream::pair().expect("a socket");
        let error = read::<Event>(&host_end, 100, Some(Instant::now())).expect_err("late");
        assert!(matches!(error, FrameError::Deadline), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in any::<String>(), done: u64, total: Option<u64>) {
            for event in [
                Event::Log { level: LogLevel::Info, text: text.clone() },
                Event::Progress { done, total },
            ] {
                prop_assert_eq!(read_event(&frame_of(&event)).expect("an event"), event);
            }
        }

        #[test]
        fn any_bytes_are_an_event_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_event(&bytes);
        }

        #[test]
        fn a_damaged_message_is_an_event_or_an_error(at: prop::sample::Index, byte: u8) {
            let mut bytes = frame_of(&Event::Progress { done: 7, total: Some(9) });
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let _ = read_event(&bytes);
        }
    }
}
