//! This API as an OpenAPI document, written by hand; a test compares it with the routes.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// The document.
pub(crate) const DOCUMENT: &str = include_str!("../openapi.json");

/// `GET /openapi.json`
pub(crate) async fn show() -> Response {
    let json = HeaderValue::from_static(glovebox_api::media::JSON);
    ([(header::CONTENT_TYPE, json)], DOCUMENT).into_response()
}
