//! Tables and notebooks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::StatementError;
use crate::column::{Column, MAX_COLUMNS};
use crate::digest::ContentDigest;
use crate::manifest::{ComponentKind, Manifest};
use crate::name::{Alias, AssetName, RunId, TableName};
use crate::text::{check_line, check_text};

/// Most interfaces that a component imports.
const MAX_INTERFACES: usize = 64;

/// What a party brings into the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "asset")]
pub enum AssetStatement {
    /// A table. Replaces the table of that name.
    Table(TableAsset),
    /// A notebook. A new version when the party has a notebook of that name.
    Notebook(Box<NotebookAsset>),
}

/// A table: its name and columns, never where its files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableAsset {
    /// Its columns, in order. Only these can be granted.
    pub columns: Vec<Column>,
    /// What it holds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its name; the part in front of the dot is the signer's alias.
    pub name: TableName,
}

/// A version of a notebook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotebookAsset {
    /// The component's content.
    pub component: ContentDigest,
    /// The component's length.
    pub component_bytes: u64,
    /// When earlier versions stop, in seconds since 1970-01-01T00:00:00Z. Takes effect once this
    /// version is approved. When absent, earlier approved versions stay runnable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutover: Option<u64>,
    /// Whether the component hides its source.
    pub hidden: bool,
    /// The interfaces that the component imports, for example `glovebox:guest/tables@0.1.0`.
    pub interfaces: BTreeSet<String>,
    /// What the component says about itself. The notebook's name in the room is the one in here.
    pub manifest: Manifest,
    /// Who may run it.
    pub runners: BTreeSet<Alias>,
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
        }
    }
}

impl TableAsset {
    fn validate(&self) -> Result<(), StatementError> {
        check_text("description", &self.description)?;
        if self.columns.is_empty() || self.columns.len() > MAX_COLUMNS {
            return Err(StatementError::new("columns", format!("a table has 1 to {MAX_COLUMNS}")));
        }
        let mut names = BTreeSet::new();
        for column in &self.columns {
            check_line("column name", &column.name)?;
            if !names.insert(&column.name) {
                return Err(StatementError::new("columns", "two have the same name"));
            }
        }
        Ok(())
    }

    /// The columns by name.
    pub fn columns_by_name(&self) -> BTreeMap<&str, &Column> {
        self.columns.iter().map(|column| (column.name.as_str(), column)).collect()
    }
}

impl NotebookAsset {
    fn validate(&self) -> Result<(), StatementError> {
        if self.manifest.kind != ComponentKind::Notebook {
            return Err(StatementError::new("manifest", "the component is not a notebook"));
        }
        self.manifest
            .validate()
            .map_err(|error| StatementError::new("manifest", error.to_string()))?;
        if self.runners.is_empty() {
            return Err(StatementError::new("runners", "a notebook names at least one"));
        }
        if self.interfaces.len() > MAX_INTERFACES {
            return Err(StatementError::new(
                "interfaces",
                format!("at most {MAX_INTERFACES} are allowed"),
            ));
        }
        self.interfaces.iter().try_for_each(|interface| check_line("interface", interface))?;
        Ok(())
    }
}
