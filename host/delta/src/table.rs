//! Bringing the directory of a table up to date with its events.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use deltalake_core::logstore::{CommitOrBytes, LogStoreRef, StorageConfig, logstore_for};
use glovebox_contract::digest::Blake3Digest;
use url::Url;

use crate::commit::{self, Placed, Rows};
use crate::error::{Context as _, DeltaError};
use crate::event::{Event, Write, versions};
use crate::files;
use crate::history::{Commit, History, Walk};
use crate::stats;

/// Brings the table in `directory` up to date: commits the versions that it lacks and removes the
/// files that no version may show any more. `events` are all events of the table, in the order of
/// the log that tells them. Doing it again changes nothing.
///
/// What is in the directory and does not follow from the events is made anew, so a directory that
/// was damaged or deleted comes back with the same versions.
///
/// One call at a time for a table. Blocks on files: call it where blocking is fine, inside a
/// tokio runtime.
///
/// # Errors
/// When a file or the log cannot be written. The versions that are there are whole.
pub async fn sync(directory: &Path, events: &[Event]) -> Result<History, DeltaError> {
    let wanted = versions(events);
    if wanted.is_empty() {
        files::remove(directory).trying(|| "remove a table without versions".into())?;
        return Ok(History::default());
    }
    let gone = gone(events);
    let mut table = Table::open(directory)?;
    if !table.read(&wanted).await? {
        files::remove(directory).trying(|| "remove a table that does not fit".into())?;
        table = Table::open(directory)?;
    }
    for event in wanted.into_iter().skip(table.commits.len()) {
        table.commit(event, &gone).await?;
    }
    table.sweep(&gone)?;
    Ok(History { commits: table.commits, gone })
}

/// The writes whose files are to go.
fn gone(events: &[Event]) -> BTreeSet<Blake3Digest> {
    let removals = events.iter().filter_map(|event| match event {
        Event::Removal(removal) => Some(removal.of),
        Event::Write(_) => None,
    });
    removals.collect()
}

struct Table {
    directory: PathBuf,
    log: LogStoreRef,
    commits: Vec<Commit>,
    walk: Walk,
}

impl Table {
    fn open(directory: &Path) -> Result<Self, DeltaError> {
        let opening = || "open the directory of a table".to_owned();
        fs::create_dir_all(directory.join(files::LOG)).trying(opening)?;
        let directory = directory.canonicalize().trying(opening)?;
        let url = Url::from_directory_path(&directory)
            .map_err(|()| DeltaError::new(opening(), "its path has no URL"))?;
        let log = logstore_for(&url, StorageConfig::default()).trying(opening)?;
        Ok(Self { directory, log, commits: Vec::new(), walk: Walk::default() })
    }

    /// Reads the versions that are there. False when they are not the first of the wanted ones.
    async fn read(&mut self, wanted: &[&Event]) -> Result<bool, DeltaError> {
        loop {
            let version = self.next_version();
            let entry = self.log.read_commit_entry(version).await;
            let Some(bytes) = entry.trying(|| "read the log of a table".into())? else {
                // A gap would be in the way of the versions to come.
                return Ok(self.entries()? == self.commits.len());
            };
            let expected = wanted.get(self.commits.len());
            let found = commit::decode(&self.walk, version, &bytes).ok().flatten();
            match (found, expected) {
                (Some(commit), Some(event)) if commit.event == *event.id() => self.take(commit),
                _ => return Ok(false),
            }
        }
    }

    /// How many entries the log has.
    fn entries(&self) -> Result<usize, DeltaError> {
        let listing = || "list the log of a table".to_owned();
        let mut count = 0_usize;
        for entry in fs::read_dir(self.directory.join(files::LOG)).trying(listing)? {
            let name = entry.trying(listing)?.file_name();
            let is_entry = Path::new(&name).extension().is_some_and(|end| end == "json");
            count = count.saturating_add(usize::from(is_entry));
        }
        Ok(count)
    }

    fn next_version(&self) -> u64 {
        self.commits.last().map_or(0, |commit| commit.version.saturating_add(1))
    }

    fn take(&mut self, commit: Commit) {
        self.walk.step(&commit);
        self.commits.push(commit);
    }

    async fn commit(
        &mut self,
        event: &Event,
        gone: &BTreeSet<Blake3Digest>,
    ) -> Result<(), DeltaError> {
        let version = self.next_version();
        let claimed = i64::try_from(event.committed_at().saturating_mul(1000)).unwrap_or(i64::MAX);
        let earliest = self.commits.last().map_or(0, |before| before.timestamp.saturating_add(1));
        let timestamp = claimed.max(earliest);
        let rows = match event {
            Event::Write(write) if !gone.contains(&write.id) => self.place(write)?,
            _ => Rows::Gone,
        };
        let commit = commit::next(&self.walk, version, timestamp, event, rows);
        let bytes = commit::encode(&commit)?;
        self.write(version, timestamp, bytes).await?;
        self.take(commit);
        Ok(())
    }

    /// Puts the files of a write into the table, all or none.
    fn place(&self, write: &Write) -> Result<Rows, DeltaError> {
        let placing = || "put a published file into a table".to_owned();
        let mut placed = Vec::new();
        for (index, source) in write.files.iter().enumerate() {
            let name = files::name_of(&write.id, index);
            let file = files::place(source, &self.directory, &name, write.link).trying(placing)?;
            let Some(file) = file else { return Ok(Rows::Gone) };
            let bytes = file.metadata().trying(placing)?.len();
            placed.push(Placed { name, bytes, stats: stats::of_file(&file) });
        }
        if placed.is_empty() {
            return Ok(Rows::Gone);
        }
        sync_directory(&self.directory).trying(placing)?;
        Ok(Rows::Here(placed))
    }

    async fn write(&self, version: u64, timestamp: i64, bytes: Bytes) -> Result<(), DeltaError> {
        let committing = || format!("commit version {version} of a table");
        let entry = CommitOrBytes::LogBytes(bytes);
        self.log.write_commit_entry(version, entry, Default::default()).await.trying(committing)?;
        // Readers that do not look into commits go by the time of the file.
        let path = self.directory.join(files::LOG).join(format!("{version:020}.json"));
        let since = Duration::from_millis(u64::try_from(timestamp).unwrap_or_default());
        let file = File::options().append(true).open(path).trying(committing)?;
        if let Some(time) = UNIX_EPOCH.checked_add(since) {
            file.set_modified(time).trying(committing)?;
        }
        file.sync_all().trying(committing)
    }

    /// Removes files that no version names, and those whose rows are gone.
    fn sweep(&self, gone: &BTreeSet<Blake3Digest>) -> Result<(), DeltaError> {
        let named: BTreeSet<&str> = self
            .commits
            .iter()
            .flat_map(|commit| &commit.added)
            .filter(|file| !gone.contains(&file.write))
            .map(|file| file.name.as_str())
            .collect();
        files::sweep(&self.directory, |name| named.contains(name))
            .trying(|| "remove files from a table".into())
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
