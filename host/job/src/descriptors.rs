//! Open files that go from the host to a worker along with a job.
//!
//! A worker opens nothing: whatever it may read or write comes to it through here, with
//! `SCM_RIGHTS` (`man 7 unix`).

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, cmsg_space, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

/// Most descriptors in one message; the kernel allows 253.
const BATCH: usize = 250;

/// Most descriptors of one job.
pub const MAX_DESCRIPTORS: usize = 65_536;

/// Place of a descriptor among those that come with a job, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DescriptorIndex(u32);

/// The descriptors that the host hands over with a job.
#[derive(Debug, Default)]
pub struct DescriptorList(Vec<OwnedFd>);

/// The descriptors that a worker got with its job. Each can be taken once.
#[derive(Debug, Default)]
pub struct ReceivedDescriptors(Vec<Option<OwnedFd>>);

/// Why descriptors did not get across.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The job has no such descriptor, or it was taken before.
    #[error("the job has no descriptor {index}")]
    Absent {
        /// The place asked for.
        index: u32,
    },
    /// More than [`MAX_DESCRIPTORS`].
    #[error("{count} descriptors, at most {MAX_DESCRIPTORS} are allowed")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The deadline passed first.
    #[error("the deadline passed")]
    Deadline,
    /// A message with no or with too many descriptors, or the end of the socket.
    #[error("descriptors are missing")]
    Missing,
    /// The system refused, for instance because too many files are open.
    #[error("descriptors could not be passed: {0}")]
    System(#[source] Errno),
}

impl DescriptorList {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a descriptor and tells its place, which goes into the job.
    pub fn push(&mut self, descriptor: impl Into<OwnedFd>) -> DescriptorIndex {
        let index = DescriptorIndex(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        self.0.push(descriptor.into());
        index
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends all of them and closes them here.
    pub(crate) fn send(
        self,
        stream: &UnixStream,
        deadline: Instant,
    ) -> Result<(), DescriptorError> {
        for batch in self.0.chunks(BATCH) {
            let raw: Vec<RawFd> = batch.iter().map(|descriptor| descriptor.as_raw_fd()).collect();
            loop {
                let left = deadline
                    .checked_duration_since(Instant::now())
                    .filter(|left| !left.is_zero())
                    .ok_or(DescriptorError::Deadline)?;
                stream.set_write_timeout(Some(left)).map_err(system)?;
                match sendmsg::<()>(
                    stream.as_raw_fd(),
                    &[IoSlice::new(b"d")],
                    &[ControlMessage::ScmRights(&raw)],
                    MsgFlags::MSG_NOSIGNAL,
                    None,
                ) {
                    Ok(_) => break,
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(DescriptorError::Missing),
                    Err(errno) => return Err(DescriptorError::System(errno)),
                }
            }
        }
        Ok(())
    }
}

impl ReceivedDescriptors {
    /// Receives `count` descriptors; they do not survive an `exec`.
    pub(crate) fn receive(stream: &UnixStream, count: usize) -> Result<Self, DescriptorError> {
        if count > MAX_DESCRIPTORS {
            return Err(DescriptorError::TooMany { count });
        }
        let mut received = Vec::new();
        while received.len() < count {
            let batch = receive_batch(stream)?;
            if batch.is_empty() || received.len() + batch.len() > count {
                return Err(DescriptorError::Missing);
            }
            received.extend(batch.into_iter().map(Some));
        }
        Ok(Self(received))
    }

    /// Takes the descriptor at `index`.
    pub fn take(&mut self, index: DescriptorIndex) -> Result<File, DescriptorError> {
        usize::try_from(index.0)
            .ok()
            .and_then(|place| self.0.get_mut(place))
            .and_then(Option::take)
            .map(File::from)
            .ok_or(DescriptorError::Absent { index: index.0 })
    }
}

fn receive_batch(stream: &UnixStream) -> Result<Vec<OwnedFd>, DescriptorError> {
    let mut byte = [0];
    let mut slices = [IoSliceMut::new(&mut byte)];
    let mut control = vec![0; cmsg_space::<[RawFd; BATCH]>()];
    let message = loop {
        // A second call is needed only after a signal, and then the first one read nothing.
        match recvmsg::<()>(
            stream.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::MSG_CMSG_CLOEXEC,
        ) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(DescriptorError::System(errno)),
            Ok(message) => break message,
        }
    };
    let mut batch = Vec::new();
    for part in message.cmsgs().map_err(DescriptorError::System)? {
        if let ControlMessageOwned::ScmRights(raw) = part {
            // SAFETY: the kernel opened these descriptors for this process in the call above, and
            // nothing else knows their numbers, so each has exactly this one owner.
            batch.extend(raw.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }));
        }
    }
    Ok(batch)
}

fn system(error: std::io::Error) -> DescriptorError {
    DescriptorError::System(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}
