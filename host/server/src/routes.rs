//! Which path is answered by whom, and what holds for all of them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::app::App;
use crate::{
    assets, host, log, metrics, openapi, outputs, remote, rooms, runs, statements, uploads, watch,
};

/// Bytes of bodies that no signature comes with.
const UNSIGNED_BYTES: usize = 1 << 20;

/// How much later a body that does not come is given up for all calls than `body` does it, which
/// knows what to answer.
const LATER: Duration = Duration::from_secs(2);

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
    POST "/v1/rooms/{id}/credentials" => remote::replace_credential,
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
        .layer(RequestBodyTimeoutLayer::new(app.limits.idle_time.saturating_add(LATER)))
        .layer(from_fn_with_state(app.clone(), watch::take_turns))
        .layer(CatchPanicLayer::custom(watch::panicked))
        .layer(from_fn_with_state(app.clone(), watch::observe))
        .with_state(app.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use glovebox_contract::reason::ReasonCode;
    use serde_json::{Value, json};

    use super::ROUTES;
    use crate::openapi::DOCUMENT;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn the_document_describes_the_routes_that_there_are() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let described: BTreeSet<(String, &str)> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(|method| (method.to_uppercase(), path.as_str()))
            })
            .collect();
        let routes = ROUTES.iter().chain(crate::sharing::ROUTES);
        let routes: BTreeSet<_> =
            routes.map(|(method, path)| ((*method).to_owned(), *path)).collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn the_document_names_every_variable_part_and_every_reason() {
        let document = document();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let parts: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
            for (method, operation) in methods.as_object().unwrap() {
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let named: BTreeSet<String> = parameters
                    .iter()
                    .map(|parameter| resolve(&document, parameter))
                    .filter(|parameter| parameter["in"] == "path")
                    .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                    .collect();
                assert!(named.iter().map(String::as_str).eq(parts.clone()), "{method} {path}");
            }
        }
        let reasons: Vec<&str> = ReasonCode::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(document["components"]["schemas"]["Reason"]["enum"], json!(reasons));
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        fn walk(document: &Value, value: &Value) {
            match value {
                Value::Object(fields) => {
                    if fields.contains_key("$ref") {
                        assert!(!resolve(document, value).is_null(), "{value}");
                    }
                    fields.values().for_each(|value| walk(document, value));
                }
                Value::Array(items) => items.iter().for_each(|value| walk(document, value)),
                _ => {}
            }
        }
        let document = document();
        walk(&document, &document);
    }

    fn resolve(document: &Value, value: &Value) -> Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                document.pointer(reference.trim_start_matches('#')).cloned().unwrap_or_default()
            }
            None => value.clone(),
        }
    }
}
