//! What a component says about itself, inside itself and so under its hash.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::column::{Column, ColumnType, MAX_COLUMNS};
use crate::library::{FunctionDeclaration, LibraryRequirement};
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
    /// Functions that a library offers to SQL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub functions: BTreeMap<Identifier, FunctionDeclaration>,
    /// Tables it reads. A notebook sees these columns of these tables and no others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<TableName, InputDeclaration>,
    /// Notebook or library.
    pub kind: ComponentKind,
    /// What the source is written in: `sql`, `rust`, …
    pub language: String,
    /// Private libraries it needs, by their names in the room.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub libraries: BTreeMap<AssetName, LibraryRequirement>,
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
    /// Volumes it reads: files whose digests the revision pins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<TableName, VolumeDeclaration>,
}

/// A volume that a notebook declares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeDeclaration {
    /// What it holds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
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
    /// What a run does to the rows that earlier runs left.
    #[serde(default, skip_serializing_if = "OutputMode::is_default")]
    pub mode: OutputMode,
}

/// What a run does to the table that collects an output over its runner's runs. The file of one
/// run has the rows of that run alone, whatever the mode; the mode says what becomes of the rows of
/// the runs before it where outputs are delivered as a table with versions.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum OutputMode {
    /// The rows of this run take the place of those before.
    #[default]
    Replace,
    /// The rows of this run are added to those before.
    Append,
}

impl OutputMode {
    /// The word in manifests and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Append => "append",
        }
    }

    /// Whether a declaration need not say it.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for OutputMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a manifest does not make sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("manifest of `{component}`: {what}: {why}")]
pub struct ManifestError {
    component: AssetName,
    what: String,
    why: String,
}

/// Most inputs, outputs, parameters, libraries, functions or volumes of a component, each.
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
        self.check_kind()?;
        self.check_counts()?;
        self.check_libraries()?;
        for (name, volume) in &self.volumes {
            self.check_text(&format!("volume `{name}`"), &volume.description)?;
        }
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

    /// A notebook writes something; a library reaches nothing by itself.
    fn check_kind(&self) -> Result<(), ManifestError> {
        match self.kind {
            ComponentKind::Notebook if self.outputs.is_empty() => {
                self.error("outputs", "a notebook declares at least one output")
            }
            ComponentKind::Notebook if !self.functions.is_empty() => {
                self.error("functions", "only a library offers functions")
            }
            ComponentKind::Library
                if !(self.inputs.is_empty()
                    && self.outputs.is_empty()
                    && self.parameters.is_empty()
                    && self.volumes.is_empty()) =>
            {
                self.error("kind", "a library has no inputs, outputs, parameters or volumes")
            }
            ComponentKind::Library
                if !self.functions.is_empty()
                    && self.name.as_str().parse::<Identifier>().is_err() =>
            {
                self.error("name", "SQL calls the functions by it: use a-z, 0-9 and `_`")
            }
            _ => Ok(()),
        }
    }

    fn check_libraries(&self) -> Result<(), ManifestError> {
        for (name, requirement) in &self.libraries {
            let what = || format!("library `{name}`");
            requirement.validate().or_else(|why| self.error(what(), why.to_string()))?;
            if *name == self.name {
                return self.error(what(), "a component does not need itself");
            }
        }
        for (name, function) in &self.functions {
            function
                .validate()
                .or_else(|why| self.error(format!("function `{name}`"), why.to_string()))?;
        }
        let mut interfaces = BTreeSet::new();
        let required = self.libraries.values().flat_map(|library| &library.interfaces);
        for interface in required {
            if !interfaces.insert(interface) {
                return self.error("libraries", format!("two libraries offer `{interface}`"));
            }
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), ManifestError> {
        let counts = [
            ("functions", self.functions.len()),
            ("inputs", self.inputs.len()),
            ("outputs", self.outputs.len()),
            ("parameters", self.parameters.len()),
            ("libraries", self.libraries.len()),
            ("volumes", self.volumes.len()),
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
