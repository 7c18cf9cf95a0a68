//! What a table was at each of its versions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use glovebox_contract::digest::Blake3Digest;
use serde::{Deserialize, Serialize};

use crate::error::ReadError;

/// All versions of a table, as its log says.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub(crate) commits: Vec<Commit>,
    /// Events whose files are gone, whatever the versions say.
    pub(crate) gone: BTreeSet<Blake3Digest>,
}

/// One version.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Its number, from 0.
    pub version: u64,
    /// When, in milliseconds since 1970-01-01T00:00:00Z; later than any version before.
    pub timestamp: i64,
    /// Digest of the statement that made it.
    pub event: Blake3Digest,
    /// What it did.
    pub change: Change,
    /// The protocol, when it is another than before.
    pub protocol: Option<Arc<Protocol>>,
    /// The metadata, when it is other than before.
    pub metadata: Option<Arc<Metadata>>,
    /// Files that came.
    pub added: Vec<Arc<DataFile>>,
    /// Files that went.
    pub removed: Vec<Arc<DataFile>>,
}

/// What a version did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Wrote rows in place of those before.
    Replace,
    /// Wrote rows beside those before.
    Append,
    /// Wrote rows, whose files were gone when the version was made again.
    Gone {
        /// Whether they were in place of those before.
        replace: bool,
    },
    /// Should have written rows that the table cannot have.
    Refused {
        /// Whether they were in place of those before.
        replace: bool,
        /// Why it cannot.
        why: String,
    },
    /// Took away what has expired or was deleted. No change of rows for readers of changes.
    Removal {
        /// The event that had written it.
        of: Blake3Digest,
    },
}

/// A file of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its name in the table's directory.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Figures about its columns, as the JSON text of an `add` action.
    pub stats: Option<String>,
    /// The event that wrote it.
    pub write: Blake3Digest,
    /// The version that added it.
    pub version: u64,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp: i64,
}

/// What a reader has to know to read a table, as Delta writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each field is Delta's of that name")]
pub struct Protocol {
    pub min_reader_version: i32,
    pub min_writer_version: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader_features: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer_features: Option<Vec<String>>,
}

/// A table's schema and settings, as Delta writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each field is Delta's of that name")]
pub struct Metadata {
    pub id: String,
    pub format: Format,
    pub schema_string: String,
    pub partition_columns: Vec<String>,
    pub configuration: BTreeMap<String, String>,
    pub created_time: Option<i64>,
}

/// How a table's files are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is Delta's of that name")]
pub struct Format {
    pub provider: String,
    pub options: BTreeMap<String, String>,
}

/// A table at one version.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The version.
    pub version: u64,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp: i64,
    /// Its protocol.
    pub protocol: Arc<Protocol>,
    /// Its schema and settings.
    pub metadata: Arc<Metadata>,
    /// Its files, oldest first.
    pub files: Vec<Arc<DataFile>>,
}

/// A version while the versions are gone through.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) protocol: Option<Arc<Protocol>>,
    pub(crate) metadata: Option<Arc<Metadata>>,
    pub(crate) files: Vec<Arc<DataFile>>,
    /// Writes that should be there and are not.
    lost: BTreeSet<Blake3Digest>,
    /// Writes that the table could not have, each with the reason.
    refused: BTreeMap<Blake3Digest, String>,
}

impl Walk {
    pub(crate) fn step(&mut self, commit: &Commit) {
        if commit.protocol.is_some() {
            self.protocol.clone_from(&commit.protocol);
        }
        if commit.metadata.is_some() {
            self.metadata.clone_from(&commit.metadata);
        }
        self.files.retain(|file| !commit.removed.iter().any(|gone| gone.name == file.name));
        self.files.extend(commit.added.iter().cloned());
        if commit.change.replaces() {
            self.lost.clear();
            self.refused.clear();
        }
        match &commit.change {
            Change::Gone { .. } => {
                self.lost.insert(commit.event);
            }
            Change::Refused { why, .. } => {
                self.refused.insert(commit.event, why.clone());
            }
            Change::Removal { of } => {
                self.lost.remove(of);
                self.refused.remove(of);
            }
            Change::Replace | Change::Append => {}
        }
    }
}

impl Change {
    fn replaces(&self) -> bool {
        matches!(
            self,
            Self::Replace | Self::Gone { replace: true } | Self::Refused { replace: true, .. }
        )
    }
}

impl History {
    /// The newest version; none when there is none.
    pub fn latest(&self) -> Option<u64> {
        self.commits.last().map(|commit| commit.version)
    }

