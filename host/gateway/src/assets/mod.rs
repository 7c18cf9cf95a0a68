//! `/api/2.0/clean-rooms/{room}/assets`: tables, views, volumes and notebooks.

mod add;
mod body;
mod json;
mod work;

use std::sync::Arc;

use glovebox_client::RemoteRoom;
use glovebox_contract::name::Alias;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{Body, Delete};
use serde_json::{Value, json};

use self::body::Asset;
pub(crate) use self::body::{Kind, Name};
pub(crate) use self::json::{review_state, reviews_of};
pub(crate) use self::work::resume;
use crate::access::Action;
use crate::app::{App, Entered, now_ms};
use crate::call::{Call, Reply};
use crate::error::Failure;
use crate::paging::Sizes;
use crate::store::Pending;

/// Adds an asset.
pub(crate) fn create(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ModifyRoom)?;
    let text = call.text()?;
    let asked = Asset::read(text)?;
    let (kind, name) = asked.identity()?;
    if !asked.is_about(&entered.name, None) {
        return Err(Failure::invalid("clean_room_name is another than the path's"));
    }
    asked.offered(kind)?;
    if has(entered.fresh()?.state(), kind, &name)? {
        return Err(Failure::exists(format!("{kind} {} exists already", name.asked)));
    }
    start(app, &entered, kind, &name, text)
}

/// Replaces an asset of the party; for a notebook, adds a version.
pub(crate) fn update(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ModifyRoom)?;
    let (kind, name) = wanted(call)?;
    let text = call.text()?;
    let asked = Asset::read(text)?;
    if !asked.is_about(&entered.name, Some((kind, &name))) {
        return Err(Failure::invalid("the body is about another asset than the path"));
    }
    asked.offered(kind)?;
    if !has(entered.fresh()?.state(), kind, &name)? {
        return Err(missing(kind, &name));
    }
    start(app, &entered, kind, &name, text)
}

fn start(
    app: &Arc<App>,
    entered: &Entered,
    kind: Kind,
    name: &Name,
    text: &str,
) -> Result<Reply, Failure> {
    let pending = Pending {
        room: entered.id,
        kind: kind.to_string(),
        name: name.plain.clone(),
        asset: text.to_owned(),
        since: now_ms(),
        failure: None,
    };
    if !app.store.begin(&pending)? {
        return Err(Failure::conflict(format!("{kind} {} is being added", name.asked)));
    }
    tracing::info!(room = %entered.id, principal = %entered.principal.name(), %kind, name = name.plain, "adds an asset");
    work::start(app, pending)?;
    let room = entered.fresh()?;
    Ok(Reply::json(one(app, &room, kind, name)?))
}

/// One asset.
pub(crate) fn get(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ReadRoom)?;
    let (kind, name) = wanted(call)?;
    let room = entered.fresh()?;
    Ok(Reply::json(one(app, &room, kind, &name)?))
}

/// All assets, without the content of notebooks.
pub(crate) fn list(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ReadRoom)?;
    let query = call.query(&["page_size", "page_token"])?;
    let id = entered.id.to_string();
    let scope = ["assets", id.as_str(), entered.principal.name().as_str()];
    let sizes = Sizes { usual: 100, most: 100 };
    let page = app.pager.page(query, "page_size", &scope, sizes)?;
    let room = entered.fresh()?;
    let state = room.state();
    let me = app.me(state)?;
    let mut names = present(state);
    for pending in app.store.pending(Some(&entered.id))? {
        let entry = (pending.kind.parse()?, pending.name);
        if pending.failure.is_none() && !names.contains(&entry) {
            names.push(entry);
        }
    }
    names.sort();
    let (names, next) = page.cut(names, |(kind, name)| format!("{kind} {name}"));
    let mut assets = Vec::new();
    for (kind, name) in names {
        let name = Name::listed(name);
        let asset = match in_room(app, state, &me, kind, &name, |_, _| Ok(None))? {
            Some(asset) => asset,
            None => being_added(app, state, &me, kind, &name)?,
        };
        assets.push(asset);
    }
    Ok(Reply::json(json!({ "assets": assets, "next_page_token": next })))
}

