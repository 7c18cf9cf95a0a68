//! Every format, good and bad.

#[expect(dead_code, reason = "other tests use the rest")]
mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use common::{column, drain, open, query, reason, show, table};
use datafusion::arrow;
use datafusion::parquet::arrow::ArrowWriter;
use glovebox_query::{FileFormat, InputTable, Session, SessionSettings, describe};
use glovebox_sandbox::services::{QueryEngine, ScanOptions};
use proptest::prelude::*;

fn batch() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..200))),
        (
            "name",
            Arc::new(
                (0..200)
                    .map(|i| (i % 7 != 0).then(|| format!("name, \"{i}\"\nx")))
                    .collect::<StringArray>(),
            ),
        ),
        (
            "score",
            Arc::new(
                (0..200)
                    .map(|i| (i % 5 != 0).then_some(f64::from(i) / 4.0))
                    .collect::<Float64Array>(),
            ),
        ),
        ("even", Arc::new((0..200).map(|i| Some(i % 2 == 0)).collect::<BooleanArray>())),
        ("secret", Arc::new((0..200).map(|i| Some(format!("secret{i}"))).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

const GRANTED: &[(&str, &str)] =
    &[("score", "float64"), ("id", "int64"), ("name", "utf8"), ("even", "boolean")];

fn write(folder: &Path, name: &str, format: FileFormat, batch: &RecordBatch) -> PathBuf {
    let path = folder.join(name);
    let file = fs::File::create(&path).unwrap();
    match format {
        FileFormat::Parquet => {
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(batch).unwrap();
            writer.close().unwrap();
        }
        FileFormat::Csv => arrow::csv::Writer::new(file).write(batch).unwrap(),
        FileFormat::Ndjson => {
            let mut writer = arrow::json::LineDelimitedWriter::new(file);
            writer.write(batch).unwrap();
            writer.finish().unwrap();
        }
        FileFormat::ArrowIpc => {
            let mut writer =
                arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).unwrap();
            writer.write(batch).unwrap();
            writer.finish().unwrap();
        }
    }
    path
}

const FORMATS: [FileFormat; 4] =
    [FileFormat::Parquet, FileFormat::Csv, FileFormat::Ndjson, FileFormat::ArrowIpc];

#[test]
fn the_same_rows_come_out_of_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = batch().project(&[2, 0, 1, 3]).unwrap();
    for format in FORMATS {
        let one = write(folder.path(), "1", format, &batch().slice(0, 120));
        let two = write(folder.path(), "2", format, &batch().slice(120, 80));
        let table = table("a.t", format, GRANTED, &[one, two]);
        let mut session = Session::new(vec![table], SessionSettings::default()).unwrap();
        let got = drain(session.scan("a.t", ScanOptions::default()).unwrap()).unwrap();
        let got = arrow::compute::concat_batches(&got[0].schema(), &got).unwrap();
        assert_eq!(got, wanted, "{format:?}");
        let sql =
            "SELECT count(*) AS n, count(name) AS named, sum(score) AS score, min(name) AS first
                   FROM a.t WHERE even";
        insta::allow_duplicates! {
            insta::assert_snapshot!(show(&query(&mut session, sql).unwrap()), @r#"
    +-----+-------+--------+------------+
    | n   | named | score  | first      |
    +-----+-------+--------+------------+
    | 100 | 85    | 2000.0 | name, "10" |
    |     |       |        | x          |
    +-----+-------+--------+------------+
    "#);
        }
        assert_eq!(reason(query(&mut session, "SELECT secret FROM a.t")), "column-not-granted");
        let filtered = ScanOptions {
            filter: Some("id >= 190 AND even".into()),
            columns: Some(vec!["id".into()]),
            ..Default::default()
        };
        let rows = drain(session.scan("a.t", filtered).unwrap()).unwrap();
        assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 5, "{format:?}");
    }
}

#[test]
fn every_format_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let described = |format| {
        let path = write(folder.path(), "t", format, &batch());
        let columns = describe(format, vec![open(&path)]).unwrap();
        let texts: Vec<_> =
            columns.iter().map(|c| format!("{}: {}", c.name, c.column_type)).collect();
        texts.join(", ")
    };
    insta::assert_snapshot!(described(FileFormat::Parquet), @"id: int64, name: utf8, score: float64, even: boolean, secret: utf8");
    insta::assert_snapshot!(described(FileFormat::Csv), @"id: int64, name: utf8, score: float64, even: boolean, secret: utf8");
    insta::assert_snapshot!(described(FileFormat::Ndjson), @"even: boolean, id: int64, name: utf8, score: float64, secret: utf8");
    insta::assert_snapshot!(described(FileFormat::ArrowIpc), @"id: int64, name: utf8, score: float64, even: boolean, secret: utf8");
}

