//! What a component says about itself, inside itself and so under its hash.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::column::{Column, ColumnType};
use crate::digest::ContentDigest;
use crate::name::{AssetName, Identifier, TableName};
use crate::parameter::ParameterDeclaration;

/// Name of the custom section that holds the manifest as canonical JSON.
pub const MANIFEST_SECTION: &str = "glovebox:manifest";

/// Name of the custom section that holds the source as canonical JSON: a map from path to text.
pub const SOURCE_SECTION: &str = "glovebox:source";

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComponentKind {
    /// Reads tables and writes outputs.
    Notebook,
    /// Works on what its caller passes in.
    Library,
}

/// The manifest of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What it does, for the people who review it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Tables it reads. A notebook sees these columns of these tables and no others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<TableName, InputDeclaration>,
    /// Notebook or library.
    pub kind: ComponentKind,
    /// What the source is written in: `sql`, `rust`, …
    pub language: String,
    /// Private libraries it needs, by digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub libraries: BTreeMap<AssetName, ContentDigest>,
    /// Its name.
    pub name: AssetName,
    /// Tables it writes, the only way out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<Identifier, OutputDeclaration>,
    /// Values the runner may choose.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<Identifier, ParameterDeclaration>,
    /// Compiler that made it, so that anyone can build it again; empty for SQL.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub toolchain: String,
    /// Version, as in <https://semver.org>.
    pub version: String,
}

/// An input table that a notebook declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputDeclaration {
    /// Columns by name, with the type the notebook expects.
    pub columns: BTreeMap<String, ColumnType>,
    /// What the table holds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// An output table that a notebook declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputDeclaration {
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// What the table holds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Most bytes of its file; the room's limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Most rows; the room's limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u64>,
}

/// Why a manifest does not make sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("manifest of `{component}`: {what}: {why}")]
pub struct ManifestError {
    component: AssetName,
    what: String,
    why: String,
}

impl Manifest {
    /// Checks what the types cannot say: a notebook has an output, every table has columns with
    /// distinct names, parameter defaults keep their bounds, the version is three numbers.
    pub fn validate(&self) -> Result<(), ManifestError> {
        let error = |what: String, why: &str| {
            Err(ManifestError { component: self.name.clone(), what, why: why.into() })
        };
        if !is_version(&self.version) {
            return error(
                format!("version `{}`", self.version.escape_debug()),
                "expected three numbers such as 1.0.0",
            );
        }
        if self.kind == ComponentKind::Notebook && self.outputs.is_empty() {
            return error("outputs".into(), "a notebook declares at least one output");
        }
        for (name, input) in &self.inputs {
            if input.columns.is_empty() {
                return error(format!("input `{name}`"), "it declares no column");
            }
        }
        for (name, output) in &self.outputs {
            if output.columns.is_empty() {
                return error(format!("output `{name}`"), "it declares no column");
            }
            let mut names: Vec<_> = output.columns.iter().map(|column| &column.name).collect();
            names.sort();
            if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
                return error(format!("output `{name}`"), "two columns have the same name");
            }
        }
        for (name, parameter) in &self.parameters {
            if let Err(why) = parameter.validate() {
                return error(format!("parameter `{name}`"), &why.to_string());
            }
        }
        Ok(())
    }
}

fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'))
        && core.split('.').count() == 3
        && core.split('.').all(|part| part.parse::<u32>().is_ok())
}
