//! What the gateway keeps for itself: run numbers, idempotency tokens, output catalogs, local names
//! and the assets that are being added. The truth about a room is its log; this is the rest.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use glovebox_contract::name::{RoomId, RunId};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::Failure;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS room (
        room TEXT PRIMARY KEY, comment TEXT, output_catalog TEXT UNIQUE,
        deleted INTEGER NOT NULL DEFAULT 0, updated_at INTEGER
    ) STRICT;
    CREATE TABLE IF NOT EXISTS job (
        number INTEGER PRIMARY KEY, room TEXT NOT NULL, run TEXT NOT NULL UNIQUE,
        creator TEXT NOT NULL, token TEXT, task TEXT NOT NULL, run_name TEXT NOT NULL,
        envelope BLOB, submitted_at INTEGER NOT NULL, failure TEXT
    ) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS job_token ON job (creator, token) WHERE token IS NOT NULL;
    CREATE TABLE IF NOT EXISTS local_name (
        room TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, local_name TEXT NOT NULL,
        PRIMARY KEY (room, kind, name)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS pending (
        room TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, asset TEXT NOT NULL,
        since INTEGER NOT NULL, failure TEXT,
        PRIMARY KEY (room, kind, name)
    ) STRICT;
";

/// The gateway's database.
pub(crate) struct Store(Mutex<Connection>);

/// What is known of a room beside its log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RoomNotes {
    /// The party's own words about it.
    pub(crate) comment: Option<String>,
    /// The name of its output catalog.
    pub(crate) output_catalog: Option<String>,
    /// Whether the party has deleted it.
    pub(crate) deleted: bool,
    /// When any of this changed last, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) updated_at: Option<u64>,
}

/// A run under its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// The number that the Jobs API knows it by.
    pub(crate) number: u64,
    /// The room.
    pub(crate) room: RoomId,
    /// The run.
    pub(crate) run: RunId,
    /// Who submitted it.
    pub(crate) creator: String,
    /// The idempotency token.
    pub(crate) token: Option<String>,
    /// The task as it was submitted, in JSON.
    pub(crate) task: String,
    /// The name of the run.
    pub(crate) run_name: String,
    /// The signed request, as long as it is not known whether the host has it.
    pub(crate) envelope: Option<Vec<u8>>,
    /// When it was submitted, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) submitted_at: u64,
    /// Why the host never took it.
    pub(crate) failure: Option<String>,
}

/// An asset that is being added, or could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The room.
    pub(crate) room: RoomId,
    /// The type of the asset.
    pub(crate) kind: String,
    /// Its name.
    pub(crate) name: String,
    /// The asset as it was asked for, in JSON. It may be long, so a list leaves it empty.
    pub(crate) asset: String,
    /// Since when, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) since: u64,
    /// Why it could not be added.
    pub(crate) failure: Option<String>,
}

const JOB: &str = "SELECT number, room, run, creator, token, task, run_name, envelope, submitted_at, failure FROM job";
const PENDING: &str = "SELECT room, kind, name, since, failure FROM pending";

