//! A store that speaks as much of S3 as is read here, on loopback, with faults to order.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use bytes::Bytes;

/// The one key that opens the bucket.
pub(super) const KEY: &str = "AKIAGLOVEBOX";
pub(super) const SECRET: &str = "wJalrXUtnFEMI-K7MDENG";

/// What goes wrong with the next request for an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// 503 and a word of S3's.
    Throttle,
    /// The connection breaks in the middle of the answer.
    Break,
    /// The answer has one byte less than it says it is of.
    Short,
    /// The whole object in place of a piece.
    Whole,
    /// 400 and a word of S3's.
    Expired,
    /// Nothing at all.
    Hang,
}

#[derive(Clone, Default)]
pub(super) struct Store(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Bytes>,
    faults: VecDeque<Fault>,
    always: Option<Fault>,
    ignores_if_match: bool,
    is_public: bool,
    requests: u64,
    listed: Vec<String>,
}

pub(super) struct Bucket {
    store: Store,
    pub(super) endpoint: String,
    _runtime: tokio::runtime::Runtime,
}

impl Bucket {
    pub(super) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let store = Store::default();
        let app = Router::new()
            .route("/bucket", get(list))
            .route("/bucket/{*key}", get(object))
            .with_state(store.clone());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { store, endpoint, _runtime: runtime }
    }

    pub(super) fn put(&self, key: &str, content: impl Into<Bytes>) {
        self.store.0.lock().unwrap().objects.insert(key.into(), content.into());
    }

    pub(super) fn fault(&self, faults: &[Fault]) {
        self.store.0.lock().unwrap().faults = faults.iter().copied().collect();
    }

    pub(super) fn always(&self, fault: Option<Fault>) {
        self.store.0.lock().unwrap().always = fault;
    }

    pub(super) fn ignore_if_match(&self) {
        self.store.0.lock().unwrap().ignores_if_match = true;
    }

    pub(super) fn make_public(&self, is_public: bool) {
        self.store.0.lock().unwrap().is_public = is_public;
    }

    /// The prefixes that were listed since the last call.
    pub(super) fn listed(&self) -> Vec<String> {
        std::mem::take(&mut self.store.0.lock().unwrap().listed)
    }

    pub(super) fn requests(&self) -> u64 {
        self.store.0.lock().unwrap().requests
    }
}

fn etag(content: &[u8]) -> String {
    let hex = glovebox_contract::digest::Blake3Digest::of(content).to_hex();
    format!("\"{}\"", &hex[..32])
}

fn answer(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

fn check_key(is_public: bool, headers: &HeaderMap) -> Result<(), Box<Response<Body>>> {
    let said = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
    let keys = [format!("Credential={KEY}/"), format!("SharedKey {KEY}:")];
    match is_public || keys.iter().any(|key| said.contains(key)) {
        true => Ok(()),
        false => {
            let body = format!("<Error><Code>InvalidAccessKeyId</Code><X>{said}</X></Error>");
            Err(Box::new(answer(StatusCode::FORBIDDEN, body)))
        }
    }
}

async fn list(
    State(store): State<Store>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response<Body> {
    if let Err(refusal) = check_key(store.0.lock().unwrap().is_public, &headers) {
        return *refusal;
    }
    let of = |name: &str| query.get(name).cloned().unwrap_or_default();
    let (prefix, after) = (of("prefix"), of("start-after"));
    let mut text = String::from("<ListBucketResult><IsTruncated>false</IsTruncated>");
    let mut folders = std::collections::BTreeSet::new();
    let mut inner = store.0.lock().unwrap();
    for (key, content) in &inner.objects {
        let rest = key.strip_prefix(&prefix).unwrap_or_default();
        if let Some((folder, _)) = rest.split_once('/').filter(|_| query.contains_key("delimiter"))
        {
            folders.insert(format!("{prefix}{folder}/"));
        } else if !rest.is_empty() && key.as_str() > after.as_str() {
            text.push_str(&format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                 <ETag>{}</ETag><Size>{}</Size></Contents>",
                etag(content).replace('"', "&quot;"),
                content.len()
            ));
        }
    }
    for folder in folders {
        text.push_str(&format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"));
    }
    text.push_str("</ListBucketResult>");
    inner.listed.push(prefix);
    answer(StatusCode::OK, text)
}

async fn object(
    State(store): State<Store>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    if let Err(refusal) = check_key(store.0.lock().unwrap().is_public, &headers) {
        return *refusal;
    }
    let (content, fault, ignores) = {
        let mut inner = store.0.lock().unwrap();
        inner.requests += 1;
        let fault = inner.faults.pop_front().or(inner.always);
        (inner.objects.get(&key).cloned(), fault, inner.ignores_if_match)
    };
    match fault {
        Some(Fault::Throttle) => {
            return answer(StatusCode::SERVICE_UNAVAILABLE, "<Error><Code>SlowDown</Code></Error>");
        }
        Some(Fault::Expired) => {
            return answer(StatusCode::BAD_REQUEST, "<Error><Code>ExpiredToken</Code></Error>");
        }
        Some(Fault::Hang) => std::future::pending().await,
        _ => {}
    }
    let Some(content) = content else { return answer(StatusCode::NOT_FOUND, "NoSuchKey") };
    let tag = etag(&content);
    let matches = headers.get("if-match").is_none_or(|wanted| *wanted == *tag);
    if !matches && !ignores {
        return answer(StatusCode::PRECONDITION_FAILED, "");
    }
    let whole = 0..content.len();
    let range = headers.get("range").and_then(|range| {
        let (first, last) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        Some(first.parse().ok()?..last.parse::<usize>().ok()? + 1)
    });
    let range = range.filter(|_| fault != Some(Fault::Whole));
    let status = range.as_ref().map_or(StatusCode::OK, |_| StatusCode::PARTIAL_CONTENT);
    let piece = range.unwrap_or(whole.clone());
    if piece.end > content.len() {
        return answer(StatusCode::RANGE_NOT_SATISFIABLE, "");
    }
    let mut body = content.slice(piece.clone());
    let length = body.len();
    if fault == Some(Fault::Short) {
        body.truncate(length.saturating_sub(1));
    }
    let said = body.len();
    let body = match fault {
        Some(Fault::Break) => {
            let half: Result<Bytes, std::io::Error> = Ok(body.slice(..said / 2));
            let end = Err(std::io::Error::other("the cable was cut"));
            Body::from_stream(futures::stream::iter([half, end]))
        }
        _ => body.into(),
    };
    let mut response = answer(status, body);
    let headers = response.headers_mut();
    headers.insert("etag", tag.parse().unwrap());
    headers.insert("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT".parse().unwrap());
    headers.insert("content-length", said.into());
    if status == StatusCode::PARTIAL_CONTENT {
        let said = format!("bytes {}-{}/{}", piece.start, piece.end - 1, content.len());
        headers.insert("content-range", said.parse().unwrap());
    }
    response
}
