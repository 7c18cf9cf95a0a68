//! A notebook over made-up rows, before anyone is asked to approve it.

use crate::support::{Stage, guest, repository};

#[test]
fn sql_and_rust_notebooks_are_tried_alone() {
    let stage = Stage::new();
    let sql = repository().join("examples/flights-weather/delay-by-wind.sql");
    stage.run(&format!("build {} -o delay.wasm", sql.display())).ok();
    let line =
        "dry-run delay.wasm --rows 20000 --param min_group=20 --estimate-rows 1000000 --json";
    let tried = stage.run(line).ok().json();
    assert_eq!(tried["reason"], serde_json::Value::Null);
    assert!(tried["outputs"]["delay_by_wind"]["rows"].as_u64() > Some(0), "{tried:#}");
    let cost = &tried["cost"];
    assert_eq!(cost["measured"][0]["rows"], 5_000);
    assert_eq!(cost["estimate"]["rows"], 1_000_000);
    assert!(cost["estimate"]["wall_us"].as_u64() >= cost["measured"][1]["wall_us"].as_u64());
    assert!(cost["estimate"]["memory_bytes"].as_u64() > Some(0), "{cost:#}");

    // The same seed makes up the same rows.
    let again = stage.run(line).ok().json();
    assert_eq!(again["outputs"], tried["outputs"]);

    let model = guest("examples/flights-weather/weather-delay-model");
    std::fs::copy(model, stage.path("model.wasm")).expect("the Rust notebook");
    let shown = stage.run("dry-run model.wasm").ok().stdout;
    assert!(shown.contains("measured") && shown.contains("estimate"), "{shown}");
    // Neither left a home behind.
    let left: Vec<_> = std::fs::read_dir(stage.path(""))
        .expect("the stage")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// A notebook over one table with one column of each of `types`.
fn notebook(types: &[&str], query: &str) -> String {
    let columns: Vec<_> =
        types.iter().enumerate().map(|(at, kind)| format!("c{at} = \"{kind}\"")).collect();
    format!(
        "/* glovebox notebook\nname = \"try\"\nversion = \"1.0.0\"\n[inputs.\"a.t\"]\ncolumns = {{ {} }}\n\
         [outputs.o]\ncolumns = [\"n int64\"]\n*/\nCREATE TABLE output.o AS {query};\n",
        columns.join(", ")
    )
}

#[test]
fn rows_are_made_up_for_every_column_type() {
    let types = [
        "boolean",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float32",
        "float64",
        "date32",
        "utf8",
        "large_utf8",
        "utf8_view",
        "binary",
        "large_binary",
        "binary_view",
        "fixed_size_binary(20)",
        "decimal(38, 10)",
        "decimal256(76, 20)",
        "time32(s)",
        "time64(us)",
        "timestamp(s)",
        "timestamp(us, Europe/Berlin)",
        "duration(ms)",
        "dictionary(int16, utf8)",
        "list(int32)",
        "struct(a: int64, b: list(date32))",
    ];
    let counts: Vec<_> = (0..types.len()).map(|at| format!("count(c{at})")).collect();
    let stage = Stage::new();
    stage.write(
        "try.sql",
        notebook(&types, &format!("SELECT {} AS n FROM a.t", counts.join(" + "))),
    );
    stage.run("build try.sql -o try.wasm").ok();
    let tried = stage.run("dry-run try.wasm --rows 200 --json").ok().json();
    let counted = tried["outputs"]["o"]["first"][0]["n"].as_u64().expect("a count");
    // Some of each column are null, most are not.
    assert!((4_000..5_800).contains(&counted), "{counted} of 5800 values");
}

#[test]
fn a_failure_is_named_before_anyone_approves() {
    let stage = Stage::new();
    stage.write("try.sql", notebook(&["utf8"], "SELECT CAST(c0 AS BIGINT) AS n FROM a.t"));
    stage.run("build try.sql -o try.wasm").ok();
    let done = stage.run("dry-run try.wasm").refused("query-failed");
    assert!(done.stderr.contains("made up"), "{done}");
    let json = stage.run("dry-run try.wasm --json");
    assert_eq!(
        (json.code, json.json()["reason"].as_str()),
        (Some(1), Some("query-failed")),
        "{json}"
    );

    stage.run("dry-run try.wasm --param colour=red").refused("parameter-invalid");
    assert_eq!(stage.run("dry-run try.wasm --rows 0").code, Some(2));
    assert_eq!(stage.run("dry-run nowhere.wasm").code, Some(1));
}

#[test]
fn libraries_come_along() {
    let stage = Stage::new();
    let text = "/* glovebox notebook\nname = \"tiers\"\nversion = \"1.0.0\"\n\
                [inputs.\"nike.customers\"]\ncolumns = { recency = \"int64\", spend = \"float64\" }\n\
                [libraries]\nscoring = {}\n\
                [outputs.tiers]\ncolumns = [\"tier utf8\", \"customers int64\"]\n*/\n\
                CREATE TABLE output.tiers AS SELECT scoring.tier(scoring.score(recency, spend)) AS tier, \
                count(*) AS customers FROM nike.customers GROUP BY 1;\n";
    stage.write("tiers.sql", text);
    stage.run("build tiers.sql -o tiers.wasm").ok();
    std::fs::copy(guest("tests/guests/scoring"), stage.path("scoring.wasm")).expect("the library");

    let tried = stage.run("dry-run tiers.wasm --library scoring.wasm --json").ok().json();
    let rows = tried["outputs"]["tiers"]["rows"].as_u64();
    assert!(rows > Some(0), "{tried:#}");
    let missing = stage.run("dry-run tiers.wasm");
    assert_eq!(missing.code, Some(1), "{missing}");
    assert!(missing.stderr.contains("needs the library scoring"), "{missing}");
    // A library does nothing by itself.
    let alone = stage.run("dry-run scoring.wasm");
    assert_eq!(alone.code, Some(1), "{alone}");
    assert!(alone.stderr.contains("is a library"), "{alone}");

    let told = stage.run("inspect scoring.wasm").ok().stdout;
    assert!(
        told.contains("scoring.score(") && told.contains("only what its caller passes"),
        "{told}"
    );
    let told = stage.run("inspect tiers.wasm").ok().stdout;
    assert!(told.contains("scoring: its functions in SQL"), "{told}");
}