#[test]
fn files_of_a_table_agree_or_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let check = |format, files: &[&str]| {
        let files = files.iter().enumerate().map(|(i, t)| open(&text(&i.to_string(), t))).collect();
        match describe(format, files) {
            Ok(columns) => {
                let texts: Vec<_> =
                    columns.iter().map(|c| format!("{} {}", c.name, c.column_type)).collect();
                texts.join(", ")
            }
            Err(error) => format!("{}: {}", error.reason(), error.detail()),
        }
    };
    use FileFormat::{Csv, Ndjson};
    insta::assert_snapshot!(check(Csv, &["a,b\n1,x\n", "a,b\n1.5,y\n"]), @"a float64, b utf8");
    insta::assert_snapshot!(check(Csv, &["a,b\n1,x\n", "b,a\nx,1\n"]), @"schema-mismatch: file 2 has other columns or types than file 1");
    insta::assert_snapshot!(check(Csv, &["a,a\n1,2\n"]), @"schema-mismatch: two columns are named `a`");
    insta::assert_snapshot!(check(Csv, &["a,b\n,\n"]), @"a utf8, b utf8");
    insta::assert_snapshot!(check(Csv, &["a,b\n2013-01-01,2013-01-01T05:00:00\n"]), @"a date32, b timestamp(s)");
    insta::assert_snapshot!(check(Csv, &[""]), @"schema-mismatch: the files have no columns");
    insta::assert_snapshot!(check(Csv, &[]), @"schema-mismatch: a table has at least one file");
    insta::assert_snapshot!(check(Ndjson, &["{\"b\":1}\n{\"a\":\"x\"}\n", "{\"c\":[1.5]}"]), @"a utf8, b int64, c list(float64)");
    insta::assert_snapshot!(check(Ndjson, &["{\"b\":1}\n[1]\n"]), @"input-corrupt: file 1 of the table: a file of an input table is not valid in its format");
    insta::assert_snapshot!(check(Ndjson, &["{\"b\":"]), @"input-corrupt: file 1 of the table: a file of an input table is not valid in its format");
}

#[test]
fn encodings_are_kept_in_scans_and_plain_in_queries() {
    let folder = tempfile::tempdir().unwrap();
    let words: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    let inner: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None, Some("y")]));
    let parts = StructArray::try_from(vec![("s", inner)]).unwrap();
    let times = TimestampMicrosecondArray::from(vec![1, 2, 3]).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("word", Arc::new(words)),
        ("list", Arc::new(lists)),
        ("part", Arc::new(parts)),
        ("time", Arc::new(times)),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
            .unwrap();
    for format in [FileFormat::Parquet, FileFormat::ArrowIpc] {
        let path = write(folder.path(), "t", format, &batch);
        let granted = describe(format, vec![open(&path)]).unwrap();
        let types: Vec<_> = granted.iter().map(|c| c.column_type.to_string()).collect();
        assert_eq!(
            types,
            ["dictionary(int32, utf8)", "list(int64)", "struct(s: utf8)", "timestamp(us, UTC)"],
            "{format:?}"
        );
        let table =
            InputTable { granted, ..table("a.t", format, &[], std::slice::from_ref(&path)) };
        let mut session = Session::new(vec![table], SessionSettings::default()).unwrap();
        let schema = session.table_schema("a.t").unwrap();
        let scanned = drain(session.scan("a.t", ScanOptions::default()).unwrap()).unwrap();
        assert_eq!(scanned[0].schema(), schema);
        assert_eq!(scanned[0].num_rows(), 3);
        let rows = query(&mut session, "SELECT * FROM a.t ORDER BY time DESC").unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(show(&rows), @r"
    +------+-------+--------+-----------------------------+
    | word | list  | part   | time                        |
    +------+-------+--------+-----------------------------+
    | a    | []    | {s: y} | 1970-01-01T00:00:00.000003Z |
    | b    |       | {s: }  | 1970-01-01T00:00:00.000002Z |
    | a    | [1, ] | {s: x} | 1970-01-01T00:00:00.000001Z |
    +------+-------+--------+-----------------------------+
    ");
        }
    }
}

