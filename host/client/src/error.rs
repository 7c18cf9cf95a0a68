//! What can go wrong between a party and a host.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use glovebox_contract::envelope::EnvelopeError;
use glovebox_contract::name::{RoomId, RunId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::Refusal;

/// Result of a call of this crate.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// Why a call failed. `at` is the method and the address without its query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The host does not do it.
    #[error("{message}")]
    Refused {
        /// Its reason.
        reason: ReasonCode,
        /// Its words, fit for a screen.
        message: String,
        /// What was asked.
        at: String,
        /// The status of the answer.
        status: u16,
        /// How long the host asks to wait before the same is asked again.
        retry_after: Option<Duration>,
    },
    /// No answer came, or it broke off.
    #[error("{at}: {why}")]
    Unreachable {
        /// What was asked.
        at: String,
        /// Why there is no answer.
        why: String,
        /// Whether the same may work later.
        passing: bool,
    },
    /// The answer is not one that a host gives.
    #[error("{at}: {why}")]
    Answer {
        /// What was asked.
        at: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// The host at this address had another key before.
    #[error(
        "the host at {url} has the key {found}, but it had {pinned} before; if its operator \
         confirms the change, remove `{}`", .pin.display()
    )]
    HostKey {
        /// The host's address.
        url: String,
        /// The key that it had.
        pinned: String,
        /// The key that it says it has.
        found: String,
        /// The file that holds the key that it had.
        pin: PathBuf,
    },
    /// The host signed a log that does not go on from the one that it signed before.
    #[error(
        "the host shows another log of room {room} than before: {why}; both checkpoints are in \
         `{}`", .evidence.display()
    )]
    Fork {
        /// The room.
        room: RoomId,
        /// How it shows.
        why: String,
        /// The directory with both signed checkpoints.
        evidence: PathBuf,
    },
    /// The log of a room that was never seen before does not hold up.
    #[error("the log of room {room} does not hold up: {why}")]
    Tampered {
        /// The room.
        room: RoomId,
        /// What is wrong with it.
        why: String,
    },
    /// The room's own rules refuse it, before the host was asked.
    #[error(transparent)]
    Rule(Refusal),
    /// The host turned a run down before it started.
    #[error("run {run} was refused: {reason}")]
    RunRefused {
        /// The run.
        run: RunId,
        /// Why.
        reason: ReasonCode,
    },
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// An option does not make sense.
    #[error("{0}")]
    Invalid(String),
    /// A file on this side.
    #[error("cannot {what}: {source}")]
    Local {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

impl ClientError {
    /// The public reason.
    pub fn reason(&self) -> ReasonCode {
        match self {
            Self::Refused { reason, .. } | Self::RunRefused { reason, .. } => *reason,
            Self::Rule(refusal) => refusal.reason(),
            Self::Unreachable { .. } => ReasonCode::Unavailable,
            Self::HostKey { .. } => ReasonCode::UnknownSigner,
            Self::Fork { .. } | Self::Tampered { .. } => ReasonCode::LogTampered,
            Self::NotFound(_) => ReasonCode::NotFound,
            Self::Invalid(_) => ReasonCode::InvalidArgument,
            Self::Local { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    ReasonCode::StorageFull
                }
                _ => ReasonCode::Internal,
            },
            Self::Answer { .. } => ReasonCode::Internal,
        }
    }

    /// What was asked of the host, when it was: the method and the address without its query.
    pub fn at(&self) -> Option<&str> {
        match self {
            Self::Refused { at, .. } | Self::Unreachable { at, .. } | Self::Answer { at, .. } => {
                Some(at)
            }
            _ => None,
        }
    }

    /// The status of the host's answer, when it was an error.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same may work later, without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { passing, .. } => *passing,
            Self::Refused { reason, .. } => matches!(
                reason,
                ReasonCode::Unavailable | ReasonCode::RateLimited | ReasonCode::HomeBusy
            ),
            _ => false,
        }
    }

    /// Whether another statement of the same party came first.
    pub(crate) fn is_race(&self) -> bool {
        let races = [ReasonCode::OutOfSequence, ReasonCode::Replayed];
        matches!(self, Self::Refused { reason, .. } if races.contains(reason))
    }

    /// Whether the room that was to be created is there already.
    pub(crate) fn is_race_of_creation(&self) -> bool {
        let exists = [ReasonCode::AlreadyExists, ReasonCode::Replayed];
        matches!(self, Self::Refused { reason, .. } if exists.contains(reason))
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn answer(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Answer { at: at.into(), why: why.into() }
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        Self::Rule(refusal)
    }
}

impl From<EnvelopeError> for ClientError {
    fn from(error: EnvelopeError) -> Self {
        Self::Rule(error.into())
    }
}

/// Turns the error of a call into one that says what was tried.
pub(crate) trait Context<T> {
    /// Adds what was tried, for example `write the pin`.
    fn trying(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn trying(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| ClientError::Local { what: what(), source })
    }
}
