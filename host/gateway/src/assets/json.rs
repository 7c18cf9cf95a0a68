//! Assets as Databricks writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use glovebox_build::Embedded;
use glovebox_client::RemoteRoom;
use glovebox_contract::name::Alias;
use glovebox_contract::state::{Notebook, ReviewRecord, RevisionStatus, RoomState, Version};
use glovebox_contract::statement::{Decision, TableAsset, VolumeAsset};
use serde_json::{Value, json};

use super::body::{Kind, Name};
use crate::app::ms;
use crate::columns;
use crate::error::Failure;

/// What all assets have.
fn asset(state: &RoomState, kind: Kind, name: &Name, owner: &str, status: &str) -> Value {
    json!({
        "name": name.asked,
        "asset_type": kind.as_str(),
        "clean_room_name": state.document().name,
        "owner_collaborator_alias": owner,
        "status": status,
    })
}

fn with(mut asset: Value, members: &[(&str, Value)]) -> Value {
    if let Value::Object(object) = &mut asset {
        object.extend(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    asset
}

/// A table or a view; `local_name` when it is the party's own.
pub(super) fn table(
    state: &RoomState,
    name: &Name,
    table: &TableAsset,
    local_name: Option<&str>,
) -> Value {
    let columns = json!({ "columns": columns::infos(&table.columns) });
    let details = local_name.map(|name| json!({ "local_name": name })).into();
    let (kind, members) = match table.view {
        None => (Kind::Table, [("table", columns), ("table_local_details", details)]),
        Some(_) => (Kind::View, [("view", columns), ("view_local_details", details)]),
    };
    with(asset(state, kind, name, table.name.schema(), "ACTIVE"), &members)
}

/// A volume.
pub(super) fn volume(
    state: &RoomState,
    name: &Name,
    volume: &VolumeAsset,
    local_name: Option<&str>,
) -> Value {
    let details = local_name.map(|name| json!({ "local_name": name })).into();
    let common = asset(state, Kind::Volume, name, volume.name.schema(), "ACTIVE");
    with(common, &[("volume_local_details", details)])
}

/// A version of a notebook, with its content when that was asked for.
pub(super) fn notebook(
    state: &RoomState,
    notebook: &Notebook,
    version: &Version,
    content: Option<String>,
    now: u64,
) -> Value {
    let name = Name::listed(notebook.name());
    let etag = version.revision_digest();
    let reviews = etag.map(|digest| state.reviews(notebook.name(), digest, now));
    let reviews = reviews.and_then(Result::ok).unwrap_or_default();
    let status = etag.and_then(|digest| state.status(notebook.name(), digest, now).ok());
    let members = json!({
        "notebook_content": content.unwrap_or_default(),
        "etag": etag,
        "description": version.asset().manifest.description,
        "review_state": review_state(status.as_ref()),
        "reviews": reviews_of(&reviews, notebook.author()),
        "runner_collaborator_aliases": version.asset().runners,
    });
    // A notebook whose tables are not all there any more has no revision that could be reviewed.
    let active = if etag.is_some() { "ACTIVE" } else { "PENDING" };
    let common = asset(state, Kind::Notebook, &name, notebook.author().as_str(), active);
    with(common, &[("notebook", members), ("added_at", ms(version.added_at()).into())])
}

/// An asset that is being added.
pub(super) fn pending(
    state: &RoomState,
    kind: Kind,
    name: &Name,
    owner: &Alias,
    local_name: Option<&str>,
) -> Value {
    let details = local_name.map(|name| json!({ "local_name": name })).into();
    let member = match kind {
        Kind::Notebook => {
            ("notebook", json!({ "notebook_content": "", "review_state": "PENDING" }))
        }
        Kind::Table => ("table_local_details", details),
        Kind::View => ("view_local_details", details),
        Kind::Volume => ("volume_local_details", details),
    };
    with(asset(state, kind, name, owner.as_str(), "PENDING"), &[member])
}

/// What all reviews come to.
pub(crate) fn review_state(status: Option<&RevisionStatus>) -> &'static str {
    match status {
        Some(RevisionStatus::Approved | RevisionStatus::Superseded { .. }) => "APPROVED",
        Some(RevisionStatus::Rejected { .. }) => "REJECTED",
        _ => "PENDING",
    }
}

/// The latest review of each party. The author approves by adding, which is no review, unless it
/// turned against its own revision later.
pub(crate) fn reviews_of(reviews: &[ReviewRecord], author: &Alias) -> Vec<Value> {
    let decided = |review: &&ReviewRecord| review.decision != Decision::Comment;
    let is_latest = |at: usize, review: &ReviewRecord| {
        let later = reviews.iter().skip(at.saturating_add(1)).filter(decided);
        !later.into_iter().any(|other| other.party == review.party)
    };
    reviews
        .iter()
        .enumerate()
        .filter(|(at, review)| decided(review) && is_latest(*at, review))
        .filter(|(_, review)| {
            review.party != *author || review.decision != Decision::Approve
        })
        .map(|(_, review)| {
            json!({
                "reviewer_collaborator_alias": review.party,
                "review_state": if review.decision == Decision::Approve { "APPROVED" } else { "REJECTED" },
                "review_sub_reason": review.auto_approved.as_ref().map(|_| "AUTO_APPROVED"),
                "auto_approval_rule_id": review.auto_approved,
                "comment": review.comment,
                "created_at_millis": ms(review.at),
            })
        })
        .collect()
}

/// What a reviewer reads, in base64: the source of a notebook in one file, the component
/// otherwise, nothing of a hidden notebook of another party.
pub(super) fn content(
    room: &RemoteRoom,
    me: &Alias,
    notebook: &Notebook,
    version: &Version,
) -> Result<String, Failure> {
    let asset = version.asset();
    if asset.hidden && notebook.author() != me {
        return Ok(String::new());
    }
    let component = room.component(&asset.component)?;
    let source = if asset.hidden { None } else { source(&component) };
    Ok(BASE64.encode(source.unwrap_or(component)))
}

/// The one file that a component was made of.
fn source(component: &[u8]) -> Option<Vec<u8>> {
    let directory = tempfile::tempdir().ok()?;
    match glovebox_build::extract(component, directory.path()).ok()? {
        Embedded::Notebook(file) if file.is_file() => std::fs::read(file).ok(),
        _ => None,
    }
}
