//! What can go wrong with a table.

use std::io;

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::TransactionError;

/// A table could not be brought up to date. For the operator of this host: it may name files.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}: {source}")]
pub struct DeltaError {
    what: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Why a version of a table cannot be read. For whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such version.
    #[error("the table has no version {version}; its newest is {latest}")]
    NoVersion {
        /// The version.
        version: u64,
        /// The newest.
        latest: u64,
    },
    /// It has no version yet.
    #[error("the table has no version yet")]
    Empty,
    /// The table began after that time.
    #[error("the table has no version as old as that")]
    TooEarly,
    /// Files of the version are not there any more.
    #[error(
        "version {version} is no longer available: outputs that it holds expired or were deleted"
    )]
    Gone {
        /// The version.
        version: u64,
    },
    /// What a run made did not fit.
    #[error("version {version} could not be made: {why}")]
    Refused {
        /// The version.
        version: u64,
        /// Why not.
        why: String,
    },
    /// The first version asked for is behind the last.
    #[error("version {start} is after version {end}")]
    Reversed {
        /// The first.
        start: u64,
        /// The last.
        end: u64,
    },
}

impl DeltaError {
    pub(crate) fn new(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), source: source.into() }
    }
}

/// Turns the error of a call into one that says what was tried.
pub(crate) trait Context<T> {
    /// Adds what was tried, for example `read the log of the table`.
    fn trying(self, what: impl FnOnce() -> String) -> Result<T, DeltaError>;
}

macro_rules! context {
    ($($error:ty),*) => {$(
        impl<T> Context<T> for Result<T, $error> {
            fn trying(self, what: impl FnOnce() -> String) -> Result<T, DeltaError> {
                self.map_err(|source| DeltaError::new(what(), source))
            }
        }
    )*};
}

context!(io::Error, DeltaTableError, TransactionError, serde_json::Error);
