//! Lists of shares, schemas and tables, in pages.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::caller::Caller;
use super::error::{Result, SharingError};
use super::names;
use super::parameters::Parameters;

/// Items of a page when the client does not say.
const DEFAULT_PAGE: u64 = 500;

/// Most items of a page.
const MAX_PAGE: u64 = 1000;

/// `GET …/shares`.
pub(crate) fn shares(caller: &Caller, parameters: &Parameters) -> Result<Response> {
    let shares = names::shares(caller.recipient()?, caller.now);
    let items = shares.into_iter().map(|name| (name.clone(), json!({ "name": name })));
    page(caller, "shares", items, parameters)
}

/// `GET …/shares/{share}`.
pub(crate) fn share(caller: &Caller, share: &str) -> Result<Response> {
    let share = known_share(caller, share)?;
    Ok(Json(json!({ "share": { "name": share } })).into_response())
}

/// `GET …/shares/{share}/schemas`.
pub(crate) fn schemas(caller: &Caller, share: &str, parameters: &Parameters) -> Result<Response> {
    let share = known_share(caller, share)?;
    let schemas = names::schemas(caller.recipient()?, caller.now, &share);
    let items =
        schemas.into_iter().map(|name| (name.clone(), json!({ "name": name, "share": share })));
    page(caller, &format!("schemas of {share}"), items, parameters)
}

/// `GET …/shares/{share}/schemas/{schema}/tables`, and `GET …/shares/{share}/all-tables`.
pub(crate) fn tables(
    caller: &Caller,
    share: &str,
    schema: Option<&str>,
    parameters: &Parameters,
) -> Result<Response> {
    let share = known_share(caller, share)?;
    let recipient = caller.recipient()?;
    let schema = schema.map(str::to_ascii_lowercase);
    if let Some(schema) = &schema
        && !names::schemas(recipient, caller.now, &share).contains(schema)
    {
        return Err(SharingError::missing("schema"));
    }
    let tables = names::tables(&caller.state, recipient, caller.now, &share, schema.as_deref());
    let items = tables.into_keys().map(|(schema, name)| {
        // A dot cannot stand in either name.
        let place = format!("{schema}.{name}");
        (place, json!({ "name": name, "schema": schema, "share": share }))
    });
    let list = format!("tables of {share}.{}", schema.as_deref().unwrap_or_default());
    page(caller, &list, items, parameters)
}

/// The name of a share of the caller, in any case.
fn known_share(caller: &Caller, share: &str) -> Result<String> {
    let share = share.to_ascii_lowercase();
    if names::shares(caller.recipient()?, caller.now).contains(&share) {
        return Ok(share);
    }
    Err(SharingError::missing("share"))
}

/// The page that the client wants of the items, which come in the order of their places. A page
/// begins behind a place, so it does not matter what came or went in between.
fn page(
    caller: &Caller,
    list: &str,
    items: impl Iterator<Item = (String, Value)>,
    parameters: &Parameters,
) -> Result<Response> {
    let seal = &caller.app.sharing().seal;
    let id = caller.id();
    let purpose = ["list", list, &id[0], &id[1], &id[2]];
    let after: Option<String> = match parameters.text("pageToken") {
        None => None,
        Some(token) => Some(
            seal.read(&purpose, token)
                .ok_or_else(|| SharingError::invalid("the pageToken is not one of this list"))?,
        ),
    };
    let most = parameters.number("maxResults")?.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut items = items.filter(|(place, _)| after.as_ref().is_none_or(|after| place > after));
    let page: Vec<(String, Value)> = items.by_ref().take(most).collect();
    let more = items.next().is_some();
    drop(items);
    let last = page.last().map(|(place, _)| place.clone()).or(after);
    let items: Vec<Value> = page.into_iter().map(|(_, item)| item).collect();
    let mut body = json!({ "items": items });
    if more && let Value::Object(members) = &mut body {
        // A page of nothing goes on where it began.
        let token = seal.token(&purpose, &last.unwrap_or_default());
        members.insert("nextPageToken".into(), json!(token));
    }
    Ok(Json(body).into_response())
}
