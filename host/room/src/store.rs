//! The log store of one room: envelopes in order, and the signed checkpoint after each.
//!
//! SQLite in WAL mode with `synchronous=FULL`: one sync for an append instead of three to four
//! with a rollback journal, and a reader never waits for a writer, nor a pause for a run. WAL
//! lost data in SQLite before 3.51.3, so [`check_sqlite`] refuses older ones. Pages are read, not
//! mapped, so a failing disk is an error and not a signal.
//!
//! Rows here prove nothing: on open the room folds the envelopes again and compares
//! their Merkle root with the last checkpoint, which the host signed.

use std::path::Path;
use std::time::Duration;

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::reason::ReasonCode;
use rusqlite::config::DbConfig;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params,
};

use crate::error::{Context as _, Result, RoomError};

/// Oldest SQLite that may hold a log: older ones can corrupt a WAL when it is reset.
const OLDEST_SQLITE: i32 = 3_051_003;

/// `gbx1`, so that `file` and a person with a hex editor know what it is.
const APPLICATION_ID: i32 = 0x6762_7831;

/// Version of the tables below.
const SCHEMA_VERSION: i32 = 3;

/// The one before, which knew no tables elsewhere.
const BEFORE_REMOTE: i32 = 2;

/// How long an append waits for another process's append.
const BUSY: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
CREATE TABLE entry (
    position INTEGER PRIMARY KEY CHECK (position >= 0),
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    envelope BLOB NOT NULL
) STRICT;
CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY CHECK (size > 0),
    note TEXT NOT NULL
) STRICT;
CREATE TABLE source (
    table_name TEXT PRIMARY KEY,
    aliases TEXT NOT NULL,
    sql TEXT
) STRICT;
CREATE TABLE source_files (
    table_name TEXT NOT NULL,
    name TEXT NOT NULL,
    path BLOB NOT NULL,
    format TEXT NOT NULL,
    columns TEXT NOT NULL,
    PRIMARY KEY (table_name, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE volume (
    volume_name TEXT PRIMARY KEY,
    path BLOB NOT NULL
) STRICT;
CREATE TABLE file_digest (
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    blake3 BLOB NOT NULL CHECK (length(blake3) = 32),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    proof BLOB NOT NULL CHECK (length(proof) = 32),
    PRIMARY KEY (device, inode)
) STRICT, WITHOUT ROWID;
CREATE TABLE run_detail (
    run TEXT PRIMARY KEY,
    author_detail TEXT,
    operator_detail TEXT
) STRICT;
CREATE TABLE run_log (
    run TEXT NOT NULL,
    line INTEGER NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (run, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE run_display (
    run TEXT NOT NULL,
    number INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (run, number)
) STRICT;
";

/// What version 3 added.
const REMOTE_SCHEMA: &str = "
CREATE TABLE remote_source (
    table_name TEXT PRIMARY KEY,
    definition TEXT NOT NULL,
    columns TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('operator', 'network')),
    sealed BLOB
) STRICT;
";

/// Refuses to work with a SQLite that can lose a log.
pub(crate) fn check_sqlite() -> Result<()> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(RoomError::internal(format!(
            "sqlite {} may corrupt the log: 3.51.3 or newer is needed",
            rusqlite::version()
        )));
    }
    Ok(())
}

/// An envelope as it lies in the store.
pub(crate) struct StoredEntry {
    pub(crate) digest: Blake3Digest,
    pub(crate) envelope: Vec<u8>,
}

/// A checkpoint as it lies in the store: the size it is filed under, and the signed note.
pub(crate) struct StoredCheckpoint {
    pub(crate) size: u64,
    pub(crate) note: String,
}

/// A new entry and the checkpoint of the log that ends with it.
pub(crate) struct NewEntry<'a> {
    pub(crate) position: u64,
    pub(crate) digest: Blake3Digest,
    pub(crate) envelope: &'a [u8],
    pub(crate) checkpoint: &'a str,
}

/// The database of one room.
pub(crate) struct Store {
    pub(crate) connection: Connection,
}

