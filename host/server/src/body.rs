//! Receiving the body of a request: within its bound, within the memory of all, and in time.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use glovebox_contract::reason::ReasonCode;

use crate::app::App;
use crate::error::{HttpError, Result};

/// Bytes of memory are given out in such pieces.
pub(crate) const UNIT: usize = 1 << 14;

/// The slowest that a body may come on the whole, in bytes a second.
const LEAST_SPEED: u64 = 16 << 10;

/// Most bytes of a body that is too large that are taken nevertheless.
const DRAINED_BYTES: usize = 32 << 20;

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// `request-too-large`; 408 when it does not come.
pub(crate) async fn read(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes> {
    let announced = announced(headers, &body)?;
    if announced.is_some_and(|bytes| bytes > limit) {
        drain(app, body.into_data_stream()).await;
        return Err(too_large(limit));
    }
    let expected = announced.unwrap_or(limit);
    if expected == 0 {
        return read_within(app, body, limit).await;
    }
    let units = u32::try_from(expected.div_ceil(UNIT)).map_err(|_| too_large(limit))?;
    let memory = tokio::time::timeout(app.limits.idle_time, app.body_budget.acquire_many(units));
    let Ok(Ok(_memory)) = memory.await else {
        return Err(HttpError::unavailable("the host is receiving too much at the moment"));
    };
    read_within(app, body, limit).await
}

/// The length that the request announces, unless it comes in chunks.
fn announced(headers: &HeaderMap, body: &Body) -> Result<Option<usize>> {
    if let Some(exact) = body.size_hint().exact() {
        return Ok(Some(usize::try_from(exact).unwrap_or(usize::MAX)));
    }
    let Some(length) = headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
    let length = length.to_str().ok().and_then(|length| length.parse().ok());
    length.map(Some).ok_or_else(|| HttpError::malformed("content-length: it is no number"))
}

async fn read_within(app: &App, body: Body, limit: usize) -> Result<Bytes> {
    let slowest = u64::try_from(limit).unwrap_or(u64::MAX) / LEAST_SPEED;
    let all = app.limits.idle_time.saturating_add(Duration::from_secs(slowest));
    let reading = read_pieces(app, body.into_data_stream(), limit);
    tokio::time::timeout(all, reading).await.unwrap_or_else(|_| Err(too_slow()))
}

/// Takes and drops what comes, so that a caller who is still writing gets to read the answer
/// instead of a broken connection. Not for long.
async fn drain(app: &App, mut pieces: BodyDataStream) {
    let mut left = DRAINED_BYTES;
    let draining = async {
        while let Some(Ok(piece)) = pieces.next().await
            && piece.len() <= left
        {
            left = left.saturating_sub(piece.len());
        }
    };
    let _ = tokio::time::timeout(app.limits.idle_time, draining).await;
}

async fn read_pieces(app: &App, mut pieces: BodyDataStream, limit: usize) -> Result<Bytes> {
    let idle = app.limits.idle_time;
    let mut whole = BytesMut::new();
    loop {
        let next = tokio::time::timeout(idle, pieces.next()).await;
        match next.map_err(|_| too_slow())? {
            None => return Ok(whole.freeze()),
            Some(Err(_)) => return Err(HttpError::malformed("the body did not arrive whole")),
            Some(Ok(piece)) if whole.len().saturating_add(piece.len()) > limit => {
                drain(app, pieces).await;
                return Err(too_large(limit));
            }
            Some(Ok(piece)) => whole.extend_from_slice(&piece),
        }
    }
}

fn too_large(limit: usize) -> HttpError {
    let message = if limit == 0 {
        "this call takes no body".into()
    } else {
        format!("the body has more than {limit} bytes")
    };
    HttpError::new(ReasonCode::RequestTooLarge, message)
}

fn too_slow() -> HttpError {
    HttpError::malformed("the body did not arrive in time").with_status(StatusCode::REQUEST_TIMEOUT)
}
