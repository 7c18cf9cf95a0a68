//! Why the room does not take a statement.

use std::fmt;

use crate::canonical::CanonicalError;
use crate::envelope::EnvelopeError;
use crate::name::ParseNameError;
use crate::parameter::ParameterError;
use crate::reason::ReasonCode;
use crate::statement::StatementError;

/// Why a statement or a request is refused: a public reason, and a sentence about statements and
/// names that all parties know anyway. It holds no data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    reason: ReasonCode,
    detail: String,
}

impl Refusal {
    /// A refusal. `detail` says what was wrong and what would be right.
    pub fn new(reason: ReasonCode, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// The public reason.
    pub fn reason(&self) -> ReasonCode {
        self.reason
    }

    /// What was wrong.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.reason)
    }
}

impl std::error::Error for Refusal {}

impl From<EnvelopeError> for Refusal {
    fn from(error: EnvelopeError) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}

impl From<StatementError> for Refusal {
    fn from(error: StatementError) -> Self {
        Self::new(ReasonCode::Malformed, error.to_string())
    }
}

impl From<CanonicalError> for Refusal {
    fn from(error: CanonicalError) -> Self {
        Self::new(ReasonCode::Malformed, error.to_string())
    }
}

impl From<ParseNameError> for Refusal {
    fn from(error: ParseNameError) -> Self {
        Self::new(ReasonCode::Malformed, error.to_string())
    }
}

impl From<ParameterError> for Refusal {
    fn from(error: ParameterError) -> Self {
        Self::new(ReasonCode::ParameterInvalid, error.to_string())
    }
}
