//! Binds a notebook to the assets of its room as they are now.

use std::collections::BTreeMap;

use super::{BoundRevision, Revision, RevisionInput, RevisionLibrary};
use crate::canonical;
use crate::column::Column;
use crate::join_key;
use crate::library::{LibraryRequirement, MAX_LIBRARIES};
use crate::manifest::{InputDeclaration, Manifest};
use crate::name::{Alias, AssetName, RoomId, TableName};
use crate::reason::ReasonCode;
use crate::state::{Assets, Library, Refusal};
use crate::statement::{NotebookAsset, RoomDocument, TableBinding};

impl BoundRevision {
    /// Binds a notebook to the tables, libraries and volumes of the room as they are now.
    pub(crate) fn bind(
        room: &RoomId,
        document: &RoomDocument,
        author: &Alias,
        asset: &NotebookAsset,
        assets: &Assets,
    ) -> Result<Self, Refusal> {
        let manifest = &asset.manifest;
        let inputs = manifest
            .inputs
            .iter()
            .map(|(name, declared)| bind_input(name, declared, asset.bindings.get(name), assets))
            .collect::<Result<Vec<_>, _>>()?;
        join_key::check_agreement(inputs.iter().flat_map(|input| {
            input.join_keys.iter().map(move |(column, key)| (&input.table, column, key))
        }))?;
        let mut libraries = BTreeMap::new();
        close_over(manifest, assets, &mut Vec::new(), &mut libraries)?;
        let volumes = manifest.volumes.keys();
        let revision = Revision {
            author: author.clone(),
            component: asset.component,
            hidden: asset.hidden,
            inputs,
            interfaces: asset.interfaces.clone(),
            libraries,
            limits: document.limits.clone(),
            manifest: canonical::digest(manifest)?,
            notebook: manifest.name.clone(),
            outputs: document.outputs.clone(),
            room: *room,
            runners: asset.runners.clone(),
            volumes: volumes
                .map(|name| {
                    let volume = assets.volume(name).ok_or_else(|| {
                        let why = format!("the room has no volume {name}");
                        Refusal::new(ReasonCode::NotFound, why)
                    })?;
                    Ok((name.clone(), volume.digest()?))
                })
                .collect::<Result<_, Refusal>>()?,
        };
        let digest = canonical::digest(&revision)?;
        Ok(Self { revision, digest })
    }
}

fn bind_input(
    name: &TableName,
    declared: &InputDeclaration,
    binding: Option<&TableBinding>,
    assets: &Assets,
) -> Result<RevisionInput, Refusal> {
    let table_name = binding.map_or(name, |binding| &binding.table);
    let called = |column: &str| match binding.and_then(|binding| binding.columns.get(column)) {
        Some(renamed) => renamed.clone(),
        None => column.to_owned(),
    };
    let refuse = |reason, why: String| {
        let input = if name == table_name { String::new() } else { format!("input {name}: ") };
        Err(Refusal::new(reason, format!("{input}table {table_name}: {why}")))
    };
    let owner = table_name.schema().parse()?;
    let Some(table) = assets.table(table_name) else {
        return refuse(ReasonCode::NotFound, "the room has no such table".into());
    };
    let present = table.columns_by_name();
    for (column, expected) in &declared.columns {
        let source = called(column);
        match present.get(source.as_str()) {
            None => {
                let why = format!(
                    "it has no column `{}`; the notebook expects one of type {expected}",
                    source.escape_debug()
                );
                return refuse(ReasonCode::SchemaMismatch, why);
            }
            Some(found) if !expected.is_compatible(&found.column_type) => {
                let why = format!(
                    "the column `{}` is {}, the notebook expects {expected}",
                    source.escape_debug(),
                    found.column_type
                );
                return refuse(ReasonCode::SchemaMismatch, why);
            }
            Some(_) => {}
        }
    }
    let names: BTreeMap<String, Vec<&String>> =
        declared.columns.keys().fold(BTreeMap::new(), |mut names, column| {
            names.entry(called(column)).or_insert_with(Vec::new).push(column);
            names
        });
    // In the table's order; a column that two names stand for is seen under both.
    let seen = || {
        table.columns.iter().flat_map(|column| {
            let wanted = names.get(&column.name).into_iter().flatten();
            wanted.map(move |name| (*name, column))
        })
    };
    Ok(RevisionInput {
        columns: seen()
            .map(|(name, column)| Column { name: name.clone(), ..column.clone() })
            .collect(),
        join_keys: seen()
            .filter_map(|(name, column)| Some((name.clone(), table.join_keys.get(&column.name)?)))
            .map(|(name, key)| (name, key.clone()))
            .collect(),
        name: name.clone(),
        output: table.output.clone(),
        owner,
        renamed: seen()
            .filter(|(name, column)| **name != column.name)
            .map(|(name, column)| (name.clone(), column.name.clone()))
            .collect(),
        table: table_name.clone(),
        view: table.view,
    })
}

/// Adds all libraries that `manifest` needs, and those that they need. `above` are the libraries
/// that are being closed over, outermost first.
fn close_over(
    manifest: &Manifest,
    assets: &Assets,
    above: &mut Vec<AssetName>,
    closed: &mut BTreeMap<AssetName, RevisionLibrary>,
) -> Result<(), Refusal> {
    for (name, requirement) in &manifest.libraries {
        let library = find(name, requirement, assets)?;
        if above.contains(name) {
            return Err(mismatch(name, "it needs itself, through other libraries"));
        }
        if closed.contains_key(name) {
            continue;
        }
        if above.len() >= MAX_LIBRARIES || closed.len() >= MAX_LIBRARIES {
            return Err(mismatch(name, &format!("more than {MAX_LIBRARIES} libraries are needed")));
        }
        above.push(name.clone());
        close_over(&library.asset().manifest, assets, above, closed)?;
        above.pop();
        let revision = RevisionLibrary {
            component: library.asset().component,
            manifest: canonical::digest(&library.asset().manifest)?,
            owner: library.owner().clone(),
        };
        closed.insert(name.clone(), revision);
    }
    Ok(())
}

/// The library of the room that meets a requirement.
fn find<'a>(
    name: &AssetName,
    requirement: &LibraryRequirement,
    assets: &'a Assets,
) -> Result<&'a Library, Refusal> {
    let library = assets.library(name).ok_or_else(|| {
        Refusal::new(ReasonCode::NotFound, format!("the room has no library {name}"))
    })?;
    let asset = library.asset();
    if let Some(wanted) = requirement.digest.filter(|wanted| *wanted != asset.component) {
        return Err(mismatch(name, &format!("it is {}, wanted is {wanted}", asset.component)));
    }
    match requirement.interfaces.difference(&asset.exports).next() {
        None => Ok(library),
        Some(missing) => Err(mismatch(name, &format!("it does not export `{missing}`"))),
    }
}

/// Whether a library that is about to be added finds all that it needs.
pub(crate) fn check_library(manifest: &Manifest, assets: &Assets) -> Result<(), Refusal> {
    close_over(manifest, assets, &mut vec![manifest.name.clone()], &mut BTreeMap::new())
}

fn mismatch(name: &AssetName, why: &str) -> Refusal {
    Refusal::new(ReasonCode::LibraryMismatch, format!("library {name}: {why}"))
}
