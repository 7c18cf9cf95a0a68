//! `…/assets/{kind}/{name}/reviews`: what the party thinks of a revision.

use std::sync::Arc;

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::state::{Notebook, RoomState};
use glovebox_contract::statement::{Body, Decision, Review};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Action;
use crate::app::App;
use crate::assets::{only_notebooks, review_state, reviews_of, wanted};
use crate::call::{Call, Reply, shown};
use crate::error::Failure;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reviews {
    #[serde(default)]
    jar_analysis_review: Option<Value>,
    #[serde(default)]
    notebook_review: Option<NotebookReview>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NotebookReview {
    #[serde(default)]
    comment: Option<String>,
    etag: String,
    review_state: String,
}

/// Signs that the party approves or rejects one revision, which the etag names.
pub(crate) fn create(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ReviewNotebook)?;
    let (kind, name) = wanted(call)?;
    only_notebooks(kind)?;
    let asked: Reviews = call.body()?;
    if asked.jar_analysis_review.is_some() {
        return Err(Failure::invalid("jar_analysis_review: give a notebook_review"));
    }
    let review = asked
        .notebook_review
        .ok_or_else(|| Failure::invalid("notebook_review is needed, with etag and review_state"))?;
    let decision = match review.review_state.as_str() {
        "APPROVED" => Decision::Approve,
        "REJECTED" => Decision::Reject,
        other => {
            let other = shown(other);
            return Err(Failure::invalid(format!(
                "review_state: APPROVED or REJECTED, not `{other}`"
            )));
        }
    };
    let name = name.notebook()?;
    let revision = {
        let room = entered.fresh()?;
        known_revision(room.state().notebook(&name)?, &review.etag)?
    };
    let room = entered.say(Body::Review(Review {
        comment: review.comment.unwrap_or_default(),
        decision,
        notebook: name.clone(),
        revision,
    }))?;
    tracing::info!(
        room = %entered.id, principal = %entered.principal.name(), notebook = %name, %revision,
        ?decision, "reviewed"
    );
    Ok(Reply::json(answer(room.state(), room.state().notebook(&name)?, &revision, room.now())?))
}

/// The revision that an etag names. An etag of something else is a mistake that must not become an
/// approval of it.
fn known_revision(notebook: &Notebook, etag: &str) -> Result<Blake3Digest, Failure> {
    let known = etag.parse().ok().filter(|digest| notebook.version(digest).is_some());
    known.ok_or_else(|| {
        let newest = notebook.latest().and_then(|version| version.revision_digest());
        let newest = newest.map_or_else(
            || "it fits the room's tables in no revision now".to_owned(),
            |digest| format!("the newest is {digest}"),
        );
        Failure::conflict(format!(
            "etag: `{}` is no revision of {} in the room as it is now; {newest}",
            shown(etag),
            notebook.name()
        ))
    })
}

fn answer(
    state: &RoomState,
    notebook: &Notebook,
    revision: &Blake3Digest,
    now: u64,
) -> Result<Value, Failure> {
    let status = state.status(notebook.name(), revision, now)?;
    let reviews = state.reviews(notebook.name(), revision, now)?;
    Ok(json!({
        "notebook_review_state": review_state(Some(&status)),
        "notebook_reviews": reviews_of(&reviews, notebook.author()),
    }))
}