#[test]
fn values_of_another_type_are_corrupt_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let check = |format, text: &str| {
        let path = folder.path().join("t");
        fs::write(&path, text).unwrap();
        let table = table("a.t", format, &[("id", "int64")], &[path]);
        let result = Session::new(vec![table], SessionSettings::default())
            .and_then(|mut session| query(&mut session, "SELECT id FROM a.t"));
        let error = result.unwrap_err();
        assert!(!error.detail().contains("4711"), "{}", error.detail());
        format!("{}: {}", error.reason(), error.detail())
    };
    use FileFormat::{ArrowIpc, Csv, Ndjson, Parquet};
    insta::assert_snapshot!(check(Csv, "id\n1\n2\nx4711\n"), @"input-corrupt: a file of an input table is not valid in its format");
    insta::assert_snapshot!(check(Csv, "id\n1\n1,2,4711\n"), @"input-corrupt: a file of an input table is not valid in its format");
    insta::assert_snapshot!(check(Csv, "name\n4711\n"), @"schema-mismatch: table a.t: file 1: column `id` is missing");
    insta::assert_snapshot!(check(Ndjson, "{\"id\":1}\n{\"id\":\"x4711\"}\n"), @"input-corrupt: a file of an input table is not valid in its format");
    insta::assert_snapshot!(check(Ndjson, "{\"id\":1}\n4711\n"), @"input-corrupt: a file of an input table is not valid in its format");
    insta::assert_snapshot!(check(Parquet, "4711"), @"input-corrupt: file 1 of table a.t: a file of an input table is not valid in its format");
    insta::assert_snapshot!(check(ArrowIpc, "ARROW1 4711"), @"input-corrupt: file 1 of table a.t: a file of an input table is not valid in its format");
}

#[test]
fn a_file_that_shrinks_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let path = write(folder.path(), "t", format, &batch());
        let table = table("a.t", format, GRANTED, std::slice::from_ref(&path));
        let mut session = Session::new(vec![table], SessionSettings::default()).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
        let result = query(&mut session, "SELECT sum(score), max(name) FROM a.t");
        assert_eq!(reason(result), "input-changed", "{format:?}");
        let table = InputTable {
            granted: vec![column("id", "int64")],
            ..common::table("a.t", format, &[], &[path])
        };
        let mut table = table;
        table.files[0].bytes = 5_000;
        assert_eq!(
            reason(Session::new(vec![table], SessionSettings::default())),
            "input-changed",
            "{format:?}"
        );
    }
}

/// What may come of a damaged file: rows, or an error that blames the file or the query.
fn survives(format: FileFormat, bytes: &[u8]) -> &'static str {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    fs::write(&path, bytes).unwrap();
    let described = describe(format, vec![open(&path)]);
    assert!(matches!(reason(described), "ok" | "input-corrupt" | "schema-mismatch"));
    let table = table("a.t", format, GRANTED, &[path]);
    let outcome = reason(
        Session::new(vec![table], SessionSettings { partitions: 1, ..Default::default() })
            .and_then(|mut session| {
                query(
                    &mut session,
                    "SELECT sum(score), max(name), count(*), sum(id) FROM a.t WHERE even",
                )
            }),
    );
    let known =
        ["ok", "input-corrupt", "schema-mismatch", "query-failed", "memory-limit", "internal"];
    assert!(known.contains(&outcome), "{outcome}");
    outcome
}

fn mutations(format: FileFormat, cases: u32) {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read(write(folder.path(), "good", format, &batch())).unwrap();
    let mut outcomes = std::collections::BTreeMap::new();
    // The same cases every time: what a damaged file can do to an engine beyond an error, such as
    // an allocation that fails, ends a worker process, and would end this one.
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        ProptestConfig::with_cases(cases),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let changes = (
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        any::<prop::sample::Index>(),
        0..4_u8,
    );
    let outcomes_cell = std::cell::RefCell::new(&mut outcomes);
    runner
        .run(&changes, |(edits, cut, kind)| {
            let mut bytes = good.clone();
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if kind == 0 {
                bytes.truncate(cut.index(bytes.len()));
            }
            *outcomes_cell.borrow_mut().entry(survives(format, &bytes)).or_insert(0) += 1;
            Ok(())
        })
        .unwrap();
    println!("{format:?}: {outcomes:?}");
}

/// Every byte of the index of an Arrow file as a very large number: a block that lies outside the
/// file is an error, not an allocation of that size.
#[test]
fn an_arrow_index_that_lies_about_its_blocks_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let good = fs::read(write(folder.path(), "good", FileFormat::ArrowIpc, &batch())).unwrap();
    let trailer = good.len() - 10;
    let length = i32::from_le_bytes(good[trailer..trailer + 4].try_into().unwrap());
    let footer = trailer - usize::try_from(length).unwrap();
    for at in footer..trailer {
        let mut bytes = good.clone();
        bytes[at] = 0x7f;
        survives(FileFormat::ArrowIpc, &bytes);
    }
}

#[test]
fn damaged_parquet_is_an_error() {
    mutations(FileFormat::Parquet, 700);
}

#[test]
fn damaged_csv_is_an_error() {
    mutations(FileFormat::Csv, 400);
}

#[test]
fn damaged_ndjson_is_an_error() {
    mutations(FileFormat::Ndjson, 400);
}

#[test]
fn damaged_arrow_files_are_an_error() {
    mutations(FileFormat::ArrowIpc, 500);
}
