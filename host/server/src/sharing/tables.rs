//! The Delta tables of the rooms: where they are, and keeping them up to date with the logs.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{RoomId, RunId, TableName};
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{AuditTable, Shared};
use glovebox_delta::{DataFile, Event, History};

use super::audit::{self, Audit};
use super::caller::Caller;
use super::error::{Result, SharingError};
use super::events::{Events, TableEvents};
use super::names::{Key, Listed};
use super::plain;
use crate::app::{App, blocking};
use crate::error::HttpError;
use crate::slot::Slot;

/// Directory of all tables in the home. It can be deleted: it is made again from the logs.
const DIRECTORY: &str = "delta";

/// Directory of the plain tables of a party, which no notebook can be called.
const PLAIN: &str = ".tables";

/// The tables of all rooms.
pub(crate) struct Tables {
    directory: PathBuf,
    rooms: Mutex<HashMap<RoomId, Arc<tokio::sync::Mutex<RoomTables>>>>,
}

/// What is known of the tables of a room. Whoever changes one of them holds the lock.
#[derive(Default)]
struct RoomTables {
    events: Events,
    synced: BTreeMap<Key, Synced>,
    audit: Audit,
}

/// A table that was brought up to date.
#[derive(Clone)]
struct Synced {
    /// With how many events.
    events: usize,
    history: Arc<History>,
    runs: Arc<HashMap<Blake3Digest, RunId>>,
}

/// A table of a room, up to date.
pub(crate) struct Table {
    pub(crate) directory: PathBuf,
    pub(crate) history: Arc<History>,
    runs: Arc<HashMap<Blake3Digest, RunId>>,
    /// Whether its rows are no run's, and so never end.
    is_plain: bool,
}

impl Tables {
    pub(crate) fn new(home: &Path) -> Self {
        Self { directory: home.join(DIRECTORY), rooms: Mutex::default() }
    }

    fn room(&self, id: &RoomId) -> Arc<tokio::sync::Mutex<RoomTables>> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.entry(*id).or_default().clone()
    }

    fn room_directory(&self, room: &RoomId) -> PathBuf {
        self.directory.join(room.0.to_hex())
    }

    /// Names of parties and things have no `/` and begin with a letter.
    fn table_directory(&self, room: &RoomId, key: &Key) -> PathBuf {
        let room = self.room_directory(room);
        match key {
            Key::Output { runner, notebook, output } => {
                room.join(runner.as_str()).join(notebook.as_str()).join(output.as_str())
            }
            Key::Plain { table } => room.join(table.schema()).join(PLAIN).join(table.table()),
            Key::Audit { table } => audit::directory(&room, *table),
        }
    }
}

impl Table {
    /// The table that a recipient asked for, with every statement of the log that it has seen.
    ///
    /// # Errors
    /// When it is a plain table that cannot be shared, or the host fails.
    pub(crate) async fn open(caller: &Caller, listed: &Listed) -> Result<Self> {
        let (app, slot, key) = (caller.app.clone(), caller.slot.clone(), listed.key.clone());
        let size = caller.state.statements();
        let tables = app.sharing().tables.room(&slot.id);
        let guard = tables.lock_owned().await;
        let directory = app.sharing().tables.table_directory(&slot.id, &key);
        let is_plain = !matches!(key, Key::Output { .. });
        let table = |Synced { history, runs, .. }| Self { directory, history, runs, is_plain };
        if let Some(synced) = guard.current(&key, size) {
            return Ok(table(synced));
        }
        // Goes on to its end when the recipient goes away, so that no two do it at once.
        let task = tokio::spawn(async move {
            let mut guard = guard;
            if let Key::Audit { table } = key {
                return guard.audit(&app, &slot, table).await.map(Some);
            }
            guard.read(&app, &slot).await?;
            guard.sync(&app, &slot, &key).await
        });
        let synced = task.await.map_err(|_| SharingError::internal())??;
        synced.map(table).ok_or_else(|| SharingError::missing("table"))
    }

    /// Whether the owner of the recipient may read the rows of a file now. The log says when they
    /// end, but the clock may be ahead of it.
    pub(crate) fn may_read(&self, caller: &Caller, file: &DataFile) -> bool {
        match self.runs.get(&file.write) {
            Some(run) => caller.state.may_read_output(run, &caller.owner, caller.now).is_ok(),
            None => self.is_plain,
        }
    }

    /// When the rows of a file end, in seconds since 1970-01-01T00:00:00Z.
    pub(crate) fn ends(&self, caller: &Caller, file: &DataFile) -> Option<u64> {
        let run = caller.state.run(self.runs.get(&file.write)?).ok()?;
        Some(caller.state.expires_at(run.receipt()?))
    }
}

impl Synced {
    /// A table that is made of the log.
    fn of_log(history: Arc<History>) -> Self {
        Self { events: 0, history, runs: Arc::default() }
    }
}

impl RoomTables {
    /// The table, when nothing was said about it since it was brought up to date.
    fn current(&self, key: &Key, size: u64) -> Option<Synced> {
        if let Key::Audit { table } = key {
            return self.audit.current(*table, size).map(Synced::of_log);
        }
        let synced = self.synced.get(key)?;
        let events = self.events.of(key)?;
        (self.events.is_at(size) && events.events.len() == synced.events).then(|| synced.clone())
    }

