//! What the host knows and tells nobody, or only some: where files are, what they held, what a
//! guest said.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use glovebox_contract::digest::{Blake3Digest, ContentDigest, Sha256Digest};
use glovebox_contract::media::MediaType;
use glovebox_contract::name::{RunId, TableName};
use glovebox_contract::state::Refusal;
use glovebox_job::event::LogLevel;
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::error::{Context as _, Result, RoomError};
use crate::remote::{Origin, RemoteRows, RemoteTable};
use crate::sources::{DigestCache, FileIdentity, Files, Rows, Source};
use crate::store::Store;

/// A line that a guest logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How grave.
    pub level: LogLevel,
    /// The guest's words, as it sent them: escape them before they reach a terminal.
    pub message: String,
}

/// What a cell of a guest displayed: hostile bytes of one of the listed types. Whoever shows them
/// switches scripts and network off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    /// What it is.
    pub media_type: MediaType,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// Remembers where a table or a view is, in the transaction that appends its statement.
pub(crate) fn put_source(
    transaction: &Transaction<'_>,
    table: &TableName,
    source: &Source,
) -> Result<()> {
    let storing = || format!("remember where table {table} is");
    let sql = match &source.rows {
        Rows::Files(_) | Rows::Remote(_) => None,
        Rows::View { sql, .. } => Some(sql),
    };
    forget_source(transaction, table)?;
    transaction
        .execute(
            "INSERT INTO source (table_name, aliases, sql) VALUES (?, ?, ?)",
            params![table.as_str(), stored(serde_json::to_string(&source.aliases))?, sql],
        )
        .trying(storing)?;
    match &source.rows {
        Rows::Files(files) => put_files(transaction, table, "", files),
        Rows::View { tables, .. } => tables
            .iter()
            .try_for_each(|(name, files)| put_files(transaction, table, name.as_str(), files)),
        Rows::Remote(remote) => put_remote(transaction, table, remote),
    }
}

fn put_remote(transaction: &Transaction<'_>, table: &TableName, remote: &RemoteRows) -> Result<()> {
    let RemoteRows { table: definition, columns, origin, sealed } = remote;
    let columns = stored(serde_json::to_string(columns))?;
    let definition = self::definition(definition)?;
    transaction
        .execute(
            "INSERT INTO remote_source (table_name, definition, columns, origin, sealed)
             VALUES (?, ?, ?, ?, ?)",
            params![table.as_str(), definition, columns, origin_text(*origin), sealed],
        )
        .trying(|| format!("remember where table {table} is"))?;
    Ok(())
}

/// How it is written down where a table is elsewhere.
pub(crate) fn definition(remote: &RemoteTable) -> Result<String> {
    stored(serde_json::to_string(remote))
}

fn origin_text(origin: Origin) -> &'static str {
    match origin {
        Origin::Operator => "operator",
        Origin::Network => "network",
    }
}

fn put_files(
    transaction: &Transaction<'_>,
    table: &TableName,
    name: &str,
    Files { path, format, columns }: &Files,
) -> Result<()> {
    let path = path.as_os_str().as_bytes();
    let format = stored(serde_json::to_string(format))?;
    let columns = stored(serde_json::to_string(columns))?;
    transaction
        .execute(
            "INSERT INTO source_files (table_name, name, path, format, columns)
             VALUES (?, ?, ?, ?, ?)",
            params![table.as_str(), name, path, format, columns],
        )
        .trying(|| format!("remember where table {table} is"))?;
    Ok(())
}

fn stored(json: serde_json::Result<String>) -> Result<String> {
    json.map_err(|error| RoomError::internal("cannot store what a table is").because(error))
}

/// Remembers where a volume is, in the transaction that appends its statement.
pub(crate) fn put_volume(
    transaction: &Transaction<'_>,
    volume: &TableName,
    path: &Path,
) -> Result<()> {
    transaction
        .execute(
            "INSERT OR REPLACE INTO volume (volume_name, path) VALUES (?, ?)",
            params![volume.as_str(), path.as_os_str().as_bytes()],
        )
        .trying(|| format!("remember where volume {volume} is"))?;
    Ok(())
}

