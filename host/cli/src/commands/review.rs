//! `glovebox review`: decisions about a revision.

use std::process::ExitCode;

use anyhow::Result;
use glovebox_contract::statement::{Body, Decision, Review as ReviewStatement};
use serde_json::json;

use crate::arguments::Review;
use crate::context::Context;
use crate::terminal::print_json;

pub(crate) fn run(context: &Context, review: &Review) -> Result<ExitCode> {
    let mut room = context.room(&review.room.room)?;
    let party = context.party(&room, &review.signer.key)?;
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
    party.say(&mut room, body)?;
    if context.json() {
        print_json(
            &json!({ "notebook": review.notebook, "revision": revision, "party": party.alias, "decision": decision }),
        )?;
    } else {
        println!("{} {} {} {revision}", party.alias, decision.verb(), review.notebook);
    }
    Ok(ExitCode::SUCCESS)
}
