//! Tables whose files a broker reads.

#[expect(dead_code, reason = "other tests use the rest")]
mod common;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "common/fake_broker.rs"]
mod fake_broker;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use common::{column, drain, query, show};
use datafusion::arrow;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use fake_broker::{Asked, FakeBroker};
use glovebox_contract::reason::ReasonCode;
use glovebox_query::{
    BrokerFailure, BrokeredFile, BrokeredFiles, BrokeredTable, FileFormat, Session,
    SessionSettings, describe_brokered,
};
use glovebox_sandbox::services::{HostError, QueryEngine, ScanOptions};
use tempfile::TempDir;

const FORMATS: [FileFormat; 4] =
    [FileFormat::Parquet, FileFormat::Csv, FileFormat::Ndjson, FileFormat::ArrowIpc];

fn numbers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts(values: impl IntoIterator<Item = String>) -> ArrayRef {
    Arc::new(values.into_iter().map(Some).collect::<StringArray>())
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, data)| (name, data, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn write(path: &Path, format: FileFormat, batch: &RecordBatch) {
    let file = fs::File::create(path).unwrap();
    match format {
        FileFormat::Parquet => {
            // Small row groups, so that deleted rows fall on both sides of an edge.
            let small = WriterProperties::builder().set_max_row_group_row_count(Some(4)).build();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(small)).unwrap();
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
}

/// Files of a table, and what a run is told of them.
struct Table {
    folder: TempDir,
    broker: FakeBroker,
    files: Vec<BrokeredFile>,
    format: FileFormat,
    file_columns: Vec<(&'static str, &'static str)>,
    partition_columns: Vec<(&'static str, &'static str)>,
    evolving: bool,
    granted: Vec<(&'static str, &'static str)>,
    renamed: BTreeMap<String, String>,
}

impl Table {
    fn new(format: FileFormat) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            broker: FakeBroker::default(),
            files: Vec::new(),
            format,
            file_columns: vec![("id", "int64"), ("name", "utf8")],
            partition_columns: Vec::new(),
            evolving: false,
            granted: vec![("id", "int64"), ("name", "utf8")],
            renamed: BTreeMap::new(),
        }
    }

    /// Three files of ten rows each: `id` from 0 to 29, `name` after it.
    fn of_three(format: FileFormat) -> Self {
        let mut table = Self::new(format);
        for file in 0..3 {
            let ids = file * 10..file * 10 + 10;
            let names = texts(ids.clone().map(|id| format!("n{id}")));
            table.add(&batch(vec![("id", numbers(ids)), ("name", names)]), &[]);
        }
        table
    }

    fn add(&mut self, batch: &RecordBatch, partition: &[Option<&str>]) {
        let path = self.path(self.files.len());
        write(&path, self.format, batch);
        self.files.push(BrokeredFile {
            bytes: fs::metadata(&path).unwrap().len(),
            has_deleted_rows: false,
            partition: partition.iter().map(|text| text.map(str::to_owned)).collect(),
        });
        self.broker.files.push(path);
        self.broker.deleted.push(Vec::new());
    }

    fn path(&self, file: usize) -> PathBuf {
        self.folder.path().join(file.to_string())
    }

    fn delete(&mut self, file: usize, rows: &[u64]) {
        self.files[file].has_deleted_rows = true;
        self.broker.deleted[file] = rows.to_vec();
    }

    /// The folder stays for as long as the first of these is kept.
    fn start(self) -> (TempDir, Arc<FakeBroker>, BrokeredTable) {
        let columns = |columns: Vec<(&str, &str)>| {
            columns.into_iter().map(|(name, column_type)| column(name, column_type)).collect()
        };
        let broker = Arc::new(self.broker);
        let files = BrokeredFiles {
            broker: broker.clone(),
            table: 0,
            format: self.format,
            file_columns: columns(self.file_columns),
            partition_columns: columns(self.partition_columns),
            evolving: self.evolving,
            files: self.files,
        };
        let name = "m.t".parse().unwrap();
        let granted = columns(self.granted);
        let table = BrokeredTable { name, granted, renamed: self.renamed, files };
        (self.folder, broker, table)
    }
}

