//! Python notebooks in a real room: from text and from Jupyter to published rows, and what each
//! way to go wrong tells whom.

use serde_json::{Value, json};

use crate::support::Stage;

/// The header without comment signs, then cells: kind, title, text.
const HEADER: &str = r#"name = "NAME"
version = "1.0.0"
language = "python"
[inputs."air.flights"]
columns = { origin = "utf8", delay = "float64" }
[parameters.act]
type = "utf8"
default = "well"
[outputs.late]
columns = ["origin utf8 not null", "flights int64 not null", "mean float64"]
"#;

const CELLS: [(&str, &str, &str); 5] = [
    (
        "python",
        "",
        "import statistics\nimport glovebox\nact = glovebox.param('act')\nprint('it is to go', act)",
    ),
    (
        "sql",
        "busy",
        "SELECT origin, count(*) AS n FROM air.flights WHERE act_is(:act) GROUP BY origin",
    ),
    ("python", "", "busy"),
    (
        "python",
        "",
        r#"delays = {}
for batch in glovebox.table("air.flights").scan(columns=["delay", "origin"], filter="delay > 5"):
    assert batch.column("delay").values.format == "d"
    for origin, delay in zip(batch.column("origin"), batch.column("delay")):
        delays.setdefault(origin, []).append(delay)
rows = [
    {"origin": origin, "flights": len(found), "mean": statistics.fmean(found)}
    for origin, found in sorted(delays.items())
]

class Depth:
    def __init__(self, left):
        self.left = left
    def __call__(self, *_):
        return max([0], key=Depth(self.left - 1)) if self.left else 0

match act:
    case "badly":
        raise ValueError(f"the first origin is {rows[0]['origin']}")
    case "for ever":
        while True:
            pass
    case "greedily":
        hog = [bytearray(1 << 20) for _ in range(1 << 20)]
    case "deeply":
        Depth(100_000)()
    case "elsewhere":
        open("/etc/passwd")
    case "too far":
        glovebox.table("air.crew")
    case "wrongly":
        glovebox.output("late").write([{"origin": None, "flights": 1, "mean": 1.0}])
    case "later":
        __import__("sqlite3")"#,
    ),
    ("python", "", "glovebox.output('late').write(rows)\nlen(rows)"),
];

fn cells() -> impl Iterator<Item = (&'static str, &'static str, String)> {
    // Whatever `act` is, all rows count; the parameter shows that SQL cells see Python's names.
    CELLS
        .into_iter()
        .map(|(kind, title, text)| (kind, title, text.replace("act_is(:act)", ":act <> ''")))
}

fn as_text(name: &str) -> String {
    let commented = |text: &str| text.lines().map(|line| format!("# {line}\n")).collect::<String>();
    let header = commented(&HEADER.replace("NAME", name));
    let mut text = format!("# /// glovebox\n{header}# ///\n");
    for (kind, title, cell) in cells() {
        text += &match kind {
            "sql" => format!("# %% [sql] {title}\n{}", commented(&cell)),
            _ => format!("# %%\n{cell}\n"),
        };
    }
    text
}

fn as_jupyter(name: &str) -> String {
    let header = format!("/// glovebox\n{}///\n", HEADER.replace("NAME", name));
    let mut all = vec![json!({ "cell_type": "raw", "source": header })];
    for (kind, title, cell) in cells() {
        let source = if kind == "sql" { format!("%%sql {title}\n{cell}") } else { cell };
        let lines: Vec<_> = source.split_inclusive('\n').collect();
        all.push(json!({ "cell_type": "code", "outputs": ["left"], "source": lines }));
    }
    json!({ "nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": all }).to_string()
}

fn flights() -> String {
    let rows = (0..30_000_u32).map(|row| {
        let origin = ["JFK", "EWR", "LGA"][row as usize % 3];
        let delay = if row % 13 == 0 { String::new() } else { format!("{}.5", row * 7 % 71) };
        format!("{origin},{delay}\n")
    });
    format!("origin,delay\n{}", rows.collect::<String>())
}

/// A room where the notebook `name` of `acme` is approved and `air` runs it.
fn add(stage: &Stage, file: &str, name: &str) {
    stage.run(&format!("build {file} --install-tools -o {name}.wasm")).ok();
    stage.run(&format!("notebook add lab {name}.wasm --runner air --as acme.key")).ok();
    let digest = stage.revision("lab", name);
    stage.run(&format!("review lab {name} --approve {digest} --as air.key")).ok();
}