/// Forgets where a table or a view was, in the transaction that appends the statement.
pub(crate) fn forget_source(transaction: &Transaction<'_>, table: &TableName) -> Result<()> {
    ["source", "source_files", "remote_source"].into_iter().try_for_each(|rows| {
        transaction
            .execute(&format!("DELETE FROM {rows} WHERE table_name = ?"), [table.as_str()])
            .trying(|| format!("forget where table {table} was"))
            .map(drop)
    })
}

/// Forgets where a volume was, in the transaction that appends the statement.
pub(crate) fn forget_volume(transaction: &Transaction<'_>, volume: &TableName) -> Result<()> {
    transaction
        .execute("DELETE FROM volume WHERE volume_name = ?", [volume.as_str()])
        .trying(|| format!("forget where volume {volume} was"))
        .map(drop)
}

/// Stores what a run said and why it failed, in the transaction that appends its end.
pub(crate) fn put_run_words(
    transaction: &Transaction<'_>,
    run: &RunId,
    words: &RunWords,
) -> Result<()> {
    let storing = || format!("store the log lines of run {run}");
    let run_id = run.to_string();
    transaction
        .execute(
            "INSERT OR REPLACE INTO run_detail (run, author_detail, operator_detail)
             VALUES (?, ?, ?)",
            params![run_id, words.detail, words.operator_detail],
        )
        .trying(storing)?;
    for (line, LogLine { level, message }) in (0_u64..).zip(&words.log) {
        let level = serde_json::to_string(level)
            .map_err(|error| RoomError::internal(storing()).because(error))?;
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO run_log (run, line, level, message) VALUES (?, ?, ?, ?)",
            )
            .and_then(|mut insert| insert.execute(params![run_id, line, level, message]))
            .trying(storing)?;
    }
    for (number, Display { media_type, data }) in (0_u64..).zip(&words.displays) {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO run_display (run, number, media_type, data)
                 VALUES (?, ?, ?, ?)",
            )
            .and_then(|mut insert| {
                insert.execute(params![run_id, number, media_type.as_str(), data])
            })
            .trying(storing)?;
    }
    Ok(())
}

impl Store {
    pub(crate) fn source(&self, table: &TableName) -> Result<Option<Source>> {
        let select = "SELECT aliases, sql FROM source WHERE table_name = ?";
        let row = self
            .connection
            .query_row(select, [table.as_str()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
            })
            .optional()
            .trying(|| format!("look up where table {table} is"))?;
        let Some((aliases, sql)) = row else { return Ok(None) };
        let damaged = || RoomError::internal(format!("the entry for table {table} is damaged"));
        let aliases = serde_json::from_str(&aliases).map_err(|error| damaged().because(error))?;
        if let Some(remote) = self.remote_source(table)? {
            return Ok(Some(Source { aliases, rows: Rows::Remote(Box::new(remote)) }));
        }
        let mut tables = self.source_files(table)?;
        let rows = match sql {
            None => Rows::Files(tables.remove("").ok_or_else(damaged)?),
            Some(sql) => {
                let named = tables.into_iter().map(|(name, files)| Ok((name.parse()?, files)));
                let named: Result<_, Refusal> = named.collect();
                Rows::View { sql, tables: named.map_err(|error| damaged().because(error))? }
            }
        };
        Ok(Some(Source { aliases, rows }))
    }

    /// Where a table is, when it is elsewhere.
    fn remote_source(&self, table: &TableName) -> Result<Option<RemoteRows>> {
        let select = "SELECT definition, columns, origin, sealed FROM remote_source
                      WHERE table_name = ?";
        let row = self
            .connection
            .query_row(select, [table.as_str()], |row| {
                let texts: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
                Ok((texts, row.get::<_, Option<Vec<u8>>>(3)?))
            })
            .optional()
            .trying(|| format!("look up where table {table} is"))?;
        let Some(([definition, columns, origin], sealed)) = row else { return Ok(None) };
        let damaged = |error: serde_json::Error| {
            RoomError::internal(format!("the entry for table {table} is damaged")).because(error)
        };
        Ok(Some(RemoteRows {
            table: serde_json::from_str(&definition).map_err(damaged)?,
            columns: serde_json::from_str(&columns).map_err(damaged)?,
            // What is unknown may reach the least.
            origin: if origin == "operator" { Origin::Operator } else { Origin::Network },
            sealed,
        }))
    }