fn session(table: BrokeredTable, partitions: usize) -> Result<Session, HostError> {
    Session::new(vec![table], SessionSettings { partitions, ..SessionSettings::default() })
}

/// What `sql` shows, in one partition and in several.
fn answer(table: Table, sql: &str) -> Result<String, HostError> {
    let (_folder, _, table) = table.start();
    let ask = |partitions| {
        let mut session = session(table.clone(), partitions)?;
        Ok(show(&query(&mut session, sql)?))
    };
    let one = ask(1)?;
    assert_eq!(one, ask(3)?, "one partition and three");
    Ok(one)
}

#[track_caller]
fn check(table: Table, sql: &str, expect: &[&str]) {
    let shown = answer(table, sql).unwrap();
    let rows: Vec<String> = shown
        .lines()
        .skip(3)
        .filter(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned())
        .collect();
    assert_eq!(rows, expect, "{sql}");
}

#[track_caller]
fn fails(table: Table, sql: &str, reason: ReasonCode, expect: &str) {
    let error = answer(table, sql).unwrap_err();
    assert_eq!((error.reason(), error.detail()), (reason, expect), "{sql}");
}

#[test]
fn every_format_is_read() {
    for format in FORMATS {
        let table = || Table::of_three(format);
        check(table(), "SELECT count(*), sum(id), min(name) FROM m.t", &["30 435 n0"]);
        check(table(), "SELECT name FROM m.t WHERE id >= 28", &["n28", "n29"]);
        check(table(), "SELECT id FROM m.t LIMIT 2", &["0", "1"]);
        check(table(), "SELECT count(*) FROM m.t WHERE id < 0", &["0"]);
        let (_folder, broker, table) = table().start();
        let mut session = session(table, 2).unwrap();
        let rows = drain(session.scan("m.t", ScanOptions::default()).unwrap()).unwrap();
        assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 30, "{format:?}");
        let ids = rows.iter().flat_map(|batch| {
            let ids = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
            ids.values().to_vec()
        });
        assert!(ids.eq(0..30), "{format:?}: in the order of the files");
        assert_eq!(broker.read_files(), [0, 1, 2]);
    }
}

#[test]
fn columns_of_every_format_are_described() {
    for format in FORMATS {
        let mut table = Table::of_three(format);
        table.file_columns = Vec::new();
        table.partition_columns = vec![("year", "int32")];
        let (_folder, _, table) = table.start();
        let columns = describe_brokered(&table.files).unwrap();
        let columns: Vec<String> = columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.column_type))
            .collect();
        assert_eq!(columns, ["id int64", "name utf8", "year int32"], "{format:?}");
    }
}

#[test]
fn a_partition_column_hides_one_of_the_files() {
    for format in FORMATS {
        let mut table = Table::of_three(format);
        table.partition_columns = vec![("id", "utf8")];
        let (_folder, _, table) = table.start();
        match describe_brokered(&table.files) {
            Ok(columns) => {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                assert_eq!(names, ["name", "id"], "{format:?}");
            }
            // These would be read by the wrong places.
            Err(error) => assert_eq!(error.reason(), ReasonCode::SchemaMismatch, "{format:?}"),
        }
    }
}

/// A table of two years and no year, with files in each.
fn by_year(format: FileFormat) -> Table {
    let mut table = Table::new(format);
    table.partition_columns = vec![("year", "int32"), ("town", "utf8")];
    table.granted = vec![("name", "utf8"), ("town", "utf8"), ("year", "int32"), ("id", "int64")];
    let years = [(Some("2012"), Some("Rome")), (Some("2013"), None), (None, Some("Oslo"))];
    for ((year, town), first) in years.into_iter().zip([0, 10, 20]) {
        let ids = first..first + 10;
        let names = texts(ids.clone().map(|id| format!("n{id}")));
        table.add(&batch(vec![("id", numbers(ids)), ("name", names)]), &[year, town]);
    }
    table
}

