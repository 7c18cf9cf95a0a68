//! `/api/2.0/clean-rooms`: rooms, and the output catalog of each.

mod body;
mod json;

use std::sync::Arc;

use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RoomId;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{Body, Pause, Statement};
use serde::Deserialize;
use serde_json::{Value, json};

use self::body::{CleanRoom, Founding};
use crate::access::{Action, Principal, Resource};
use crate::app::{App, now_ms};
use crate::call::{Call, Reply, shown};
use crate::error::Failure;
use crate::paging::Sizes;
use crate::store::RoomNotes;

/// Most bytes of a comment, which stays in the gateway.
const MAX_COMMENT_BYTES: usize = 4096;

/// Who the caller is, as far as a client wants to know.
pub(crate) fn whoami(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let principal = app.access.authenticate(&call.headers, call.peer)?;
    let name = principal.name().as_str();
    Ok(Reply::json(json!({ "id": name, "userName": name, "displayName": name, "active": true })))
}

/// Creates a room. With the name of a room to which the party is invited, accepts that room.
pub(crate) fn create(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    app.access.authenticate(&call.headers, call.peer)?;
    let asked: CleanRoom = call.body()?;
    let comment = checked_comment(asked.comment.as_deref())?;
    let name = asked.room_name()?;
    let invited = app.find(name.as_str())?;
    let (principal, id) = match invited {
        Some((id, _)) => (accept(app, call, &asked, &id)?, id),
        None => found(app, call, &asked)?,
    };
    let notes = RoomNotes { comment, updated_at: Some(now_ms()), ..app.store.room(&id)? };
    app.store.set_room(&id, &notes)?;
    tracing::info!(room = %id, principal = %principal.name(), "created or accepted a room");
    let room = app.host.room(&id)?;
    let room = room.fresh()?;
    Ok(Reply::json(rendered(app, room.state(), &notes, true)?))
}

fn found(app: &App, call: &Call, asked: &CleanRoom) -> Result<(Principal, RoomId), Failure> {
    let (action, resource) = (Action::CreateRoom, Resource::Gateway);
    let principal = app.access.authorize(&call.headers, call.peer, action, &resource)?;
    check_owner(asked.owner.as_deref(), &principal)?;
    let mut nonce = [0_u8; 16];
    getrandom::fill(&mut nonce).map_err(Failure::internal)?;
    let now = now_ms() / 1000;
    let document = asked.document(Founding {
        creator: app.public_key(),
        host: app.host.host_key()?,
        now,
        nonce: nonce.iter().map(|byte| format!("{byte:02x}")).collect(),
    })?;
    let statement = Statement {
        party: document.creator.clone(),
        body: Body::Room(document),
        issued_at: now,
        room: None,
        sequence: 1,
    };
    let envelope = Envelope::sign(&statement, app.host.key())
        .map_err(|error| Failure::of_reason(error.reason(), &error.to_string()))?;
    let room = app.host.session()?.create_room(&envelope)?;
    let id = *room.id();
    app.host.keep(id, room);
    app.access.created_room(&principal, &id)?;
    Ok((principal, id))
}

/// Signs that the party agrees to the room exactly as it was created.
fn accept(app: &App, call: &Call, asked: &CleanRoom, id: &RoomId) -> Result<Principal, Failure> {
    let (action, resource) = (Action::ModifyRoom, Resource::Room(*id));
    let principal = app.access.authorize(&call.headers, call.peer, action, &resource)?;
    check_owner(asked.owner.as_deref(), &principal)?;
    let open = app.host.room(id)?;
    let mut room = open.fresh()?;
    let name = room.state().document().name.clone();
    if app.has_accepted(room.state()) {
        return Err(Failure::exists(format!("clean room {name} exists already")));
    }
    asked.agrees_with(room.state().document())?;
    room.submit_with(|_| Ok(Body::Accept))?;
    drop(room);
    // Who may create rooms would own one of its own making; others gain nothing by accepting.
    let unowned = app.access.store().owner(id).map_err(access_failed)?.is_none();
    if unowned && app.access.permits(&principal, Action::CreateRoom, &Resource::Gateway) {
        app.access.created_room(&principal, id)?;
    }
    Ok(principal)
}

/// Lists the rooms that the caller may see, without details.
pub(crate) fn list(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let principal = app.access.authenticate(&call.headers, call.peer)?;
    let query = call.query(&["page_size", "page_token"])?;
    let sizes = Sizes { usual: 100, most: 100 };
    let scope = ["clean-rooms", principal.name().as_str()];
    let page = app.pager.page(query, "page_size", &scope, sizes)?;
    let visible =
        |id: &RoomId| app.access.permits(&principal, Action::ReadRoom, &Resource::Room(*id));
    let mut rooms = Vec::new();
    for room in app.host.rooms()? {
        if visible(&room.id) && !app.store.room(&room.id)?.deleted {
            rooms.push(room);
        }
    }
    let (rooms, next) = page.cut(rooms, |room| format!("{} {}", room.name, room.id));
    let mut listed = Vec::new();
    for room in rooms {
        let open = app.host.room(&room.id)?;
        let open = open.with_at_least(room.statements)?;
        listed.push(rendered(app, open.state(), &app.store.room(&room.id)?, false)?);
    }
    Ok(Reply::json(json!({ "clean_rooms": listed, "next_page_token": next })))
}