/// Takes an asset of the party out of the room.
pub(crate) fn delete(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ModifyRoom)?;
    let (kind, name) = wanted(call)?;
    let failed = app.store.pending(Some(&entered.id))?.into_iter().find(|pending| {
        pending.kind == kind.as_str() && pending.name == name.plain && pending.failure.is_some()
    });
    if let Some(failed) = &failed {
        app.store.end(failed, None)?;
    }
    if !has(entered.fresh()?.state(), kind, &name)? {
        // What could not be added is gone with its failure.
        return failed.map(|_| Reply::empty()).ok_or_else(|| missing(kind, &name));
    }
    let delete = match kind {
        Kind::Notebook => Delete::Notebook { notebook: name.notebook()? },
        Kind::Table | Kind::View => Delete::Table { table: name.table()? },
        Kind::Volume => Delete::Volume { volume: name.table()? },
    };
    drop(entered.say(Body::Delete(delete))?);
    Ok(Reply::empty())
}

/// The revisions of a notebook, newest first.
pub(crate) fn revisions(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ReadRoom)?;
    let (kind, name) = wanted(call)?;
    let query = call.query(&["page_size", "page_token"])?;
    let id = entered.id.to_string();
    let principal = entered.principal.name().as_str();
    let scope = ["revisions", id.as_str(), name.plain.as_str(), principal];
    let sizes = Sizes { usual: 10, most: 100 };
    let page = app.pager.page(query, "page_size", &scope, sizes)?;
    only_notebooks(kind)?;
    let room = entered.fresh()?;
    let state = room.state();
    let notebook = state.notebook(&name.notebook()?)?;
    let newest_first = notebook.versions().iter().enumerate().rev();
    // Numbers that grow from the newest to the oldest, and stay when newer ones come.
    let (versions, next) =
        page.cut(newest_first, |(at, _)| format!("{:08}", 99_999_999_usize.saturating_sub(*at)));
    let revisions: Vec<Value> = versions
        .into_iter()
        .map(|(_, version)| json::notebook(state, notebook, version, None, room.now()))
        .collect();
    Ok(Reply::json(json!({ "revisions": revisions, "next_page_token": next })))
}

/// One revision of a notebook, with its content.
pub(crate) fn revision(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ReadRoom)?;
    let (kind, name) = wanted(call)?;
    only_notebooks(kind)?;
    let etag = call.name("etag")?;
    let room = entered.fresh()?;
    let state = room.state();
    let notebook = state.notebook(&name.notebook()?)?;
    let version = notebook.version(&etag).ok_or_else(|| {
        Failure::missing(format!("notebook {} has no revision {etag}", name.plain))
    })?;
    let content = json::content(&room, &app.me(state)?, notebook, version)?;
    Ok(Reply::json(json::notebook(state, notebook, version, Some(content), room.now())))
}

/// The type and the name in the path.
pub(crate) fn wanted(call: &Call) -> Result<(Kind, Name), Failure> {
    let kind: Kind = call.part("kind").parse()?;
    Ok((kind, Name::read(kind, call.part("name"))?))
}

/// Only notebooks have revisions and reviews.
pub(crate) fn only_notebooks(kind: Kind) -> Result<(), Failure> {
    match kind {
        Kind::Notebook => Ok(()),
        _ => Err(Failure::invalid("only a NOTEBOOK_FILE has revisions and reviews")),
    }
}

pub(super) fn missing(kind: Kind, name: &Name) -> Failure {
    Failure::missing(format!("{kind} {} does not exist in this clean room", name.asked))
}

/// All assets that the room has.
fn present(state: &RoomState) -> Vec<(Kind, String)> {
    let table = |view: bool| if view { Kind::View } else { Kind::Table };
    let tables = state.tables().map(|asset| (table(asset.view.is_some()), asset.name.to_string()));
    let volumes = state.volumes().map(|asset| (Kind::Volume, asset.name.to_string()));
    let notebooks = state.notebooks().filter(|notebook| notebook.latest().is_some());
    let notebooks = notebooks.map(|notebook| (Kind::Notebook, notebook.name().to_string()));
    tables.chain(volumes).chain(notebooks).collect()
}

