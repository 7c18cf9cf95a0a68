//! Columns that the files call otherwise than the run does.

#[expect(dead_code, reason = "other tests use the rest")]
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use common::{drain, query, reason, show, table};
use datafusion::arrow;
use datafusion::parquet::arrow::ArrowWriter;
use glovebox_query::{FileFormat, InputTable, Session, SessionSettings};
use glovebox_sandbox::services::{QueryEngine, ScanOptions};

const FORMATS: [FileFormat; 4] =
    [FileFormat::Parquet, FileFormat::Csv, FileFormat::Ndjson, FileFormat::ArrowIpc];

/// A file with the columns `eml`, `a`, `b` and one that nobody is granted.
fn write(folder: &Path, format: FileFormat) -> PathBuf {
    let rows = 0..6_i64;
    let text = |make: fn(i64) -> String| -> ArrayRef {
        Arc::new(rows.clone().map(|row| Some(make(row))).collect::<StringArray>())
    };
    let numbers = |factor: i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row * factor)))
    };
    let columns = [
        ("eml", text(|row| format!("p{row}@x.org"))),
        ("a", numbers(1)),
        ("b", numbers(10)),
        ("secret", text(|row| format!("s{row}"))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, data)| (name, data, true)))
            .unwrap();
    let path = folder.join("t");
    let file = fs::File::create(&path).unwrap();
    match format {
        FileFormat::Parquet => {
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        }
        FileFormat::Csv => arrow::csv::Writer::new(file).write(&batch).unwrap(),
        FileFormat::Ndjson => {
            let mut writer = arrow::json::LineDelimitedWriter::new(file);
            writer.write(&batch).unwrap();
            writer.finish().unwrap();
        }
        FileFormat::ArrowIpc => {
            let mut writer =
                arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).unwrap();
            writer.write(&batch).unwrap();
            writer.finish().unwrap();
        }
    }
    path
}

fn renamed(names: &[(&str, &str)]) -> BTreeMap<String, String> {
    names.iter().map(|(name, in_files)| ((*name).into(), (*in_files).into())).collect()
}

fn session(
    format: FileFormat,
    path: &Path,
    granted: &[(&str, &str)],
    names: &[(&str, &str)],
) -> Session {
    let table =
        InputTable { renamed: renamed(names), ..table("m.t", format, granted, &[path.to_owned()]) };
    Session::new(vec![table], SessionSettings::default()).unwrap()
}

/// `a` and `b` have each other's names, and `eml` is seen under two names.
const GRANTED: &[(&str, &str)] =
    &[("b", "int64"), ("email", "utf8"), ("a", "int64"), ("mail", "utf8")];
const NAMES: &[(&str, &str)] = &[("a", "b"), ("b", "a"), ("email", "eml"), ("mail", "eml")];

#[test]
fn a_run_knows_its_own_names_only() {
    let folder = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let path = write(folder.path(), format);
        let mut session = session(format, &path, GRANTED, NAMES);
        let all = drain(session.scan("m.t", ScanOptions::default()).unwrap()).unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(show(&[all[0].slice(0, 2)]), @"
            +---+----------+----+----------+
            | b | email    | a  | mail     |
            +---+----------+----+----------+
            | 0 | p0@x.org | 0  | p0@x.org |
            | 1 | p1@x.org | 10 | p1@x.org |
            +---+----------+----+----------+
            ");
            let sql = "SELECT mail, a, b FROM m.t WHERE a >= 30 AND b < 5 AND email <> 'p3@x.org'";
            insta::assert_snapshot!(show(&query(&mut session, sql).unwrap()), @"
            +----------+----+---+
            | mail     | a  | b |
            +----------+----+---+
            | p4@x.org | 40 | 4 |
            +----------+----+---+
            ");
        }
        let part = ScanOptions {
            columns: Some(vec!["mail".into(), "email".into()]),
            filter: Some("a = 20".into()),
            ..Default::default()
        };
        let part = drain(session.scan("m.t", part).unwrap()).unwrap();
        assert_eq!(part.iter().map(RecordBatch::num_rows).sum::<usize>(), 1, "{format:?}");
        for hidden in ["eml", "secret"] {
            let sql = format!("SELECT {hidden} FROM m.t");
            assert_eq!(reason(query(&mut session, &sql)), "column-not-granted", "{format:?}");
            let column = ScanOptions { columns: Some(vec![hidden.into()]), ..Default::default() };
            assert_eq!(reason(session.scan("m.t", column)), "column-not-granted", "{format:?}");
        }
        let n = show(&query(&mut session, "SELECT count(*) AS n FROM m.t").unwrap());
        assert!(n.contains("| 6 |"), "{format:?}: {n}");
    }
}

#[test]
fn no_error_names_what_is_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let path = write(folder.path(), format);
        let error = |granted: &[(&str, &str)], names: &[(&str, &str)]| {
            let table = InputTable {
                renamed: renamed(names),
                ..table("m.t", format, granted, std::slice::from_ref(&path))
            };
            let made = Session::new(vec![table], SessionSettings::default());
            let ran = made.and_then(|mut session| query(&mut session, "SELECT sum(n) FROM m.t"));
            let error = ran.unwrap_err();
            assert!(!error.detail().contains("eml"), "{error}");
            error.reason().as_str()
        };
        let expected = match format {
            // What a text holds is known when it is read.
            FileFormat::Csv | FileFormat::Ndjson => "input-corrupt",
            FileFormat::Parquet | FileFormat::ArrowIpc => "schema-mismatch",
        };
        assert_eq!(error(&[("n", "int64")], &[("n", "eml")]), expected, "{format:?}");
        if format != FileFormat::Ndjson {
            let missing = error(&[("n", "int64")], &[("n", "emla")]);
            assert_eq!(missing, "schema-mismatch", "{format:?}");
        }
    }
}
