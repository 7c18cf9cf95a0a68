//! `glovebox notebook`: offers a notebook, or a new version of one, to a room.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use glovebox_contract::manifest::Manifest;
use glovebox_contract::name::{Alias, TableName};
use glovebox_contract::state::RevisionStatus;
use glovebox_contract::statement::{AssetStatement, Body, Deprecate, NotebookAsset, TableBinding};
use serde_json::json;

use super::room::newest_revision;
use crate::arguments::{BindingOption, Moment, Notebook, RoomOnly, Signer};
use crate::context::{self, Context};
use crate::host::OpenRoom;
use crate::terminal::{self, print_json};

pub(crate) fn run(context: &Context, command: &Notebook) -> Result<ExitCode> {
    match command {
        Notebook::Add { room, component, runners, bindings, cutover, signer } => {
            let bindings = bound(bindings)?;
            add(context, room, component, (runners, bindings), cutover.as_ref(), signer)?;
        }
        Notebook::Deprecate { room, notebook, revision, until, note, signer } => {
            let deprecate = Deprecate {
                notebook: notebook.clone(),
                note: note.clone(),
                revision: *revision,
                until: until.map(|moment| moment.from(context::now())),
            };
            say(context, room, deprecate, signer)?;
        }
        Notebook::Result { of, output } => super::result::run(context, of, output.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn add(
    context: &Context,
    room: &RoomOnly,
    component: &Path,
    (runners, bindings): (&[Alias], BTreeMap<TableName, TableBinding>),
    cutover: Option<&Moment>,
    signer: &Signer,
) -> Result<()> {
    let (mut room, party) = context.act(room, signer)?;
    let file = component.display();
    let bytes = std::fs::read(component).with_context(|| format!("cannot read {file}"))?;
    let inspection = glovebox_sandbox::inspect(&bytes)
        .with_context(|| format!("{file} is not a component that a room takes"))?;
    let manifest = inspection
        .manifest
        .ok_or_else(|| anyhow!("{file} has no manifest: build it with `glovebox build`"))?;
    let asset = AssetStatement::Notebook(Box::new(NotebookAsset {
        bindings,
        component: inspection.digest,
        component_bytes: bytes.len() as u64,
        cutover: cutover.map(|moment| moment.from(context::now())),
        hidden: inspection.source.is_empty(),
        interfaces: inspection.imports,
        manifest: manifest.clone(),
        runners: runners.iter().cloned().collect(),
    }));
    room.add_component(context, &party, asset, (component, &bytes))?;
    report(context, &room, &manifest, party.alias.as_str())
}

/// Deprecates a revision.
fn say(context: &Context, room: &RoomOnly, deprecate: Deprecate, signer: &Signer) -> Result<()> {
    let (mut room, party) = context.act(room, signer)?;
    let Deprecate { notebook, revision, until, .. } = deprecate.clone();
    let body = Body::Deprecate(deprecate);
    let summary = body.summary();
    room.say(&party, body)?;
    if context.json() {
        return print_json(
            &json!({ "notebook": notebook, "revision": revision, "until": until, "says": summary }),
        );
    }
    println!("{} {summary}", party.alias);
    Ok(())
}

fn report(context: &Context, room: &OpenRoom, manifest: &Manifest, author: &str) -> Result<()> {
    let name = manifest.name.as_str();
    let revision = newest_revision(room.state(), name);
    if context.json() {
        return print_json(&json!({
            "notebook": name,
            "version": manifest.version,
            "author": author,
            "revision": revision.as_ref().ok(),
            "does_not_fit": revision.as_ref().err().map(ToString::to_string),
        }));
    }
    println!("{author} offers the notebook {name} {}", terminal::plain(&manifest.version));
    match revision {
        Ok(digest) => {
            println!("  revision {digest}");
            context.hint(if is_approved(room, manifest) {
                "it may run: everyone else approves it by rule".to_owned()
            } else {
                format!(
                    "everyone but {author} approves it: `glovebox review {} {name} --approve {digest} --as KEY`",
                    room.name()
                )
            });
        }
        // It may fit once the owner has offered the table, so this is no error.
        Err(error) => println!("  it does not fit the room's tables yet: {error}"),
    }
    Ok(())
}

/// Whether the newest version may run already: by rules.
fn is_approved(room: &OpenRoom, manifest: &Manifest) -> bool {
    let statuses = room.state().statuses(&manifest.name, room.now()).unwrap_or_default();
    statuses.last() == Some(&RevisionStatus::Approved)
}

/// What `--bind` says of each input. An input of which only columns are bound is the table of its
/// own name.
pub(crate) fn bound(options: &[BindingOption]) -> Result<BTreeMap<TableName, TableBinding>> {
    let mut tables = BTreeMap::new();
    let mut columns: BTreeMap<&TableName, BTreeMap<String, String>> = BTreeMap::new();
    for option in options {
        let (what, before) = match option {
            BindingOption::Table { input, table } => {
                columns.entry(input).or_default();
                (input.to_string(), tables.insert(input, table).is_some())
            }
            BindingOption::Column { input, column, is } => {
                let before = columns.entry(input).or_default().insert(column.clone(), is.clone());
                (format!("{input}.{column}"), before.is_some())
            }
        };
        if before {
            bail!("`--bind` binds {what} twice");
        }
    }
    let bound = columns.into_iter().map(|(input, columns)| {
        let table = tables.get(input).copied().unwrap_or(input).clone();
        (input.clone(), TableBinding { columns, table })
    });
    Ok(bound.collect())
}
