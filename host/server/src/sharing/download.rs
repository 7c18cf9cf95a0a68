//! Files behind signed URLs.

use std::io::SeekFrom;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nix::fcntl::OFlag;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::caller::Caller;
use super::error::{Result, SharingError};
use super::links::{self, Ticket};
use super::names;
use super::range::{Wanted, wanted};
use super::tables::Table;
use crate::app::App;

/// Bytes read from the disk at a time.
const CHUNK: usize = 256 << 10;

/// Answers a request for a file. The URL says who may read it; whether that holds is looked up
/// anew, so nothing is read by a URL after what it stands on is revoked.
pub(crate) async fn serve(
    app: &Arc<App>,
    [ticket, file]: [&str; 2],
    query: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response> {
    let Ticket { room, owner, recipient, share, key } =
        links::check(&app.sharing().seal, ticket, file, query, app.now())?;
    let caller = Caller::named(app, &room, owner, recipient).await?;
    let caller = caller.ok_or_else(SharingError::forbidden)?;
    let listed = names::listed(&caller.state, caller.recipient()?, caller.now, &share, &key);
    let listed = listed.ok_or_else(SharingError::forbidden)?;
    let table = Table::open(&caller, &listed).await.map_err(|error| match error {
        error if error == SharingError::internal() => error,
        _ => SharingError::forbidden(),
    })?;
    let known = table.history.file(file).filter(|known| table.may_read(&caller, known));
    let known = known.ok_or_else(SharingError::forbidden)?;
    let (content, length) = open(&table.directory.join(&known.name)).await.map_err(|error| {
        tracing::error!(%error, "a file of a shared table cannot be read");
        SharingError::internal()
    })?;
    if length != known.bytes {
        tracing::error!("a file of a shared table is not as long as its table says");
        return Err(SharingError::internal());
    }
    send(content, length, &format!("\"{}\"", known.name), method, headers).await
}

async fn open(path: &Path) -> std::io::Result<(tokio::fs::File, u64)> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits() | OFlag::O_NONBLOCK.bits());
    let file = tokio::fs::OpenOptions::from(options).open(path).await?;
    let metadata = file.metadata().await?;
    if metadata.is_file() {
        return Ok((file, metadata.len()));
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file"))
}

async fn send(
    mut content: tokio::fs::File,
    length: u64,
    tag: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // A part of another state of the file is of no use.
    let same = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let wanted = wanted(text(header::RANGE).filter(|_| same), length);
    let (status, part, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..length, None),
        Wanted::Part(part) => {
            let last = part.end.saturating_sub(1);
            let range = format!("bytes {}-{last}/{length}", part.start);
            (StatusCode::PARTIAL_CONTENT, part, Some(range))
        }
        Wanted::Unsatisfiable => {
            (StatusCode::RANGE_NOT_SATISFIABLE, 0..0, Some(format!("bytes */{length}")))
        }
    };
    let size = part.end.saturating_sub(part.start);
    let body = if method == Method::HEAD || size == 0 {
        Body::empty()
    } else {
        let sought = content.seek(SeekFrom::Start(part.start)).await;
        sought.map_err(|_| SharingError::internal())?;
        Body::from_stream(ReaderStream::with_capacity(content.take(size), CHUNK))
    };
    let mut response = (status, body).into_response();
    let answer = response.headers_mut();
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.apache.parquet"));
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    for (name, value) in [(header::ETAG, Some(tag)), (header::CONTENT_RANGE, range.as_deref())] {
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            answer.insert(name, value);
        }
    }
    Ok(response)
}
