//! What parties bring into a room, and take out of it.

mod library;
mod notebook;
mod table;
mod volume;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use library::LibraryAsset;
pub use notebook::{NotebookAsset, TableBinding};
pub use table::{TableAsset, TableOutput};
pub use volume::{MAX_VOLUME_FILES, VolumeAsset};

use super::StatementError;
use crate::library::HOST_PACKAGE;
use crate::manifest::Manifest;
use crate::name::{AssetName, RunId, TableName};
use crate::text::check_line;

/// Most interfaces that a component imports, and most that it exports.
const MAX_INTERFACES: usize = 64;

/// What a party brings into the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "asset")]
pub enum AssetStatement {
    /// A table or a view. Replaces the table of that name.
    Table(TableAsset),
    /// A notebook. A new version when the party has a notebook of that name.
    Notebook(Box<NotebookAsset>),
    /// A private library. Replaces the library of that name, which makes a new revision of every
    /// notebook that uses it.
    Library(Box<LibraryAsset>),
    /// A volume. Replaces the volume of that name.
    Volume(VolumeAsset),
}

/// Takes something out of the room. Nothing can be run from it afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "target")]
pub enum Delete {
    /// A table of the signer.
    Table {
        /// Its name.
        table: TableName,
    },
    /// A notebook of the signer, all versions and reviews of it.
    Notebook {
        /// Its name.
        notebook: AssetName,
    },
    /// A library of the signer.
    Library {
        /// Its name.
        library: AssetName,
    },
    /// A volume of the signer.
    Volume {
        /// Its name.
        volume: TableName,
    },
    /// The outputs of a run: by its runner at any time, by the host when they have expired.
    Outputs {
        /// The run.
        run: RunId,
    },
}

impl AssetStatement {
    pub(super) fn validate(&self) -> Result<(), StatementError> {
        match self {
            Self::Table(table) => table.validate(),
            Self::Notebook(notebook) => notebook.validate(),
            Self::Library(library) => library.validate(),
            Self::Volume(volume) => volume.validate(),
        }
    }

    /// One line for people: `adds the table airline.flights`.
    pub(super) fn summary(&self) -> String {
        match self {
            Self::Table(table) if table.view.is_some() => format!("adds the view {}", table.name),
            Self::Table(table) => match &table.output {
                None => format!("adds the table {}", table.name),
                Some(output) => format!("adds the table {} of the output {output}", table.name),
            },
            Self::Notebook(notebook) => {
                let Manifest { name, version, .. } = &notebook.manifest;
                format!("adds the notebook {name} {version}")
            }
            Self::Library(library) => {
                let Manifest { name, version, .. } = &library.manifest;
                format!("adds the library {name} {version}")
            }
            Self::Volume(volume) => format!("adds the volume {}", volume.name),
        }
    }
}

impl Delete {
    /// One line for people: `deletes the table airline.flights`.
    pub(super) fn summary(&self) -> String {
        match self {
            Self::Table { table } => format!("deletes the table {table}"),
            Self::Notebook { notebook } => format!("deletes the notebook {notebook}"),
            Self::Library { library } => format!("deletes the library {library}"),
            Self::Volume { volume } => format!("deletes the volume {volume}"),
            Self::Outputs { run } => format!("deletes the outputs of run {run}"),
        }
    }
}

/// Every import is the host's, or of exactly the libraries that the manifest names.
fn check_interfaces(
    interfaces: &BTreeSet<String>,
    manifest: &Manifest,
) -> Result<(), StatementError> {
    check_names("interfaces", interfaces)?;
    let of_libraries: BTreeSet<&String> =
        manifest.libraries.values().flat_map(|library| &library.interfaces).collect();
    let imported: BTreeSet<&String> =
        interfaces.iter().filter(|name| !name.starts_with(HOST_PACKAGE)).collect();
    match imported.symmetric_difference(&of_libraries).next() {
        None => Ok(()),
        Some(name) if imported.contains(name) => Err(StatementError::new(
            "interfaces",
            format!("`{name}` is imported, but no library is named that offers it"),
        )),
        Some(name) => Err(StatementError::new(
            "interfaces",
            format!("`{name}` of a library is named in the manifest, but not imported"),
        )),
    }
}

fn check_names(what: &str, names: &BTreeSet<String>) -> Result<(), StatementError> {
    if names.len() > MAX_INTERFACES {
        return Err(StatementError::new(what, format!("at most {MAX_INTERFACES} are allowed")));
    }
    names.iter().try_for_each(|name| check_line("interface", name))?;
    Ok(())
}

/// Checks a manifest that stands in a statement.
fn check_manifest(manifest: &Manifest) -> Result<(), StatementError> {
    manifest.validate().map_err(|error| StatementError::new("manifest", error.to_string()))
}

/// The entries of a map whose keys are column names.
fn check_column_names<T>(columns: &BTreeMap<String, T>) -> Result<(), StatementError> {
    columns.keys().try_for_each(|name| check_line("column name", name))?;
    Ok(())
}
