//! Which path leads to which call.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::body::HttpBody as _;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutBody;

use crate::app::App;
use crate::call::handle;
use crate::error::Failure;
use crate::runs::{self, jobs};
use crate::{assets, outputs, page, reviews, rooms, rules};

/// Most bytes of a body with an asset: the largest component of the standard limits, in base64.
const ASSET_BYTES: usize = 96 << 20;

/// Most bytes of any other body.
const BODY_BYTES: usize = 1 << 20;

/// Longest silence within a body.
const IDLE: Duration = Duration::from_secs(60);

/// All calls of the gateway.
pub(crate) fn router(app: Arc<App>) -> Router {
    let api = api()
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .merge(assets_api().layer(DefaultBodyLimit::max(ASSET_BYTES)))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), admit));
    Router::new()
        .route("/healthz", get(|| async { Json(json!({ "status": "ok" })) }))
        // The client asks for it without a token; there is nothing that it needs to know.
        .route("/.well-known/databricks-config", get(|| async { Json(json!({})) }))
        .merge(api)
        .merge(page::router())
        .fallback(|| async { Failure::no_endpoint() })
        .method_not_allowed_fallback(|| async { Failure::no_method() })
        .layer(CatchPanicLayer::custom(|_| Failure::internal("a call panicked").into_response()))
        .layer(middleware::from_fn(part))
        .with_state(app)
}

fn assets_api() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/api/2.0/clean-rooms/{room}/assets",
            get(handle(assets::list)).post(handle(assets::create)),
        )
        .route(
            "/api/2.0/clean-rooms/{room}/assets/{kind}/{name}",
            get(handle(assets::get)).patch(handle(assets::update)).delete(handle(assets::delete)),
        )
}

fn api() -> Router<Arc<App>> {
    let room = "/api/2.0/clean-rooms/{room}";
    let asset = "/api/2.0/clean-rooms/{room}/assets/{kind}/{name}";
    let rule = "/api/2.0/clean-rooms/{room}/auto-approval-rules/{rule}";
    let catalog = "/api/2.1/unity-catalog";
    let mut api = Router::new()
        .route("/api/2.0/preview/scim/v2/Me", get(handle(rooms::whoami)))
        .route("/api/2.0/clean-rooms", get(handle(rooms::list)).post(handle(rooms::create)))
        .route(
            room,
            get(handle(rooms::get)).patch(handle(rooms::update)).delete(handle(rooms::delete)),
        )
        .route(&format!("{room}/output-catalogs"), post(handle(rooms::create_output_catalog)))
        .route(&format!("{asset}/reviews"), post(handle(reviews::create)))
        .route(&format!("{asset}/revisions"), get(handle(assets::revisions)))
        .route(&format!("{asset}/revisions/{{etag}}"), get(handle(assets::revision)))
        .route(
            &format!("{room}/auto-approval-rules"),
            get(handle(rules::list)).post(handle(rules::create)),
        )
        .route(
            rule,
            patch(handle(rules::update)).get(handle(rules::get)).delete(handle(rules::delete)),
        )
        .route(&format!("{room}/runs"), get(handle(runs::list_old)))
        .route(&format!("{room}/task-runs"), get(handle(runs::list_new)))
        .route(&format!("{catalog}/schemas"), get(handle(outputs::schemas)))
        .route(&format!("{catalog}/tables"), get(handle(outputs::tables)))
        .route(&format!("{catalog}/tables/{{full_name}}"), get(handle(outputs::get_table)))
        .route(
            "/api/2.0/fs/files/Volumes/{catalog}/{schema}/outputs/{file}",
            get(handle(outputs::download)).head(handle(outputs::measure)),
        )
        .route("/api/glovebox/outputs/{full_name}", get(handle(outputs::download_named)));
    // The released client sends 2.2; older ones sent 2.1, with the same members as far as they go.
    for version in ["2.1", "2.2"] {
        let runs = format!("/api/{version}/jobs/runs");
        api = api
            .route(&format!("{runs}/submit"), post(handle(jobs::submit)))
            .route(&format!("{runs}/get"), get(handle(jobs::get)))
            .route(&format!("{runs}/get-output"), get(handle(jobs::get_output)))
            .route(&format!("{runs}/list"), get(handle(jobs::list)))
            .route(&format!("{runs}/cancel"), post(handle(jobs::cancel)));
    }
    api
}

/// Says that the connection ends where a call was refused without reading its body: the rest of
/// that body would stand in the way of the next call, and a client that is not told would send it.
async fn part(request: Request, next: Next) -> Response {
    let has_body = !request.body().is_end_stream();
    let http1 = request.version() <= Version::HTTP_11;
    let mut response = next.run(request).await;
    if http1 && has_body && !response.status().is_success() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Lets in whom the gateway knows, as many at once as it bears, before it reads a byte of their
/// bodies; and no body that stops coming.
async fn admit(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_place) = app.places.acquire().await else {
        return Failure::unavailable("the gateway is stopping").into_response();
    };
    let headers = request.headers().clone();
    let known = {
        let app = Arc::clone(&app);
        tokio::task::spawn_blocking(move || app.access.authenticate(&headers, peer.ip())).await
    };
    match known {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Failure::from(error).into_response(),
        Err(error) => return Failure::internal(error).into_response(),
    }
    next.run(request.map(|body| Body::new(TimeoutBody::new(IDLE, body)))).await
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, StatusCode};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_connection_ends_with_a_body_that_nobody_read() {
        let router = Router::new()
            .route("/", get(|| async { "read" }).post(|body: String| async { body }))
            .layer(middleware::from_fn(part));
        let answer = async |method: Method, body: &'static str| {
            let request = Request::builder().method(method).uri("/").body(Body::from(body));
            let response = router.clone().oneshot(request.unwrap()).await.unwrap();
            (response.status(), response.headers().get(CONNECTION).is_some())
        };
        let refused = StatusCode::METHOD_NOT_ALLOWED;
        assert_eq!(answer(Method::PATCH, "a body").await, (refused, true));
        assert_eq!(answer(Method::PATCH, "").await, (refused, false));
        assert_eq!(answer(Method::POST, "a body").await, (StatusCode::OK, false));
        assert_eq!(answer(Method::GET, "").await, (StatusCode::OK, false));
    }
}
