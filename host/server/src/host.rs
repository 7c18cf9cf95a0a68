//! What the host says about itself, to anyone.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use glovebox_api::limits;
use glovebox_api::wire::{Egress, HostInfo};

use crate::app::App;
use crate::error::{HttpError, Result};

/// `GET /v1/host`
pub(crate) async fn info(State(app): State<Arc<App>>) -> Json<HostInfo> {
    let bytes = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    Json(HostInfo {
        egress: Egress::None,
        host_key: app.home.host_key(),
        max_request_bytes: bytes(limits::MAX_REQUEST_BYTES),
        time: app.now(),
        upload_chunk_bytes: bytes(limits::UPLOAD_CHUNK_BYTES),
        version: env!("CARGO_PKG_VERSION").into(),
    })
}

/// `GET /healthz`: whether requests are taken. A load balancer sends none to a host that stops.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Result<Response> {
    if app.is_stopping() {
        return Err(HttpError::unavailable("the host is stopping"));
    }
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))], "ok\n").into_response())
}
