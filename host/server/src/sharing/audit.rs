//! The tables of what happened in a room, made of its log when a recipient asks for them.
//!
//! The number of a version is how many entries of the log it tells. A read of these very tables
//! makes no version by itself, or a reader would never see the same one twice; the next one has it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glovebox_audit::{AuditError, Journal, columns, write_parquet};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RoomId;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{AuditTable, Body, HOST_ALIAS, Shared, Statement};
use glovebox_delta::{History, Present};

use super::error::Result;
use crate::app::{App, blocking};
use crate::error::HttpError;
use crate::slot::Slot;

/// Entries read from the log at a time.
const AT_A_TIME: usize = 1000;

/// So many reads at most wait for the next version.
const MOST_WAITING: usize = 100;

/// Directory of the tables of a room, which no party can be called.
const DIRECTORY: &str = ".audit";

/// The tables of one room. Whoever changes them holds the lock of the room's tables.
#[derive(Default)]
pub(crate) struct Audit {
    told: Told,
    made: BTreeMap<AuditTable, Arc<History>>,
}

/// What was read of the log.
#[derive(Default)]
struct Told {
    journal: Option<Journal>,
    /// The newest entry that makes a version.
    newest: Option<Blake3Digest>,
    /// When the host signed last, in seconds since 1970-01-01T00:00:00Z.
    at: u64,
    /// Reads of these tables behind it.
    waiting: Vec<Envelope>,
}

/// What came of making a table; what went wrong is for the operator.
type Made<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Where a table is.
pub(crate) fn directory(room: &Path, table: AuditTable) -> PathBuf {
    room.join(DIRECTORY).join(table.as_str())
}

/// Whether any recipient may read the tables, so that the host has a reason to keep them.
pub(crate) fn is_granted(state: &RoomState) -> bool {
    let mut grants = state.recipients().flat_map(|recipient| recipient.grants());
    grants.any(|grant| matches!(grant.what, Shared::Events {}))
}

impl Audit {
    /// The table, when the log has not more than `entries`, which were all told.
    pub(crate) fn current(&self, table: AuditTable, entries: u64) -> Option<Arc<History>> {
        let history = self.made.get(&table)?;
        let is_newest = history.latest() == self.told.version();
        (self.told.read() >= entries && is_newest).then(|| history.clone())
    }

    /// Brings a table up to date with the log.
    pub(crate) async fn sync(
        &mut self,
        app: &Arc<App>,
        slot: &Arc<Slot>,
        table: AuditTable,
        directory: PathBuf,
    ) -> Result<Arc<History>> {
        self.read(app, slot).await?;
        let present = self.made.get(&table).cloned().unwrap_or_default();
        if present.latest().is_some() && present.latest() == self.told.version() {
            return Ok(present);
        }
        let room = slot.id;
        let made = self.work(move |told| told.make(&room, table, &directory, &present)).await?;
        let made = Arc::new(made);
        self.made.insert(table, made.clone());
        Ok(made)
    }

    /// Reads what the log has got since.
    async fn read(&mut self, app: &Arc<App>, slot: &Arc<Slot>) -> Result<()> {
        loop {
            let from = self.told.read();
            let entries = app.with(slot, move |room| Ok(room.entries_from(from, AT_A_TIME)?));
            let entries = entries.await?;
            if entries.is_empty() {
                return Ok(());
            }
            let take = move |told: &mut Told| {
                entries.into_iter().try_for_each(|envelope| told.take(envelope))
            };
            self.work(take).await?;
        }
    }

    /// Does what takes a while, on a thread that may block. The room is free meanwhile.
    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Told) -> Made<T> + Send + 'static,
    ) -> Result<T> {
        let mut told = std::mem::take(&mut self.told);
        let worked = blocking(move || {
            let done = work(&mut told);
            Ok((told, done))
        });
        let (told, done) = worked.await?;
        self.told = told;
        Ok(done.map_err(|error| HttpError::internal(&error.as_ref()))?)
    }

    /// Removes the tables of a room.
    pub(crate) async fn forget(&mut self, room: &Path) -> Result<()> {
        *self = Self::default();
        let directory = room.join(DIRECTORY);
        let removed = blocking(move || match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(HttpError::internal(&error)),
            _ => Ok(()),
        });
        Ok(removed.await?)
    }
}

impl Told {
    /// How many entries were read.
    fn read(&self) -> u64 {
        let waiting = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        self.version().unwrap_or_default().saturating_add(waiting)
    }

    /// How many entries the newest version tells.
    fn version(&self) -> Option<u64> {
        self.journal.as_ref().map(Journal::entries)
    }

    fn take(&mut self, envelope: Envelope) -> Made<()> {
        let statement = envelope.unverified()?;
        if self.journal.is_some() && is_own_read(&statement) && self.waiting.len() < MOST_WAITING {
            self.waiting.push(envelope);
            return Ok(());
        }
        let Some(journal) = &mut self.journal else {
            self.journal = Some(Journal::open(&envelope)?);
            (self.newest, self.at) = (Some(envelope.digest()), statement.issued_at);
            return Ok(());
        };
        for before in self.waiting.drain(..) {
            journal.take(&before)?;
        }
        journal.take(&envelope)?;
        self.newest = Some(envelope.digest());
        // What others claim may be any time.
        if statement.party.as_str() == HOST_ALIAS {
            self.at = statement.issued_at;
        }
        Ok(())
    }

    /// Makes the newest version of a table.
    fn make(
        &self,
        room: &RoomId,
        table: AuditTable,
        directory: &Path,
        before: &History,
    ) -> Made<History> {
        let (Some(journal), Some(id)) = (&self.journal, self.newest) else {
            return Err(AuditError::Empty.into());
        };
        let (rows, columns) = match table {
            AuditTable::Events => (journal.events()?, columns::EVENTS),
            AuditTable::Runs => (journal.runs()?, columns::RUNS),
        };
        fs::create_dir_all(directory)?;
        let source = directory.join("unfinished");
        let mut file = BufWriter::new(File::create(&source)?);
        write_parquet(&rows, &mut file)?;
        file.flush()?;
        let version = Present {
            table: Blake3Digest::of(format!("{room} {}", table.in_statement()).as_bytes()),
            created_at: journal.state().document().created,
            version: journal.entries(),
            id,
            committed_at: self.at,
            columns: columns::columns(columns)?,
        };
        Ok(before.with_present(directory, &version, &source)?)
    }
}

/// Whether the statement says that a recipient read one of these tables.
fn is_own_read(statement: &Statement) -> bool {
    match &statement.body {
        Body::SharedRead(read) => Shared::Events {}.is_called(&read.what),
        _ => false,
    }
}
