//! Views: SQL of an owner over tables that nothing else can name.

#[expect(dead_code, reason = "other tests use the rest")]
mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::datatypes::DataType;
use common::{Outputs, column, drain, open, query, reason, show};
use datafusion::arrow;
use glovebox_contract::column::Column;
use glovebox_query::{
    FileFormat, InputTable, InputView, Session, SessionSettings, describe, describe_view,
};
use glovebox_sandbox::services::{QueryEngine, ScanOptions};

const VISITS: &str = "id,patient,cost\n1,7,10.5\n2,7,20\n3,8,5.25\n4,9,\n";
const PATIENTS: &str = "patient,name,born\n7,Ada,1950-01-02\n8,Ben,1980-03-04\n9,Cyd,2001-05-06\n";

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.write("visits", VISITS);
        files.write("patients", PATIENTS);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.csv"))
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The tables of a view, with the columns that the files had when it was added.
    fn tables(&self, described: &Self) -> BTreeMap<String, InputTable> {
        let table = |path: &Path, described: &Path| {
            let columns = describe(FileFormat::Csv, vec![open(described)]).unwrap();
            InputTable {
                name: "h.v".parse().unwrap(),
                format: FileFormat::Csv,
                file_columns: Some(columns.clone()),
                granted: columns,
                renamed: BTreeMap::new(),
                files: vec![open(path)],
            }
        };
        ["visits", "patients"]
            .map(|name| (name.into(), table(&self.path(name), &described.path(name))))
            .into()
    }

    fn view(&self, sql: &str, granted: Vec<Column>) -> InputView {
        InputView {
            name: "h.v".parse().unwrap(),
            granted,
            renamed: BTreeMap::new(),
            sql: sql.into(),
            tables: self.tables(&Self::new()),
        }
    }

    fn session(&self, sql: &str) -> Session {
        let columns = describe_view(sql, self.tables(self)).unwrap();
        Session::new(vec![self.view(sql, columns)], SessionSettings::default()).unwrap()
    }
}

const SPEND: &str = "SELECT p.name AS person, extract(year FROM p.born) AS year, v.cost
    FROM visits v JOIN patients AS p ON v.patient = p.patient WHERE v.id < 100";