fn has(state: &RoomState, kind: Kind, name: &Name) -> Result<bool, Failure> {
    Ok(match kind {
        Kind::Notebook => state.notebook(&name.notebook()?).is_ok(),
        Kind::Table => state.table(&name.table()?).is_some_and(|table| table.view.is_none()),
        Kind::View => state.table(&name.table()?).is_some_and(|table| table.view.is_some()),
        Kind::Volume => state.volume(&name.table()?).is_some(),
    })
}

/// One asset: as it is in the room, or as it is being added.
fn one(app: &App, room: &RemoteRoom, kind: Kind, name: &Name) -> Result<Value, Failure> {
    let state = room.state();
    let me = app.me(state)?;
    let content = |notebook: &_, version: &_| json::content(room, &me, notebook, version).map(Some);
    match in_room(app, state, &me, kind, name, content)? {
        // What is there is the version before, until the next one is.
        Some(mut asset) if is_being_added(app, state, kind, name)? => {
            if let Some(status) = asset.get_mut("status") {
                *status = "PENDING".into();
            }
            Ok(asset)
        }
        Some(asset) => Ok(asset),
        None => being_added(app, state, &me, kind, name),
    }
}

fn is_being_added(app: &App, state: &RoomState, kind: Kind, name: &Name) -> Result<bool, Failure> {
    let pending = app.store.pending(Some(state.id()))?;
    let this = |it: &Pending| it.kind == kind.as_str() && it.name == name.plain;
    Ok(pending.iter().any(|it| this(it) && it.failure.is_none()))
}

fn in_room(
    app: &App,
    state: &RoomState,
    me: &Alias,
    kind: Kind,
    name: &Name,
    content: impl Fn(
        &glovebox_contract::state::Notebook,
        &glovebox_contract::state::Version,
    ) -> Result<Option<String>, Failure>,
) -> Result<Option<Value>, Failure> {
    if !has(state, kind, name)? {
        return Ok(None);
    }
    let local = |owner: &str| {
        if owner != me.as_str() {
            return Ok(None);
        }
        app.store.local_name(state.id(), kind.as_str(), &name.plain)
    };
    Ok(match kind {
        Kind::Notebook => {
            let notebook = state.notebook(&name.notebook()?)?;
            let Some(version) = notebook.latest() else { return Ok(None) };
            let content = content(notebook, version)?;
            Some(json::notebook(state, notebook, version, content, now_ms() / 1000))
        }
        Kind::Table | Kind::View => match state.table(&name.table()?) {
            Some(table) => {
                let local = local(table.name.schema())?;
                Some(json::table(state, name, table, local.as_deref()))
            }
            None => None,
        },
        Kind::Volume => match state.volume(&name.table()?) {
            Some(volume) => {
                let local = local(volume.name.schema())?;
                Some(json::volume(state, name, volume, local.as_deref()))
            }
            None => None,
        },
    })
}

fn being_added(
    app: &App,
    state: &RoomState,
    me: &Alias,
    kind: Kind,
    name: &Name,
) -> Result<Value, Failure> {
    let mut pending = app.store.pending(Some(state.id()))?.into_iter();
    let found = pending.find(|it| it.kind == kind.as_str() && it.name == name.plain);
    let pending = found.ok_or_else(|| missing(kind, name))?;
    if let Some(failure) = &pending.failure {
        return Err(Failure::state(format!("{kind} {} was not added: {failure}", name.asked)));
    }
    let local_name = match kind {
        Kind::Notebook => None,
        _ => match Asset::read(&app.store.asset(&pending)?)?.offered(kind)? {
            body::Offered::Local { local_name, .. } => Some(local_name),
            body::Offered::Notebook { .. } => None,
        },
    };
    Ok(json::pending(state, kind, name, me, local_name.as_deref()))
}

#[cfg(test)]
pub(crate) mod tests {
    use glovebox_contract::state::{Notebook, Version};
    use glovebox_contract::statement::TableAsset;

    use super::*;

    pub(crate) fn table(
        state: &RoomState,
        asked: &str,
        asset: &TableAsset,
        local_name: Option<&str>,
    ) -> Value {
        json::table(state, &Name::read(Kind::Table, asked).unwrap(), asset, local_name)
    }

    pub(crate) fn notebook(
        state: &RoomState,
        notebook: &Notebook,
        version: &Version,
        now: u64,
    ) -> Value {
        json::notebook(state, notebook, version, None, now)
    }
}
