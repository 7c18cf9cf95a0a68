//! `glovebox room`: create, accept, show, list, pause, resume.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::AssetName;
use glovebox_contract::state::{Notebook, RevisionStatus, RoomState};
use glovebox_contract::statement::{Body, Pause, Resume, Statement};
use glovebox_room::Room as OpenRoom;
use serde_json::{Value, json};

use crate::arguments::{Room, Signer};
use crate::context::{self, Context};
use crate::room_file;
use crate::terminal::{self, plain, print_json};

pub(crate) fn run(context: &Context, command: &Room) -> Result<ExitCode> {
    match command {
        Room::Create { file, signer } => create(context, file, signer)?,
        Room::Accept { room, signer } => {
            let mut room = context.room(&room.room)?;
            let party = context.party(&room, &signer.key)?;
            party.say(&mut room, Body::Accept)?;
            report(
                context,
                &room,
                &format!("{} accepts the room {}", party.alias, room.state().document().name),
            )?;
        }
        Room::Show(room) => show(context, &context.room(&room.room)?)?,
        Room::List => list(context)?,
        Room::Template => print!("{}", room_file::TEMPLATE),
        Room::Pause { room, signer, notebook, comment } => {
            let body = Body::Pause(Pause { comment: comment.clone(), notebook: notebook.clone() });
            decide(context, &room.room, signer, notebook.as_ref(), body, "pauses")?;
        }
        Room::Resume { room, signer, notebook } => {
            let body = Body::Resume(Resume { notebook: notebook.clone() });
            decide(context, &room.room, signer, notebook.as_ref(), body, "agrees to resume")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn create(context: &Context, file: &std::path::Path, signer: &Signer) -> Result<()> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the room file {}", file.display()))?;
    let key = context::read_key(&signer.key)?;
    let home = context.home()?;
    let now = context::now();
    let document = room_file::parse(&text, &key.public(), home.host_key(), now, context::nonce()?)
        .with_context(|| format!("{} is not a room file", file.display()))?;
    let statement = Statement {
        party: document.creator.clone(),
        body: Body::Room(document),
        issued_at: now,
        room: None,
        sequence: 1,
    };
    let room = home.create_room(&Envelope::sign(&statement, &key)?)?;
    let document = room.state().document();
    report(context, &room, &format!("{} creates the room {}", document.creator, document.name))
}

fn decide(
    context: &Context,
    room: &str,
    signer: &Signer,
    notebook: Option<&AssetName>,
    body: Body,
    verb: &str,
) -> Result<()> {
    let mut room = context.room(room)?;
    let party = context.party(&room, &signer.key)?;
    party.say(&mut room, body)?;
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

fn list(context: &Context) -> Result<()> {
    let home = context.home()?;
    let rooms = home.rooms()?;
    if context.json() {
        let rooms: Vec<_> =
            rooms.iter().map(|room| json!({ "room": room.id, "name": room.name })).collect();
        return print_json(&rooms);
    }
    let rows = rooms.iter().map(|room| [room.name.to_string(), room.id.to_string()]);
    println!("{}", terminal::table(&["room", "id"], &[], rows));
    for damaged in home.damaged_rooms()? {
        eprintln!("cannot be read: {}: {}", damaged.directory, damaged.error);
    }
    Ok(())
}

/// The digest of the newest version's revision.
pub(crate) fn newest_revision(room: &OpenRoom, notebook: &str) -> Result<String> {
    let notebook =
        room.state().notebook(&notebook.parse()?).map_err(glovebox_room::RoomError::from)?;
    let latest = notebook.latest().context("the notebook has no version")?;
    let digest =
        latest.revision().map_err(|refusal| glovebox_room::RoomError::from(refusal.clone()))?;
    Ok(digest.digest().to_string())
}

fn show(context: &Context, room: &OpenRoom) -> Result<()> {
    let state = room.state();
    if context.json() {
        return print_json(&as_json(state));
    }
    let document = state.document();
    println!("{} {}", document.name, state.id());
    println!("region {}, host key {}", plain(&document.region), document.host_key);
    println!(
        "outputs are read by {}, kept for {} days; logs are read by {}",
        word(&document.outputs.readers),
        document.outputs.time_to_live_days,
        word(&document.log_readers),
    );
    if let Some(pause) = state.pause() {
        println!("PAUSED by {}: {}", pause.by(), plain(pause.comment()));
    }
    println!("\nCollaborators");
    let members = state.members().map(|member| {
        let accepted = if member.has_accepted() { "accepted" } else { "not yet" };
        [
            member.alias().to_string(),
            member.organisation().to_owned(),
            accepted.to_owned(),
            member.public_key().to_string(),
        ]
    });
    println!("{}", terminal::table(&["alias", "organisation", "room", "public key"], &[], members));
    println!("\nTables");
    for table in state.tables() {
        println!("  {}: {}", table.name, plain(&terminal::columns(&table.columns)));
        if !table.description.is_empty() {
            println!("    {}", plain(&table.description));
        }
    }
    println!("\nNotebooks");
    for notebook in state.notebooks() {
        show_notebook(state, notebook);
    }
    Ok(())
}

fn show_notebook(state: &RoomState, notebook: &Notebook) {
    println!("  {} by {}", notebook.name(), notebook.author());
    if let Some(pause) = notebook.pause() {
        println!("    PAUSED by {}: {}", pause.by(), plain(pause.comment()));
    }
    let statuses = state.statuses(notebook.name(), context::now()).unwrap_or_default();
    for (version, status) in notebook.versions().iter().zip(statuses) {
        let asset = version.asset();
        let runners: Vec<_> = asset.runners.iter().map(ToString::to_string).collect();
        let hidden = if asset.hidden { ", source hidden" } else { "" };
        println!(
            "    version {}{hidden}, run by {}",
            plain(&asset.manifest.version),
            runners.join(", ")
        );
        println!("      component {}", asset.component);
        match version.revision() {
            Ok(revision) => println!("      revision  {}", revision.digest()),
            Err(refusal) => println!("      revision  none: {}", plain(refusal.detail())),
        }
        println!("      {}", status_text(&status));
        let reviews =
            version.revision_digest().map(|digest| notebook.reviews(digest)).unwrap_or_default();
        for review in reviews {
            let comment = if review.comment.is_empty() {
                String::new()
            } else {
                format!(": {}", plain(&review.comment))
            };
            println!(
                "      {} {} {}{comment}",
                terminal::time(review.at),
                review.party,
                review.decision.verb()
            );
        }
    }
}

fn status_text(status: &RevisionStatus) -> String {
    let list = |aliases: &std::collections::BTreeSet<glovebox_contract::name::Alias>| {
        aliases.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    match status {
        RevisionStatus::Approved => "APPROVED".into(),
        RevisionStatus::Waiting { missing } => format!("waits for {}", list(missing)),
        RevisionStatus::Rejected { by } => format!("REJECTED by {}", list(by)),
        RevisionStatus::Superseded { since } => {
            format!("superseded since {}", terminal::time(*since))
        }
        RevisionStatus::Unbound { .. } => "does not fit the room's tables".into(),
    }
}

fn status_word(status: &RevisionStatus) -> &'static str {
    match status {
        RevisionStatus::Approved => "approved",
        RevisionStatus::Waiting { .. } => "waiting",
        RevisionStatus::Rejected { .. } => "rejected",
        RevisionStatus::Superseded { .. } => "superseded",
        RevisionStatus::Unbound { .. } => "unbound",
    }
}

/// An enum of the contract as the one word it is written with.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        other => format!("{other:?}"),
    }
}

fn as_json(state: &RoomState) -> Value {
    let members: Vec<_> = state
        .members()
        .map(|member| {
            json!({
                "alias": member.alias(),
                "organisation": member.organisation(),
                "public_key": member.public_key(),
                "accepted": member.has_accepted(),
            })
        })
        .collect();
    let notebooks: Vec<_> =
        state.notebooks().map(|notebook| notebook_json(state, notebook)).collect();
    json!({
        "room": state.id(),
        "document": state.document(),
        "collaborators": members,
        "tables": state.tables().collect::<Vec<_>>(),
        "notebooks": notebooks,
        "paused": state.pause().map(|pause| json!({ "by": pause.by(), "comment": pause.comment() })),
        "statements": state.statements(),
    })
}

fn notebook_json(state: &RoomState, notebook: &Notebook) -> Value {
    let statuses = state.statuses(notebook.name(), context::now()).unwrap_or_default();
    let revisions: Vec<_> = notebook
        .versions()
        .iter()
        .zip(statuses)
        .map(|(version, status)| {
            let asset = version.asset();
            let reviews: Vec<_> = version
                .revision_digest()
                .map(|digest| notebook.reviews(digest))
                .unwrap_or_default()
                .iter()
                .map(|review| {
                    json!({
                        "at": review.at,
                        "party": review.party,
                        "decision": review.decision,
                        "comment": review.comment,
                    })
                })
                .collect();
            json!({
                "digest": version.revision_digest(),
                "version": asset.manifest.version,
                "component": asset.component,
                "hidden": asset.hidden,
                "runners": asset.runners,
                "interfaces": asset.interfaces,
                "cutover": asset.cutover,
                "status": status_word(&status),
                "status_text": status_text(&status),
                "reviews": reviews,
            })
        })
        .collect();
    json!({
        "name": notebook.name(),
        "author": notebook.author(),
        "paused": notebook.pause().is_some(),
        "revisions": revisions,
    })
}