/// Rows and file digest of a run's output.
fn outcome(stage: &Stage, name: &str) -> (Value, Value) {
    let receipt = stage.run(&format!("run lab {name} --as air.key --json")).ok().json();
    let rows = stage.run("output show lab latest --as air.key --json").ok().json();
    (rows["late"].clone(), receipt["receipt"]["outcome"].clone())
}

#[test]
fn a_notebook_runs_alike_from_text_and_from_jupyter_and_says_what_went_wrong() {
    let stage = Stage::new();
    let limits = "[limits]\nwall_seconds = 20\ncpu_seconds = 200\nmemory_bytes = 1_073_741_824\n";
    stage.room("lab", &["air", "acme"], limits);
    stage.write("flights.csv", flights());
    stage.run("table add lab air.flights --from flights.csv --as air.key").ok();
    stage.write("text.py", as_text("text"));
    stage.write("jupyter.ipynb", as_jupyter("jupyter"));
    add(&stage, "text.py", "text");
    add(&stage, "jupyter.ipynb", "jupyter");

    let (rows, first) = outcome(&stage, "text");
    assert_eq!(rows.as_array().map(Vec::len), Some(3), "{rows}");
    assert_eq!(outcome(&stage, "text"), (rows.clone(), first));
    let (same_rows, first) = outcome(&stage, "jupyter");
    assert_eq!(same_rows, rows);
    assert_eq!(outcome(&stage, "jupyter"), (rows, first));
    displays(&stage);
    mistakes(&stage);
}

/// What the cells displayed in the latest run: for the author, in order.
fn displays(stage: &Stage) {
    let refused = stage.run("notebook result lab latest --as air.key");
    refused.refused("not-permitted");
    let shown = stage.run("notebook result lab latest -o shown --as acme.key --json").ok().json();
    let texts: Vec<_> =
        shown["displays"].as_array().expect("displays").iter().map(|one| &one["text"]).collect();
    assert_eq!(texts.len(), 2, "{shown}");
    let table = texts[0].as_str().expect("a text");
    assert!(table.starts_with("origin  n\n──────  ─────\n"), "{table}");
    assert_eq!(texts[1], "3");
    let file = std::fs::read_to_string(stage.path("shown/001.txt")).expect("a file");
    assert_eq!(file, table);
    let log = stage.run("output log lab latest --as acme.key --json").ok().json();
    assert_eq!(log["log"][0]["message"], "it is to go well", "{log}");
}

/// Each way to go wrong: what everyone learns, and what only the author reads.
fn mistakes(stage: &Stage) {
    let cases = [
        ("badly", "guest-error", "raise ValueError", "the first origin is EWR"),
        ("for ever", "deadline", "", ""),
        ("greedily", "memory-limit", "hog =", "MemoryError"),
        ("deeply", "guest-error", "Depth(100_000)()", "RecursionError"),
        ("elsewhere", "guest-error", "open(", "there is no file system in a run"),
        (
            "too far",
            "table-not-granted",
            "glovebox.table(\"air.crew\")",
            "`air.crew` is not granted",
        ),
        ("wrongly", "schema-mismatch|output-schema", "\"origin\": None", "origin"),
        ("later", "guest-error", "__import__", "No module named 'sqlite3'"),
    ];
    for (act, reasons, code, words) in cases {
        let act = format!("act={act}");
        let place = if code.is_empty() { String::new() } else { place_of(code) };
        let output = stage
            .command(&["run", "lab", "text", "--param", &act, "--as", "air.key"])
            .output()
            .expect("the glovebox binary");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{act}: {said}");
        assert!(
            reasons.split('|').any(|reason| said.contains(&format!("({reason})"))),
            "{act}: {said}"
        );
        assert!(!said.contains("EWR") && !said.contains("Traceback"), "{act}: {said}");
        let log = stage.run("output log lab latest --as acme.key").ok().stdout;
        assert!(log.contains(&place) && log.contains(words), "{act}: {log}");
    }
}

/// How a traceback names the line of the fourth cell that has `code`.
fn place_of(code: &str) -> String {
    let text = as_text("text");
    let line = |text: &str| text.lines().position(|line| line.contains(code)).expect(code) + 1;
    format!("cell 4, line {} (line {} of the file), in <module>", line(CELLS[3].2), line(&text))
}
