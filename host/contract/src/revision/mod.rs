//! What an approval covers.
//!
//! A revision is everything that decides what a notebook can do: the component, its libraries and
//! theirs, its manifest, the very columns it reads with their types, the files of its volumes, who
//! may run it, the limits and the rules for its outputs. Its digest is computed from the state of
//! the room, never taken from a party, so a change in any part (an owner who adds a table again
//! with other types, a library with one other byte) is another revision, which nobody has approved
//! yet.

mod bind;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::column::Column;
use crate::digest::{Blake3Digest, ContentDigest};
use crate::join_key::JoinKey;
use crate::limits::Limits;
use crate::name::{Alias, AssetName, RoomId, TableName};
use crate::statement::{OutputSettings, TableOutput};

pub(crate) use bind::check_library;

/// Everything that an approval covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// The party that added the notebook.
    pub author: Alias,
    /// The component.
    pub component: ContentDigest,
    /// Whether the component hides its source.
    pub hidden: bool,
    /// The tables it reads, in order of the names that the notebook has for them.
    pub inputs: Vec<RevisionInput>,
    /// The interfaces it imports.
    pub interfaces: BTreeSet<String>,
    /// Its libraries, and theirs.
    pub libraries: BTreeMap<AssetName, RevisionLibrary>,
    /// The room's limits.
    pub limits: Limits,
    /// Digest of the manifest's canonical form.
    pub manifest: Blake3Digest,
    /// The notebook.
    pub notebook: AssetName,
    /// The room's rules for outputs.
    pub outputs: OutputSettings,
    /// The room.
    pub room: RoomId,
    /// Who may run it.
    pub runners: BTreeSet<Alias>,
    /// Its volumes, each with the digest of its files.
    pub volumes: BTreeMap<TableName, Blake3Digest>,
}

/// A table that a revision reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisionInput {
    /// The columns it sees, in the table's order, with the table's types and the notebook's names.
    pub columns: Vec<Column>,
    /// How the table's owner made those of them that are join keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub join_keys: BTreeMap<String, JoinKey>,
    /// What the notebook calls it.
    pub name: TableName,
    /// The notebook's output that the table is, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<TableOutput>,
    /// The party that owns the table.
    pub owner: Alias,
    /// The table's name of each column that the notebook calls otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub renamed: BTreeMap<String, String>,
    /// The table.
    pub table: TableName,
    /// For a view, the digest of its definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Blake3Digest>,
}

/// A library that a revision uses, directly or through another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisionLibrary {
    /// The component.
    pub component: ContentDigest,
    /// Digest of the manifest's canonical form.
    pub manifest: Blake3Digest,
    /// The party that added it.
    pub owner: Alias,
}

/// A revision and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundRevision {
    revision: Revision,
    digest: Blake3Digest,
}

impl BoundRevision {
    /// What the digest is of. Its canonical JSON, hashed with BLAKE3, gives the digest.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// What an approval names.
    pub fn digest(&self) -> &Blake3Digest {
        &self.digest
    }
}
