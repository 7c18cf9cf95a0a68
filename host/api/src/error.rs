//! Errors as a host answers them.

use std::fmt;

use glovebox_contract::reason::ReasonCode;
use serde::{Deserialize, Serialize};

/// Why a host does not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiError {
    /// The public reason.
    pub reason: ReasonCode,
    /// The same in words for people. It says nothing that the asker may not know.
    pub message: String,
}

/// The body of every answer that is an error: `{"error":{"reason":"…","message":"…"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorBody {
    /// The error.
    pub error: ApiError,
}

impl ApiError {
    /// An error with this reason.
    pub fn new(reason: ReasonCode, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The status code that goes with it.
    pub fn status(&self) -> u16 {
        status_of(self.reason)
    }

    /// As the body of an answer.
    pub fn into_body(self) -> ErrorBody {
        ErrorBody { error: self }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.reason)
    }
}

impl std::error::Error for ApiError {}

/// The HTTP status of an answer with this reason.
///
/// A reason that has no status of its own is a refusal of a statement: the request was understood
/// and is not done, 422.
pub fn status_of(reason: ReasonCode) -> u16 {
    match reason {
        ReasonCode::Malformed | ReasonCode::NotCanonical | ReasonCode::InvalidArgument => 400,
        ReasonCode::Unauthenticated => 401,
        ReasonCode::NotPermitted | ReasonCode::NotARunner | ReasonCode::UnknownSigner => 403,
        ReasonCode::NotFound => 404,
        ReasonCode::AlreadyExists
        | ReasonCode::Replayed
        | ReasonCode::OutOfSequence
        | ReasonCode::HomeBusy
        | ReasonCode::UploadIncomplete => 409,
        ReasonCode::RequestTooLarge => 413,
        ReasonCode::RateLimited => 429,
        ReasonCode::Internal
        | ReasonCode::WorkerDied
        | ReasonCode::WorkerProtocol
        | ReasonCode::JailUnavailable
        | ReasonCode::HomeVersion
        | ReasonCode::LogTampered => 500,
        ReasonCode::Unavailable => 503,
        ReasonCode::StorageFull => 507,
        _ => 422,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_status_of_an_error() {
        for reason in ReasonCode::ALL {
            let status = status_of(*reason);
            let known = [400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 507];
            assert!(known.contains(&status), "{reason}: {status}");
        }
        assert_eq!(status_of(ReasonCode::Paused), 422);
        assert_eq!(status_of(ReasonCode::UploadMismatch), 422);
        assert_eq!(status_of(ReasonCode::Cancelled), 422);
    }

    #[test]
    fn bodies_have_one_shape() {
        let body = ApiError::new(ReasonCode::NotFound, "there is no such room").into_body();
        let json = r#"{"error":{"reason":"not-found","message":"there is no such room"}}"#;
        assert_eq!(serde_json::to_string(&body).unwrap(), json);
        assert_eq!(serde_json::from_str::<ErrorBody>(json).unwrap(), body);
        for other in [
            r#"{"error":{"reason":"not-found","message":"a","more":1}}"#,
            r#"{"error":{"reason":"no-such-code","message":"a"}}"#,
            r#"{"error":{"reason":"not-found"}}"#,
            r#"{"error":{"reason":"not-found","message":"a"},"more":1}"#,
        ] {
            assert!(serde_json::from_str::<ErrorBody>(other).is_err(), "{other}");
        }
    }
}
