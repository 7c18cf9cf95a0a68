//! Requests of `object_store`, sent by clients of this crate.
//!
//! An answer is read to its end before it is handed on, so a connection that breaks in the middle
//! of one is a failed request, which `object_store` sends again.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpResponse, HttpService,
};
use url::Url;

use crate::http::{Http, NotPermitted, not_permitted};

/// Longest answer to a request that did not say how much it wants: a file of a log.
const MAX_ANSWER_BYTES: u64 = 128 << 20;

/// Longest page of a listing.
const MAX_PAGE_BYTES: u64 = 16 << 20;

/// Longest explanation of an error.
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// Makes clients for the stores of one table.
#[derive(Debug, Clone)]
pub(super) struct Connector(pub(super) Arc<Http>);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        let allow_http = allow_http.as_deref() == Some("true");
        Ok(HttpClient::new(Service { http: Arc::clone(&self.0), allow_http }))
    }
}

#[derive(Debug)]
struct Service {
    http: Arc<Http>,
    allow_http: bool,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string()).map_err(|error| refused(error.to_string()))?;
        if url.scheme() == "http" && !self.allow_http {
            return Err(refused("plain http, which the credential does not allow".into()));
        }
        let client = self.http.client(&url).map_err(|failure| refused(failure.detail))?;
        let is_listing = url.query_pairs().any(|(name, _)| name == "prefix");
        let mut sent = reqwest::Request::new(parts.method, url);
        *sent.headers_mut() = parts.headers;
        match body.as_bytes() {
            Some(bytes) if bytes.is_empty() => {}
            Some(bytes) => *sent.body_mut() = Some(bytes.clone().into()),
            None => return Err(refused("nothing is written".into())),
        }
        let wanted =
            sent.headers().get("range").and_then(|range| wanted_bytes(range.to_str().ok()?));
        let answer = client.execute(sent).await.map_err(broken)?;

        let (status, headers) = (answer.status(), answer.headers().clone());
        let limit = match wanted {
            _ if !status.is_success() => MAX_ERROR_BYTES,
            Some(wanted) if status == reqwest::StatusCode::PARTIAL_CONTENT => wanted,
            // The whole object in place of a piece of it. It is refused for its status.
            Some(_) => 0,
            None if is_listing => MAX_PAGE_BYTES,
            None => MAX_ANSWER_BYTES,
        };
        let body = match (limit, status.is_success()) {
            (0, _) => Bytes::new(),
            (limit, true) => read(answer, limit).await?,
            (limit, false) => read(answer, limit).await.unwrap_or_default(),
        };
        let mut response = HttpResponse::new(body.into());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// How many bytes a `Range` asks for, when it says so.
fn wanted_bytes(range: &str) -> Option<u64> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => last.checked_sub(first)?.checked_add(1),
        // The end of an object.
        (Err(_), Ok(last)) if first.is_empty() => Some(last),
        _ => None,
    }
}

async fn read(mut answer: reqwest::Response, limit: u64) -> Result<Bytes, HttpError> {
    let too_long = || HttpError::new(HttpErrorKind::Decode, TooLong);
    let limit = usize::try_from(limit).map_err(|_| too_long())?;
    let said = answer.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = BytesMut::with_capacity(said.unwrap_or(0).min(limit));
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        if body.len().saturating_add(piece.len()) > limit {
            return Err(too_long());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than what was asked for")]
struct TooLong;

fn refused(why: String) -> HttpError {
    // Not sent again: the next time it would be no better.
    HttpError::new(HttpErrorKind::Unknown, NotPermitted(why))
}

fn broken(error: reqwest::Error) -> HttpError {
    let kind = match () {
        () if not_permitted(&error).is_some() => HttpErrorKind::Unknown,
        () if error.is_timeout() => HttpErrorKind::Timeout,
        () if error.is_connect() => HttpErrorKind::Connect,
        () if error.is_body() || error.is_decode() => HttpErrorKind::Interrupted,
        () => HttpErrorKind::Request,
    };
    HttpError::new(kind, error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_how_much_it_wants() {
        let check = |range: &str, expect| assert_eq!(wanted_bytes(range), expect, "{range}");
        check("bytes=0-0", Some(1));
        check("bytes=10-19", Some(10));
        check("bytes=-8", Some(8));
        check("bytes=8-", None);
        check("bytes=9-8", None);
        check("bytes=0-18446744073709551615", None);
        check("lines=1-2", None);
    }
}