#[test]
fn a_view_is_its_columns() {
    let files = Files::new();
    let columns = describe_view(SPEND, files.tables(&files)).unwrap();
    let shown: Vec<_> =
        columns.iter().map(|column| format!("{} {}", column.name, column.column_type)).collect();
    assert_eq!(shown, ["person utf8", "year int32", "cost float64"]);
    let mut session = files.session(SPEND);
    insta::assert_snapshot!(
        show(&query(&mut session, "SELECT person, sum(cost) AS cost FROM h.v GROUP BY person").unwrap()), @"
    +--------+------+
    | person | cost |
    +--------+------+
    | Ada    | 30.5 |
    | Ben    | 5.25 |
    | Cyd    |      |
    +--------+------+
    ");
    let scan = ScanOptions {
        columns: Some(vec!["cost".into(), "person".into()]),
        filter: Some("year >= 1950 AND cost > 6".into()),
        ..Default::default()
    };
    let rows = drain(session.scan("h.v", scan).unwrap()).unwrap();
    insta::assert_snapshot!(show(&rows), @"
    +------+--------+
    | cost | person |
    +------+--------+
    | 10.5 | Ada    |
    | 20.0 | Ada    |
    +------+--------+
    ");
    assert_eq!(rows[0].schema().field(1).data_type(), &DataType::Utf8);
    let schema = session.table_schema("h.v").unwrap();
    assert_eq!(schema.fields().len(), 3);
}

#[test]
fn nothing_behind_a_view_can_be_named() {
    let files = Files::new();
    let mut session = files.session(SPEND);
    let mut check = |sql: &str, expect: &str| {
        assert_eq!(reason(query(&mut session, sql)), expect, "{sql}");
    };
    check("SELECT * FROM visits", "table-not-granted");
    check("SELECT * FROM v", "table-not-granted");
    check("SELECT * FROM p", "table-not-granted");
    check("SELECT * FROM h.visits", "table-not-granted");
    check(r##"SELECT * FROM "#views".visits"##, "table-not-granted");
    check(r##"SELECT * FROM "#glovebox"."#views".visits"##, "table-not-granted");
    check("SELECT born FROM h.v", "column-not-granted");
    check("SELECT v.patient FROM h.v", "column-not-granted");
    check("SELECT visits.cost FROM h.v", "column-not-granted");
    assert_eq!(reason(session.scan("visits", ScanOptions::default())), "table-not-granted");
    let filter = ScanOptions { filter: Some("patient = 7".into()), ..Default::default() };
    assert_eq!(reason(session.scan("h.v", filter)), "column-not-granted");
}

#[test]
fn a_grant_sees_some_columns_under_its_own_names() {
    let files = Files::new();
    let view = InputView {
        renamed: [("who".into(), "person".into()), ("person".into(), "cost".into())].into(),
        ..files.view(SPEND, vec![column("person", "float64"), column("who", "utf8")])
    };
    let mut session = Session::new(vec![view], SessionSettings::default()).unwrap();
    insta::assert_snapshot!(
        show(&query(&mut session, "SELECT * FROM h.v WHERE who <> 'Ben' ORDER BY person").unwrap()), @"
    +--------+-----+
    | person | who |
    +--------+-----+
    | 10.5   | Ada |
    | 20.0   | Ada |
    |        | Cyd |
    +--------+-----+
    ");
    assert_eq!(reason(query(&mut session, "SELECT cost FROM h.v")), "column-not-granted");
    assert_eq!(reason(query(&mut session, "SELECT year FROM h.v")), "column-not-granted");
}

#[test]
fn a_view_reads_its_tables_and_calls_listed_functions_only() {
    let files = Files::new();
    let check = |sql: &str, expect: &str, words: &str| {
        let error = describe_view(sql, files.tables(&files)).unwrap_err();
        assert_eq!(error.reason().as_str(), expect, "{sql}: {error}");
        assert!(error.detail().contains(words), "{sql}: {error}");
    };
    check("SELECT * FROM bank.accounts", "table-not-granted", "bank.accounts");
    check("SELECT * FROM h.v", "table-not-granted", "h.v");
    check("SELECT * FROM '/etc/passwd'", "table-not-granted", "passwd");
    check("SELECT * FROM \"visits.csv\"", "table-not-granted", "visits.csv");
    check("SELECT * FROM read_csv('visits.csv')", "sql-refused", "table function");
    check("SELECT * FROM bank.rows(1)", "table-not-granted", "bank.rows");
    check("SELECT random() AS r FROM visits", "sql-refused", "random");
    check("SELECT now() AS t FROM visits", "sql-refused", "now");
    check("SELECT partner.score(cost) AS s FROM visits", "sql-refused", "partner");
    check("SELECT :k AS k FROM visits", "sql-invalid", "");
    check("SELECT id FROM visits; SELECT 1", "sql-refused", "more than one");
    check("CREATE TABLE output.x AS SELECT 1", "sql-refused", "SELECT");
    check("COPY visits TO 'x'", "sql-refused", "SELECT");
    check("", "sql-invalid", "no statement");
    check("SELECT nothing FROM visits", "column-not-granted", "nothing");
    check("SELECT id + name AS x FROM visits, patients", "sql-invalid", "");
    check("SELECT v.patient, p.patient FROM visits v, patients p", "sql-invalid", "`patient`");
    // Names that nobody gave would tell what is behind the view.
    check("SELECT sum(cost) FROM visits", "sql-invalid", "with AS");
    check("SELECT CAST(id AS int) FROM visits", "sql-invalid", "with AS");
    check("WITH x AS (SELECT id + 1 FROM visits) SELECT * FROM x", "sql-invalid", "with AS");
    check("SELECT id FROM", "sql-invalid", "syntax error");
}

#[test]
fn files_that_changed_are_a_mismatch_that_shows_nothing_of_the_view() {
    let check = |name: &str, text: &str, expect: &str| {
        let files = Files::new();
        let columns = describe_view(SPEND, files.tables(&files)).unwrap();
        files.write(name, text);
        let made = Session::new(vec![files.view(SPEND, columns)], SessionSettings::default());
        let ran = made.and_then(|mut session| query(&mut session, "SELECT * FROM h.v"));
        let error = ran.unwrap_err();
        assert_eq!(error.reason().as_str(), expect, "{text}: {error}");
        for secret in ["visits", "patients", "cost", "born", "4711"] {
            assert!(!error.detail().contains(secret), "{error}");
        }
        if expect == "schema-mismatch" {
            assert!(error.detail().contains("view h.v"), "{error}");
        }
    };
    check("visits", "id,patient\n1,7\n", "schema-mismatch");
    check("visits", "id,patient,costs\n1,7,1\n", "schema-mismatch");
    check("patients", "", "schema-mismatch");
    check("visits", "id,patient,cost\n1,7,x4711\n", "input-corrupt");
    // The view has other columns or types than the grant.
    let files = Files::new();
    for granted in [column("person", "int64"), column("cents", "float64")] {
        let view = files.view(SPEND, vec![granted]);
        let made = Session::new(vec![view], SessionSettings::default());
        let error = made.unwrap_err();
        assert_eq!(error.reason().as_str(), "schema-mismatch", "{error}");
    }
}

#[test]
fn rows_of_a_view_come_in_the_same_order_every_time() {
    let files = Files::new();
    let mut visits = String::from("id,patient,cost\n");
    for id in 0..5_000 {
        visits += &format!("{id},{},{}\n", 7 + id % 3, id % 11);
    }
    files.write("visits", &visits);
    let views = [
        SPEND,
        "SELECT name AS person, sum(cost) AS cost, 1 AS year FROM visits NATURAL JOIN patients GROUP BY name",
        "SELECT name AS person, cost, id AS year FROM visits NATURAL JOIN patients ORDER BY cost DESC LIMIT 100",
        "SELECT name AS person, cost, row_number() OVER (PARTITION BY name ORDER BY cost) AS year FROM visits NATURAL JOIN patients",
        "SELECT DISTINCT name AS person, cost, 1 AS year FROM visits NATURAL JOIN patients",
    ];
    for sql in views {
        let rows = |partitions| {
            let columns = describe_view(sql, files.tables(&files)).unwrap();
            let view = InputView { tables: files.tables(&files), ..files.view(sql, columns) };
            let settings = SessionSettings { partitions, batch_rows: 64, ..Default::default() };
            let mut session = Session::new(vec![view], settings).unwrap();
            let scanned = drain(session.scan("h.v", ScanOptions::default()).unwrap()).unwrap();
            let some = query(&mut session, "SELECT person, cost FROM h.v LIMIT 7").unwrap();
            let mut outputs = Outputs::default()
                .declare("o", &[("person", DataType::Utf8), ("cost", DataType::Float64)]);
            let script =
                "CREATE TABLE output.o AS SELECT person, CAST(cost AS double) AS cost FROM h.v";
            session.run_script(script, &mut outputs).unwrap();
            (show(&scanned), show(&some), outputs.show("o"))
        };
        let first = rows(1);
        for partitions in [1, 3, 4] {
            assert_eq!(rows(partitions), first, "{sql} in {partitions} partitions");
        }
    }
}

/// What a view reads counts where it is named, so doublings end before they are planned.
#[test]
fn views_count_as_what_they_read() {
    let files = Files::new();
    let sixteen = (0..16).map(|n| format!("visits v{n}")).collect::<Vec<_>>().join(", ");
    let mut session = files.session(&format!("SELECT v0.id FROM {sixteen}"));
    let named = |times: usize| {
        let names = (0..times).map(|n| format!("h.v AS t{n}")).collect::<Vec<_>>().join(", ");
        format!("SELECT count(*) AS n FROM {names} WHERE false")
    };
    assert_eq!(reason(query(&mut session, &named(33))), "sql-too-complex");
    assert_eq!(reason(query(&mut session, &named(2))), "ok");
}
