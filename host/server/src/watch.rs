//! What holds for every request: it is counted and logged, it waits for its turn, and a panic is
//! an answer.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Extensions, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use glovebox_contract::key::PublicKey;
use glovebox_contract::name::Alias;
use glovebox_contract::reason::ReasonCode;
use tracing::Instrument as _;

use crate::app::App;
use crate::error::{HttpError, RefusedBecause};

/// What a call finds out about its caller, for the log.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Note>>);

#[derive(Clone, Default)]
struct Note {
    key: Option<String>,
    party: Option<String>,
}

impl Notes {
    /// The notes of a request.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// The request has a good signature of this key.
    pub(crate) fn set_key(&self, key: &PublicKey) {
        self.lock().key = Some(key.id().to_string().chars().take(8).collect());
    }

    /// The caller is this party of the room.
    pub(crate) fn set_party(&self, party: &Alias) {
        self.lock().party = Some(party.to_string());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Note> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts and logs a request: its method, the pattern of its route, status, time, and who asked.
/// Never its path, its query, its headers or its body: there are tokens in them.
pub(crate) async fn observe(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = matched.unwrap_or_else(|| "none".into());
    let notes = Notes::default();
    request.extensions_mut().insert(notes.clone());
    let span = tracing::info_span!("request", method = %method, route = %route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    let reason = response.extensions().get::<RefusedBecause>().map(|because| because.0);
    let took = began.elapsed();
    app.metrics.answered(&method, &route, status, took, reason);
    let note = notes.lock().clone();
    span.in_scope(|| {
        tracing::info!(
            status = status.as_u16(),
            milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            key = note.key,
            party = note.party,
            reason = reason.map(ReasonCode::as_str),
            "answered"
        );
    });
    guard(&mut response);
    response
}

/// Headers of every answer: a browser takes no answer for a page, and nothing is kept on the way.
fn guard(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Lets so many requests in at once. Those that wait for entries of a log do not count while they
/// wait, see `log`.
pub(crate) async fn take_turns(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    if is_probe(&request) {
        return next.run(request).await;
    }
    let place = tokio::time::timeout(app.limits.idle_time, app.requests.clone().acquire_owned());
    let Ok(Ok(place)) = place.await else {
        return HttpError::unavailable("the host has too much to do").into_response();
    };
    let place = Place(Arc::new(Mutex::new(Some(place))));
    let mut request = request;
    request.extensions_mut().insert(place.clone());
    let response = next.run(request).await;
    place.leave();
    response
}

/// What tells whether the host is alive is answered however much it has to do.
fn is_probe(request: &Request) -> bool {
    [glovebox_api::path::HEALTH, glovebox_api::path::METRICS].contains(&request.uri().path())
}

/// The place of a request among those that are answered at once.
#[derive(Clone)]
pub(crate) struct Place(Arc<Mutex<Option<tokio::sync::OwnedSemaphorePermit>>>);

impl Place {
    /// Makes room for another one.
    pub(crate) fn leave(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The answer when a call panicked. The words of the panic may hold anything, so they are logged
/// only when they stand in the program.
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let what = panic.downcast_ref::<&'static str>().copied().unwrap_or("with words of its own");
    tracing::error!(what, "a call panicked");
    HttpError::new(ReasonCode::Internal, "the host failed; its operator finds why in its log")
        .into_response()
}

/// Nothing is at the path.
pub(crate) async fn no_such_path() -> HttpError {
    HttpError::not_found("there is nothing at this path")
}

/// There is something at the path, for other methods.
pub(crate) async fn no_such_method() -> HttpError {
    HttpError::malformed("the path does not take this method")
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    async fn fails() -> &'static str {
        panic!("row {}: JFK", 7)
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_that_says_nothing() {
        let router: Router =
            Router::new().route("/", get(fails)).layer(CatchPanicLayer::custom(panicked));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.starts_with(r#"{"error":{"reason":"internal""#), "{body}");
        assert!(!body.contains("JFK"));
    }
}