    /// Remembers another credential for a table that is elsewhere.
    pub(crate) fn replace_credential(&self, table: &TableName, remote: &RemoteRows) -> Result<()> {
        let replacing = || format!("remember the credential of table {table}");
        let update = "UPDATE remote_source SET sealed = ?, origin = ? WHERE table_name = ?";
        let origin = origin_text(remote.origin);
        let changed = self
            .connection
            .execute(update, params![remote.sealed, origin, table.as_str()])
            .trying(replacing)?;
        match changed {
            1 => Ok(()),
            _ => Err(RoomError::internal(format!("cannot {}", replacing()))),
        }
    }

    /// The files of a table, or of the tables behind a view, by name.
    fn source_files(&self, table: &TableName) -> Result<BTreeMap<String, Files>> {
        let reading = || format!("look up where table {table} is");
        let select = "SELECT name, path, format, columns FROM source_files WHERE table_name = ?";
        let mut statement = self.connection.prepare_cached(select).trying(reading)?;
        let rows = statement
            .query_map([table.as_str()], |row| {
                let (name, path): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
                Ok((name, path, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
            })
            .trying(reading)?;
        let damaged = |error: serde_json::Error| {
            RoomError::internal(format!("the entry for table {table} is damaged")).because(error)
        };
        let mut tables = BTreeMap::new();
        for row in rows {
            let (name, path, format, columns) = row.trying(reading)?;
            let files = Files {
                path: PathBuf::from(OsString::from_vec(path)),
                format: serde_json::from_str(&format).map_err(damaged)?,
                columns: serde_json::from_str(&columns).map_err(damaged)?,
            };
            tables.insert(name, files);
        }
        Ok(tables)
    }

    /// Where a volume is.
    pub(crate) fn volume(&self, volume: &TableName) -> Result<Option<PathBuf>> {
        let select = "SELECT path FROM volume WHERE volume_name = ?";
        let path = self
            .connection
            .query_row(select, [volume.as_str()], |row| row.get::<_, Vec<u8>>(0))
            .optional()
            .trying(|| format!("look up where volume {volume} is"))?;
        Ok(path.map(|path| PathBuf::from(OsString::from_vec(path))))
    }

    /// Every place that a table, a view or a volume is at, as it is written down.
    pub(crate) fn places(&self) -> Result<Vec<PathBuf>> {
        let reading = || "read where tables and volumes are".into();
        let select = "SELECT path FROM source_files UNION SELECT path FROM volume";
        let mut statement = self.connection.prepare_cached(select).trying(reading)?;
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).trying(reading)?;
        let places = rows.map(|row| Ok(PathBuf::from(OsString::from_vec(row.trying(reading)?))));
        places.collect()
    }

    /// Runs of which words are kept.
    pub(crate) fn runs_with_words(&self) -> Result<Vec<RunId>> {
        let reading = || "read which log lines are kept".into();
        let mut statement =
            self.connection.prepare_cached("SELECT run FROM run_detail").trying(reading)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).trying(reading)?;
        let runs = rows.map(|row| Ok(row.trying(reading)?.parse().ok()));
        runs.filter_map(Result::transpose).collect()
    }

    /// Forgets what a run said.
    pub(crate) fn remove_run_words(&self, run: &RunId) -> Result<()> {
        let run = run.to_string();
        for table in ["run_display", "run_log", "run_detail"] {
            self.connection
                .execute(&format!("DELETE FROM {table} WHERE run = ?"), [&run])
                .trying(|| format!("remove the log lines of run {run}"))?;
        }
        Ok(())
    }

