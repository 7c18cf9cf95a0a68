//! Tables that are made anew for each version, of which the newest versions are kept.
//!
//! Their versions have numbers with gaps, since nobody asked for those between, and no log on
//! the disk: whoever derives such a table derives it again.

use std::path::Path;
use std::sync::Arc;

use glovebox_contract::column::Column;
use glovebox_contract::digest::Blake3Digest;

use crate::commit::{self, Placed, Rows};
use crate::error::{Context as _, DeltaError};
use crate::event::{Event, Mode, Write};
use crate::files;
use crate::history::{Commit, History, Walk};
use crate::stats;

/// So many versions are kept, for readers that have begun.
const KEPT: usize = 8;

/// A version of such a table.
#[derive(Debug, Clone)]
pub struct Present {
    /// Digest of what the table is, which never changes.
    pub table: Blake3Digest,
    /// When it began, in seconds since 1970-01-01T00:00:00Z, which never changes.
    pub created_at: u64,
    /// Its number, greater than those before.
    pub version: u64,
    /// Digest of the statement that made it.
    pub id: Blake3Digest,
    /// When, in seconds since 1970-01-01T00:00:00Z.
    pub committed_at: u64,
    /// The columns.
    pub columns: Vec<Column>,
}

impl History {
    /// The history with another version, whose rows are in the Parquet file `source`. It gets a
    /// place in `directory`, which holds nothing but this table; files of versions that are not
    /// kept are removed.
    ///
    /// Blocks on files.
    ///
    /// # Errors
    /// When the file cannot be put there.
    pub fn with_present(
        &self,
        directory: &Path,
        version: &Present,
        source: &Path,
    ) -> Result<Self, DeltaError> {
        let placing = || "put rows into a table".to_owned();
        let name = files::name_of(&version.id, 0);
        let file = files::place(source, directory, &name, true).trying(placing)?;
        let file = file.ok_or_else(|| DeltaError::new(placing(), "there is no such file"))?;
        let bytes = file.metadata().trying(placing)?.len();
        let placed = Placed { name, bytes, stats: stats::of_file(&file) };
        let history = self.and(version, placed);
        files::sweep(directory, |name| history.file(name).is_some())
            .trying(|| "remove files from a table".into())?;
        Ok(history)
    }

    fn and(&self, version: &Present, placed: Placed) -> Self {
        let mut walk = Walk::default();
        self.commits.iter().for_each(|commit| walk.step(commit));
        let earliest = self.commits.last().map_or(0, |before| before.timestamp.saturating_add(1));
        let claimed = version.committed_at.saturating_mul(1000);
        let timestamp = i64::try_from(claimed).unwrap_or(i64::MAX).max(earliest);
        let event = Event::Write(Write {
            id: version.id,
            columns: version.columns.clone(),
            files: Vec::new(),
            link: true,
            mode: Mode::Replace,
            committed_at: version.committed_at,
        });
        let rows = Rows::Here(vec![placed]);
        let mut commit = commit::next(&walk, version.version, timestamp, &event, rows);
        if let Some(metadata) = commit.metadata.as_mut().map(Arc::make_mut) {
            metadata.id = commit::table_id(&version.table);
            metadata.created_time = i64::try_from(version.created_at.saturating_mul(1000)).ok();
            // Who reads it reads a version, not what changed.
            metadata.configuration.clear();
        }
        let mut commits: Vec<Commit> = self.commits.clone();
        commits.push(commit);
        Self { commits: newest(commits), gone: self.gone.clone() }
    }
}

/// The newest versions, of which the first says all that those before it said.
fn newest(mut commits: Vec<Commit>) -> Vec<Commit> {
    let dropped = commits.len().saturating_sub(KEPT);
    let mut walk = Walk::default();
    for commit in commits.drain(..dropped) {
        walk.step(&commit);
    }
    if let Some(first) = commits.first_mut().filter(|_| dropped > 0) {
        first.protocol = first.protocol.take().or(walk.protocol);
        first.metadata = first.metadata.take().or(walk.metadata);
        first.removed.clear();
    }
    commits
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::error::ReadError;

    fn version(number: u64) -> Present {
        Present {
            table: Blake3Digest::of(b"events"),
            created_at: 1000,
            version: number,
            id: Blake3Digest::of(&number.to_be_bytes()),
            committed_at: 1000 + number,
            columns: vec![Column {
                name: "a".into(),
                nullable: true,
                column_type: "int64".parse().unwrap(),
            }],
        }
    }

    fn names(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn the_newest_versions_are_kept_with_all_that_a_reader_needs() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source");
        let table = directory.path().join("table");
        fs::create_dir(&table).unwrap();
        let mut history = History::default();
        for number in [3, 4, 9] {
            fs::write(&source, format!("rows {number}")).unwrap();
            history = history.with_present(&table, &version(number), &source).unwrap();
            fs::remove_file(&source).unwrap();
        }
        let id = history.snapshot(3).unwrap().metadata.id.clone();
        assert_eq!(history.snapshot(9).unwrap().files.len(), 1);
        assert_eq!(history.snapshot(3).unwrap().files.len(), 1);
        assert_eq!(history.snapshot(5), Err(ReadError::NoVersion { version: 5, latest: 9 }));
        assert_eq!(history.changes(4, 9), Err(ReadError::NoVersion { version: 5, latest: 9 }));
        assert_eq!(history.changes(3, 4).unwrap().len(), 2);
        assert_eq!(names(&table), 3);

        for number in 10..30 {
            fs::write(&source, format!("rows {number}")).unwrap();
            history = history.with_present(&table, &version(number), &source).unwrap();
            fs::remove_file(&source).unwrap();
        }
        assert_eq!(history.latest(), Some(29));
        assert_eq!(names(&table), KEPT);
        let kept: Vec<u64> = history.commits().iter().map(|commit| commit.version).collect();
        assert_eq!(kept, (22..30).collect::<Vec<_>>());
        for kept in 22..30 {
            let snapshot = history.snapshot(kept).unwrap();
            assert_eq!(snapshot.metadata.id, id, "it stays one table");
            let [file] = snapshot.files.as_slice() else { panic!() };
            assert_eq!(fs::read_to_string(table.join(&file.name)).unwrap(), format!("rows {kept}"));
        }
        assert_eq!(history.snapshot(21), Err(ReadError::NoVersion { version: 21, latest: 29 }));
    }

    #[test]
    fn a_table_that_is_derived_again_is_the_same() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let made = |directory: &Path, versions: &[u64]| {
            let source = directory.join("source");
            let table = directory.join("table");
            fs::create_dir(&table).unwrap();
            versions.iter().fold(History::default(), |history, number| {
                fs::write(&source, format!("rows {number}")).unwrap();
                let history = history.with_present(&table, &version(*number), &source).unwrap();
                fs::remove_file(&source).unwrap();
                history
            })
        };
        let (one, other) = (made(one.path(), &[1, 2, 7]), made(other.path(), &[7]));
        let (one, other) = (one.snapshot(7).unwrap(), other.snapshot(7).unwrap());
        assert_eq!(one, other);
    }
}
