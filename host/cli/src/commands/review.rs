//! `glovebox review`: decisions about a revision.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::Alias;
use glovebox_contract::state::{Notebook, RoomState, Version};
use glovebox_contract::statement::{Body, Decision, Review as ReviewStatement};
use serde_json::json;

use super::diff::{Compared, compare, reviewed_before};
use super::room::deprecated;
use crate::arguments::Review;
use crate::context::Context;
use crate::host::OpenRoom;
use crate::terminal::print_json;

pub(crate) fn run(context: &Context, review: &Review) -> Result<ExitCode> {
    let (mut room, party) = context.act(&review.room, &review.signer)?;
    let choice = &review.decision;
    let (decision, revision) = match (choice.approve, choice.reject, choice.revoke) {
        (Some(digest), _, _) => (Decision::Approve, digest),
        (_, Some(digest), _) => (Decision::Reject, digest),
        (_, _, Some(digest)) => (Decision::Revoke, digest),
        // clap lets nothing else through.
        (None, None, None) => return Ok(ExitCode::from(2)),
    };
    let body = Body::Review(ReviewStatement {
        comment: review.comment.clone(),
        decision,
        notebook: review.notebook.clone(),
        revision,
    });
    let before = approved_before(room.state(), review, &revision, &party.alias);
    let compared = match &before {
        Some(_) if review.diff || decision == Decision::Approve => {
            difference(&room, review, &revision, &party.alias)?
        }
        _ => None,
    };
    if !context.json() {
        show(review, compared.as_ref());
        warn_of_end(context, room.state(), review, &revision);
        if review.diff && !agreed(decision)? {
            println!("nothing was signed");
            return Ok(ExitCode::FAILURE);
        }
    }
    room.say(&party, body)?;
    if context.json() {
        print_json(&json!({
            "notebook": review.notebook,
            "revision": revision,
            "party": party.alias,
            "decision": decision,
            "difference": compared.as_ref().map(Compared::to_json),
        }))?;
    } else {
        println!("{} {} {} {revision}", party.alias, decision.verb(), review.notebook);
    }
    if let (Some(before), Decision::Approve) = (before, decision) {
        let (room, notebook) = (room.name(), &review.notebook);
        context.hint(format!(
            "`glovebox diff {room} {notebook} {before} {revision}` shows what is other than what {} \
             approved before; `--revoke` takes the approval back",
            party.alias
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The notebook, and the version with a revision.
fn version<'a>(
    state: &'a RoomState,
    review: &Review,
    revision: &Blake3Digest,
) -> Option<(&'a Notebook, &'a Version)> {
    let notebook = state.notebook(&review.notebook).ok()?;
    Some((notebook, notebook.version(revision)?))
}

/// The revision of the same notebook that the party approved last, if this is another.
fn approved_before(
    state: &RoomState,
    review: &Review,
    revision: &Blake3Digest,
    party: &Alias,
) -> Option<Blake3Digest> {
    let (notebook, version) = version(state, review, revision)?;
    reviewed_before(state, notebook, version, Some(party))?.revision_digest().copied()
}

/// What is other than in the revision that the party approved last.
fn difference(
    room: &OpenRoom,
    review: &Review,
    revision: &Blake3Digest,
    party: &Alias,
) -> Result<Option<Compared>> {
    let state = room.state();
    let Some((notebook, new)) = version(state, review, revision) else { return Ok(None) };
    let before = reviewed_before(state, notebook, new, Some(party));
    before.map(|old| compare(room, old, new)).transpose()
}

fn show(review: &Review, compared: Option<&Compared>) {
    match compared {
        Some(compared) => println!("{}\n", compared.to_text()),
        None if review.diff => println!("no revision of {} was approved before\n", review.notebook),
        None => {}
    }
}

fn warn_of_end(context: &Context, state: &RoomState, review: &Review, revision: &Blake3Digest) {
    let deprecation = version(state, review, revision).and_then(|(_, found)| found.deprecation());
    if let Some(deprecation) = deprecation.filter(|_| !context.quiet()) {
        eprintln!("warning: {} is {}", review.notebook, deprecated(deprecation));
    }
}

/// Whether the reader stays with the decision. Where nobody is at a terminal, it was said already.
fn agreed(decision: Decision) -> Result<bool> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(true);
    }
    let mut questions = std::io::stderr().lock();
    let word = match decision {
        Decision::Approve => "Approve",
        Decision::Reject => "Reject",
        Decision::Revoke => "Revoke the approval of",
        Decision::Comment => "Comment on",
    };
    write!(questions, "{word} this revision? [y/N] ")?;
    questions.flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
