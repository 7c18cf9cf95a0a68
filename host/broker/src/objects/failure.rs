//! What the error of an object store means.

use glovebox_contract::reason::ReasonCode;
use object_store::Error;

use crate::error::Failure;
use crate::http::{not_permitted, whole_error};

/// Words of stores for credentials that open nothing, where the status does not say it: S3 answers
/// an expired token with 400, and a token endpoint has texts of its own.
const DENIED: [&str; 12] = [
    "AccessDenied",
    "AuthenticationFailed",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "invalid_client",
    "invalid_grant",
    "401 Unauthorized",
    "403 Forbidden",
];

/// Words for an object that is not what it was.
const CHANGED: [&str; 2] = ["412 Precondition Failed", "416 Range Not Satisfiable"];

/// The failure that an error is, while `what` is done.
pub(super) fn failure(what: &str, error: &Error) -> Failure {
    let text = format!("{what}: {}", whole_error(error));
    if not_permitted(error).is_some() {
        return Failure::refused(text);
    }
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let reason = match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => ReasonCode::SourceDenied,
        Error::Precondition { .. } => ReasonCode::InputChanged,
        Error::NotSupported { .. } => ReasonCode::SourceUnsupported,
        Error::NotFound { .. } | Error::InvalidPath { .. } => ReasonCode::InputUnreadable,
        _ if says(&DENIED) => ReasonCode::SourceDenied,
        _ if says(&CHANGED) => ReasonCode::InputChanged,
        _ => ReasonCode::SourceUnavailable,
    };
    Failure::new(reason, text)
}

/// The same for a file that was there when the table was opened.
pub(super) fn read_failure(what: &str, error: &Error) -> Failure {
    let failure = failure(what, error);
    match error {
        Error::NotFound { .. } => Failure { reason: ReasonCode::InputChanged, ..failure },
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::NotPermitted;

    #[test]
    fn errors_mean_something() {
        let check = |error: Error, opening: ReasonCode, reading: ReasonCode| {
            let found = (failure("x", &error).reason, read_failure("x", &error).reason);
            assert_eq!(found, (opening, reading), "{error}");
        };
        let generic = |text: &str| Error::Generic { store: "S3", source: text.into() };
        let path = || "bucket/file".to_owned();
        use ReasonCode as R;
        check(
            Error::NotFound { path: path(), source: "gone".into() },
            R::InputUnreadable,
            R::InputChanged,
        );
        let error = Error::PermissionDenied { path: path(), source: "no".into() };
        check(error, R::SourceDenied, R::SourceDenied);
        let error = Error::Precondition { path: path(), source: "no".into() };
        check(error, R::InputChanged, R::InputChanged);
        let expired = "non-2xx status code: 400 Bad Request: <Code>ExpiredToken</Code>";
        check(generic(expired), R::SourceDenied, R::SourceDenied);
        let slow = "after 6 retries - 503 Service Unavailable: SlowDown";
        check(generic(slow), R::SourceUnavailable, R::SourceUnavailable);
        check(generic("416 Range Not Satisfiable"), R::InputChanged, R::InputChanged);
        let source = Box::new(NotPermitted("10.0.0.1".into()));
        check(Error::Generic { store: "S3", source }, R::SourceRefused, R::SourceRefused);
    }
}