    /// A table that is made of the log, up to date.
    async fn audit(
        &mut self,
        app: &Arc<App>,
        slot: &Arc<Slot>,
        table: AuditTable,
    ) -> Result<Synced> {
        let directory = app.sharing().tables.table_directory(&slot.id, &Key::Audit { table });
        self.audit.sync(app, slot, table, directory).await.map(Synced::of_log)
    }

    /// Reads what the log has got since.
    async fn read(&mut self, app: &Arc<App>, slot: &Arc<Slot>) -> Result<()> {
        let mut events = std::mem::take(&mut self.events);
        let read = app.with(slot, move |room| {
            // What was read stays, should the log not be readable to its end.
            let read = events.read(room);
            Ok((events, read))
        });
        let (events, read) = read.await?;
        self.events = events;
        Ok(read?)
    }

    /// Brings a table up to date. None when there is no such table.
    async fn sync(
        &mut self,
        app: &Arc<App>,
        slot: &Arc<Slot>,
        key: &Key,
    ) -> Result<Option<Synced>> {
        let Some(table) = self.events.of(key).cloned() else { return Ok(None) };
        let count = table.events.len();
        if let Some(synced) = self.synced.get(key).filter(|synced| synced.events == count) {
            return Ok(Some(synced.clone()));
        }
        let runs = Arc::new(table.runs.clone());
        let events = match key {
            Key::Output { .. } | Key::Audit { .. } => table.events,
            Key::Plain { table: name } => match offered(app, slot, name, &table).await {
                Ok(Some(events)) => events,
                // What was shared before its owner changed it is shared no more.
                other => {
                    self.forget(app, slot, key).await?;
                    return other.map(|_| None);
                }
            },
        };
        let directory = app.sharing().tables.table_directory(&slot.id, key);
        let runtime = tokio::runtime::Handle::current();
        let history = blocking(move || {
            let history = runtime.block_on(glovebox_delta::sync(&directory, &events));
            Ok(history.map_err(SharingError::from))
        });
        let history = Arc::new(history.await??);
        let synced = Synced { events: count, history, runs };
        self.synced.insert(key.clone(), synced.clone());
        Ok(Some(synced))
    }
}

impl RoomTables {
    /// Removes a table.
    async fn forget(&mut self, app: &Arc<App>, slot: &Arc<Slot>, key: &Key) -> Result<()> {
        self.synced.remove(key);
        let directory = app.sharing().tables.table_directory(&slot.id, key);
        let removed = blocking(move || match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(HttpError::internal(&error)),
            _ => Ok(()),
        });
        Ok(removed.await?)
    }
}

/// The events of a plain table with its files. None when its owner took it back.
async fn offered(
    app: &Arc<App>,
    slot: &Arc<Slot>,
    name: &TableName,
    table: &TableEvents,
) -> Result<Option<Vec<Event>>> {
    let Some(asset) = table.offered.clone() else { return Ok(None) };
    let wanted = name.clone();
    let files = app.with(slot, move |room| plain::files(room, &wanted, &asset)).await?;
    let files = files.map_err(|why| {
        SharingError::unsupported(format!("the table {name} cannot be shared: {why}"))
    })?;
    // A link changes the time stamps of a file. Runs know that of the files that the home keeps; a
    // run that reads a party's own file meanwhile would find it changed.
    let kept = app.home.path().join("rooms");
    let link = files.iter().all(|file| file.starts_with(&kept));
    Ok(Some(table.with_files(files, link)))
}

/// Brings all tables of a room up to date: the outputs, and the plain tables that are granted.
pub(crate) async fn sync_room(app: &Arc<App>, id: &RoomId) -> Result<()> {
    let slot = app.slot(id).await?;
    let tables = app.sharing().tables.room(id).lock_owned().await;
    let app = app.clone();
    let task = tokio::spawn(async move {
        let mut tables = tables;
        tables.read(&app, &slot).await?;
        let state = slot.view().state;
        let keys: Vec<Key> = tables.events.keys().cloned().collect();
        let mut worst = Ok(());
        // They are made when somebody asks.
        if !audit::is_granted(&state) {
            let directory = app.sharing().tables.room_directory(&slot.id);
            worst = tables.audit.forget(&directory).await;
        }
        for key in keys {
            let done = match &key {
                Key::Plain { .. } if !is_granted(&state, &key) => {
                    tables.forget(&app, &slot, &key).await
                }
                _ => tables.sync(&app, &slot, &key).await.map(drop),
            };
            // One table that cannot be made is no reason to make no other.
            worst = worst.and(done);
        }
        worst
    });
    task.await.map_err(|_| SharingError::internal())?
}

/// Whether any recipient may read the plain table, so that the host has a reason to keep it.
fn is_granted(state: &RoomState, key: &Key) -> bool {
    let Key::Plain { table } = key else { return true };
    state.table(table).is_some()
        && state.recipients().flat_map(|recipient| recipient.grants()).any(
            |grant| matches!(&grant.what, Shared::Table { table: granted } if granted == table),
        )
}
