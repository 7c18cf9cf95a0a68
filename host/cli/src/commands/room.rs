//! `glovebox room`: create, accept, show, list, pause, resume.

mod form;
mod show;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::AssetName;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{Body, Pause, Resume, Statement};
use glovebox_room::RoomError;
use serde_json::json;
pub(crate) use show::deprecated;

use crate::arguments::{Room, RoomOnly, Signer};
use crate::context::{self, Context};
use crate::host::{Host, OpenRoom};
use crate::room_file;
use crate::terminal::{self, print_json};

pub(crate) fn run(context: &Context, command: &Room) -> Result<ExitCode> {
    match command {
        Room::Create { file, signer } => create(context, file, signer)?,
        Room::Accept { room, signer } => {
            let (mut room, party) = context.act(room, signer)?;
            room.say(&party, Body::Accept)?;
            let done = format!("{} accepts the room {}", party.alias, room.name());
            report(context, &room, &done)?;
        }
        Room::Show(room) => show::show(context, context.read_room(room)?.state())?,
        Room::List { key } => list(context, key.as_deref())?,
        Room::Template => template(context)?,
        Room::Form(form) => return form::run(context, form),
        Room::Pause { room, signer, notebook, comment } => {
            let body = Body::Pause(Pause { comment: comment.clone(), notebook: notebook.clone() });
            decide(context, room, signer, notebook.as_ref(), body, "pauses")?;
        }
        Room::Resume { room, signer, notebook } => {
            let body = Body::Resume(Resume { notebook: notebook.clone() });
            decide(context, room, signer, notebook.as_ref(), body, "agrees to resume")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn create(context: &Context, file: &Path, signer: &Signer) -> Result<()> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the room file {}", file.display()))?;
    let key = context::read_key(&signer.key)?;
    let host = context.host()?;
    let now = context::now();
    let document = room_file::parse(&text, &key.public(), host.key(), now, context::nonce()?)
        .with_context(|| format!("{} is not a room file", file.display()))?;
    let statement = Statement {
        party: document.creator.clone(),
        body: Body::Room(document),
        issued_at: now,
        room: None,
        sequence: 1,
    };
    let room = host.create_room(&Envelope::sign(&statement, &key)?, key)?;
    let document = room.state().document();
    report(context, &room, &format!("{} creates the room {}", document.creator, document.name))
}

/// The template, for the host in the network if there is one.
fn template(context: &Context) -> Result<()> {
    match (context.host_url(), context.host_url().map(|_| context.host()).transpose()?) {
        (Some(url), Some(host)) => print!("{}", room_file::template_for(url, &host.key())),
        _ => print!("{}", room_file::TEMPLATE),
    }
    Ok(())
}

fn decide(
    context: &Context,
    room: &RoomOnly,
    signer: &Signer,
    notebook: Option<&AssetName>,
    body: Body,
    verb: &str,
) -> Result<()> {
    let (mut room, party) = context.act(room, signer)?;
    room.say(&party, body)?;
    let what = notebook.map_or_else(|| "the room".to_owned(), ToString::to_string);
    report(context, &room, &format!("{} {verb} {what}", party.alias))
}

/// Says what was done, and who has yet to do something.
fn report(context: &Context, room: &OpenRoom, done: &str) -> Result<()> {
    let state = room.state();
    let waiting: Vec<_> = state
        .members()
        .filter(|member| !member.has_accepted())
        .map(|member| member.alias().to_string())
        .collect();
    if context.json() {
        return print_json(&json!({
            "room": state.id(),
            "name": state.document().name,
            "statements": state.statements(),
            "not_accepted_by": waiting,
            "paused": state.pause().is_some(),
        }));
    }
    println!("{done} ({})", state.id());
    if !waiting.is_empty() {
        println!("not accepted yet by {}", waiting.join(", "));
    }
    Ok(())
}

fn list(context: &Context, key: Option<&Path>) -> Result<()> {
    let key = context.key_for_host(key)?;
    let host = context.host()?;
    let rooms = host.rooms(key)?;
    if context.json() {
        let rooms: Vec<_> =
            rooms.iter().map(|room| json!({ "room": room.id, "name": room.name })).collect();
        return print_json(&rooms);
    }
    let rows = rooms.iter().map(|room| [room.name.to_string(), room.id.to_string()]);
    println!("{}", terminal::table(&["room", "id"], &[], rows));
    if let Host::Local(home) = host {
        for damaged in home.damaged_rooms()? {
            eprintln!("cannot be read: {}: {}", damaged.directory, damaged.error);
        }
    }
    Ok(())
}

/// The digest of the newest version's revision.
pub(crate) fn newest_revision(state: &RoomState, notebook: &str) -> Result<String> {
    let notebook = state.notebook(&notebook.parse()?).map_err(RoomError::from)?;
    let latest = notebook.latest().context("the notebook has no version")?;
    let digest = latest.revision().map_err(|refusal| RoomError::from(refusal.clone()))?;
    Ok(digest.digest().to_string())
}