impl Store {
    /// Opens the database at `file`, and makes it when there is none.
    pub(crate) fn open(file: &Path) -> Result<Self, rusqlite::Error> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Mutex::new(connection)))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Every statement is a transaction of its own, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A secret of this gateway, drawn once.
    pub(crate) fn secret(&self, name: &str) -> Result<[u8; 32], Failure> {
        let mut fresh = [0_u8; 32];
        getrandom::fill(&mut fresh).map_err(Failure::internal)?;
        let connection = self.lock();
        connection.execute("INSERT OR IGNORE INTO secret VALUES (?1, ?2)", params![name, fresh])?;
        let query = "SELECT value FROM secret WHERE name = ?1";
        let secret: Vec<u8> = connection.query_row(query, [name], |row| row.get(0))?;
        secret.try_into().map_err(|_| Failure::internal("a secret has another length"))
    }

    /// What is noted about a room.
    pub(crate) fn room(&self, room: &RoomId) -> Result<RoomNotes, Failure> {
        let query = "SELECT comment, output_catalog, deleted, updated_at FROM room WHERE room = ?1";
        let notes = self.lock().query_row(query, [room.to_string()], |row| {
            Ok(RoomNotes {
                comment: row.get(0)?,
                output_catalog: row.get(1)?,
                deleted: row.get(2)?,
                updated_at: row.get(3)?,
            })
        });
        Ok(notes.optional()?.unwrap_or_default())
    }

    /// Notes something about a room.
    pub(crate) fn set_room(&self, room: &RoomId, notes: &RoomNotes) -> Result<(), Failure> {
        let RoomNotes { comment, output_catalog, deleted, updated_at } = notes;
        self.lock().execute(
            "INSERT INTO room (room, comment, output_catalog, deleted, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (room) DO UPDATE
             SET comment = ?2, output_catalog = ?3, deleted = ?4, updated_at = ?5",
            params![room.to_string(), comment, output_catalog, deleted, updated_at],
        )?;
        Ok(())
    }

    /// The room whose output catalog has this name.
    pub(crate) fn room_with_catalog(&self, catalog: &str) -> Result<Option<RoomId>, Failure> {
        let query = "SELECT room FROM room WHERE output_catalog = ?1 AND NOT deleted";
        let room = self.lock().query_row(query, [catalog], |row| row.get::<_, String>(0));
        room.optional()?.map(|room| room.parse().map_err(Failure::internal)).transpose()
    }

    /// Keeps a job, unless there is one with its token or its run already: then that one comes
    /// back.
    pub(crate) fn add_job(&self, job: &Job) -> Result<Job, Failure> {
        let connection = self.lock();
        let added = connection.execute(
            "INSERT OR IGNORE INTO job
                (number, room, run, creator, token, task, run_name, envelope, submitted_at, failure)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                job.number,
                job.room.to_string(),
                job.run.to_string(),
                job.creator,
                job.token,
                job.task,
                job.run_name,
                job.envelope,
                job.submitted_at,
                job.failure,
            ],
        )?;
        if added == 1 {
            return Ok(job.clone());
        }
        let query = format!("{JOB} WHERE run = ?1 OR (creator = ?2 AND token = ?3)");
        let key = params![job.run.to_string(), job.creator, job.token];
        let there = connection.query_row(&query, key, read_job);
        match there.optional()? {
            Some(there) => there,
            None => Err(Failure::internal("two runs have the same number")),
        }
    }

    /// The job with this number.
    pub(crate) fn job(&self, number: u64) -> Result<Option<Job>, Failure> {
        let query = format!("{JOB} WHERE number = ?1");
        self.lock().query_row(&query, [number], read_job).optional()?.transpose()
    }

    /// The job that this principal submitted with this idempotency token.
    pub(crate) fn job_with_token(
        &self,
        creator: &str,
        token: &str,
    ) -> Result<Option<Job>, Failure> {
        let query = format!("{JOB} WHERE creator = ?1 AND token = ?2");
        self.lock().query_row(&query, [creator, token], read_job).optional()?.transpose()
    }

    /// All jobs, newest first.
    pub(crate) fn jobs(&self) -> Result<Vec<Job>, Failure> {
        let connection = self.lock();
        let mut query =
            connection.prepare(&format!("{JOB} ORDER BY submitted_at DESC, number DESC"))?;
        let jobs = query.query_map([], read_job)?.collect::<Result<Vec<_>, _>>()?;
        jobs.into_iter().collect()
    }

    /// Notes that the host has the request, or why it never will.
    pub(crate) fn settle_job(&self, number: u64, failure: Option<&str>) -> Result<(), Failure> {
        let query = "UPDATE job SET envelope = NULL, failure = ?2 WHERE number = ?1";
        self.lock().execute(query, params![number, failure])?;
        Ok(())
    }

    /// Forgets a job that the host has certainly not taken.
    pub(crate) fn remove_job(&self, number: u64) -> Result<(), Failure> {
        self.lock().execute("DELETE FROM job WHERE number = ?1", [number])?;
        Ok(())
    }

    /// The local name of an asset of the party.
    pub(crate) fn local_name(
        &self,
        room: &RoomId,
        kind: &str,
        name: &str,
    ) -> Result<Option<String>, Failure> {
        let query = "SELECT local_name FROM local_name WHERE room = ?1 AND kind = ?2 AND name = ?3";
        let key = params![room.to_string(), kind, name];
        Ok(self.lock().query_row(query, key, |row| row.get(0)).optional()?)
    }

    /// Notes the local name of an asset of the party.
    pub(crate) fn set_local_name(
        &self,
        room: &RoomId,
        kind: &str,
        name: &str,
        local_name: &str,
    ) -> Result<(), Failure> {
        self.lock().execute(
            "INSERT OR REPLACE INTO local_name VALUES (?1, ?2, ?3, ?4)",
            params![room.to_string(), kind, name, local_name],
        )?;
        Ok(())
    }

    /// Notes that an asset is being added. False when it is already; a failure before is forgotten.
    pub(crate) fn begin(&self, pending: &Pending) -> Result<bool, Failure> {
        let Pending { room, kind, name, asset, since, .. } = pending;
        let begun = self.lock().execute(
            "INSERT INTO pending (room, kind, name, asset, since) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET asset = ?4, since = ?5, failure = NULL
             WHERE failure IS NOT NULL",
            params![room.to_string(), kind, name, asset, since],
        )?;
        Ok(begun == 1)
    }

    /// The asset is added, or has failed. Does nothing when it is being added anew since.
    pub(crate) fn end(&self, pending: &Pending, failure: Option<&str>) -> Result<(), Failure> {
        let Pending { room, kind, name, since, .. } = pending;
        let room = room.to_string();
        let this = "room = ?1 AND kind = ?2 AND name = ?3 AND since = ?4";
        match failure {
            None => self.lock().execute(
                &format!("DELETE FROM pending WHERE {this}"),
                params![room, kind, name, since],
            )?,
            Some(why) => self.lock().execute(
                &format!("UPDATE pending SET failure = ?5 WHERE {this}"),
                params![room, kind, name, since, why],
            )?,
        };
        Ok(())
    }

    /// The asset of a listed entry, in JSON.
    pub(crate) fn asset(&self, pending: &Pending) -> Result<String, Failure> {
        let Pending { room, kind, name, .. } = pending;
        let query = "SELECT asset FROM pending WHERE room = ?1 AND kind = ?2 AND name = ?3";
        let key = params![room.to_string(), kind, name];
        Ok(self.lock().query_row(query, key, |row| row.get(0))?)
    }

    /// What is being added to a room or has failed to be; of all rooms when there is none.
    pub(crate) fn pending(&self, room: Option<&RoomId>) -> Result<Vec<Pending>, Failure> {
        let connection = self.lock();
        let query = format!("{PENDING} WHERE ?1 IS NULL OR room = ?1 ORDER BY kind, name");
        let mut query = connection.prepare(&query)?;
        let room = room.map(ToString::to_string);
        let pending = query.query_map([room], read_pending)?.collect::<Result<Vec<_>, _>>()?;
        pending.into_iter().collect()
    }
}

