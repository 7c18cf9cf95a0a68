//! What each language costs: the size of its smallest component, the time from its start to its
//! first log line, and a scalar function of each row in SQL's own code, in a Rust library and in a
//! Python notebook.
//!
//! `cargo bench --bench languages [-- ROWS]` (default 2,000,000; needs what the languages need).
//! Machine code comes from the cache; the function's cost is the time of a run over all rows less
//! that of a run over one row.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{Stage, guest};

const ROUNDS: usize = 5;

/// Notebooks that write one line to the log and one row, and the smallest in SQL.
const SMALLEST: [(&str, &str); 4] = [
    ("sql", "tests/bench/smallest/smallest.sql"),
    ("rust", "tests/bench/smallest/rust"),
    ("javascript", "tests/bench/smallest/smallest.js"),
    ("python", "tests/bench/smallest/smallest.py"),
];

const NATIVE: &str = r#"/* glovebox notebook
name = "score-native"
version = "1.0.0"
[inputs."a.t"]
columns = { recency = "int64", spend = "float64" }
[outputs.total]
columns = ["total float64"]
*/
CREATE TABLE output.total AS
SELECT sum(sqrt(spend) / (1.0 + cast(recency AS double) / 30.0)) AS total FROM a.t;
"#;

const LIBRARY: &str = r#"/* glovebox notebook
name = "score-library"
version = "1.0.0"
[inputs."a.t"]
columns = { recency = "int64", spend = "float64" }
[libraries.scoring]
[outputs.total]
columns = ["total float64"]
*/
CREATE TABLE output.total AS SELECT sum(scoring.score(recency, spend)) AS total FROM a.t;
"#;

fn main() {
    let rows: usize =
        std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(2_000_000);
    smallest();
    functions(rows);
}

/// A room with the table `a.t`; `b` writes notebooks and runs them.
fn stage(table: &str) -> Stage {
    let stage = Stage::new();
    stage.room("r", &["a", "b"], "");
    stage.write("t.csv", table);
    stage.run("table add r a.t --from t.csv --as a.key").ok();
    stage
}

fn offer(stage: &Stage, name: &str, component: &str) {
    stage.run(&format!("notebook add r {component} --runner b --as b.key")).ok();
    let revision = stage.revision("r", name);
    stage.run(&format!("review r {name} --approve {revision} --as a.key")).ok();
}

fn smallest() {
    let stage = stage("v\n1\n");
    for (language, source) in SMALLEST {
        let file = format!("{language}.wasm");
        let bytes = std::fs::copy(guest(source), stage.path(&file)).expect("the component");
        let name = format!("smallest-{language}");
        offer(&stage, &name, &file);
        let mut first_lines = Vec::new();
        let mut runs = Vec::new();
        for _ in 0..ROUNDS {
            let (first_line, run) = time(&stage, &name);
            first_lines.extend(first_line);
            runs.push(run);
        }
        let first_line = match median(first_lines) {
            Some(time) => format!("{:6.0} ms", millis(time)),
            None => "no log".into(),
        };
        println!(
            "{language:12} {:10.1} KB   first line {first_line:>9}   whole command {:6.0} ms",
            bytes as f64 / 1e3,
            millis(median(runs).expect("runs"))
        );
    }
}

/// Time to the first line of the notebook's log, and to the end of the command.
fn time(stage: &Stage, name: &str) -> (Option<Duration>, Duration) {
    let started = Instant::now();
    let mut child = stage
        .command(&["run", "r", name, "--as", "b.key"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the glovebox binary");
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut first_line = None;
    for line in lines.map_while(Result::ok) {
        if line.contains("first line") {
            first_line.get_or_insert_with(|| started.elapsed());
        }
    }
    assert!(child.wait().expect("an end").success(), "{name} failed");
    (first_line, started.elapsed())
}

fn functions(rows: usize) {
    let mut table = String::from("recency,spend\n");
    for row in 0..rows {
        let _ = writeln!(table, "{},{}.125", row % 365, row % 900);
    }
    let (large, small) = (stage(&table), stage("recency,spend\n1,2.125\n"));
    println!(
        "a scalar function of (i64, f64) over {rows} rows of CSV, whole runs, less a run over one row"
    );
    let library = guest("tests/guests/scoring");
    let python = guest("tests/bench/smallest/score.py");
    let mut native = None;
    for language in ["native", "library", "python"] {
        let name = format!("score-{language}");
        let runs = [&large, &small].map(|stage| {
            match language {
                "native" => {
                    stage.write("n.sql", NATIVE);
                    stage.run("build n.sql -o n.wasm").ok();
                }
                "library" => {
                    std::fs::copy(&library, stage.path("scoring.wasm")).expect("the library");
                    stage.run("library add r scoring.wasm --as b.key").ok();
                    stage.write("n.sql", LIBRARY);
                    stage.run("build n.sql -o n.wasm").ok();
                }
                _ => drop(std::fs::copy(&python, stage.path("n.wasm")).expect("the notebook")),
            }
            offer(stage, &name, "n.wasm");
            median((0..ROUNDS).map(|_| time(stage, &name).1).collect()).expect("runs")
        });
        let [large, small] = runs;
        let per_row = large.saturating_sub(small).as_secs_f64() * 1e9 / rows as f64;
        let ratio = per_row / *native.get_or_insert(per_row);
        println!(
            "{language:12} {per_row:8.1} ns a row with reading the file   ÷ native {ratio:6.2}"
        );
    }
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort();
    times.get(times.len() / 2).copied()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
