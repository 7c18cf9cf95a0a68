//! Runs: asked for by a runner, started and ended by the host.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::StatementError;
use crate::digest::{Blake3Digest, ContentDigest};
use crate::name::{Alias, AssetName, Identifier, RunId, TableName};
use crate::parameter::ParameterValue;
use crate::text::check_text;

/// Asks for a run of one approved revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// The notebook.
    pub notebook: AssetName,
    /// Values the runner chose; defaults stand for the others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<Identifier, ParameterValue>,
    /// Digest of the revision to run, so that nothing else can run in its place.
    pub revision: Blake3Digest,
}

/// Takes a request for a run back, by the party that made it: the run does not start, or what it
/// makes is not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// The run, which waits or runs.
    pub run: RunId,
}

/// The host is about to hand data to the component. Logged before it does.
///
/// The run's logical time, the only clock the component sees, is the `issued_at` of this statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunStart {
    /// Digest of the query and VM engines' versions and settings.
    pub engine: Blake3Digest,
    /// Digest of what the run may touch, see [`crate::grants::Grants::digest`].
    pub grants_digest: Blake3Digest,
    /// Digest of the host's program.
    pub host_binary: Blake3Digest,
    /// The exact files of every input table.
    pub inputs: BTreeMap<TableName, Snapshot>,
    /// How the worker is confined.
    pub jail: JailMode,
    /// Digest of the envelope of the run-request.
    pub request: Blake3Digest,
    /// The rules by which parties approve that have signed no decision, by party. A party has one
    /// for each other party that wrote code in the revision.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<Alias, BTreeSet<AssetName>>,
    /// The run.
    pub run: RunId,
}

/// The content of a table at one time: the files it consists of, in reading order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Its files, without their names. For a view, those of all tables behind it.
    pub files: Vec<FileDigest>,
    /// What the digests are of.
    #[serde(default, skip_serializing_if = "Pin::is_content")]
    pub pin: Pin,
    /// For a view, how many of the files each table behind it has, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<u64>,
}

/// How a snapshot says which rows were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pin {
    /// By the content of each file: whoever has the file can compute its digest.
    #[default]
    Content,
    /// By versions, where rows are too many to be read whole or are in a database: a digest is of
    /// the record that says which version of an object or of a table was read. The same version has
    /// the same digest; what it held is the word of the host and of whoever keeps the versions.
    Version,
}

impl Pin {
    fn is_content(&self) -> bool {
        *self == Self::Content
    }
}

/// Length and digests of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    /// Length in bytes.
    pub bytes: u64,
    /// Its content.
    pub digest: ContentDigest,
}

/// How a worker is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JailMode {
    /// Namespaces, Landlock, seccomp and resource limits.
    Full,
    /// Resource limits only, because the operator said so.
    Off,
}

/// A party is reading an output, signed by that party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRead {
    /// The output table.
    pub output: Identifier,
    /// The run that wrote it.
    pub run: RunId,
}

impl RunRequest {
    pub(super) fn validate(&self) -> Result<(), StatementError> {
        self.parameters.values().try_for_each(|value| match value {
            ParameterValue::Utf8(text) => Ok(check_text("parameter", text)?),
            _ => Ok(()),
        })
    }
}
