//! What the agent has done and has to do, on the disk before it is done.

mod occurrence;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use glovebox_contract::name::{AssetName, RoomId};
use serde::{Deserialize, Serialize};

pub use occurrence::{Cause, Occurrence, Outcome, Stage};

use crate::alerts::Alerts;
use crate::error::{AgentError, Context as _, Result};
use crate::event::Event;
use crate::files;

/// The layout of the file.
const VERSION: u32 = 1;

const FILE: &str = "book.json";
const MAX_BYTES: u64 = 1 << 30;

/// How many occurrences of an order are remembered when they are over.
const REMEMBERED: usize = 200;

/// What the agent has done and has to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    version: u32,
    next: u64,
    /// Each time an order fell due, in the order in which they were written down.
    pub occurrences: BTreeMap<u64, Occurrence>,
    /// What is known of each order.
    pub orders: BTreeMap<AssetName, OrderRecord>,
    /// What is known of each room, by the name that the orders have for it.
    pub rooms: BTreeMap<String, RoomRecord>,
}

/// What is remembered of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRecord {
    /// Until when the clock has been looked at, in Unix seconds.
    pub until: u64,
    /// For each order before it, the success that was answered last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answered: BTreeMap<AssetName, u64>,
}

/// What is remembered of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomRecord {
    /// Its id. Another room of the same name is another room.
    pub id: RoomId,
    /// How many entries of its log have been looked at.
    pub entries: u64,
    /// When something came to its log, in Unix seconds.
    pub active: u64,
    /// Whether it was told that the log is forked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forked: bool,
    /// Approvals by rules of this party that are known, as `revision rule`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub approvals: BTreeSet<String>,
}

impl Book {
    /// Writes an occurrence down.
    pub(crate) fn note(&mut self, occurrence: Occurrence) -> u64 {
        let id = self.next;
        self.next = id.saturating_add(1);
        self.occurrences.insert(id, occurrence);
        id
    }

    /// The occurrences of an order, oldest first.
    pub fn of<'a>(
        &'a self,
        order: &'a AssetName,
    ) -> impl DoubleEndedIterator<Item = (u64, &'a Occurrence)> {
        let occurrences = self.occurrences.iter().map(|(id, occurrence)| (*id, occurrence));
        occurrences.filter(move |(_, occurrence)| occurrence.order == *order)
    }

    /// The first occurrence of an order that is not over.
    pub(crate) fn open(&self, order: &AssetName) -> Option<(u64, &Occurrence)> {
        let mut occurrences = self.occurrences.iter().map(|(id, occurrence)| (*id, occurrence));
        occurrences.find(|(_, occurrence)| occurrence.order == *order && !occurrence.is_done())
    }

    /// Forgets what is long over.
    fn trim(&mut self) {
        let mut kept: BTreeMap<AssetName, usize> = BTreeMap::new();
        let mut old = Vec::new();
        for (id, occurrence) in self.occurrences.iter().rev() {
            let count = kept.entry(occurrence.order.clone()).or_default();
            *count = count.saturating_add(1);
            if *count > REMEMBERED && occurrence.is_done() {
                old.push(*id);
            }
        }
        old.iter().for_each(|id| drop(self.occurrences.remove(id)));
    }
}

/// The book on the disk. Every change is durable before anyone sees it.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    book: Mutex<Book>,
    alerts: Alerts,
}

impl Store {
    /// Opens the book in `directory`, and begins one when there is none. Events go to `alerts`.
    pub(crate) fn open(directory: &Path, alerts: Alerts) -> Result<Self> {
        let path = directory.join(FILE);
        let book = read(directory)?.unwrap_or_else(|| Book { version: VERSION, ..Book::default() });
        Ok(Self { path, book: Mutex::new(book), alerts })
    }

    /// Looks something up.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the book, or leaves it as it was when the change cannot be written down. The events
    /// that come with the change are told first: should this process die in between, the change is
    /// made again, with the same events under the same ids.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Book) -> (T, Vec<Event>)) -> Result<T> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = book.clone();
        let (value, events) = change(&mut changed);
        self.alerts.tell(&events)?;
        if changed == *book {
            return Ok(value);
        }
        changed.trim();
        let bytes = serde_json::to_vec(&changed)
            .map_err(|error| AgentError::State(format!("cannot write the book: {error}")))?;
        let writing = || format!("write `{}`", self.path.display());
        files::write(&self.path, &bytes).trying(writing)?;
        *book = changed;
        Ok(value)
    }

    /// Has events told that change nothing.
    pub(crate) fn tell(&self, events: &[Event]) -> Result<()> {
        self.alerts.tell(events)
    }
}

/// The book in `directory`, as it is on the disk.
pub(crate) fn read(directory: &Path) -> Result<Option<Book>> {
    let path = directory.join(FILE);
    let reading = || format!("read `{}`", path.display());
    let Some(bytes) = files::read(&path, MAX_BYTES).trying(reading)? else { return Ok(None) };
    let damaged = |why: String| {
        let path = path.display();
        AgentError::State(format!("`{path}` is not what an agent of this version writes: {why}"))
    };
    let book: Book = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    match book.version {
        VERSION => Ok(Some(book)),
        version => Err(damaged(format!("it has the layout {version}"))),
    }
}

#[cfg(test)]
mod tests;
