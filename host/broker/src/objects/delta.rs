//! Delta tables, wherever their files are.

use std::sync::{Arc, OnceLock};

use glovebox_delta::read::{self, SourceError, SourceTable, TableSchema};
use glovebox_job::job::FileFormat;
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use serde::Serialize;

use super::partitions::Wanted;
use super::reader::{Object, ObjectReader};
use super::readonly::ReadOnly;
use super::store::Place;
use crate::error::Failure;
use crate::pinned;
use crate::source::{FileTable, OpenTable, Request, SourceFile};

/// Most files of one table.
const MAX_FILES: usize = 20_000;

/// Most bytes of its log that are read to open it.
const MAX_LOG_BYTES: u64 = 1 << 30;

/// Which version was pinned.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Record<'a> {
    kind: &'static str,
    /// Which partitions of it, when not all.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    partitions: std::collections::BTreeMap<&'a str, Vec<&'a str>>,
    table_id: &'a str,
    version: u64,
}

/// Opens the newest version of a table.
pub(super) async fn open(request: &Request, place: &Place) -> Result<OpenTable, Failure> {
    if request.format.is_some_and(|format| format != FileFormat::Parquet) {
        return Err(Failure::unsupported("a Delta table has no other format than Parquet"));
    }
    let table: Arc<dyn ObjectStore> =
        Arc::new(PrefixStore::new(Arc::clone(&place.store), place.path.clone()));
    let store = ReadOnly::new(Arc::clone(&table), MAX_LOG_BYTES);
    let wanted = Wanted::new(&request.partitions);
    let takes = |schema: &TableSchema, values: &[Option<String>]| {
        let value = |column: &str| {
            let place = schema.partition_columns.iter().position(|other| other.name == column)?;
            values.get(place).map(Option::as_deref)
        };
        let missing = |column: String| {
            let shown = column.escape_debug();
            SourceError::Damaged(format!("the table has no partition column `{shown}`"))
        };
        wanted.takes(value).map_err(missing)
    };
    let found = read::open(Arc::new(store.clone()), takes, MAX_FILES).await;
    // What went wrong below says more than what the log's reader made of it.
    let found = found.map_err(|error| store.failure().unwrap_or_else(|| error.into()))?;
    let bytes = found.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.bytes));
    let record = Record {
        kind: "delta",
        partitions: pinned::filters(&request.partitions),
        table_id: &found.id,
        version: found.version,
    };
    let pinned = vec![pinned::of_record(bytes, &record)?];
    let SourceTable { schema, files, .. } = found;
    let source_files = files.iter().map(|file| SourceFile {
        bytes: file.bytes,
        partition: file.partition.clone(),
        has_deleted_rows: file.deleted.is_some(),
    });
    let source_files = source_files.collect();
    let objects = files.into_iter().map(|file| Object {
        path: file.path,
        bytes: file.bytes,
        etag: OnceLock::new(),
        deleted: file.deleted,
    });
    let reader = ObjectReader { store: table, objects: objects.collect() };
    Ok(OpenTable::Files(FileTable {
        evolving: true,
        format: FileFormat::Parquet,
        columns: Some(schema.columns),
        names_in_files: schema.names_in_files,
        partition_columns: schema.partition_columns,
        files: source_files,
        pinned,
        reader: Arc::new(reader),
    }))
}