    pub(crate) fn run_words(&self, run: &RunId) -> Result<RunWords> {
        let reading = || format!("read the log lines of run {run}");
        let run_id = run.to_string();
        let details = self
            .connection
            .query_row(
                "SELECT author_detail, operator_detail FROM run_detail WHERE run = ?",
                [&run_id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .trying(reading)?;
        let (detail, operator_detail) = details.unwrap_or_default();
        let mut statement = self
            .connection
            .prepare_cached("SELECT level, message FROM run_log WHERE run = ? ORDER BY line")
            .trying(reading)?;
        let rows = statement
            .query_map([&run_id], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
            .trying(reading)?;
        let mut log = Vec::new();
        for row in rows {
            let (level, message) = row.trying(reading)?;
            let level = serde_json::from_str(&level)
                .map_err(|error| RoomError::internal(reading()).because(error))?;
            log.push(LogLine { level, message });
        }
        let displays = self.displays(&run_id).trying(reading)?;
        Ok(RunWords { detail, displays, log, operator_detail })
    }

    fn displays(&self, run: &str) -> rusqlite::Result<Vec<Display>> {
        let select = "SELECT media_type, data FROM run_display WHERE run = ? ORDER BY number";
        let mut statement = self.connection.prepare_cached(select)?;
        let rows = statement.query_map([run], |row| {
            let media_type: String = row.get(0)?;
            // Another version of this program may have known more types.
            let media_type = media_type.parse().ok();
            Ok(media_type.map(|media_type| (media_type, row.get(1))))
        })?;
        let mut displays = Vec::new();
        for row in rows {
            if let Some((media_type, data)) = row? {
                displays.push(Display { media_type, data: data? });
            }
        }
        Ok(displays)
    }
}

/// What is known about a run beyond its receipt, never for everyone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RunWords {
    /// Why the run failed, for the author of the component.
    pub(crate) detail: Option<String>,
    /// Why the run failed, for the operator of this host: it may name files and hold what a dying
    /// process said.
    pub(crate) operator_detail: Option<String>,
    /// What its cells displayed, oldest first.
    pub(crate) displays: Vec<Display>,
    /// The lines that the component logged, oldest first.
    pub(crate) log: Vec<LogLine>,
}

impl RunWords {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A digest that cannot be read back or stored is computed again, so errors are misses.
impl DigestCache for Store {
    fn get(&self, file: &FileIdentity) -> Option<ContentDigest> {
        let select = "SELECT blake3, sha256, proof FROM file_digest WHERE device = ? AND inode = ?";
        let (digest, found) = self
            .connection
            .prepare_cached(select)
            .and_then(|mut select| {
                let key = params![file.device.cast_signed(), file.inode.cast_signed()];
                select.query_row(key, |row| {
                    let blake3 = Blake3Digest::from_bytes(row.get(0)?);
                    let sha256 = Sha256Digest::from_bytes(row.get(1)?);
                    Ok((ContentDigest { blake3, sha256 }, Blake3Digest::from_bytes(row.get(2)?)))
                })
            })
            .ok()?;
        (found == proof(file, &digest)).then_some(digest)
    }

    fn put(&self, file: &FileIdentity, digest: &ContentDigest) {
        let insert = "INSERT OR REPLACE INTO file_digest (device, inode, blake3, sha256, proof)
                      VALUES (?, ?, ?, ?, ?)";
        let _ = self.connection.prepare_cached(insert).and_then(|mut insert| {
            insert.execute(params![
                file.device.cast_signed(),
                file.inode.cast_signed(),
                digest.blake3.as_bytes(),
                digest.sha256.as_bytes(),
                proof(file, digest).as_bytes(),
            ])
        });
    }
}

/// Binds a remembered digest to the state of the file it is of. A flipped bit on the host's disk
/// makes a miss, not a wrong digest in a receipt.
fn proof(file: &FileIdentity, digest: &ContentDigest) -> Blake3Digest {
    let FileIdentity { device, inode, bytes, modified_ns, changed_ns } = file;
    let ContentDigest { blake3, sha256 } = digest;
    let text = format!("{device} {inode} {bytes} {modified_ns} {changed_ns} {blake3} {sha256}");
    Blake3Digest::of(text.as_bytes())
}
