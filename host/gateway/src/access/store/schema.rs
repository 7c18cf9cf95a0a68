//! The tables, and the making and checking of them.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use crate::access::error::StoreError;

/// `gbxa`, so that `file` and a person with a hex editor know what it is.
const APPLICATION_ID: i32 = 0x6762_7861;
/// Version of the tables below.
const SCHEMA_VERSION: i32 = 1;

// A room column is empty for the gateway as a whole. Ids are never given twice, so what is kept
// in memory for a moment cannot come to mean another principal.
const SCHEMA: &str = "
CREATE TABLE principal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL COLLATE NOCASE UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'service-principal', 'group')),
    subject TEXT,
    created INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX principal_subject ON principal (subject, kind = 'group') WHERE subject IS NOT NULL;
CREATE TABLE member (
    group_id INTEGER NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    member_id INTEGER NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, member_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_groups ON member (member_id);
CREATE TABLE privilege (
    principal_id INTEGER NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    privilege TEXT NOT NULL CHECK (privilege IN ('CREATE', 'MODIFY', 'EXECUTE', 'BROWSE', 'MANAGE')),
    room TEXT NOT NULL,
    PRIMARY KEY (principal_id, privilege, room)
) STRICT, WITHOUT ROWID;
CREATE TABLE owner (
    room TEXT PRIMARY KEY,
    principal_id INTEGER NOT NULL REFERENCES principal (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX owner_principal ON owner (principal_id);
CREATE TABLE token (
    id TEXT PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    principal_id INTEGER NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    last_used INTEGER,
    revoked INTEGER
) STRICT;
CREATE INDEX token_principal ON token (principal_id);
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    last INTEGER NOT NULL,
    times INTEGER NOT NULL,
    principal TEXT,
    peer TEXT,
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX audit_last ON audit (last);
";

/// Sets the connection up and makes the tables when the file is new.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    connection.busy_timeout(super::BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name: &str| transaction.pragma_query_value(None, name, |row| row.get(0));
    let (application, version): (i32, i32) = (number("application_id")?, number("user_version")?);
    let tables: u32 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version, tables) {
        (0, 0, 0) => {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        (APPLICATION_ID, SCHEMA_VERSION, _) => {}
        _ => {
            return Err(StoreError::unavailable(format!(
                "{} is not an access store of this version of glovebox",
                path.display()
            )));
        }
    }
    transaction.commit()?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    Ok(())
}
