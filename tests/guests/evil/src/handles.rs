//! Misuse of handles.

use glovebox_guest::raw::{data, tables};
use glovebox_guest::{Context as _, Result};

use crate::outputs::{host_error, schema};
use crate::{Attack, behave};

pub(crate) const ATTACKS: &[Attack] = &[
    // A handle that nobody gave.
    ("forged_handle", |room| {
        // SAFETY: deliberately wrong: there is no such handle. The host must trap.
        let forged = unsafe { data::RecordBatch::from_handle(12_345) };
        room.info(forged.num_rows());
        behave(room)
    }),
    // A handle of another type.
    ("mistaken_handle", |room| {
        let schema = schema(&[("c", "int64", true)])?;
        // SAFETY: deliberately wrong: the handle is a schema's. The host must trap.
        let mistaken = unsafe { data::RecordBatch::from_handle(schema.handle()) };
        room.info(mistaken.num_rows());
        behave(room)
    }),
    // A handle after it was dropped.
    ("use_after_drop", |room| {
        let schema = schema(&[("c", "int64", true)])?;
        let handle = schema.handle();
        drop(schema);
        // SAFETY: deliberately wrong: the handle was dropped. The host must trap.
        let stale = unsafe { data::Schema::from_handle(handle) };
        room.info(stale.fields().len());
        behave(room)
    }),
    // Columns and rows that a batch does not have.
    ("column_index", |room| {
        batch()?.columns(&[u32::MAX]).map_err(host_error)?;
        behave(room)
    }),
    ("column_index_repeated", |room| {
        batch()?.columns(&vec![0; 10_000_000]).map_err(host_error)?;
        behave(room)
    }),
    ("slice_beyond", |room| {
        batch()?.slice(u64::MAX, 2).map_err(host_error)?;
        behave(room)
    }),
    ("project_beyond", |room| {
        batch()?.project(&[0, u32::MAX]).map_err(host_error)?;
        behave(room)
    }),
    // Five million views of one batch.
    ("many_handles", |room| {
        let batch = batch()?;
        let mut views = Vec::new();
        for _ in 0..5_000_000 {
            views.push(batch.slice(0, 1).map_err(host_error)?);
        }
        drop(views);
        behave(room)
    }),
    // A hundred thousand scans at the same time.
    ("many_scans", |room| {
        let table = tables::open_table("a.t").map_err(host_error)?;
        let mut readers = Vec::new();
        for _ in 0..100_000 {
            readers.push(
                table
                    .scan(tables::ScanOptions {
                        columns: None,
                        filter: None,
                        limit: None,
                        batch_rows: None,
                    })
                    .map_err(host_error)?,
            );
        }
        drop(readers);
        behave(room)
    }),
];

/// The first batch of the granted table.
fn batch() -> Result<data::RecordBatch> {
    let table = tables::open_table("a.t").map_err(host_error)?;
    let options =
        tables::ScanOptions { columns: None, filter: None, limit: None, batch_rows: None };
    let reader = table.scan(options).map_err(host_error)?;
    reader.next().map_err(host_error)?.context("the table is empty")
}
