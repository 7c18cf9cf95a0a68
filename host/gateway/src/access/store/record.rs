//! The audit: kept within bounds, repetitions counted.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Store, bounded};
use crate::access::audit::{AuditEntry, AuditFilter, Denial};
use crate::access::error::StoreError;

/// How close the same denial must follow to be counted instead of added.
const SAME_WITHIN: u64 = 60;
const MAX_NAME: usize = 160;
const MAX_TEXT: usize = 400;

/// How much audit is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// At most so many entries, the newest.
    pub entries: u64,
    /// None that last happened longer ago, in seconds.
    pub seconds: u64,
}

impl Default for Retention {
    /// 100,000 entries, 400 days.
    fn default() -> Self {
        Self { entries: 100_000, seconds: 400 * 24 * 3600 }
    }
}

impl Store {
    /// The denied acts and failed authentications that fit the filter, the newest first.
    pub fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(|transaction| {
            let mut some = transaction.prepare_cached(
                "SELECT id, time, last, times, principal, peer, action, resource, reason \
                 FROM audit WHERE last >= ?1 AND (?2 IS NULL OR principal = ?2 COLLATE NOCASE) \
                 ORDER BY id DESC LIMIT ?3",
            )?;
            let most = i64::try_from(filter.limit).unwrap_or(i64::MAX);
            let found = some.query_map(
                params![filter.since.unwrap_or(0), filter.principal, most],
                |row| {
                    Ok(AuditEntry {
                        id: row.get(0)?,
                        time: row.get(1)?,
                        last: row.get(2)?,
                        times: row.get(3)?,
                        principal: row.get(4)?,
                        peer: row.get(5)?,
                        action: row.get(6)?,
                        resource: row.get(7)?,
                        reason: row.get(8)?,
                    })
                },
            )?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }

    /// Records a denial, and drops what is older than the retention.
    pub(in crate::access) fn record(&self, denial: &Denial<'_>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let row = Fitted::of(denial);
        self.write(|transaction| {
            if let Some(id) = row.repeated(transaction, now)? {
                let mut count = transaction
                    .prepare_cached("UPDATE audit SET times = times + 1, last = ? WHERE id = ?")?;
                count.execute(params![now, id])?;
                return Ok(());
            }
            row.insert(transaction, now)?;
            let newest = transaction.last_insert_rowid();
            let kept = i64::try_from(self.retention.entries).unwrap_or(i64::MAX);
            let oldest = now.saturating_sub(self.retention.seconds);
            transaction
                .prepare_cached("DELETE FROM audit WHERE id <= ? OR last < ?")?
                .execute(params![newest.saturating_sub(kept), oldest])?;
            Ok(())
        })
    }
}

/// A denial whose texts fit.
struct Fitted {
    principal: Option<String>,
    peer: Option<String>,
    action: String,
    resource: String,
    reason: String,
}

impl Fitted {
    fn of(denial: &Denial<'_>) -> Self {
        Self {
            principal: denial.principal.map(|name| bounded(name, MAX_NAME)),
            peer: denial.peer.map(|peer| bounded(peer, MAX_NAME)),
            action: bounded(denial.action, MAX_NAME),
            resource: bounded(denial.resource, MAX_TEXT),
            reason: bounded(denial.reason, MAX_TEXT),
        }
    }

    /// The entry of the same a moment ago.
    fn repeated(&self, transaction: &Transaction<'_>, now: u64) -> Result<Option<i64>, StoreError> {
        let mut last = transaction.prepare_cached(
            "SELECT id FROM audit WHERE last >= ? AND principal IS ? AND peer IS ? \
             AND action = ? AND resource = ? AND reason = ? ORDER BY id DESC LIMIT 1",
        )?;
        let since = now.saturating_sub(SAME_WITHIN);
        let row = last.query_row(
            params![since, self.principal, self.peer, self.action, self.resource, self.reason],
            |row| row.get(0),
        );
        Ok(row.optional()?)
    }

    fn insert(&self, transaction: &Transaction<'_>, now: u64) -> Result<(), StoreError> {
        let mut one = transaction.prepare_cached(
            "INSERT INTO audit (time, last, times, principal, peer, action, resource, reason) \
             VALUES (?1, ?1, 1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        one.execute(params![
            now,
            self.principal,
            self.peer,
            self.action,
            self.resource,
            self.reason
        ])?;
        Ok(())
    }
}