fn read_job(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Job, Failure>> {
    let (room, run): (String, String) = (row.get(1)?, row.get(2)?);
    let (Ok(room), Ok(run)) = (room.parse(), run.parse()) else {
        return Ok(Err(Failure::internal("a job in the database is damaged")));
    };
    Ok(Ok(Job {
        number: row.get(0)?,
        room,
        run,
        creator: row.get(3)?,
        token: row.get(4)?,
        task: row.get(5)?,
        run_name: row.get(6)?,
        envelope: row.get(7)?,
        submitted_at: row.get(8)?,
        failure: row.get(9)?,
    }))
}

fn read_pending(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Pending, Failure>> {
    let room: String = row.get(0)?;
    let Ok(room) = room.parse() else {
        return Ok(Err(Failure::internal("an asset in the database is damaged")));
    };
    Ok(Ok(Pending {
        room,
        kind: row.get(1)?,
        name: row.get(2)?,
        asset: String::new(),
        since: row.get(3)?,
        failure: row.get(4)?,
    }))
}

#[cfg(test)]
mod tests {
    use glovebox_contract::digest::Blake3Digest;

    use super::*;

    fn job(number: u64, token: Option<&str>) -> Job {
        Job {
            number,
            room: RoomId(Blake3Digest::of(b"room")),
            run: RunId::of_request(&Blake3Digest::of(&number.to_le_bytes())),
            creator: "alice".into(),
            token: token.map(ToOwned::to_owned),
            task: "{}".into(),
            run_name: "r".into(),
            envelope: Some(vec![1]),
            submitted_at: number,
            failure: None,
        }
    }

    #[test]
    fn jobs_outlive_the_gateway_and_tokens_make_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.sqlite");
        let store = Store::open(&file).unwrap();
        let secret = store.secret("pages").unwrap();
        assert_eq!(store.add_job(&job(1, Some("t"))).unwrap().number, 1);
        assert_eq!(store.add_job(&job(2, Some("t"))).unwrap().number, 1);
        let of_another = Job { creator: "bob".into(), ..job(5, Some("t")) };
        assert_eq!(store.add_job(&of_another).unwrap().number, 5);
        assert_eq!(store.add_job(&job(3, None)).unwrap().number, 3);
        assert_eq!(store.add_job(&job(4, None)).unwrap().number, 4);
        store.settle_job(3, Some("gone")).unwrap();
        drop(store);
        let store = Store::open(&file).unwrap();
        assert_eq!(store.secret("pages").unwrap(), secret);
        assert_eq!(store.job(1).unwrap().unwrap(), job(1, Some("t")));
        assert_eq!(store.job(2).unwrap(), None);
        let settled = store.job(3).unwrap().unwrap();
        assert_eq!((settled.envelope, settled.failure.as_deref()), (None, Some("gone")));
        assert_eq!(store.job_with_token("alice", "t").unwrap().unwrap().number, 1);
        let numbers: Vec<u64> = store.jobs().unwrap().iter().map(|job| job.number).collect();
        assert_eq!(numbers, [5, 4, 3, 1]);
    }

    #[test]
    fn one_asset_is_added_once_at_a_time() {
        let store = Store::open(Path::new(":memory:")).unwrap();
        let mut pending = Pending {
            room: RoomId(Blake3Digest::of(b"room")),
            kind: "TABLE".into(),
            name: "a.b".into(),
            asset: "{}".into(),
            since: 1,
            failure: None,
        };
        assert!(store.begin(&pending).unwrap());
        assert!(!store.begin(&pending).unwrap());
        store.end(&pending, Some("why")).unwrap();
        let listed = store.pending(Some(&pending.room)).unwrap();
        assert_eq!(listed[0].failure, Some("why".into()));
        let before = pending.clone();
        pending.since = 2;
        assert!(store.begin(&pending).unwrap());
        store.end(&before, None).unwrap();
        assert_eq!(store.asset(&pending).unwrap(), "{}");
        let listed = Pending { asset: String::new(), ..pending.clone() };
        assert_eq!(store.pending(None).unwrap(), [listed]);
        store.end(&pending, None).unwrap();
        assert!(store.pending(None).unwrap().is_empty());
    }

    #[test]
    fn output_catalogs_are_of_one_room() {
        let store = Store::open(Path::new(":memory:")).unwrap();
        let room = RoomId(Blake3Digest::of(b"room"));
        assert_eq!(store.room(&room).unwrap(), RoomNotes::default());
        let notes = RoomNotes { output_catalog: Some("c".into()), ..RoomNotes::default() };
        store.set_room(&room, &notes).unwrap();
        assert_eq!(store.room_with_catalog("c").unwrap(), Some(room));
        assert_eq!(store.room_with_catalog("d").unwrap(), None);
        assert!(store.set_room(&RoomId(Blake3Digest::of(b"other")), &notes).is_err());
        assert_eq!(store.room(&room).unwrap(), notes);
    }
}