    /// All versions, oldest first.
    pub fn commits(&self) -> &[Commit] {
        &self.commits
    }

    /// The newest version that was there at a time, in milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// When the table began later.
    pub fn version_at(&self, timestamp: i64) -> Result<u64, ReadError> {
        let behind = self.commits.partition_point(|commit| commit.timestamp <= timestamp);
        let found = behind.checked_sub(1).and_then(|index| self.commits.get(index));
        found.map(|commit| commit.version).ok_or(ReadError::TooEarly)
    }

    /// The oldest version that is no older than a time; none when all are.
    pub fn version_from(&self, timestamp: i64) -> Option<u64> {
        let index = self.commits.partition_point(|commit| commit.timestamp < timestamp);
        self.commits.get(index).map(|commit| commit.version)
    }

    /// Protocol and metadata of a version, whether or not its files are still there.
    ///
    /// # Errors
    /// When there is no such version.
    pub fn schema(&self, version: u64) -> Result<Snapshot, ReadError> {
        let mut schema = self.walk(version)?.0;
        schema.files.clear();
        Ok(schema)
    }

    /// The table at a version.
    ///
    /// # Errors
    /// When there is no such version, files of it are gone, or what a run made did not fit.
    pub fn snapshot(&self, version: u64) -> Result<Snapshot, ReadError> {
        let (snapshot, mut walk) = self.walk(version)?;
        if let Some((_, why)) = walk.refused.pop_first() {
            return Err(ReadError::Refused { version, why });
        }
        let gone = |file: &Arc<DataFile>| self.gone.contains(&file.write);
        if !walk.lost.is_empty() || snapshot.files.iter().any(gone) {
            return Err(ReadError::Gone { version });
        }
        Ok(snapshot)
    }

    /// The versions from `start` to `end`, both included, with all files that tell what changed.
    ///
    /// # Errors
    /// As [`History::snapshot`], and when `end` is before `start`.
    pub fn changes(&self, start: u64, end: u64) -> Result<&[Commit], ReadError> {
        if end < start {
            return Err(ReadError::Reversed { start, end });
        }
        let missing = |version| match self.latest() {
            Some(latest) => ReadError::NoVersion { version, latest },
            None => ReadError::Empty,
        };
        let find = |version| {
            let found = self.commits.binary_search_by_key(&version, |commit| commit.version);
            found.map_err(|_| missing(version))
        };
        let (first, last) = (find(start)?, find(end)?);
        let commits = self.commits.get(first..=last).ok_or_else(|| missing(end))?;
        // Of some tables not every version is kept.
        if let Some((gap, _)) = (start..).zip(commits).find(|(version, it)| it.version != *version)
        {
            return Err(missing(gap));
        }
        for commit in commits {
            let version = commit.version;
            match &commit.change {
                Change::Gone { .. } => return Err(ReadError::Gone { version }),
                Change::Refused { why, .. } => {
                    return Err(ReadError::Refused { version, why: why.clone() });
                }
                Change::Removal { .. } => {}
                Change::Replace | Change::Append => {
                    let mut files = commit.added.iter().chain(&commit.removed);
                    if files.any(|file| self.gone.contains(&file.write)) {
                        return Err(ReadError::Gone { version });
                    }
                }
            }
        }
        Ok(commits)
    }

    /// The file with this name, when it is there.
    pub fn file(&self, name: &str) -> Option<&Arc<DataFile>> {
        let write = crate::files::write_of(name)?;
        if self.gone.contains(&write) {
            return None;
        }
        let commit = self.commits.iter().find(|commit| commit.event == write)?;
        commit.added.iter().find(|file| file.name == name)
    }

    fn walk(&self, version: u64) -> Result<(Snapshot, Walk), ReadError> {
        let latest = self.latest().ok_or(ReadError::Empty)?;
        let missing = || ReadError::NoVersion { version, latest };
        let mut walk = Walk::default();
        let mut timestamp = None;
        for commit in self.commits.iter().take_while(|commit| commit.version <= version) {
            walk.step(commit);
            timestamp = (commit.version == version).then_some(commit.timestamp);
        }
        let (Some(timestamp), Some(protocol), Some(metadata)) =
            (timestamp, walk.protocol.clone(), walk.metadata.clone())
        else {
            return Err(missing());
        };
        let files = walk.files.clone();
        Ok((Snapshot { version, timestamp, protocol, metadata, files }, walk))
    }
}
