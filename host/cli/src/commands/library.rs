//! `glovebox library`: offers a private library to a room.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{AssetStatement, LibraryAsset};
use serde_json::json;

use crate::arguments::{Library, RoomOnly, Signer};
use crate::context::Context;
use crate::terminal::{plain, print_json};

pub(crate) fn run(context: &Context, command: &Library) -> Result<ExitCode> {
    let Library::Add { room, component, signer } = command;
    add(context, room, component, signer)?;
    Ok(ExitCode::SUCCESS)
}

fn add(context: &Context, room: &RoomOnly, component: &Path, signer: &Signer) -> Result<()> {
    let (mut room, party) = context.act(room, signer)?;
    let file = component.display();
    let bytes = std::fs::read(component).with_context(|| format!("cannot read {file}"))?;
    let inspection = glovebox_sandbox::inspect(&bytes)
        .with_context(|| format!("{file} is not a component that a room takes"))?;
    let manifest = inspection
        .manifest
        .ok_or_else(|| anyhow!("{file} has no manifest: build it with `glovebox build`"))?;
    let asset = AssetStatement::Library(Box::new(LibraryAsset {
        component: inspection.digest,
        component_bytes: bytes.len() as u64,
        exports: inspection.exports,
        hidden: inspection.source.is_empty(),
        interfaces: inspection.imports,
        manifest: manifest.clone(),
    }));
    room.add_component(context, &party, asset, (component, &bytes))?;
    let users = users(room.state(), manifest.name.as_str());
    if context.json() {
        return print_json(&json!({
            "library": manifest.name,
            "version": manifest.version,
            "owner": party.alias,
            "component": inspection.digest,
            "used_by": users,
        }));
    }
    let (name, version) = (&manifest.name, plain(&manifest.version));
    println!("{} offers the library {name} {version}", party.alias);
    println!("  component {}", inspection.digest);
    if !users.is_empty() {
        let list = users.join(", ");
        println!("  used by {list}: with this content it is a new revision, to be approved");
    }
    Ok(())
}

/// The notebooks that use a library, directly or through another.
fn users(state: &RoomState, library: &str) -> Vec<String> {
    let uses = |manifest| state.libraries_for(manifest).keys().any(|name| name.as_str() == library);
    state
        .notebooks()
        .filter(|notebook| notebook.latest().is_some_and(|version| uses(&version.asset().manifest)))
        .map(|notebook| notebook.name().to_string())
        .collect()
}
