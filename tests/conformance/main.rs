//! The language matrix: one notebook, written in every language, gives the same table.
//!
//! The files differ, for each names its computation; their content digests do not.

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, RecordBatch, StringArray,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::support::{Stage, guest, repository};

/// Each notebook by its language: where it is, below this directory.
const NOTEBOOKS: [(&str, &str); 5] = [
    ("sql", "readings.sql"),
    ("rust", "readings-rust"),
    ("python", "readings.py"),
    ("javascript", "readings.js"),
    ("c", "readings-c"),
];

const ROWS: usize = 30_000;

/// Readings with nulls in every column, one site without a name and one without any value.
/// Values are eighths, whose sums are exact in any order.
fn readings() -> RecordBatch {
    let sites = [Some("Ørsted"), Some("Zürich"), Some(""), None, Some("北京"), Some("blank")];
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let rows: Vec<_> =
        (0..ROWS).map(|_| [next(6), next(7), next(4000), next(900), next(3)]).collect();
    let blank = |row: &[u64; 5]| row[0] == 5;
    let column = |present: fn(&[u64; 5]) -> bool| {
        rows.iter().map(move |row| (!blank(row) && present(row)).then_some(row))
    };
    let columns: [(&str, ArrayRef); 5] = [
        ("site", Arc::new(StringArray::from_iter(rows.iter().map(|row| sites[row[0] as usize])))),
        (
            "day",
            Arc::new(Date32Array::from_iter(
                column(|row| row[1] > 0).map(|row| row.map(|row| 15_706 + row[3] as i32)),
            )),
        ),
        (
            "value",
            Arc::new(Float64Array::from_iter(
                column(|row| row[1] != 3).map(|row| row.map(|row| row[2] as f64 / 8.0 - 100.0)),
            )),
        ),
        (
            "amount",
            Arc::new(Int32Array::from_iter(
                column(|row| row[1] < 5).map(|row| row.map(|row| row[3] as i32 - 500)),
            )),
        ),
        (
            "ok",
            Arc::new(BooleanArray::from_iter(
                column(|row| row[4] < 2).map(|row| row.map(|row| row[4] == 0)),
            )),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .expect("a table")
}

/// The table in several row groups, so that it is read in several batches.
fn write_readings(stage: &Stage) {
    let table = readings();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(7_000)).build();
    let file = File::create(stage.path("readings.parquet")).expect("a file");
    let mut writer =
        ArrowWriter::try_new(file, table.schema(), Some(properties)).expect("a writer");
    writer.write(&table).expect("rows");
    writer.close().expect("a footer");
}

/// Builds a notebook, offers it, approves it, runs it; gives its run as `runs --json` shows it.
fn play(stage: &Stage, language: &str, source: &str) -> Value {
    let started = Instant::now();
    let component = guest(&format!("tests/conformance/{source}"));
    let build_time = started.elapsed();
    let file = format!("{language}.wasm");
    let bytes = std::fs::copy(component, stage.path(&file)).expect("the component");
    let started = Instant::now();
    stage.run(&format!("notebook add matrix {file} --runner desk --as desk.key")).ok();
    let compile_time = started.elapsed();
    let name = format!("readings-{language}");
    let revision = stage.revision("matrix", &name);
    stage.run(&format!("review matrix {name} --approve {revision} --as lab.key")).ok();
    let started = Instant::now();
    stage.run(&format!("run matrix {name} --param least=250.5 --as desk.key")).ok();
    println!(
        "{language}: {bytes} bytes, built in {:.1} s, compiled in {:.1} s, run in {:.1} s",
        build_time.as_secs_f64(),
        compile_time.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    let runs = stage.run("runs matrix --json").ok().json();
    runs.as_array().and_then(|runs| runs.last()).expect("a run").clone()
}

#[test]
fn one_notebook_in_every_language_gives_one_table() {
    let stage = Stage::new();
    write_readings(&stage);
    stage.room("matrix", &["lab", "desk"], "");
    stage.run("table add matrix lab.readings --from readings.parquet --as lab.key").ok();
    let mut contents = BTreeMap::new();
    let mut tables = Vec::new();
    for (language, source) in NOTEBOOKS {
        let run = play(&stage, language, source);
        let output = &run["outputs"]["summary"];
        assert_eq!(output["rows"], 6, "{language}: {run:#}");
        contents.insert(language, output["content"].as_str().expect("a content digest").to_owned());
        let rows = stage.run("output show matrix latest --json --as desk.key").ok().json();
        tables.push(rows["summary"].clone());
        assert_eq!(tables[0], rows["summary"], "{language}");
    }
    assert_eq!(tables[0], expected(), "the table itself");
    let first = &contents["sql"];
    assert!(contents.values().all(|content| content == first), "{contents:#?}");
    check_by_auditor(&stage, first);
}

/// Whoever has the bundle and the file finds the same table in it.
fn check_by_auditor(stage: &Stage, content: &str) {
    stage.run("output export matrix latest summary -o out.parquet --as desk.key").ok();
    stage.run("bundle matrix -o matrix.bundle").ok();
    let verified = stage.run("verify matrix.bundle --output out.parquet --json").ok().json();
    let file = &verified["outputs"][0];
    assert_eq!(
        (&file["content"], &file["found"][0]["content"]),
        (&json!(content), &json!(content))
    );
}

/// Nothing is installed behind anybody's back, and what is missing is named.
#[test]
fn missing_tools_are_named() {
    let stage = Stage::new();
    let check = |arguments: &[&str], variable: &str, expected: &[&str]| {
        let mut command = stage.command(&["build"]);
        command.args(arguments).env("XDG_CACHE_HOME", stage.path("cache"));
        let done = command.env(variable, stage.path("nothing")).output().expect("the binary");
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{said}");
        for words in expected {
            assert!(said.contains(words), "{words}: {said}");
        }
    };
    let notebook = |name: &str| {
        let path = repository().join("tests/conformance").join(name);
        path.to_str().expect("a path").to_owned()
    };
    let not_installed = ["tools for JavaScript notebooks are not installed", "--install-tools"];
    check(&[&notebook("readings.js")], "UNUSED", &not_installed);
    let no_npm = ["cannot run `npm`", "Node.js 20"];
    check(&[&notebook("readings.js"), "--install-tools"], "PATH", &no_npm);
    let no_clang = ["there is no clang", "apt-get install clang-16 lld-16"];
    check(&[&notebook("readings-c")], "PATH", &no_clang);
}

const BROKEN: &str = r#"/* glovebox notebook
name = "broken"
version = "1.0.0"
[inputs."lab.readings"]
columns = { site = "utf8" }
[outputs.summary]
columns = ["site utf8"]
*/
import { log, sql } from "glovebox";
function ask(statement) {
  return [...sql(statement).rows()];
}
export default function () {
  log.info("sites", ask("SELECT count(DISTINCT site) AS n FROM lab.readings")[0]);
  ask("SELECT sight FROM lab.readings");
}
"#;

#[test]
fn an_error_in_javascript_names_the_line() {
    let stage = Stage::new();
    write_readings(&stage);
    stage.write("broken.js", BROKEN);
    stage.room("matrix", &["lab", "desk"], "");
    stage.run("table add matrix lab.readings --from readings.parquet --as lab.key").ok();
    stage.run("build broken.js --install-tools").ok();
    stage.run("notebook add matrix broken.wasm --runner desk --as desk.key").ok();
    let revision = stage.revision("matrix", "broken");
    stage.run(&format!("review matrix broken --approve {revision} --as lab.key")).ok();
    stage.run("run matrix broken --as desk.key").refused("column-not-granted");
    let said = stage.run("output log matrix latest --as desk.key --json").ok().json();
    let log = said["log"].as_array().expect("a log");
    let lines: Vec<_> = log.iter().filter_map(|line| line["message"].as_str()).collect();
    assert_eq!(
        lines,
        [r#"sites {"n":"5"}"#, "at notebook.js:11:14 in ask", "at notebook.js:15:6 in default"],
        "{said:#}"
    );
    assert!(said["detail"].as_str().is_some_and(|detail| detail.contains("sight")), "{said:#}");
}

/// The table, computed here.
fn expected() -> Value {
    let table = readings();
    let rows = arrow_rows(&table);
    let mut sites: Vec<Option<String>> = rows.iter().map(|row| row.0.clone()).collect();
    sites.sort_by_key(|site| (site.is_none(), site.clone()));
    sites.dedup();
    let mut summary = Vec::new();
    for site in sites {
        let of_site: Vec<_> = rows.iter().filter(|row| row.0 == site).collect();
        let values: Vec<f64> = of_site.iter().filter_map(|row| row.2).collect();
        let total = (!values.is_empty()).then(|| values.iter().sum::<f64>());
        let mut row = json!({
            "n": of_site.len(),
            "good": of_site.iter().filter(|row| row.4 == Some(true)).count(),
            "high": values.iter().filter(|value| **value >= 250.5).count(),
        });
        let fields = [
            ("site", json!(site)),
            ("first_day", json!(of_site.iter().filter_map(|row| row.1).min().map(day))),
            ("last_day", json!(of_site.iter().filter_map(|row| row.1).max().map(day))),
            ("total", json!(total)),
            ("mean", json!(total.map(|total| total / values.len() as f64))),
            ("largest", json!(of_site.iter().filter_map(|row| row.3).max())),
        ];
        for (name, value) in fields {
            row[name] = value;
        }
        summary.push(row);
    }
    summary.into()
}

type Row = (Option<String>, Option<i32>, Option<f64>, Option<i32>, Option<bool>);

fn arrow_rows(table: &RecordBatch) -> Vec<Row> {
    use arrow::array::AsArray as _;
    use arrow::datatypes::{Date32Type, Float64Type, Int32Type};
    let sites = table.column(0).as_string::<i32>().iter();
    let days = table.column(1).as_primitive::<Date32Type>().iter();
    let values = table.column(2).as_primitive::<Float64Type>().iter();
    let amounts = table.column(3).as_primitive::<Int32Type>().iter();
    let oks = table.column(4).as_boolean().iter();
    sites
        .zip(days)
        .zip(values)
        .zip(amounts)
        .zip(oks)
        .map(|((((site, day), value), amount), ok)| {
            (site.map(str::to_owned), day, value, amount, ok)
        })
        .collect()
}

/// A day as `output show` writes it.
fn day(days: i32) -> String {
    arrow::temporal_conversions::date32_to_datetime(days).expect("a day").date().to_string()
}
