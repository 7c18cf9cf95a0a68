//! What one run may touch. Made only from an approved revision.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::canonical::{self, CanonicalError};
use crate::column::Column;
use crate::digest::{Blake3Digest, ContentDigest};
use crate::library::{FunctionDeclaration, LibraryRequirement};
use crate::limits::Limits;
use crate::manifest::OutputDeclaration;
use crate::name::{AssetName, Identifier, RoomId, RunId, TableName};
use crate::parameter::ParameterValue;
use crate::statement::FileDigest;

/// The capabilities of one run.
///
/// There is no public constructor: `state::ApprovedNotebook::grants` makes grants, and
/// the worker reads them from the job that its own host sends, which is why they deserialise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    pub(crate) component: ContentDigest,
    pub(crate) interfaces: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) libraries: BTreeMap<AssetName, GrantedLibrary>,
    pub(crate) limits: Limits,
    pub(crate) notebook: String,
    pub(crate) outputs: BTreeMap<Identifier, OutputDeclaration>,
    pub(crate) parameters: BTreeMap<Identifier, ParameterValue>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) requirements: BTreeMap<AssetName, LibraryRequirement>,
    pub(crate) revision: Blake3Digest,
    pub(crate) room: RoomId,
    pub(crate) run: RunId,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) sources: BTreeMap<TableName, TableSource>,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub(crate) started_at: i64,
    pub(crate) tables: BTreeMap<TableName, Vec<Column>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) volumes: BTreeMap<TableName, BTreeMap<String, FileDigest>>,
}

/// The table of the room behind an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSource {
    /// The table's name of each column that the notebook calls otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub renamed: BTreeMap<String, String>,
    /// The table.
    pub table: TableName,
}

/// A library that a run may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedLibrary {
    /// The component.
    pub component: ContentDigest,
    /// The functions that SQL may call if the notebook itself names the library.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub functions: BTreeMap<Identifier, FunctionDeclaration>,
    /// The interfaces that it imports.
    pub interfaces: BTreeSet<String>,
    /// Whether its words are kept from the notebook's author: it hides its source and belongs to
    /// another party.
    pub private: bool,
    /// What it needs of other libraries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requirements: BTreeMap<AssetName, LibraryRequirement>,
}

impl Grants {
    /// Digest of the canonical form, which the run-start carries.
    ///
    /// # Errors
    /// When a number does not fit 53 bits.
    pub fn digest(&self) -> Result<Blake3Digest, CanonicalError> {
        canonical::digest(self)
    }

    /// The approved component.
    pub fn component(&self) -> &ContentDigest {
        &self.component
    }

    /// Interfaces that may be linked, for example `glovebox:guest/tables@0.1.0`.
    pub fn interfaces(&self) -> &BTreeSet<String> {
        &self.interfaces
    }

    /// All libraries, those of libraries included, by their names in the room.
    pub fn libraries(&self) -> &BTreeMap<AssetName, GrantedLibrary> {
        &self.libraries
    }

    /// The libraries that meet `requirements`, and those that they need, each with its content.
    pub fn libraries_for(
        &self,
        requirements: &BTreeMap<AssetName, LibraryRequirement>,
    ) -> BTreeMap<AssetName, ContentDigest> {
        let mut closure = BTreeMap::new();
        let mut open: Vec<&AssetName> = requirements.keys().collect();
        while let Some(name) = open.pop() {
            if let Some(library) = self.libraries.get(name)
                && closure.insert(name.clone(), library.component).is_none()
            {
                open.extend(library.requirements.keys());
            }
        }
        closure
    }

    /// What the notebook itself needs of which library.
    pub fn requirements(&self) -> &BTreeMap<AssetName, LibraryRequirement> {
        &self.requirements
    }

    /// The tables of the room behind [`Self::tables`], by the notebook's names.
    pub fn sources(&self) -> &BTreeMap<TableName, TableSource> {
        &self.sources
    }

    /// The volumes it may read, each with its files by their paths.
    pub fn volumes(&self) -> &BTreeMap<TableName, BTreeMap<String, FileDigest>> {
        &self.volumes
    }

    /// Limits of the run.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Name of the notebook.
    pub fn notebook(&self) -> &str {
        &self.notebook
    }

    /// Outputs it may write. Caps are resolved: `max_rows` and `max_bytes` are always present.
    pub fn outputs(&self) -> &BTreeMap<Identifier, OutputDeclaration> {
        &self.outputs
    }

    /// Values of all declared parameters, defaults included.
    pub fn parameters(&self) -> &BTreeMap<Identifier, ParameterValue> {
        &self.parameters
    }

    /// Digest of the approved revision.
    pub fn revision(&self) -> &Blake3Digest {
        &self.revision
    }

    /// The room.
    pub fn room(&self) -> &RoomId {
        &self.room
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The run's logical time in microseconds since 1970-01-01T00:00:00Z.
    pub fn started_at(&self) -> i64 {
        self.started_at
    }

    /// Tables it may read by the notebook's names, each with the columns it may see, with the
    /// notebook's names and the table's types.
    pub fn tables(&self) -> &BTreeMap<TableName, Vec<Column>> {
        &self.tables
    }
}
