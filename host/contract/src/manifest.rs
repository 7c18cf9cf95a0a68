//! What a component says about itself, inside itself and so under its hash.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::column::{Column, ColumnType, MAX_COLUMNS};
use crate::digest::ContentDigest;
use crate::name::{AssetName, Identifier, TableName};
use crate::parameter::ParameterDeclaration;
use crate::text::{check_line, check_text};

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

/// Most inputs, outputs, parameters or libraries of a component, each.
pub const MAX_DECLARATIONS: usize = 256;

impl Manifest {
    /// Checks what the types cannot say: a notebook has an output, every table has columns with
    /// distinct names, parameter defaults keep their bounds, the version is three numbers, texts
    /// are short and printable, and there are not too many of anything.
    ///
    /// # Errors
    /// Which part does not make sense, and why.
    pub fn validate(&self) -> Result<(), ManifestError> {
        self.check_texts()?;
        self.check_counts()?;
        for (name, input) in &self.inputs {
            let what = format!("input `{name}`");
            self.check_text(&what, &input.description)?;
            self.check_columns(&what, input.columns.keys())?;
        }
        for (name, output) in &self.outputs {
            let what = format!("output `{name}`");
            self.check_text(&what, &output.description)?;
            self.check_columns(&what, output.columns.iter().map(|column| &column.name))?;
        }
        for (name, parameter) in &self.parameters {
            let what = format!("parameter `{name}`");
            let texts = [&parameter.default, &parameter.minimum, &parameter.maximum];
            let texts = texts.into_iter().flatten().chain(&parameter.choices);
            for text in texts.chain([&parameter.description]) {
                self.check_text(&what, text)?;
            }
            parameter.validate().or_else(|why| self.error(what, why.to_string()))?;
        }
        Ok(())
    }

    fn check_texts(&self) -> Result<(), ManifestError> {
        if !is_version(&self.version) {
            let what = format!("version `{}`", self.version.escape_debug());
            return self.error(what, "expected three numbers such as 1.0.0");
        }
        self.check_text("description", &self.description)?;
        check_line("language", &self.language)
            .or_else(|why| self.error("language", why.to_string()))?;
        if self.toolchain.is_empty() {
            return Ok(());
        }
        check_line("toolchain", &self.toolchain)
            .or_else(|why| self.error("toolchain", why.to_string()))
    }

    fn check_counts(&self) -> Result<(), ManifestError> {
        if self.kind == ComponentKind::Notebook && self.outputs.is_empty() {
            return self.error("outputs", "a notebook declares at least one output");
        }
        let counts = [
            ("inputs", self.inputs.len()),
            ("outputs", self.outputs.len()),
            ("parameters", self.parameters.len()),
            ("libraries", self.libraries.len()),
        ];
        match counts.into_iter().find(|(_, count)| *count > MAX_DECLARATIONS) {
            Some((what, _)) => self.error(what, format!("at most {MAX_DECLARATIONS} are allowed")),
            None => Ok(()),
        }
    }

    fn check_columns<'a>(
        &self,
        what: &str,
        columns: impl Iterator<Item = &'a String>,
    ) -> Result<(), ManifestError> {
        let mut names = BTreeSet::new();
        for name in columns {
            check_line("column name", name).or_else(|why| self.error(what, why.to_string()))?;
            if !names.insert(name) {
                return self.error(what, "two columns have the same name");
            }
        }
        match names.len() {
            0 => self.error(what, "it declares no column"),
            count if count > MAX_COLUMNS => {
                self.error(what, format!("it declares more than {MAX_COLUMNS} columns"))
            }
            _ => Ok(()),
        }
    }

    fn check_text(&self, what: &str, text: &str) -> Result<(), ManifestError> {
        check_text("text", text).or_else(|why| self.error(what, why.to_string()))
    }

    fn error<T>(
        &self,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Result<T, ManifestError> {
        Err(ManifestError { component: self.name.clone(), what: what.into(), why: why.into() })
    }
}

fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'))
        && core.split('.').count() == 3
        && core.split('.').all(|part| part.parse::<u32>().is_ok())
}
