//! The SQLite file of one gateway: principals, groups, privileges, owners, tokens, the audit.
//!
//! It is read anew at every decision, so what another process revokes is revoked at once. Only
//! its owner may read it; token texts are not in it.

mod people;
mod record;
mod schema;
mod standing;
mod tokens;

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::clock::Clock;
use super::error::StoreError;

pub use record::Retention;
pub(super) use standing::Standing;

/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(10);

/// The principals of a party, what they may do, their tokens, and the audit.
#[derive(Debug)]
pub struct Store {
    connection: Mutex<Connection>,
    clock: Clock,
    retention: Retention,
}

impl Store {
    /// Opens the file, or makes it, readable for its owner only. A new one has no principal.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with_clock(path, Clock::default())
    }

    /// The same with a clock of the caller's.
    pub fn open_with_clock(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        make_private(path).map_err(|source| cannot_open(path).because(source))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)
            .map_err(|source| cannot_open(path).because(source))?;
        schema::prepare(&mut connection, path)?;
        Ok(Self { connection: Mutex::new(connection), clock, retention: Retention::default() })
    }

    /// Keeps another amount of audit than the default.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere cannot leave a transaction open: dropping one rolls it back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `read` on one state of the store.
    fn read<T>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.lock();
        read(&connection.transaction_with_behavior(TransactionBehavior::Deferred)?)
    }

    /// Runs `write`, all of it or nothing.
    fn write<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = write(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }
}

fn cannot_open(path: &Path) -> StoreError {
    StoreError::unavailable(format!("cannot open the access store {}", path.display()))
}

/// Makes the file when there is none, and takes others' rights to it when there is one. SQLite
/// gives the files beside it the same mode.
fn make_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = std::fs::metadata(path)?;
            if metadata.permissions().mode() & 0o077 != 0 {
                std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Text that came from outside, short and without control characters.
fn bounded(text: &str, most: usize) -> String {
    let mut kept = String::new();
    for character in text.chars() {
        let escaped: String = if character.is_control() {
            character.escape_default().collect()
        } else {
            character.into()
        };
        if kept.len() + escaped.len() > most {
            kept.push('…');
            break;
        }
        kept.push_str(&escaped);
    }
    kept
}
