//! Notebooks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{StatementError, check_column_names, check_interfaces, check_manifest};
use crate::digest::ContentDigest;
use crate::manifest::{ComponentKind, Manifest};
use crate::name::{Alias, TableName};
use crate::text::check_line;

/// A version of a notebook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotebookAsset {
    /// Which table of the room each input is, where the names differ; an input that is not here is
    /// the table of its own name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bindings: BTreeMap<TableName, TableBinding>,
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

/// The table of the room that an input of a notebook stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableBinding {
    /// The table's name of each column that the notebook calls otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// The table.
    pub table: TableName,
}

impl NotebookAsset {
    pub(super) fn validate(&self) -> Result<(), StatementError> {
        if self.manifest.kind != ComponentKind::Notebook {
            return Err(StatementError::new("manifest", "the component is not a notebook"));
        }
        check_manifest(&self.manifest)?;
        check_interfaces(&self.interfaces, &self.manifest)?;
        if self.runners.is_empty() {
            return Err(StatementError::new("runners", "a notebook names at least one"));
        }
        self.bindings.iter().try_for_each(|(name, binding)| self.check_binding(name, binding))
    }

    fn check_binding(
        &self,
        name: &TableName,
        binding: &TableBinding,
    ) -> Result<(), StatementError> {
        let error = |why: String| Err(StatementError::new(format!("binding of {name}"), why));
        let Some(input) = self.manifest.inputs.get(name) else {
            return error("the notebook has no such input".into());
        };
        check_column_names(&binding.columns)?;
        binding.columns.values().try_for_each(|column| check_line("column name", column))?;
        match binding.columns.keys().find(|column| !input.columns.contains_key(*column)) {
            None => Ok(()),
            Some(column) => error(format!("the input has no column `{}`", column.escape_debug())),
        }
    }
}
