//! Refusals, and what can go wrong with the store.

use std::fmt;

/// How a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No token, or one that is not good: 401.
    Unauthenticated,
    /// A known principal without the privilege: 403.
    PermissionDenied,
    /// Too many failures from one address: 429.
    RateLimited {
        /// Seconds until it is worth trying again.
        retry_after: u64,
    },
    /// The store or the issuer's keys cannot be read, so nothing is permitted: 503.
    Unavailable,
}

/// A refused request. The message says why in words for the caller; what an attacker could
/// learn from, such as whether a token is expired or unknown, is in the audit only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AccessError {
    refusal: Refusal,
    message: String,
}

impl AccessError {
    pub(super) fn unauthenticated() -> Self {
        Self {
            refusal: Refusal::Unauthenticated,
            message: "the bearer token is missing or not good".into(),
        }
    }

    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self { refusal: Refusal::PermissionDenied, message: message.into() }
    }

    pub(super) fn rate_limited(retry_after: u64) -> Self {
        Self {
            refusal: Refusal::RateLimited { retry_after },
            message: "too many failed attempts from this address".into(),
        }
    }

    pub(super) fn unavailable() -> Self {
        Self {
            refusal: Refusal::Unavailable,
            message: "who may do what cannot be told at the moment".into(),
        }
    }

    /// How it was refused.
    pub fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self.refusal {
            Refusal::Unauthenticated => 401,
            Refusal::PermissionDenied => 403,
            Refusal::RateLimited { .. } => 429,
            Refusal::Unavailable => 503,
        }
    }

    /// The `error_code` of the workspace error form.
    pub fn error_code(&self) -> &'static str {
        match self.refusal {
            Refusal::Unauthenticated => "UNAUTHENTICATED",
            Refusal::PermissionDenied => "PERMISSION_DENIED",
            Refusal::RateLimited { .. } => "RESOURCE_EXHAUSTED",
            Refusal::Unavailable => "TEMPORARILY_UNAVAILABLE",
        }
    }
}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the access store failed");
        Self::unavailable()
    }
}

/// What a call of the store can fail with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreFailure {
    NotFound,
    AlreadyExists,
    Refused,
    Unavailable,
}

/// A refused or failed call of the [`Store`](super::Store).
pub struct StoreError {
    failure: StoreFailure,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    fn new(failure: StoreFailure, what: impl Into<String>) -> Self {
        Self { failure, what: what.into(), source: None }
    }

    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self::new(StoreFailure::NotFound, what)
    }

    pub(super) fn already_exists(what: impl Into<String>) -> Self {
        Self::new(StoreFailure::AlreadyExists, what)
    }

    pub(super) fn refused(what: impl Into<String>) -> Self {
        Self::new(StoreFailure::Refused, what)
    }

    pub(super) fn unavailable(what: impl Into<String>) -> Self {
        Self::new(StoreFailure::Unavailable, what)
    }

    pub(super) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The principal, token or privilege named is not there.
    pub fn is_not_found(&self) -> bool {
        self.failure == StoreFailure::NotFound
    }

    /// It is there already.
    pub fn is_already_exists(&self) -> bool {
        self.failure == StoreFailure::AlreadyExists
    }

    /// The store cannot be opened, read or written.
    pub fn is_unavailable(&self) -> bool {
        self.failure == StoreFailure::Unavailable
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreError({:?}: {self})", self.failure)
    }
}

// The display text holds the cause already, so `source()` starts behind it.
impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().and_then(|source| source.source())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(source: rusqlite::Error) -> Self {
        Self::unavailable("the access store cannot be read or written").because(source)
    }
}
