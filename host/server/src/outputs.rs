//! Bytes that leave the host: outputs and components.

use std::sync::Arc;

use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use glovebox_api::media;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::Body;
use tokio_util::io::ReaderStream;

use crate::app::App;
use crate::auth::Signed;
use crate::error::{HttpError, Result};

/// Bytes of a file that are read at once.
const PIECE: usize = 1 << 18;

/// `POST /v1/rooms/{id}/outputs`: the statement that the caller reads goes into the log, then the
/// file goes out.
pub(crate) async fn read(State(app): State<Arc<App>>, signed: Signed) -> Result<Response> {
    let member = signed.member(&app).await?;
    let envelope = signed.envelope()?;
    if !matches!(envelope.unverified()?.body, Body::OutputRead(_)) {
        return Err(HttpError::new(
            ReasonCode::InvalidArgument,
            "the statement does not read an output",
        ));
    }
    let opened = app.with(&member.slot, move |room| Ok(room.read_output(&envelope)?)).await?;
    let file = tokio::fs::File::from_std(opened.file);
    let stream = HttpBody::from_stream(ReaderStream::with_capacity(file, PIECE));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media::PARQUET)),
        (header::CONTENT_LENGTH, HeaderValue::from(opened.output.bytes)),
    ];
    Ok((headers, stream).into_response())
}

/// `GET /v1/rooms/{id}/components/{digest}`: what reviewers read; a hidden one is for its owner only.
pub(crate) async fn component(State(app): State<Arc<App>>, signed: Signed) -> Result<Response> {
    let member = signed.member(&app).await?;
    let digest = signed.digest()?;
    let alias = member.alias;
    let bytes =
        app.with(&member.slot, move |room| Ok(room.component_for(&alias, &digest)?)).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(media::WASM))], bytes).into_response())
}