#[test]
fn partition_columns_have_the_values_of_their_files() {
    for format in FORMATS {
        let table = || by_year(format);
        check(
            table(),
            "SELECT year, town, count(*), min(id) FROM m.t GROUP BY year, town ORDER BY year",
            &["2012 Rome 10 0", "2013  10 10", "Oslo 10 20"],
        );
        check(table(), "SELECT name FROM m.t WHERE year = 2013 AND id > 18", &["n19"]);
        check(table(), "SELECT DISTINCT town FROM m.t WHERE year IS NULL", &["Oslo"]);
        check(table(), "SELECT count(*) FROM m.t WHERE town = 'Paris'", &["0"]);
        check(table(), "SELECT sum(year) FROM m.t WHERE id % 10 = 0", &["4025"]);
    }
}

#[test]
fn files_that_their_partitions_rule_out_are_not_read() {
    let check = |filter: &str, expect: &[u32]| {
        let (_folder, broker, table) = by_year(FileFormat::Parquet).start();
        let mut session = session(table, 2).unwrap();
        query(&mut session, &format!("SELECT sum(id) FROM m.t WHERE {filter}")).unwrap();
        assert_eq!(broker.read_files(), expect, "{filter}");
    };
    check("id >= 0", &[0, 1, 2]);
    check("year = 2013", &[1]);
    check("year >= 2012 AND id >= 0", &[0, 1]);
    check("year IS NULL", &[2]);
    check("town IN ('Rome', 'Oslo')", &[0, 2]);
    check("year = 2012 OR town = 'Oslo'", &[0, 2]);
    check("year = 1999", &[]);
    check("length(town) = 4 AND year + 1 = 2013", &[0]);
}

#[test]
fn renamed_and_doubled_partition_columns() {
    let mut table = by_year(FileFormat::Parquet);
    table.granted = vec![("when", "int32"), ("again", "int32"), ("key", "int64")];
    table.renamed = [("when", "year"), ("again", "year"), ("key", "id")]
        .map(|(a, b)| (a.into(), b.into()))
        .into();
    check(
        table,
        "SELECT \"when\", again, max(key) FROM m.t WHERE again = 2012 GROUP BY \"when\", again",
        &["2012 2012 9"],
    );
}

#[test]
fn a_value_that_is_no_value_of_its_column_is_an_error_that_hides_it() {
    let mut table = by_year(FileFormat::Parquet);
    table.files[1].partition[0] = Some("secret".into());
    let detail = "table m.t: a partition value is not of its column's type";
    fails(table, "SELECT id FROM m.t", ReasonCode::InputCorrupt, detail);
    let mut table = by_year(FileFormat::Parquet);
    table.files[1].partition.pop();
    let detail = "table m.t: a partition value is missing";
    fails(table, "SELECT id FROM m.t", ReasonCode::Internal, detail);
}

#[test]
fn deleted_rows_are_not_there() {
    let mut table = Table::of_three(FileFormat::Parquet);
    table.delete(0, &[0, 3, 4, 9]);
    table.delete(2, &(0..10).collect::<Vec<_>>());
    let ids = "SELECT id FROM m.t ORDER BY id LIMIT 8";
    check(table, ids, &["1", "2", "5", "6", "7", "8", "10", "11"]);
    let table = || {
        let mut table = Table::of_three(FileFormat::Parquet);
        table.delete(1, &[5]);
        table
    };
    check(table(), "SELECT count(*) FROM m.t", &["29"]);
    check(table(), "SELECT count(*) FROM m.t WHERE id >= 14 AND id <= 16", &["2"]);
    check(
        table(),
        "SELECT a.id FROM m.t a JOIN m.t b ON a.id = b.id + 1 WHERE b.id IN (13, 15)",
        &["14"],
    );
    let (_folder, broker, table) = table().start();
    let mut session = session(table, 2).unwrap();
    query(&mut session, "SELECT sum(id) FROM m.t").unwrap();
    let asked = broker.asked.lock().unwrap();
    let deleted: Vec<&Asked> =
        asked.iter().filter(|asked| matches!(asked, Asked::DeletedRows(_))).collect();
    assert_eq!(deleted, [&Asked::DeletedRows(1)]);
}

