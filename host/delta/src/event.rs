//! What happens to a table, in the order of the log that says so.

use std::path::PathBuf;

use glovebox_contract::column::Column;
use glovebox_contract::digest::Blake3Digest;

/// Something that happened to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Rows were written.
    Write(Write),
    /// What an earlier event wrote is gone for good.
    Removal(Removal),
}

/// Rows were written: a run ended well, or an owner offered a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Digest of the statement that says so, for example of a receipt's envelope.
    pub id: Blake3Digest,
    /// The columns that were declared.
    pub columns: Vec<Column>,
    /// The Parquet files. None when they are gone.
    pub files: Vec<PathBuf>,
    /// Whether the table may have hard links to them, which changes their time stamps. Otherwise it
    /// has copies.
    pub link: bool,
    /// What happens to the rows before.
    pub mode: Mode,
    /// When, in seconds since 1970-01-01T00:00:00Z.
    pub committed_at: u64,
}

/// What a write does to the rows that a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They go.
    Replace,
    /// They stay.
    Append,
}

/// What an event wrote is gone: it expired, or someone deleted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Digest of the statement that says so.
    pub id: Blake3Digest,
    /// The [`Write::id`] that it is about.
    pub of: Blake3Digest,
    /// When, in seconds since 1970-01-01T00:00:00Z.
    pub committed_at: u64,
}

impl Event {
    pub(crate) fn id(&self) -> &Blake3Digest {
        match self {
            Self::Write(write) => &write.id,
            Self::Removal(removal) => &removal.id,
        }
    }

    pub(crate) fn committed_at(&self) -> u64 {
        match self {
            Self::Write(write) => write.committed_at,
            Self::Removal(removal) => removal.committed_at,
        }
    }
}

/// The events that make a version: all writes, and those removals that take something away from
/// the newest version. It depends on the events alone, never on what is on disk.
pub(crate) fn versions(events: &[Event]) -> Vec<&Event> {
    let mut live: Vec<&Blake3Digest> = Vec::new();
    let mut versions = Vec::new();
    for event in events {
        match event {
            Event::Write(write) => {
                if write.mode == Mode::Replace {
                    live.clear();
                }
                live.push(&write.id);
            }
            Event::Removal(removal) => {
                let before = live.len();
                live.retain(|id| **id != removal.of);
                if live.len() == before {
                    continue;
                }
            }
        }
        versions.push(event);
    }
    versions
}
