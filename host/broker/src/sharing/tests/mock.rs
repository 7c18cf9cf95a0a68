//! A sharing server and a store of files, which answer as a test says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A server on this machine. Shared by the tests and its handlers.
#[derive(Default)]
pub(super) struct Mock {
    /// What it answers next, the last of it again and again.
    pub(super) answers: Mutex<Vec<Answer>>,
    /// The bodies of queries so far, with the `authorization` of each.
    pub(super) asked: Mutex<Vec<(String, String)>>,
    /// Files by their paths.
    pub(super) files: Mutex<BTreeMap<String, File>>,
    /// How often files were asked for.
    pub(super) reads: Mutex<usize>,
}

/// An answer to a query.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// A file and how it is given out.
#[derive(Clone, Default)]
pub(super) struct File {
    pub(super) content: Vec<u8>,
    /// The signature that an address needs.
    pub(super) signature: String,
    pub(super) etag: &'static str,
    /// Statuses that come before it answers as it should.
    pub(super) first: Vec<u16>,
    pub(super) without_ranges: bool,
    /// Gives the first bytes only, and says that they are all.
    pub(super) cut_to: Option<usize>,
}

impl Mock {
    pub(super) async fn start(answers: Vec<Answer>) -> (Arc<Self>, SocketAddr) {
        let mock = Arc::new(Self { answers: Mutex::new(answers), ..Self::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(handle).with_state(Arc::clone(&mock));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (mock, address)
    }

    pub(super) fn put(&self, path: &str, file: File) {
        self.files.lock().unwrap().insert(path.into(), file);
    }

    fn query(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        let who = headers.get(header::AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned());
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.asked.lock().unwrap().push((body, who.unwrap_or_default()));
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.len() {
            1 => answers[0].clone(),
            _ => answers.remove(0),
        };
        let mut response = Response::builder().status(answer.status);
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        response.body(Body::from(answer.body)).unwrap()
    }

    fn read(&self, path: &str, query: &str, headers: &HeaderMap) -> Response {
        *self.reads.lock().unwrap() += 1;
        assert!(headers.get(header::AUTHORIZATION).is_none(), "an address needs no token");
        let mut files = self.files.lock().unwrap();
        let Some(file) = files.get_mut(path) else { return StatusCode::NOT_FOUND.into_response() };
        if query != format!("X-Amz-Signature={}", file.signature) {
            return StatusCode::FORBIDDEN.into_response();
        }
        if !file.first.is_empty() {
            return StatusCode::from_u16(file.first.remove(0)).unwrap().into_response();
        }
        if file.without_ranges {
            return file.content.clone().into_response();
        }
        let range = headers[header::RANGE].to_str().unwrap().strip_prefix("bytes=").unwrap();
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let length = file.content.len();
        let Some(piece) = file.content.get(first..=last.min(length - 1)) else {
            return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
        };
        let piece = &piece[..file.cut_to.unwrap_or(piece.len()).min(piece.len())];
        let headers = [
            (header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}")),
            (header::ETAG, file.etag.to_owned()),
        ];
        (StatusCode::PARTIAL_CONTENT, headers, piece.to_vec()).into_response()
    }
}

async fn handle(State(mock): State<Arc<Mock>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path();
    match parts.method {
        Method::POST if path.ends_with("/query") => {
            assert_eq!(path, "/sharing/shares/our%20share/schemas/retail/tables/orders/query");
            let said = parts.headers["delta-sharing-capabilities"].to_str().unwrap();
            assert!(
                said.starts_with("responseformat=delta,parquet;readerfeatures=deletionvectors")
            );
            mock.query(&parts.headers, &body)
        }
        Method::POST if path == "/token" => {
            let count = mock.asked.lock().unwrap().len();
            assert_eq!(body, "grant_type=client_credentials&scope=all+of+it");
            assert_eq!(parts.headers[header::AUTHORIZATION], "Basic bWU6bXkgc2VjcmV0");
            format!(r#"{{"access_token":"token-{count}","expires_in":3600}}"#).into_response()
        }
        _ => mock.read(path, parts.uri.query().unwrap_or_default(), &parts.headers),
    }
}