/// One room, with details.
pub(crate) fn get(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ReadRoom)?;
    let room = entered.fresh()?;
    Ok(Reply::json(rendered(app, room.state(), &entered.notes, true)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    clean_room: CleanRoom,
}

/// Changes what is the party's own: the owner and the comment. The rest is signed by all.
pub(crate) fn update(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ManageRoom)?;
    let Update { clean_room: asked } = call.body()?;
    let mut notes = entered.notes.clone();
    let room = entered.fresh()?;
    if asked.name.as_ref().is_some_and(|name| name != entered.name.as_str()) {
        return Err(Failure::invalid("the name of a clean room never changes"));
    }
    asked.agrees_with(room.state().document())?;
    if let Some(owner) = &asked.owner {
        let owner = owner.parse().map_err(|error| Failure::invalid(format!("owner: {error}")))?;
        app.access.store().set_owner(&entered.id, &owner).map_err(|error| {
            if error.is_not_found() {
                Failure::invalid("the owner is no principal of this gateway")
            } else {
                access_failed(error)
            }
        })?;
    }
    if asked.comment.is_some() {
        notes.comment = checked_comment(asked.comment.as_deref())?;
    }
    notes.updated_at = Some(now_ms());
    app.store.set_room(&entered.id, &notes)?;
    Ok(Reply::json(rendered(app, room.state(), &notes, true)?))
}

/// Ends the room for this party: a signed pause stops every run in it, and the gateway forgets it.
/// The log stays with those who need it as evidence.
pub(crate) fn delete(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ManageRoom)?;
    let accepted = app.has_accepted(entered.fresh()?.state());
    // A party that never accepted has nothing to stop: nothing runs without it.
    if accepted {
        drop(entered.say(Body::Pause(Pause { comment: json::DELETED.into(), notebook: None }))?);
    }
    let notes = RoomNotes {
        deleted: true,
        output_catalog: None,
        updated_at: Some(now_ms()),
        ..entered.notes.clone()
    };
    app.store.set_room(&entered.id, &notes)?;
    tracing::info!(room = %entered.id, principal = %entered.principal.name(), "deleted a room");
    Ok(Reply::empty())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputCatalog {
    catalog_name: String,
    #[serde(default)]
    #[expect(dead_code, reason = "a client may send back all that it was told")]
    status: Option<Value>,
}

/// Names the catalog in which the outputs of a room are listed.
pub(crate) fn create_output_catalog(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ModifyRoom)?;
    let OutputCatalog { catalog_name, .. } = call.body()?;
    let fits = !catalog_name.is_empty()
        && catalog_name.len() <= 63
        && catalog_name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if !fits {
        return Err(Failure::invalid("catalog_name: use 1 to 63 letters, digits, `_` and `-`"));
    }
    if let Some(present) = &entered.notes.output_catalog {
        let name = shown(present);
        return Err(Failure::exists(format!("the output catalog of this clean room is {name}")));
    }
    if app.store.room_with_catalog(&catalog_name)?.is_some() {
        return Err(Failure::exists("another clean room has an output catalog of this name"));
    }
    let notes = RoomNotes {
        output_catalog: Some(catalog_name.clone()),
        updated_at: Some(now_ms()),
        ..entered.notes.clone()
    };
    app.store.set_room(&entered.id, &notes)?;
    let catalog = json!({ "catalog_name": catalog_name, "status": "CREATED" });
    Ok(Reply::json(json!({ "output_catalog": catalog })))
}

fn rendered(
    app: &App,
    state: &RoomState,
    notes: &RoomNotes,
    detailed: bool,
) -> Result<Value, Failure> {
    let owner = app.access.store().owner(state.id()).map_err(access_failed)?;
    let owner = owner.as_ref().map(|name| name.as_str());
    Ok(json::clean_room(state, &app.me(state)?, owner, notes, detailed))
}

fn access_failed(error: crate::access::StoreError) -> Failure {
    crate::access::AccessError::from(error).into()
}

fn checked_comment(comment: Option<&str>) -> Result<Option<String>, Failure> {
    match comment.filter(|text| !text.is_empty()) {
        Some(text) if text.len() > MAX_COMMENT_BYTES => {
            Err(Failure::invalid(format!("comment: at most {MAX_COMMENT_BYTES} bytes")))
        }
        comment => Ok(comment.map(ToOwned::to_owned)),
    }
}

/// Who creates a room owns it; another owner is named by an update.
fn check_owner(asked: Option<&str>, principal: &Principal) -> Result<(), Failure> {
    match asked {
        Some(owner) if owner != principal.name().as_str() => {
            Err(Failure::invalid("owner: the caller; an update names another"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
