//! Why something did not work, for the people who may read it.

use std::fmt;

/// The result of anything that a notebook does in its room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure a call met. The host's codes, from the WIT package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The approved revision does not grant the named table, column, output or parameter.
    NotGranted,
    /// An argument is malformed or out of range.
    InvalidArgument,
    /// Data does not match the declared columns.
    SchemaMismatch,
    /// A limit of the room was reached.
    LimitExceeded,
    /// The query policy refused the statement.
    PolicyDenied,
    /// The thing was finished earlier.
    Closed,
    /// Anything else, the notebook's own errors among it.
    Internal,
}

/// A failure with a text.
///
/// Every [`std::error::Error`] turns into one by `?`. Like `anyhow::Error` it is therefore not
/// itself a `std::error::Error`. A notebook that returns an error fails its run: everyone learns
/// that it failed, only those who may read the log learn the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    #[doc(hidden)]
    pub code: ErrorCode,
    #[doc(hidden)]
    pub message: String,
}

impl Error {
    /// An error of the notebook itself.
    pub fn new(message: impl fmt::Display) -> Self {
        Self::with_code(ErrorCode::Internal, message)
    }

    /// An error with a code of its own.
    pub fn with_code(code: ErrorCode, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// What kind of failure it is.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Says in front of the text what was being done.
    #[must_use]
    pub fn context(self, what: impl fmt::Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Reads well where tests print an error that they did not expect.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::with_code(ErrorCode::Internal, message)
    }
}

/// Adds what was being done to an error, or makes one of an absent value.
pub trait Context<T> {
    /// The same, with `what` in front of the error's text.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(what))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Error::new(what))
    }
}

/// Returns an [`Error`] with a formatted text from the surrounding function.
#[macro_export]
macro_rules! bail {
    ($($argument:tt)*) => {
        return ::core::result::Result::Err($crate::Error::new(::std::format_args!($($argument)*)))
    };
}
