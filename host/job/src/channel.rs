//! The worker's end of the job socket.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};

use crate::descriptors::{DescriptorError, ReceivedDescriptors};
use crate::event::Event;
use crate::frame::{self, FrameError, MAX_EVENT_BYTES, MAX_JOB_BYTES};
use crate::job::Job;

/// A job on the wire; its descriptors follow.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parcel<J> {
    pub(crate) descriptors: usize,
    pub(crate) job: J,
}

/// Why the worker could not talk to its host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// A message did not get across.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Descriptors did not get across.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// Standard input is not a socket that can be used.
    #[error("the job socket cannot be used: {0}")]
    Socket(#[source] std::io::Error),
}

/// The job socket of a worker process.
#[derive(Debug)]
pub struct WorkerChannel {
    stream: UnixStream,
}

impl WorkerChannel {
    /// The socket on standard input, where the host put it.
    pub fn from_standard_input() -> Result<Self, ChannelError> {
        let descriptor =
            std::io::stdin().as_fd().try_clone_to_owned().map_err(ChannelError::Socket)?;
        Ok(Self { stream: descriptor.into() })
    }

    /// A channel over any socket, for tests.
    pub fn from_stream(stream: UnixStream) -> Self {
        Self { stream }
    }

    /// Waits for the job and its descriptors.
    pub fn receive(&self) -> Result<(Job, ReceivedDescriptors), ChannelError> {
        let parcel: Parcel<Job> = frame::read(&self.stream, MAX_JOB_BYTES, None)?;
        let descriptors = ReceivedDescriptors::receive(&self.stream, parcel.descriptors)?;
        Ok((parcel.job, descriptors))
    }

    /// Tells the host.
    pub fn send(&self, event: &Event) -> Result<(), ChannelError> {
        Ok(frame::write(&self.stream, event, MAX_EVENT_BYTES, None)?)
    }
}
