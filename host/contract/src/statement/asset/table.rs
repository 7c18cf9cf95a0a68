//! Tables and views.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::StatementError;
use crate::column::{Column, MAX_COLUMNS};
use crate::digest::Blake3Digest;
use crate::join_key::JoinKey;
use crate::name::{AssetName, Identifier, TableName};
use crate::text::{check_line, check_text};

/// A table: its name and columns, never where its files are or what its columns are called there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableAsset {
    /// Its columns, in order. Only these can be granted.
    pub columns: Vec<Column>,
    /// What it holds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How columns of join keys were made.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub join_keys: BTreeMap<String, JoinKey>,
    /// Its name; the part in front of the dot is the signer's alias.
    pub name: TableName,
    /// For a table that is what runs of a notebook let out, whose output it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<TableOutput>,
    /// For a view, the digest of its definition: SQL over tables of the same owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Blake3Digest>,
}

/// An output of a notebook of the room that is read as a table: the newest one that the table's
/// owner may read, when a run that reads it starts. So what one run lets out goes into the next, and
/// nobody reads through it what its owner may not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableOutput {
    /// The notebook.
    pub notebook: AssetName,
    /// Its output.
    pub output: Identifier,
}

impl fmt::Display for TableOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.notebook, self.output)
    }
}

impl TableAsset {
    pub(super) fn validate(&self) -> Result<(), StatementError> {
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
        if self.output.is_some() && self.view.is_some() {
            return Err(StatementError::new("output", "a view is no output of a notebook"));
        }
        match self.join_keys.keys().find(|column| !names.contains(column)) {
            None => Ok(()),
            Some(_) => Err(StatementError::new("join_keys", "one is of no column of the table")),
        }
    }

    /// The columns by name.
    pub fn columns_by_name(&self) -> BTreeMap<&str, &Column> {
        self.columns.iter().map(|column| (column.name.as_str(), column)).collect()
    }
}
