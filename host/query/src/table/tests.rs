use std::fs::File;

use arrow::array::{ArrayRef, Int64Array};
use arrow::record_batch::RecordBatch;
use datafusion::common::ParamValues;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::physical_plan::displayable;
use glovebox_contract::column::{Column, ColumnType};

use super::*;
use crate::arrange::RowsOrdered;
use crate::input::{InputFile, SessionSettings};
use crate::policy::parse_query;
use crate::session::Session;

/// A filter reaches the statistics of row groups under the files' names, also when two columns
/// have each other's.
#[test]
fn row_groups_are_skipped_by_renamed_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from_iter_values(0..100)) };
    let batch =
        RecordBatch::try_from_iter([("a", numbers()), ("b", numbers()), ("eml", numbers())])
            .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let file = File::open(&path).unwrap();
    let bytes = file.metadata().unwrap().len();
    let column =
        |name: &str| Column { column_type: ColumnType::Int64, name: name.into(), nullable: true };
    let names = [("a", "b"), ("b", "a"), ("mail", "eml")];
    let table = InputTable {
        name: "m.t".parse().unwrap(),
        format: FileFormat::Parquet,
        file_columns: None,
        granted: ["a", "b", "mail"].map(column).to_vec(),
        renamed: names.map(|(name, in_files)| (name.into(), in_files.into())).into(),
        files: vec![InputFile { file, bytes }],
    };
    let session = Session::new(vec![table], SessionSettings::default()).unwrap();
    let check = |filter: &str, expect: &str| {
        let query = parse_query(&format!("SELECT b FROM m.t WHERE {filter}")).unwrap();
        let catalog = session.fresh_catalog();
        let state = session.state_with(catalog.clone());
        let none = ParamValues::List(Vec::new());
        let plan = session.plan(&state, &catalog, *query, &none).unwrap();
        let running = session.planner(&state).physical(plan, RowsOrdered::Stably).unwrap();
        let plan = displayable(running.plan.as_ref()).indent(true).to_string();
        assert!(plan.contains(expect), "{expect} in {plan}");
    };
    check("mail > 1000", "eml_max@0 > 1000");
    check("a > 1000", "b_max@0 > 1000");
    check("b = 7", "a_min@0 <= 7");
}
