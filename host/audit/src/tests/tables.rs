//! Columns, rows and files.

use std::collections::BTreeSet;

use arrow::array::AsArray as _;
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::{events, rows, shared};
use crate::columns::{EVENTS, RUNS, STATEMENTS, columns, schema};
use crate::{AuditError, Journal, Rows, statements, write_parquet};
/// How many rows and columns a Parquet file has.
fn parquet_rows(bytes: &[u8]) -> (usize, usize) {
    let path = std::env::temp_dir().join(format!("glovebox-audit-{}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let columns = builder.schema().fields().len();
    let rows = builder.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    (rows, columns)
}

#[test]
fn every_column_has_a_type_that_every_engine_knows() {
    for named in [EVENTS, RUNS, STATEMENTS] {
        let (columns, schema) = (columns(named).unwrap(), schema(named).unwrap());
        assert_eq!(columns.len(), schema.fields().len());
        let names: BTreeSet<_> = named.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), named.len(), "no name is there twice");
    }
}

#[test]
fn the_first_columns_are_those_of_clean_room_events() {
    let names: Vec<_> = EVENTS.iter().map(|(name, _)| *name).take(16).collect();
    assert_eq!(
        names,
        [
            "account_id",
            "metastore_id",
            "event_id",
            "clean_room_name",
            "central_clean_room_id",
            "initiator_global_metastore_id",
            "initiator_collaborator_alias",
            "event_time",
            "event_type",
            "clean_room_created_metadata",
            "clean_room_deleted_metadata",
            "run_notebook_started_metadata",
            "run_notebook_completed_metadata",
            "clean_room_assets_updated_metadata",
            "asset_review_created_metadata",
            "output_schema_deleted_metadata",
        ]
    );
}

#[test]
fn a_log_that_does_not_hold_up_is_no_table() {
    let room = shared();
    assert!(matches!(Journal::of(&[]), Err(AuditError::Empty)));
    let mut cut = room.entries.clone();
    cut.remove(5);
    let Err(AuditError::Log { position: 5, .. }) = Journal::of(&cut) else { panic!() };
    let mut journal = Journal::of(&room.entries[..5]).unwrap();
    let before = rows(&journal.events().unwrap());
    assert!(journal.take(&room.entries[6]).is_err());
    assert_eq!(rows(&journal.events().unwrap()), before, "it stays as it was");
    room.entries[5..].iter().for_each(|envelope| journal.take(envelope).unwrap());
    assert_eq!(rows(&journal.events().unwrap()), events(&room), "read in parts or at once");
}

#[test]
fn the_log_is_a_table_too() {
    let room = shared();
    let name = &room.state.document().name;
    let table = statements(name, &room.entries).unwrap();
    let rows = rows(&table);
    assert_eq!(rows.len(), room.entries.len());
    assert_eq!(rows[1]["kind"], "accept");
    assert_eq!(rows[1]["party"], "weather");
    assert_eq!(rows[1]["central_clean_room_id"], room.state.id().to_string());
    let statement: Value = serde_json::from_str(rows[3]["statement"].as_str().unwrap()).unwrap();
    assert_eq!(statement["predicate"]["body"]["name"], "airline.flights");
}

#[test]
fn many_rows_are_as_few() {
    let mut rows_of = Rows::new(STATEMENTS).unwrap();
    for position in 0..10_000 {
        rows_of.push(&json!({ "position": position, "party": "weather" })).unwrap();
    }
    let table = rows_of.table().unwrap();
    assert_eq!(table.rows(), 10_000);
    let all = concat_batches(&table.schema, &table.batches).unwrap();
    let positions = all.column_by_name("position").unwrap().as_primitive::<Int64Type>();
    assert!(positions.values().iter().enumerate().all(|(at, value)| at as i64 == *value));
    assert_eq!(all.column_by_name("kind").unwrap().null_count(), 10_000);
}

#[test]
fn a_member_that_is_no_column_is_found() {
    let mut rows = Rows::new(STATEMENTS).unwrap();
    rows.push(&json!({ "positon": 1 })).unwrap();
    assert!(rows.table().is_err());
}

#[test]
fn the_same_log_is_the_same_file() {
    let room = shared();
    let file = || {
        let mut bytes = Vec::new();
        write_parquet(&Journal::of(&room.entries).unwrap().events().unwrap(), &mut bytes).unwrap();
        bytes
    };
    let bytes = file();
    assert_eq!(bytes, file());
    assert_eq!(parquet_rows(&bytes), (room.entries.len(), EVENTS.len()));
}
