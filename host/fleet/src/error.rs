//! What can go wrong between the owner of a fleet and its rooms.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use glovebox_client::ClientError;
use glovebox_contract::name::AssetName;
use glovebox_contract::reason::ReasonCode;

/// Result of a call of this crate.
pub type Result<T, E = FleetError> = std::result::Result<T, E>;

/// Why something cannot be done, in one room or at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// The registry, or the journal beside it, makes no sense.
    #[error("{file}: {why}")]
    File {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file of this machine.
    #[error("cannot {what}")]
    Local {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Two commands would answer for the same roll-out.
    #[error("another command works on this fleet: it holds `{}`", .0.display())]
    Busy(PathBuf),
    /// What a host, or a room's own rules, say to it.
    #[error(transparent)]
    Room(#[from] ClientError),
    /// The host cannot be reached, or is not the one that it was.
    #[error("no connection to {url}: {source}")]
    Host {
        /// Its address.
        url: String,
        /// Why.
        source: Arc<ClientError>,
    },
    /// The host stopped answering: its other rooms are left for the next time.
    #[error("{url} has stopped answering, so this room was not tried")]
    Away {
        /// Its address.
        url: String,
    },
    /// The registry names no host for the customer.
    #[error("no host: say `host = \"https://…\"` in the registry, or `--host`")]
    NoHost,
    /// The registry names no room for the customer.
    #[error("no room yet: `glovebox fleet create` makes one, `room = \"blake3:…\"` names one")]
    NoRoom,
    /// Nobody may run the notebook there.
    #[error("no runner: say `runners = [\"ALIAS\"]` in the registry, or `--runner ALIAS`")]
    NoRunner,
    /// Somebody else brought the notebook of that name into the room.
    #[error("the notebook {notebook} in this room is another party's")]
    NotTheAuthor {
        /// Its name.
        notebook: AssetName,
    },
    /// The room is ahead.
    #[error("the room has version {there} already; `--downgrade` puts {offered} after it")]
    Older {
        /// The version that the room has.
        there: String,
        /// The version that was to come.
        offered: String,
    },
    /// The room of a customer cannot be described.
    #[error("the room cannot be described: {0}")]
    Document(Box<dyn std::error::Error + Send + Sync>),
}

impl FleetError {
    /// The public reason, where there is one.
    pub fn reason(&self) -> Option<ReasonCode> {
        match self {
            Self::Room(error) => Some(error.reason()),
            Self::Host { source, .. } => Some(source.reason()),
            Self::Away { .. } => Some(ReasonCode::Unavailable),
            Self::NotTheAuthor { .. } => Some(ReasonCode::NotPermitted),
            Self::Older { .. } => Some(ReasonCode::Superseded),
            _ => None,
        }
    }

    pub(crate) fn file(file: impl Into<String>, why: impl ToString) -> Self {
        Self::File { file: file.into(), why: why.to_string() }
    }
}

/// Turns the error of a call into one that says what was tried.
pub(crate) trait Trying<T> {
    /// Adds what was tried, for example `write the journal`.
    fn trying(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Trying<T> for io::Result<T> {
    fn trying(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| FleetError::Local { what: what(), source })
    }
}
