//! `glovebox review`: decisions about a revision.

use std::process::ExitCode;

use anyhow::Result;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::Alias;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{Body, Decision, Review as ReviewStatement};
use serde_json::json;

use crate::arguments::Review;
use crate::context::Context;
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
    room.say(&party, body)?;
    if context.json() {
        print_json(
            &json!({ "notebook": review.notebook, "revision": revision, "party": party.alias, "decision": decision }),
        )?;
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

/// The revision of the same notebook that the party approved last, if this is another.
fn approved_before(
    state: &RoomState,
    review: &Review,
    revision: &Blake3Digest,
    party: &Alias,
) -> Option<Blake3Digest> {
    let notebook = state.notebook(&review.notebook).ok()?;
    let version = notebook.version(revision)?;
    let before = super::diff::reviewed_before(state, notebook, version, Some(party))?;
    before.revision_digest().copied()
}
