//! Tables, notebooks, libraries and volumes, and what parties think of notebooks.

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::AssetName;
use glovebox_contract::state::{ReviewRecord, Version};
use glovebox_contract::statement::{
    AssetStatement, Decision, Delete, LibraryAsset, NotebookAsset, Review,
};
use serde_json::{Value, json};

use super::Event;
use crate::said::Said;
use crate::values::digest;

const NOTEBOOK: &str = "NOTEBOOK_FILE";
const UPDATED: &str = "CLEAN_ROOM_ASSETS_UPDATED";

/// An asset came or was replaced; for a notebook, followed by each approval by rule.
pub(super) fn added(said: &Said<'_>, asset: &AssetStatement) -> Vec<Event> {
    let changed = if said.before.existed { "updated_assets" } else { "added_assets" };
    let event = |value: Value| {
        Event::new(UPDATED).with("clean_room_assets_updated_metadata", json!({ changed: [value] }))
    };
    match asset {
        AssetStatement::Table(table) => {
            let kind = if table.view.is_some() { "VIEW" } else { "TABLE" };
            vec![event(json!({ "name": table.name, "data_object_type": kind }))]
        }
        AssetStatement::Volume(volume) => {
            let files = volume.digest().ok();
            vec![event(json!({
                "name": volume.name,
                "data_object_type": "VOLUME",
                "digest": files.as_ref().map(digest),
            }))]
        }
        AssetStatement::Library(library) => {
            let LibraryAsset { manifest, component, .. } = library.as_ref();
            vec![event(json!({
                "name": manifest.name,
                "data_object_type": "LIBRARY",
                "version": manifest.version,
                "digest": digest(&component.blake3),
            }))]
        }
        AssetStatement::Notebook(notebook) => {
            let NotebookAsset { manifest, component, .. } = notebook.as_ref();
            let added = event(json!({
                "name": manifest.name,
                "data_object_type": NOTEBOOK,
                "version": manifest.version,
                "digest": digest(&component.blake3),
            }));
            let added = added
                .with("notebook_name", json!(manifest.name))
                .with("library_digests", libraries(said, notebook));
            [added].into_iter().chain(approved_by_rules(said, &manifest.name)).collect()
        }
    }
}

fn libraries(said: &Said<'_>, notebook: &NotebookAsset) -> Value {
    let library = |(name, component): (AssetName, glovebox_contract::digest::ContentDigest)| {
        let owner = said.state.library(&name).map(glovebox_contract::state::Library::owner);
        json!({ "name": name, "owner": owner, "digest": digest(&component.blake3) })
    };
    said.state.libraries_for(&notebook.manifest).into_iter().map(library).collect()
}

/// The approvals that rules give to the newest version of a notebook.
fn approved_by_rules(said: &Said<'_>, name: &AssetName) -> Vec<Event> {
    let newest = said.state.notebook(name).ok().and_then(|notebook| notebook.latest());
    let Some((version, revision)) = newest.and_then(|it| Some((it, it.revision_digest()?))) else {
        return Vec::new();
    };
    let now = said.statement().issued_at;
    let reviews = said.state.reviews(name, revision, now).unwrap_or_default();
    let event = |review: &ReviewRecord| {
        let rule = review.auto_approved.as_ref()?;
        let event = review_event(name, Some(version), revision, "APPROVED", Some("AUTO_APPROVED"))
            .by(&review.party);
        let used = json!({ "owner": review.party, "rule_id": rule, "action": "APPROVED" });
        Some(with_rule(event, rule).with("rule_metadata", used))
    };
    reviews.iter().filter_map(event).collect()
}

fn with_rule(mut event: Event, rule: &AssetName) -> Event {
    if let Some(review) = event.columns.get_mut(REVIEW).and_then(Value::as_object_mut) {
        review.insert("auto_approval_rule_id".into(), json!(rule));
    }
    event
}

/// What a party signed about a revision.
pub(super) fn reviewed(said: &Said<'_>, review: &Review) -> Event {
    let (state, sub_reason) = match review.decision {
        Decision::Approve => ("APPROVED", None),
        Decision::Reject => ("REJECTED", None),
        Decision::Revoke => ("REJECTED", Some("REVOKED")),
        Decision::Comment => ("PENDING", Some("COMMENTED")),
    };
    let notebook = said.state.notebook(&review.notebook).ok();
    let version = notebook.and_then(|notebook| notebook.version(&review.revision));
    review_event(&review.notebook, version, &review.revision, state, sub_reason)
}

const REVIEW: &str = "asset_review_created_metadata";

fn review_event(
    name: &AssetName,
    version: Option<&Version>,
    revision: &Blake3Digest,
    state: &str,
    sub_reason: Option<&str>,
) -> Event {
    let checksum = version.map(|version| digest(&version.asset().component.blake3));
    Event::new("ASSET_REVIEW_CREATED").with("notebook_name", json!(name)).with(
        REVIEW,
        json!({
            "asset_name": name,
            "data_object_type": NOTEBOOK,
            "review_state": state,
            "review_sub_reason": sub_reason,
            "notebook_metadata": {
                "notebook_checksum": checksum,
                "notebook_etag": digest(revision),
            },
        }),
    )
}

/// An asset went.
pub(super) fn removed(delete: &Delete) -> Event {
    let (name, kind) = match delete {
        Delete::Table { table } => (json!(table), "TABLE"),
        Delete::Notebook { notebook } => (json!(notebook), NOTEBOOK),
        Delete::Library { library } => (json!(library), "LIBRARY"),
        Delete::Volume { volume } => (json!(volume), "VOLUME"),
        Delete::Outputs { run } => (json!(run), "OUTPUTS"),
    };
    let gone = json!({ "removed_assets": [{ "name": name, "data_object_type": kind }] });
    Event::new(UPDATED).with("clean_room_assets_updated_metadata", gone)
}
