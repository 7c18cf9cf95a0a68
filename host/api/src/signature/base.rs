//! The signature base: the very bytes that are signed.

use super::{Kind, Request, SignatureError};

/// The signature base of RFC 9421, section 2.5: a line for each component, then the parameters.
pub(super) fn of(request: &Request<'_>, content_digest: &str, parameters: &str) -> String {
    let Request { method, path, query, .. } = request;
    format!(
        "\"@method\": {method}\n\
         \"@path\": {path}\n\
         \"@query\": ?{query}\n\
         \"content-digest\": {content_digest}\n\
         \"@signature-params\": {parameters}"
    )
}

/// Refuses whatever cannot stand in the first line of a request, above all line ends: with them a
/// path could pretend to be the lines that follow it.
pub(super) fn check_target(request: &Request<'_>) -> Result<(), SignatureError> {
    let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let Request { method, path, query, .. } = request;
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(SignatureError(Kind::Target("method")));
    }
    if !path.starts_with('/') || !is_visible(path) || path.contains(['?', '#']) {
        return Err(SignatureError(Kind::Target("path")));
    }
    if !is_visible(query) || query.contains('#') {
        return Err(SignatureError(Kind::Target("query")));
    }
    Ok(())
}
