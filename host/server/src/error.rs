//! Errors as answers.

use std::fmt;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use glovebox_api::error::{ApiError, status_of};
use glovebox_contract::envelope::EnvelopeError;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::Refusal;
use glovebox_contract::text::printable;
use glovebox_room::RoomError;

/// A call that is answered with an error.
#[derive(Debug, Clone)]
pub(crate) struct HttpError {
    status: StatusCode,
    error: ApiError,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Result of a call.
pub(crate) type Result<T, E = HttpError> = std::result::Result<T, E>;

/// Beside an answer that is an error, for logs and figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusedBecause(pub(crate) ReasonCode);

impl HttpError {
    /// An error with the status of its reason.
    pub(crate) fn new(reason: ReasonCode, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status_of(reason));
        Self {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            error: ApiError::new(reason, message),
            headers: Vec::new(),
        }
    }

    /// The same with another status, where HTTP has one for the matter.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with one more header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn reason(&self) -> ReasonCode {
        self.error.reason
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::Malformed, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::NotFound, message)
    }

    /// One answer for a room that does not exist and for one that the caller is no member of.
    pub(crate) fn no_such_room() -> Self {
        Self::not_found("this host has no such room with your key in it")
    }

    /// What happened goes to the operator's log only.
    pub(crate) fn internal(what: &dyn fmt::Display) -> Self {
        tracing::error!(error = %what, "a call failed");
        Self::new(ReasonCode::Internal, "the host failed; its operator finds why in its log")
    }

    /// For now; the caller may try again.
    pub(crate) fn unavailable(message: &str) -> Self {
        Self::new(ReasonCode::Unavailable, message)
            .with_header(header::RETRY_AFTER, HeaderValue::from(1))
    }

    /// The caller does too much at once.
    pub(crate) fn too_many(message: &str) -> Self {
        Self::new(ReasonCode::RateLimited, message)
            .with_header(header::RETRY_AFTER, HeaderValue::from(1))
    }
}

/// Reasons whose texts are about this machine, and so for its operator.
fn is_of_the_machine(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::Internal
            | ReasonCode::WorkerDied
            | ReasonCode::WorkerProtocol
            | ReasonCode::JailUnavailable
            | ReasonCode::StorageFull
            | ReasonCode::HomeVersion
            | ReasonCode::HomeBusy
            | ReasonCode::LogTampered
    )
}

impl From<RoomError> for HttpError {
    /// The text of the error without its cause, which may name files of this host; for what is the
    /// matter of the machine alone, the reason only.
    fn from(error: RoomError) -> Self {
        let reason = error.reason();
        if is_of_the_machine(reason) {
            tracing::error!(%reason, %error, "a call failed");
            return Self::new(
                reason,
                format!("the host failed ({reason}); its operator finds why in its log"),
            );
        }
        Self::new(reason, printable(error.what()))
    }
}

impl From<Refusal> for HttpError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.reason(), printable(refusal.detail()))
    }
}

impl From<EnvelopeError> for HttpError {
    fn from(error: EnvelopeError) -> Self {
        Self::new(error.reason(), printable(&error.to_string()))
    }
}

impl From<tokio::task::JoinError> for HttpError {
    fn from(error: tokio::task::JoinError) -> Self {
        // The words of a panic may hold anything.
        let what = if error.is_panic() { "a call panicked" } else { "a call was given up" };
        Self::internal(&what)
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let reason = self.error.reason;
        let mut response = (self.status, Json(self.error.into_body())).into_response();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(RefusedBecause(reason));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_this_machine_stays_here() {
        let path = "/srv/glovebox/rooms/00";
        for reason in ReasonCode::ALL.iter().filter(|reason| is_of_the_machine(**reason)) {
            let error = RoomError::new(*reason, format!("cannot open `{path}`"));
            assert!(!HttpError::from(error).error.message.contains(path), "{reason}");
        }
        let cause = std::io::Error::other(path);
        let error = RoomError::new(ReasonCode::InputUnreadable, "table a.b").because(cause);
        assert_eq!(HttpError::from(error).error.message, "table a.b");
    }

    #[test]
    fn texts_of_others_are_shown_without_tricks() {
        let error = RoomError::new(ReasonCode::NotFound, "a\u{202e}b\nc");
        assert_eq!(HttpError::from(error).error.message, r"a\u{202e}b\u{a}c");
    }
}
