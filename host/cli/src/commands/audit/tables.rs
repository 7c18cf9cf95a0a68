//! The tables that SQL sees.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use glovebox_audit::{Journal, Table, columns, statements};
use glovebox_contract::bundle::{self, Bundle, Expectations, Verdict};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::reason::ReasonCode;
use glovebox_query::local::LocalTable;

use crate::context;
use crate::failure::Refused;
use crate::host::OpenRoom;

/// What the logs of some rooms make.
pub(super) struct Tables {
    events: Table,
    runs: Table,
    statements: Table,
}

impl Tables {
    /// Those of no room.
    pub(super) fn empty() -> Result<Self> {
        let table = |named| {
            let schema = columns::schema(named)?;
            anyhow::Ok(Table { schema, batches: Vec::new() })
        };
        Ok(Self {
            events: table(columns::EVENTS)?,
            runs: table(columns::RUNS)?,
            statements: table(columns::STATEMENTS)?,
        })
    }

    /// Those of a room that is open.
    pub(super) fn of_room(room: &OpenRoom) -> Result<Self> {
        let entries = room.entries()?.into_iter().map(|entry| entry.envelope);
        Self::of(&entries.collect::<Vec<_>>())
    }

    /// Those of the room in a bundle, which must hold up.
    pub(super) fn of_bundle(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).context("it cannot be read")?;
        let report = bundle::verify(&bytes, &Expectations::default())?;
        if report.verdict() != Verdict::Verified {
            let what = "the bundle is not verified; `glovebox verify` says why".into();
            return Err(Refused { reason: ReasonCode::LogTampered, what }.into());
        }
        Self::of(Bundle::from_bytes(&bytes)?.entries())
    }

    fn of(entries: &[Envelope]) -> Result<Self> {
        let journal = Journal::of(entries)?;
        let name = &journal.state().document().name;
        Ok(Self {
            events: journal.events()?,
            runs: journal.runs()?,
            statements: statements(name, entries)?,
        })
    }

    /// With the rows of others behind their own.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            events: self.events.and(other.events),
            runs: self.runs.and(other.runs),
            statements: self.statements.and(other.statements),
        }
    }

    /// As SQL sees them, with the clock.
    pub(super) fn named(self) -> Result<Vec<LocalTable>> {
        let named = |name: &str, Table { schema, batches }| LocalTable {
            name: name.into(),
            schema,
            batches,
        };
        Ok(vec![
            named("events", self.events),
            named("runs", self.runs),
            named("statements", self.statements),
            named("clock", clock()?),
        ])
    }
}

/// What time it is, as a table: no function of SQL here knows.
fn clock() -> Result<Table> {
    let micros = i64::try_from(context::now().saturating_mul(1_000_000)).unwrap_or(i64::MAX);
    let now = TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
    let batch = RecordBatch::try_from_iter([("now", Arc::new(now) as ArrayRef)])?;
    Ok(Table { schema: batch.schema(), batches: vec![batch] })
}