#[test]
fn deleted_rows_that_cannot_be_are_errors() {
    let detail = "table m.t: deleted rows that a file does not have";
    for rows in [&[10][..], &[3, 2], &[1, 1], &[u64::MAX]] {
        let mut table = Table::of_three(FileFormat::Parquet);
        table.delete(1, rows);
        fails(table, "SELECT id FROM m.t", ReasonCode::InputCorrupt, detail);
    }
    let mut table = Table::of_three(FileFormat::Csv);
    table.delete(1, &[0]);
    let detail = "table m.t: deleted rows in files of this format";
    fails(table, "SELECT id FROM m.t", ReasonCode::SourceUnsupported, detail);
}

/// A table whose first file is older than its columns.
fn grown(evolving: bool) -> Table {
    let mut table = Table::new(FileFormat::Parquet);
    table.evolving = evolving;
    table.file_columns.push(("extra", "utf8"));
    table.granted.push(("extra", "utf8"));
    let names = |ids: std::ops::Range<i64>| texts(ids.map(|id| format!("n{id}")));
    let old: ArrayRef = Arc::new(Int32Array::from_iter_values(0..3));
    table.add(&batch(vec![("name", names(0..3)), ("id", old)]), &[]);
    let extra = texts((3..6).map(|id| format!("x{id}")));
    table.add(&batch(vec![("id", numbers(3..6)), ("name", names(3..6)), ("extra", extra)]), &[]);
    table
}

#[test]
fn older_files_of_a_table_that_evolves_have_nulls_and_narrower_types() {
    check(
        grown(true),
        "SELECT id, name, extra FROM m.t WHERE id IN (2, 3) ORDER BY id",
        &["2 n2", "3 n3 x3"],
    );
    check(grown(true), "SELECT count(extra), sum(id) FROM m.t", &["3 15"]);
    check(grown(true), "SELECT count(*) FROM m.t WHERE extra IS NULL", &["3"]);
}

#[test]
fn a_file_that_changed_its_columns_is_an_error() {
    let sql = "SELECT sum(id), max(extra) FROM m.t";
    let detail = "table m.t: column `id` has another type in a file";
    fails(grown(false), sql, ReasonCode::SchemaMismatch, detail);
    let mut lacking = grown(false);
    lacking.granted.remove(0);
    let detail = "table m.t: a file lacks column `extra`";
    fails(lacking, "SELECT max(extra) FROM m.t", ReasonCode::SchemaMismatch, detail);
    // A type that is no narrower one, even where tables may evolve; and a type that lost its unit.
    let mut other = Table::of_three(FileFormat::Parquet);
    other.evolving = true;
    (other.file_columns[1], other.granted[1]) = (("name", "int64"), ("name", "int64"));
    let detail = "table m.t: column `name` has another type in a file";
    fails(other, "SELECT max(name) FROM m.t", ReasonCode::SchemaMismatch, detail);
}

#[test]
fn a_head_that_changed_is_noticed_where_columns_are_read_by_place() {
    for format in [FileFormat::Csv, FileFormat::ArrowIpc] {
        let mut table = Table::of_three(format);
        let swapped =
            batch(vec![("name", texts((0..3).map(|id| format!("n{id}")))), ("id", numbers(0..3))]);
        table.add(&swapped, &[]);
        let detail = "table m.t: a file has other columns than it had";
        fails(table, "SELECT name FROM m.t", ReasonCode::SchemaMismatch, detail);
    }
}

