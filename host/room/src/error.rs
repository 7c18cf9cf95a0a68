//! What can go wrong in the host's control plane.

use std::fmt;
use std::io;

use glovebox_contract::reason::ReasonCode;

/// A refused act or a failed one.
///
/// The text names what failed and why. It may hold paths of this host, so it is for the person
/// at this host; everyone else learns [`RoomError::reason`] only.
pub struct RoomError {
    reason: ReasonCode,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Result of a control-plane call.
pub type Result<T, E = RoomError> = std::result::Result<T, E>;

impl RoomError {
    /// An error with its public reason and the text for the person at this host.
    pub fn new(reason: ReasonCode, what: impl Into<String>) -> Self {
        Self { reason, what: what.into(), source: None }
    }

    /// The same error with the error that caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The public reason code.
    pub fn reason(&self) -> ReasonCode {
        self.reason
    }

    /// What failed, without its cause.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The same error with other words, its cause's too.
    pub(crate) fn reworded(self, words: impl Fn(&str) -> String) -> Self {
        let source = self.source.map(|source| words(&source.to_string()).into());
        Self { reason: self.reason, what: words(&self.what), source }
    }

    pub(crate) fn internal(what: impl Into<String>) -> Self {
        Self::new(ReasonCode::Internal, what)
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new(ReasonCode::NotFound, what)
    }

    /// An input/output error; a full disk or quota gets its own reason.
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::new(io_reason(&source), what).because(source)
    }
}

/// Turns the error of a call into one that says what was tried.
pub(crate) trait Context<T> {
    /// Adds what was tried, for example `write the version file`.
    fn trying(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn trying(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| RoomError::io(format!("cannot {}", what()), source))
    }
}

impl<T> Context<T> for nix::Result<T> {
    fn trying(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(io::Error::from).trying(what)
    }
}

impl<T> Context<T> for rusqlite::Result<T> {
    fn trying(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| {
            let what = format!("cannot {}", what());
            match source.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => {
                    RoomError::new(ReasonCode::StorageFull, what).because(source)
                }
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                    let what = format!("{what}: the log store is damaged");
                    RoomError::new(ReasonCode::LogTampered, what).because(source)
                }
                Some(rusqlite::ErrorCode::DatabaseBusy) => {
                    RoomError::new(ReasonCode::HomeBusy, what).because(source)
                }
                _ => RoomError::internal(what).because(source),
            }
        })
    }
}

fn io_reason(error: &io::Error) -> ReasonCode {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ReasonCode::StorageFull,
        _ => ReasonCode::Internal,
    }
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomError({}: {self})", self.reason)
    }
}

// The display text holds the cause already, so `source()` starts behind it.
impl std::error::Error for RoomError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().and_then(|source| source.source())
    }
}
