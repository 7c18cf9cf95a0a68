//! Failures, in the error form of a Databricks workspace.

use std::fmt;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::Refusal;
use serde_json::json;

use crate::access::{self, AccessError};

/// Why a call is not done: a status, Databricks' word for it, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<u64>,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// The request does not make sense.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }

    /// It makes sense, but not as things are now.
    pub(crate) fn state(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_STATE", message)
    }

    /// There is no such thing.
    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message)
    }

    /// No call has this path.
    pub(crate) fn no_endpoint() -> Self {
        let message = "no call of this gateway has this path";
        Self::new(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", message)
    }

    /// The path has calls, but none with this method.
    pub(crate) fn no_method() -> Self {
        let message = "no call with this path has this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "ENDPOINT_NOT_FOUND", message)
    }

    /// The name is taken.
    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "RESOURCE_ALREADY_EXISTS", message)
    }

    /// Something else got in between.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "ABORTED", message)
    }

    /// The caller may not.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message)
    }

    /// The body has too many bytes.
    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "INVALID_PARAMETER_VALUE", message)
    }

    /// The host, or something of this machine, is not there at the moment.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { retry_after: Some(1), ..Self::new(status, "TEMPORARILY_UNAVAILABLE", message) }
    }

    /// The host shows another log or another key than before. Nothing is done with it.
    pub(crate) fn distrusted() -> Self {
        let message = "the host does not show the log or the key that it showed before; the \
                       gateway's log has the evidence, and nothing is done until it is settled";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "DATA_LOSS", message)
    }

    /// A fault of the gateway. `why` goes to its log, not to the caller.
    pub(crate) fn internal(why: impl fmt::Display) -> Self {
        tracing::error!(%why, "a call failed by a fault of the gateway");
        let message = "the gateway failed; its log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", message)
    }

    /// What the room or the host refuses, for this public reason.
    pub(crate) fn of_reason(reason: ReasonCode, message: &str) -> Self {
        let text = format!("{message} ({reason})");
        match reason {
            ReasonCode::NotFound => Self::missing(text),
            ReasonCode::AlreadyExists => Self::exists(text),
            ReasonCode::NotPermitted
            | ReasonCode::NotARunner
            | ReasonCode::UnknownSigner
            | ReasonCode::BadSignature
            | ReasonCode::Unauthenticated => Self::denied(text),
            ReasonCode::NotAccepted
            | ReasonCode::Paused
            | ReasonCode::NotApproved
            | ReasonCode::Rejected
            | ReasonCode::Superseded
            | ReasonCode::Cancelled => Self::state(text),
            ReasonCode::Replayed | ReasonCode::OutOfSequence | ReasonCode::HomeBusy => {
                Self::conflict(text)
            }
            ReasonCode::RequestTooLarge => Self::too_large(text),
            ReasonCode::RateLimited => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                Self { retry_after: Some(1), ..Self::new(status, "RESOURCE_EXHAUSTED", text) }
            }
            ReasonCode::Unavailable => Self::unavailable(text),
            ReasonCode::Internal
            | ReasonCode::WorkerDied
            | ReasonCode::WorkerProtocol
            | ReasonCode::JailUnavailable
            | ReasonCode::StorageFull
            | ReasonCode::LogTampered => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", text)
            }
            _ => Self::invalid(text),
        }
    }

    /// Whether waiting and asking again may help.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Databricks' word, for tests.
    #[cfg(test)]
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::of_reason(refusal.reason(), refusal.detail())
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        let status =
            StatusCode::from_u16(error.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let retry_after = match error.refusal() {
            access::Refusal::RateLimited { retry_after } => Some(retry_after),
            access::Refusal::Unavailable => Some(1),
            _ => None,
        };
        Self { retry_after, ..Self::new(status, error.error_code(), error.to_string()) }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(format_args!("the gateway's database: {error}"))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({ "error_code": self.code, "message": self.message, "details": [] });
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_become_the_words_of_a_workspace() {
        let check = |reason, status: u16, code: &str| {
            let failure = Failure::of_reason(reason, "because");
            assert_eq!((failure.status.as_u16(), failure.code), (status, code), "{reason}");
            assert_eq!(failure.message, format!("because ({reason})"));
        };
        check(ReasonCode::NotFound, 404, "RESOURCE_DOES_NOT_EXIST");
        check(ReasonCode::AlreadyExists, 409, "RESOURCE_ALREADY_EXISTS");
        check(ReasonCode::NotApproved, 400, "INVALID_STATE");
        check(ReasonCode::NotARunner, 403, "PERMISSION_DENIED");
        check(ReasonCode::Malformed, 400, "INVALID_PARAMETER_VALUE");
        check(ReasonCode::ParameterInvalid, 400, "INVALID_PARAMETER_VALUE");
        check(ReasonCode::Unavailable, 503, "TEMPORARILY_UNAVAILABLE");
        check(ReasonCode::OutOfSequence, 409, "ABORTED");
        check(ReasonCode::WorkerDied, 500, "INTERNAL_ERROR");
    }

    #[test]
    fn what_went_wrong_inside_stays_inside() {
        let failure = Failure::internal("secret path /home/alice");
        assert!(!failure.message.contains("alice"));
    }
}