impl Store {
    /// Makes the database of a new room.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        connection
            .execute_batch(&format!(
                "BEGIN;{SCHEMA}{REMOTE_SCHEMA}PRAGMA application_id = {APPLICATION_ID};\
                 PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
            ))
            .trying(|| "create the log store".into())?;
        Ok(Self { connection })
    }

    /// Opens the database of a room.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = connect(path, OpenFlags::empty())?;
        let pragma = |name: &str| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
                .trying(|| "read the log store".into())
        };
        if pragma("application_id")? != APPLICATION_ID {
            return Err(RoomError::new(
                ReasonCode::LogTampered,
                "the log store is damaged: it is not a room's database",
            ));
        }
        let version = match pragma("user_version")? {
            BEFORE_REMOTE => upgrade(&connection)?,
            version => version,
        };
        if version != SCHEMA_VERSION {
            return Err(RoomError::new(
                ReasonCode::HomeVersion,
                format!(
                    "the log store has version {version}, this program reads version \
                     {SCHEMA_VERSION}"
                ),
            ));
        }
        Ok(Self { connection })
    }

    /// The first entry.
    pub(crate) fn first_entry(&self) -> Result<Option<StoredEntry>> {
        self.connection
            .query_row("SELECT digest, envelope FROM entry WHERE position = 0", [], |row| {
                let digest = Blake3Digest::from_bytes(row.get(0)?);
                Ok(StoredEntry { digest, envelope: row.get(1)? })
            })
            .optional()
            .trying(|| "read the log".into())
    }

    /// Entries from `position` on, and the newest checkpoint, both as of one moment.
    pub(crate) fn read_from(
        &self,
        position: u64,
    ) -> Result<(Vec<StoredEntry>, Option<StoredCheckpoint>)> {
        let snapshot = self.connection.unchecked_transaction().trying(|| "read the log".into())?;
        Ok((entries_from(&snapshot, position, None)?, newest_checkpoint(&snapshot)?))
    }

    /// At most `limit` entries from `position` on.
    pub(crate) fn read_some(&self, position: u64, limit: usize) -> Result<Vec<StoredEntry>> {
        entries_from(&self.connection, position, Some(limit))
    }

    /// How many entries there are.
    pub(crate) fn size(&self) -> Result<u64> {
        self.connection
            .prepare_cached("SELECT coalesce(max(position) + 1, 0) FROM entry")
            .and_then(|mut select| select.query_row([], |row| row.get(0)))
            .trying(|| "read the size of the log".into())
    }

    /// Appends an entry, and whatever `also` writes to the same transaction. Both are durable when
    /// this returns. Fails when another process appended at the same position.
    pub(crate) fn append(
        &mut self,
        entry: &NewEntry<'_>,
        also: impl FnOnce(&Transaction<'_>) -> Result<()>,
    ) -> Result<()> {
        let appending = || "append to the log".into();
        let NewEntry { position, digest, envelope, checkpoint } = entry;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .trying(appending)?;
        transaction
            .prepare_cached("INSERT INTO entry (position, digest, envelope) VALUES (?, ?, ?)")
            .and_then(|mut insert| insert.execute(params![position, digest.as_bytes(), envelope]))
            .trying(appending)?;
        transaction
            .prepare_cached("INSERT INTO checkpoint (size, note) VALUES (?, ?)")
            .and_then(|mut insert| insert.execute(params![position.saturating_add(1), checkpoint]))
            .trying(appending)?;
        also(&transaction)?;
        transaction.commit().trying(appending)
    }
}

/// Adds what a database of the version before lacks, unless another process just did. Gives the
/// version that it has then.
fn upgrade(connection: &Connection) -> Result<i32> {
    let upgrading = || "bring the log store to this program's version".into();
    let transaction =
        Transaction::new_unchecked(connection, TransactionBehavior::Immediate).trying(upgrading)?;
    let version: i32 =
        transaction.pragma_query_value(None, "user_version", |row| row.get(0)).trying(upgrading)?;
    if version != BEFORE_REMOTE {
        return Ok(version);
    }
    transaction
        .execute_batch(&format!("{REMOTE_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};"))
        .trying(upgrading)?;
    transaction.commit().trying(upgrading)?;
    Ok(SCHEMA_VERSION)
}

/// Entries from `position` on. A gap in the positions is an error.
fn entries_from(
    connection: &Connection,
    position: u64,
    limit: Option<usize>,
) -> Result<Vec<StoredEntry>> {
    let reading = || "read the log".into();
    // A negative limit is none.
    let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let mut statement = connection
        .prepare_cached(
            "SELECT position, digest, envelope FROM entry WHERE position >= ?
             ORDER BY position LIMIT ?",
        )
        .trying(reading)?;
    let rows = statement
        .query_map(params![position, limit], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, [u8; 32]>(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .trying(reading)?;
    let mut entries = Vec::new();
    for (expected, row) in (position..).zip(rows) {
        let (position, digest, envelope) = row.trying(reading)?;
        if position != expected {
            return Err(tampered(format!("entry {expected} is missing")));
        }
        entries.push(StoredEntry { digest: Blake3Digest::from_bytes(digest), envelope });
    }
    Ok(entries)
}

fn newest_checkpoint(connection: &Connection) -> Result<Option<StoredCheckpoint>> {
    connection
        .query_row("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1", [], |row| {
            Ok(StoredCheckpoint { size: row.get(0)?, note: row.get(1)? })
        })
        .optional()
        .trying(|| "read the last checkpoint".into())
}

/// The error of a log that is not what the host signed.
pub(crate) fn tampered(how: impl Into<String>) -> RoomError {
    RoomError::new(ReasonCode::LogTampered, format!("log tampered: {}", how.into()))
}

fn connect(path: &Path, extra: OpenFlags) -> Result<Connection> {
    let opening = || "open the log store".into();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_EXRESCODE
        | extra;
    let connection = Connection::open_with_flags(path, flags).trying(opening)?;
    connection.busy_timeout(BUSY).trying(opening)?;
    for (option, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
        // The WAL is as durable as the database, and folding it in at every close costs the most
        // part of a short command. It is folded in when it has grown.
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
    ] {
        connection.set_db_config(option, on).trying(opening)?;
    }
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA mmap_size = 0;\
             PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;",
        )
        .trying(opening)?;
    Ok(connection)
}
