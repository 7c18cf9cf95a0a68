//! A room as JSON.

use glovebox_contract::state::{Library, Notebook, RevisionStatus, RoomState, Version};
use serde_json::{Value, json};

use super::{reviews, status_text};
use crate::commands::{rule, share};
use crate::context;

/// A room as `--json` shows it.
pub(super) fn room(state: &RoomState) -> Value {
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
        "volumes": state.volumes().collect::<Vec<_>>(),
        "libraries": state.libraries().map(library_json).collect::<Vec<_>>(),
        "notebooks": notebooks,
        "rules": rule::as_json(state),
        "recipients": share::as_json(state, context::now()),
        "paused": state.pause().map(|pause| json!({ "by": pause.by(), "comment": pause.comment() })),
        "statements": state.statements(),
    })
}

fn library_json(library: &Library) -> Value {
    let asset = library.asset();
    json!({
        "name": asset.manifest.name,
        "owner": library.owner(),
        "version": asset.manifest.version,
        "component": asset.component,
        "hidden": asset.hidden,
        "exports": asset.exports,
        "interfaces": asset.interfaces,
        "functions": asset.manifest.functions,
        "libraries": asset.manifest.libraries,
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
            let reviews: Vec<_> = reviews(state, notebook, version)
                .iter()
                .map(|review| {
                    json!({
                        "at": review.at,
                        "auto_approved": review.auto_approved,
                        "party": review.party,
                        "decision": review.decision,
                        "comment": review.comment,
                    })
                })
                .collect();
            json!({
                "digest": version.revision_digest(),
                "version": asset.manifest.version,
                "description": asset.manifest.description,
                "component": asset.component,
                "hidden": asset.hidden,
                "libraries": version.revision().ok().map(|bound| &bound.revision().libraries),
                "volumes": version.revision().ok().map(|bound| &bound.revision().volumes),
                "runners": asset.runners,
                "interfaces": asset.interfaces,
                "bindings": asset.bindings,
                "cutover": asset.cutover,
                "deprecated": version.deprecation().map(|said| {
                    json!({ "at": said.at, "note": said.note, "until": said.until })
                }),
                "status": status_word(&status),
                "status_text": status_text(&status),
                "reviews": reviews,
            })
        })
        .collect();
    let latest = notebook.latest().map(Version::asset);
    json!({
        "name": notebook.name(),
        "author": notebook.author(),
        "version": latest.map(|asset| &asset.manifest.version),
        "description": latest.map(|asset| &asset.manifest.description),
        "hidden": latest.map(|asset| asset.hidden),
        "paused": notebook.pause().is_some(),
        "revisions": revisions,
    })
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