#[test]
fn what_is_granted_must_be_known() {
    let mut table = Table::of_three(FileFormat::Parquet);
    table.granted.push(("wage", "int64"));
    let detail = "table m.t: column `wage` is missing";
    fails(table, "SELECT id FROM m.t", ReasonCode::SchemaMismatch, detail);
    let mut table = by_year(FileFormat::Parquet);
    table.granted[2] = ("year", "utf8");
    let detail = "table m.t: column `year` has type int32, granted as utf8";
    fails(table, "SELECT id FROM m.t", ReasonCode::SchemaMismatch, detail);
}

#[test]
fn a_broker_that_fails_fails_the_query_with_its_reason() {
    let denied = BrokerFailure::new(ReasonCode::SourceDenied);
    for format in FORMATS {
        // At the first request, and at a later one.
        for from in [0, 2] {
            let mut table = Table::of_three(format);
            table.broker.failing = Some((from, denied));
            let error = answer(table, "SELECT sum(id) FROM m.t").unwrap_err();
            assert_eq!(error.reason(), ReasonCode::SourceDenied, "{format:?} {error:?}");
            let expect = "the credentials of an input table are not accepted";
            assert!(error.detail().ends_with(expect), "{format:?} {error:?}");
        }
        let mut table = Table::of_three(format);
        table.broker.failing = Some((0, BrokerFailure::GONE));
        let (_folder, _, table) = table.start();
        let error = describe_brokered(&table.files).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::SourceUnavailable, "{format:?}");
    }
    let mut table = Table::of_three(FileFormat::Parquet);
    table.delete(0, &[0]);
    table.broker.failing = Some((0, BrokerFailure::new(ReasonCode::InputChanged)));
    let error = answer(table, "SELECT sum(id) FROM m.t").unwrap_err();
    assert_eq!(error.reason(), ReasonCode::InputChanged);
}

#[test]
fn a_broker_that_answers_short_is_found_out() {
    for format in FORMATS {
        let mut table = Table::of_three(format);
        table.broker.is_short = true;
        let error = answer(table, "SELECT sum(id) FROM m.t").unwrap_err();
        assert_eq!(error.reason(), ReasonCode::Internal, "{format:?} {error:?}");
    }
}

#[test]
fn files_that_are_garbage_are_errors() {
    for format in [FileFormat::Parquet, FileFormat::ArrowIpc] {
        let table = Table::of_three(format);
        let path = table.path(1);
        let length = fs::metadata(&path).unwrap().len();
        fs::write(&path, vec![b'x'; length as usize]).unwrap();
        let error = answer(table, "SELECT sum(id) FROM m.t").unwrap_err();
        assert_eq!(error.reason(), ReasonCode::InputCorrupt, "{format:?} {error:?}");
    }
}

#[test]
fn large_files_are_read_in_pieces() {
    for format in [FileFormat::Csv, FileFormat::Ndjson] {
        let mut table = Table::new(format);
        let names = texts((0..300_000).map(|id| format!("a name with the number {id}")));
        table.add(&batch(vec![("id", numbers(0..300_000)), ("name", names)]), &[]);
        let (_folder, broker, table) = table.start();
        let mut session = session(table, 2).unwrap();
        let rows = query(&mut session, "SELECT count(*), sum(id), max(name) FROM m.t").unwrap();
        let shown = show(&rows);
        assert!(shown.contains("300000") && shown.contains("44999850000"), "{shown}");
        let asked = broker.asked.lock().unwrap();
        let largest = asked.iter().map(|asked| match asked {
            Asked::Ranges(_, ranges) => ranges.iter().map(|range| range.end - range.start).sum(),
            _ => 0,
        });
        let largest: u64 = largest.max().unwrap();
        assert!(largest <= 8 << 20 && asked.len() > 3, "{format:?} {largest}");
    }
}
