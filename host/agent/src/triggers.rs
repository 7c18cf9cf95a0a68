//! `POST /triggers/NAME`: somebody outside asks for a run.
//!
//! Whoever has a trigger's token may start its order, with the parameters that the trigger accepts;
//! it learns whether the order was noted and nothing of the room. A wrong token and a trigger that is
//! not there are answered alike. The answer comes when the request is on the disk, so what was
//! answered is done, also by an agent that is killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use glovebox_contract::name::{AssetName, Identifier};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::book::{Book, Cause, Outcome, Store};
use crate::clock::Clock;
use crate::orders::{Orders, Trigger};
use crate::planner::{Fallen, note};

/// Most bytes of a body, and how long it may take.
const MAX_BODY: usize = 64 << 10;
const BODY_TIME: Duration = Duration::from_secs(10);

/// The header with which an asker may ask again for the same.
const KEY: &str = "idempotency-key";
const MAX_KEY: usize = 200;

/// What triggers need.
pub(crate) struct Desk {
    pub(crate) orders: Arc<Orders>,
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What may stand in a body. Without a body the order's own parameters stand.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    parameters: BTreeMap<Identifier, Value>,
}

/// An answer other than that all is well.
struct Refusal(StatusCode, String);

impl Refusal {
    fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self(status, why.into())
    }
}

pub(crate) fn router(desk: Arc<Desk>) -> Router {
    Router::new().route("/triggers/{name}", post(trigger)).with_state(desk)
}

async fn trigger(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match answer(&desk, &name, &headers, body).await {
        Ok((status, answer)) => (status, axum::Json(answer)).into_response(),
        Err(Refusal(status, why)) => (status, axum::Json(json!({ "error": why }))).into_response(),
    }
}

async fn answer(
    desk: &Arc<Desk>,
    name: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<(StatusCode, Value), Refusal> {
    let trigger = authorised(&desk.orders, name, headers)
        .ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, "no such trigger for this token"))?;
    let key = key(headers)?;
    let given = given(trigger, &read(body).await?)?;
    let (desk, trigger) = (Arc::clone(desk), trigger.clone());
    let noted = tokio::task::spawn_blocking(move || start(&desk, &trigger, key, given)).await;
    noted.unwrap_or_else(|_| Err(failed()))
}

fn failed() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the agent could not write it down")
}

/// The trigger, for who has its token.
fn authorised<'a>(orders: &'a Orders, name: &str, headers: &HeaderMap) -> Option<&'a Trigger> {
    let given = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = given.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let name: AssetName = name.parse().ok()?;
    orders.triggers.get(&name).filter(|trigger| trigger.token.fits(token.trim()))
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    match key.to_str() {
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => {
            let why = format!("`{KEY}` has 1 to {MAX_KEY} characters of ASCII");
            Err(Refusal::new(StatusCode::BAD_REQUEST, why))
        }
    }
}

async fn read(body: Body) -> Result<Asked, Refusal> {
    let bytes = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, MAX_BODY)).await;
    let bytes = match bytes {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"));
        }
        Err(_) => return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come")),
    };
    if bytes.is_empty() {
        return Ok(Asked::default());
    }
    // A list would be read as the fields in their order.
    let body = serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes);
    let body = body.and_then(|body| serde_json::from_value(Value::Object(body)));
    body.map_err(|_| {
        let why = "the body is not JSON as in {\"parameters\": {\"day\": \"2013-01-31\"}}";
        Refusal::new(StatusCode::BAD_REQUEST, why)
    })
}

/// The parameters that were given, as texts. Only such as the trigger accepts.
fn given(trigger: &Trigger, asked: &Asked) -> Result<BTreeMap<Identifier, String>, Refusal> {
    let bad = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
    let read = |(name, value): (&Identifier, &Value)| {
        if !trigger.accepts.contains(name) {
            return Err(bad(format!("the trigger does not accept the parameter `{name}`")));
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            _ => return Err(bad(format!("the parameter `{name}` is no text, number or boolean"))),
        };
        Ok((name.clone(), text))
    };
    asked.parameters.iter().map(read).collect()
}

/// Writes it down, once for each key.
fn start(
    desk: &Desk,
    trigger: &Trigger,
    key: Option<String>,
    given: BTreeMap<Identifier, String>,
) -> Result<(StatusCode, Value), Refusal> {
    let Some(order) = desk.orders.orders.get(&trigger.order) else { return Err(failed()) };
    let now = desk.clock.now();
    let cause = Cause::Trigger { trigger: trigger.name.clone(), key: key.clone() };
    let noted = desk.store.change(|book| {
        if let Some(id) = key.as_ref().and_then(|_| known(book, &trigger.order, &cause)) {
            return (Ok((id, false)), Vec::new());
        }
        let fallen = Fallen { due: now, cause: cause.clone(), given };
        match note(order, book, fallen, now) {
            Ok(id) => (Ok((id, true)), Vec::new()),
            Err(event) => (Err(()), vec![*event]),
        }
    });
    match noted {
        Ok(Ok((id, new))) => {
            let status = if new { StatusCode::ACCEPTED } else { StatusCode::OK };
            Ok((status, json!({ "occurrence": id, "order": trigger.order, "new": new })))
        }
        Ok(Err(())) => {
            let why = "an earlier run of the order goes on, and it is not queued";
            Err(Refusal::new(StatusCode::CONFLICT, why))
        }
        Err(error) => {
            tracing::error!(trigger = %trigger.name, "{error}");
            Err(failed())
        }
    }
}

/// The occurrence that was noted with this very key.
fn known(book: &Book, order: &AssetName, cause: &Cause) -> Option<u64> {
    book.of(order)
        .find(|(_, occurrence)| {
            occurrence.cause == *cause && occurrence.outcome() != Some(Outcome::Skipped)
        })
        .map(|(id, _)| id)
}

#[cfg(test)]
mod tests;
