//! A call: what came over HTTP, read strictly, handed to a function that may block.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::RequestPartsExt as _;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, FromRequest, RawPathParams, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LAST_MODIFIED};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::io::ReaderStream;

use crate::app::App;
use crate::error::Failure;

/// What came over HTTP.
#[derive(Debug)]
pub(crate) struct Call {
    /// The headers; only `authorization` is read.
    pub(crate) headers: HeaderMap,
    /// The address it came from.
    pub(crate) peer: IpAddr,
    path: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    body: Bytes,
}

/// What goes back.
pub(crate) enum Reply {
    /// JSON, 200.
    Json(Value),
    /// A file of this length.
    File {
        /// Its content; absent when only its length was asked for.
        content: Option<std::fs::File>,
        /// Its length.
        bytes: u64,
        /// When it was made, as HTTP writes dates.
        modified: String,
    },
}

impl Call {
    /// A part of the path.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// A part of the path that is a name.
    pub(crate) fn name<T>(&self, part: &str) -> Result<T, Failure>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        self.part(part).parse().map_err(|error: T::Err| Failure::invalid(error.to_string()))
    }

    /// The query, in which nothing but `known` may stand.
    pub(crate) fn query(&self, known: &[&str]) -> Result<Query<'_>, Failure> {
        match self.query.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(Query(&self.query)),
            Some(name) => {
                let name = shown(name);
                Err(Failure::invalid(format!(
                    "the query has `{name}`, which this call does not know"
                )))
            }
        }
    }

    /// The body as text.
    pub(crate) fn text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.body).map_err(|_| Failure::invalid("the body is not UTF-8"))
    }

    /// The body, a JSON object without fields that nobody knows.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::invalid(format!("the body: {error}")))
    }
}

/// The query of a call.
#[derive(Clone, Copy)]
pub(crate) struct Query<'a>(&'a BTreeMap<String, String>);

impl<'a> Query<'a> {
    /// The value, when it is there and not empty.
    pub(crate) fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A value that must be there.
    pub(crate) fn needed(self, name: &str) -> Result<&'a str, Failure> {
        self.text(name).ok_or_else(|| Failure::invalid(format!("the query lacks `{name}`")))
    }

    /// A number or a name.
    pub(crate) fn parsed<T: FromStr>(self, name: &str) -> Result<Option<T>, Failure> {
        let wrong = |text: &str| {
            Failure::invalid(format!("the query: `{}` is no value of `{name}`", shown(text)))
        };
        self.text(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    /// `true` or `false`; false when it is not there.
    pub(crate) fn flag(self, name: &str) -> Result<bool, Failure> {
        Ok(self.parsed(name)?.unwrap_or(false))
    }
}

/// Text of a caller, safe to repeat to it.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Makes a handler of a function that may block.
pub(crate) fn handle(
    function: fn(&Arc<App>, &Call) -> Result<Reply, Failure>,
) -> impl Fn(State<Arc<App>>, Call) -> Answer + Clone + Send + Sync + 'static {
    move |State(app), call| {
        Box::pin(async move {
            let work = tokio::task::spawn_blocking(move || function(&app, &call));
            match work.await {
                Ok(Ok(reply)) => reply.into_response(),
                Ok(Err(failure)) => failure.into_response(),
                Err(error) => Failure::internal(error).into_response(),
            }
        })
    }
}

impl FromRequest<Arc<App>> for Call {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &Arc<App>) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let ConnectInfo(peer) = parts
            .extract::<ConnectInfo<SocketAddr>>()
            .await
            .map_err(|rejection| Failure::internal(rejection.body_text()))?;
        let path = parts
            .extract::<RawPathParams>()
            .await
            .map_err(|_| Failure::invalid("the path is not UTF-8"))?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let query = parts.uri.query().map(ToOwned::to_owned);
        let headers = parts.headers.clone();
        let body = Bytes::from_request(Request::from_parts(parts, body), state).await;
        read(peer, path, query.as_deref(), headers, body)
    }
}

/// Reads a call.
pub(crate) fn read(
    peer: SocketAddr,
    path: BTreeMap<String, String>,
    query: Option<&str>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Call, Failure> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large("the body has too many bytes"),
        _ => Failure::invalid("the body cannot be read"),
    })?;
    let mut pairs = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if pairs.insert(name.to_string(), value.into_owned()).is_some() {
            return Err(Failure::invalid(format!("the query has `{}` twice", shown(&name))));
        }
    }
    Ok(Call { headers, peer: peer.ip(), path, query: pairs, body })
}

impl Reply {
    /// JSON, without the members that are null: Databricks leaves out what is not there.
    pub(crate) fn json(value: Value) -> Self {
        Self::Json(without_nulls(value))
    }

    /// `{}`.
    pub(crate) fn empty() -> Self {
        Self::Json(Value::Object(serde_json::Map::new()))
    }
}

/// The value without null members of objects, at any depth.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = match self {
            Self::Json(value) => Json(value).into_response(),
            Self::File { content, bytes, modified } => {
                let body = match content {
                    Some(file) => {
                        Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file)))
                    }
                    None => Body::empty(),
                };
                let mut response = Response::new(body);
                let headers = response.headers_mut();
                headers.insert(
                    CONTENT_TYPE,
                    HeaderValue::from_static("application/vnd.apache.parquet"),
                );
                headers.insert(CONTENT_LENGTH, bytes.into());
                if let Ok(modified) = modified.parse() {
                    headers.insert(LAST_MODIFIED, modified);
                }
                response
            }
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A call with these parts, for tests of functions that take one.
    pub(crate) fn call(path: &[(&str, &str)], query: &str, body: &str) -> Result<Call, Failure> {
        let path = path.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let body = Bytes::copy_from_slice(body.as_bytes());
        read(peer, path, Some(query), HeaderMap::new(), Ok(body))
    }

    #[test]
    fn queries_hold_what_is_known_once() {
        let read = call(&[], "page_size=7&page_token=&active_only=true", "").unwrap();
        let query = read.query(&["page_size", "page_token", "active_only"]).unwrap();
        assert_eq!(query.parsed::<u64>("page_size"), Ok(Some(7)));
        assert_eq!(query.text("page_token"), None);
        assert_eq!(query.flag("active_only"), Ok(true));
        assert!(query.needed("run_id").is_err());
        assert!(read.query(&["page_size"]).is_err());
        assert!(call(&[], "a=1&a=2", "").is_err());
        let wrong = call(&[], "page_size=-1", "").unwrap();
        assert!(wrong.query(&["page_size"]).unwrap().parsed::<u64>("page_size").is_err());
    }

    #[test]
    fn absent_members_are_left_out() {
        let value = json!({ "a": null, "b": [{ "c": null, "d": 1 }], "e": "" });
        assert_eq!(without_nulls(value), json!({ "b": [{ "d": 1 }], "e": "" }));
    }
}
