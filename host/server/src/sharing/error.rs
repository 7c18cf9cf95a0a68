//! Errors in the form of Delta Sharing: `{"errorCode": …, "message": …}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use glovebox_contract::reason::ReasonCode;
use glovebox_delta::{DeltaError, ReadError};
use serde_json::json;

use crate::error::{HttpError, RefusedBecause};

/// A request of a recipient that is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharingError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// Result of a request of a recipient.
pub(crate) type Result<T, E = SharingError> = std::result::Result<T, E>;

impl SharingError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// One answer for every token that is not good here, and for rooms that are not.
    pub(crate) fn unauthenticated() -> Self {
        let message = "the bearer token is missing, wrong, expired or revoked";
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message)
    }

    /// A file URL that is not good (any more).
    pub(crate) fn forbidden() -> Self {
        let message = "the file URL is wrong, expired or revoked: query the table again";
        Self::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message)
    }

    /// One answer for what does not exist and for what is not granted.
    pub(crate) fn missing(what: &str) -> Self {
        let message = format!("there is no such {what} for this recipient");
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MALFORMED_REQUEST", message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "UNSUPPORTED_OPERATION", message)
    }

    /// What happened is in the operator's log.
    pub(crate) fn internal() -> Self {
        let message = "the host failed; its operator finds why in its log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", message)
    }

    fn reason(&self) -> ReasonCode {
        match self.status {
            StatusCode::UNAUTHORIZED => ReasonCode::Unauthenticated,
            StatusCode::FORBIDDEN => ReasonCode::NotPermitted,
            StatusCode::NOT_FOUND => ReasonCode::NotFound,
            StatusCode::BAD_REQUEST => ReasonCode::Malformed,
            StatusCode::SERVICE_UNAVAILABLE => ReasonCode::Unavailable,
            _ => ReasonCode::Internal,
        }
    }
}

/// What went wrong with a room: for a recipient the room does not exist, so it learns little.
impl From<HttpError> for SharingError {
    fn from(error: HttpError) -> Self {
        match error.reason() {
            ReasonCode::Unavailable | ReasonCode::HomeBusy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "TEMPORARILY_UNAVAILABLE",
                "the host has too much to do",
            ),
            reason => {
                tracing::error!(%reason, "a shared table could not be served");
                Self::internal()
            }
        }
    }
}

impl From<DeltaError> for SharingError {
    fn from(error: DeltaError) -> Self {
        tracing::error!(%error, "a shared table could not be brought up to date");
        Self::internal()
    }
}

impl From<ReadError> for SharingError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Empty => Self::missing("table"),
            ReadError::Refused { .. } => Self::unsupported(error.to_string()),
            _ => Self::invalid(error.to_string()),
        }
    }
}

impl IntoResponse for SharingError {
    fn into_response(self) -> Response {
        let reason = self.reason();
        let body = json!({ "errorCode": self.code, "message": self.message });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"delta-sharing\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.extensions_mut().insert(RefusedBecause(reason));
        response
    }
}
