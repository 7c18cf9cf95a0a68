//! Which path is answered by whom, and what holds for all of them.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::app::App;
use crate::{
    assets, host, log, metrics, openapi, outputs, rooms, runs, statements, uploads, watch,
};

/// Bytes of bodies that no signature comes with.
const UNSIGNED_BYTES: usize = 1 << 20;

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path,)*) => {
        /// Method and pattern of every route but those of Delta Sharing.
        #[cfg(test)]
        const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),*];

        fn own() -> Router<Arc<App>> {
            Router::new()$(.route($path, on(MethodFilter::$method, $handler)))*
        }
    };
}

routes! {
    GET "/healthz" => host::health,
    GET "/metrics" => metrics::show,
    GET "/openapi.json" => openapi::show,
    GET "/v1/host" => host::info,
    GET "/v1/rooms" => rooms::list,
    POST "/v1/rooms" => rooms::create,
    GET "/v1/rooms/{id}/log" => log::read,
    GET "/v1/rooms/{id}/bundle" => log::bundle,
    POST "/v1/rooms/{id}/statements" => statements::submit,
    POST "/v1/rooms/{id}/describe" => assets::describe,
    POST "/v1/rooms/{id}/tables" => assets::add_table,
    POST "/v1/rooms/{id}/volumes" => assets::add_volume,
    POST "/v1/rooms/{id}/notebooks" => assets::add_notebook,
    POST "/v1/rooms/{id}/libraries" => assets::add_library,
    POST "/v1/rooms/{id}/runs" => runs::request,
    GET "/v1/rooms/{id}/runs/{run}" => runs::progress,
    GET "/v1/rooms/{id}/runs/{run}/text" => runs::text,
    POST "/v1/rooms/{id}/outputs" => outputs::read,
    GET "/v1/rooms/{id}/components/{digest}" => outputs::component,
    HEAD "/v1/uploads/{digest}" => uploads::status,
    PATCH "/v1/uploads/{digest}" => uploads::append,
}

/// All of it.
pub(crate) fn router(app: &Arc<App>) -> Router {
    own()
        .merge(crate::sharing::router())
        .fallback(watch::no_such_path)
        .method_not_allowed_fallback(watch::no_such_method)
        .layer(DefaultBodyLimit::max(UNSIGNED_BYTES))
        .layer(RequestBodyTimeoutLayer::new(app.limits.idle_time))
        .layer(from_fn_with_state(app.clone(), watch::take_turns))
        .layer(CatchPanicLayer::custom(watch::panicked))
        .layer(from_fn_with_state(app.clone(), watch::observe))
        .with_state(app.clone())
}
