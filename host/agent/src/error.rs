//! What can go wrong in an agent.

use std::io;

use glovebox_client::ClientError;

/// Result of a call of this crate.
pub type Result<T, E = AgentError> = std::result::Result<T, E>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The standing orders make no sense.
    #[error("{at}: {why}")]
    Orders {
        /// Which part of them.
        at: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file of the agent.
    #[error("cannot {what}: {source}")]
    File {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The agent's own state cannot be read.
    #[error("{0}")]
    State(String),
    /// The host.
    #[error(transparent)]
    Host(#[from] ClientError),
}

impl AgentError {
    pub(crate) fn orders(at: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Orders { at: at.into(), why: why.into() }
    }
}

/// Turns the error of a call into one that says what was tried.
pub(crate) trait Context<T> {
    /// Adds what was tried, for example `write the book`.
    fn trying(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn trying(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| AgentError::File { what: what(), source })
    }
}
