//! `glovebox share`: recipients, what they may read, and their profile files.

mod profile;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use glovebox_contract::name::{AssetName, Identifier, RoomId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{RoomState, SharingRecipient};
use glovebox_contract::statement::{Body, Grant, Recipient, Share as ShareStatement, Shared};
use glovebox_room::RoomError;
use serde_json::{Value, json};

use crate::arguments::{NewRecipient, RoomOnly, Share, SharedWhat, Signer};
use crate::context::{self, Context};
use crate::host::OpenRoom;
use crate::terminal::{self, plain, print_json};

pub(crate) fn run(context: &Context, command: &Share) -> Result<ExitCode> {
    match command {
        Share::Recipient(new) => recipient(context, new)?,
        Share::Grant { room, recipient, share, what, until, signer } => {
            let what = |state: &RoomState| {
                Ok(ShareStatement::Grant(Grant {
                    recipient: recipient.clone(),
                    share: share.clone(),
                    until: until.map(|until| until.from(context::now())),
                    what: shared(state, what)?,
                }))
            };
            say(context, room, signer, what)?;
        }
        Share::Revoke { room, recipient, share, signer } => {
            let (recipient, share) = (recipient.clone(), share.clone());
            say(context, room, signer, |_| Ok(ShareStatement::Revoke { recipient, share }))?;
        }
        Share::List(room) => {
            let room = context.read_room(room)?;
            list(context, &room)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a token, says its digest in the room, and writes the profile. The profile is on disk
/// before the room knows of the token, and has its name only when the room has taken it.
fn recipient(context: &Context, new: &NewRecipient) -> Result<()> {
    let (mut room, party) = context.act(&new.room, &new.signer)?;
    let present = room.state().recipient(&party.alias, &new.recipient).is_ok();
    if present && !new.rotate {
        bail!(
            "{} has a recipient {} already; `--rotate` gives it another token",
            party.alias,
            new.recipient
        );
    }
    if !present && new.rotate {
        let what = format!("{} has no recipient {}", party.alias, new.recipient);
        return Err(RoomError::new(ReasonCode::NotFound, what).into());
    }
    let file = match &new.output {
        Some(file) => file.clone(),
        None => PathBuf::from(format!("{}.share", new.recipient)),
    };
    let (now, token) = (context::now(), profile::new_token()?);
    let expires = new.expires.from(now);
    let endpoint = endpoint(context, new.endpoint.as_deref(), room.state().id())?;
    let written = profile::write(&file, &endpoint, &token, expires, new.rotate)?;
    let body = Body::Share(ShareStatement::Recipient(Recipient {
        expires,
        name: new.recipient.clone(),
        previous_until: new.grace.map(|grace| now.saturating_add(grace.seconds())),
        token: profile::digest(&token),
    }));
    let summary = body.summary();
    room.say(&party, body)?;
    written.keep(&file)?;
    if context.json() {
        return print_json(&json!({
            "recipient": new.recipient,
            "owner": party.alias,
            "file": file,
            "endpoint": endpoint,
            "expires": expires,
            "token_sha256": profile::digest(&token),
        }));
    }
    println!("{} {summary}", party.alias);
    println!("  profile {}, good until {}", file.display(), terminal::time(expires));
    context.hint(format!(
        "whoever has {} reads what you share with {}: send it as you would send a password; \
         `glovebox share grant {} {} SHARE --output NOTEBOOK` shares something",
        file.display(),
        new.recipient,
        room.name(),
        new.recipient
    ));
    Ok(())
}

/// Where the host serves Delta Sharing.
fn endpoint(context: &Context, given: Option<&str>, room: &RoomId) -> Result<String> {
    let host = given.or_else(|| context.host_url()).ok_or_else(|| {
        anyhow!("a profile says where to read: give the host with `--host URL` or `--endpoint URL`")
    })?;
    // The room is part of it: a token is looked up in that room and in no other.
    Ok(format!("{}/delta-sharing/{}", host.trim_end_matches('/'), room.0.to_hex()))
}

fn say(
    context: &Context,
    room: &RoomOnly,
    signer: &Signer,
    what: impl FnOnce(&RoomState) -> Result<ShareStatement>,
) -> Result<()> {
    let (mut room, party) = context.act(room, signer)?;
    let body = Body::Share(what(room.state())?);
    let summary = body.summary();
    room.say(&party, body)?;
    if context.json() {
        return print_json(&json!({ "owner": party.alias, "says": summary }));
    }
    println!("{} {summary}", party.alias);
    Ok(())
}

fn shared(state: &RoomState, what: &SharedWhat) -> Result<Shared> {
    match (&what.output, &what.table) {
        (Some(output), _) => shared_output(state, output),
        (None, Some(table)) => Ok(Shared::Table { table: table.clone() }),
        (None, None) if what.events => Ok(Shared::Events {}),
        // clap lets nothing else through.
        (None, None) => bail!("say what is shared: `--output`, `--table` or `--events`"),
    }
}

/// `NOTEBOOK` or `NOTEBOOK.OUTPUT`. Names of notebooks may have dots too, so the room tells.
fn shared_output(state: &RoomState, text: &str) -> Result<Shared> {
    let whole = text.parse::<AssetName>().ok();
    let whole = whole.filter(|notebook| state.notebook(notebook).is_ok());
    let part = text.rsplit_once('.').and_then(|(notebook, output)| {
        Some((notebook.parse::<AssetName>().ok()?, output.parse::<Identifier>().ok()?))
    });
    let part = part.filter(|(notebook, _)| state.notebook(notebook).is_ok());
    match (whole, part) {
        (Some(notebook), None) => Ok(Shared::Output { notebook, output: None }),
        (None, Some((notebook, output))) => Ok(Shared::Output { notebook, output: Some(output) }),
        (Some(_), Some((notebook, output))) => bail!(
            "`{text}` is a notebook and may be the output {output} of {notebook}; share the whole \
             of one of them under another name"
        ),
        (None, None) => {
            let what = format!("the room has no notebook for `{}`", plain(text));
            Err(RoomError::new(ReasonCode::NotFound, what).into())
        }
    }
}

fn list(context: &Context, room: &OpenRoom) -> Result<()> {
    let (state, now) = (room.state(), room.now());
    if context.json() {
        return print_json(&as_json(state, now));
    }
    if state.recipients().next().is_none() {
        println!("nothing is shared");
        return Ok(());
    }
    for line in lines(state, now) {
        println!("{line}");
    }
    Ok(())
}

/// Recipients and their grants, for people.
pub(super) fn lines(state: &RoomState, now: u64) -> Vec<String> {
    let mut lines = Vec::new();
    for recipient in state.recipients() {
        let ends = ends(recipient, now);
        lines.push(format!("{} of {}: {ends}", recipient.name(), recipient.owner()));
        for grant in recipient.grants() {
            let until = match grant.until {
                None => String::new(),
                Some(until) if until <= now => format!(", ended {}", terminal::time(until)),
                Some(until) => format!(", until {}", terminal::time(until)),
            };
            lines.push(format!("  {}: {}{until}", grant.share, grant.what));
        }
    }
    lines
}

fn ends(recipient: &SharingRecipient, now: u64) -> String {
    let end = |at: u64| {
        let word = if at <= now { "ended" } else { "ends" };
        format!("{word} {}", terminal::time(at))
    };
    let previous = recipient.previous().filter(|(_, until)| *until > now);
    let previous = previous.map(|(_, until)| format!(", the one before {}", end(until)));
    format!("its token {}{}", end(recipient.expires()), previous.unwrap_or_default())
}

/// Recipients and their grants, as `--json` shows them.
pub(super) fn as_json(state: &RoomState, now: u64) -> Vec<Value> {
    let recipient = |recipient: &SharingRecipient| {
        let previous = recipient.previous();
        let grants = recipient.grants().map(|grant| {
            let ended = grant.until.is_some_and(|until| until <= now);
            json!({ "share": grant.share, "what": grant.what, "until": grant.until, "ended": ended })
        });
        json!({
            "recipient": recipient.name(),
            "owner": recipient.owner(),
            "expires": recipient.expires(),
            "expired": recipient.expires() <= now,
            "token_sha256": recipient.token(),
            "previous_until": previous.map(|(_, until)| until),
            "grants": grants.collect::<Vec<_>>(),
        })
    };
    state.recipients().map(recipient).collect()
}

/// The folder in which a file stands.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// What an error says of a file.
fn writing<T>(result: std::io::Result<T>, file: &Path) -> Result<T> {
    result.with_context(|| format!("cannot write the profile {}", file.display()))
}
