//! SQL that wants more than it was granted.

use crate::support::Stage;

const HEADER: &str = r#"/* glovebox notebook
name = "n"
version = "1.0.0"
[inputs."a.t"]
columns = { k = "utf8", v = "int64" }
[outputs.out]
columns = [ "x int64" ]
*/
"#;

fn stage() -> Stage {
    let stage = Stage::new();
    stage.room("r", &["a", "b"], "");
    stage.write("t.csv", "k,v,secret\nx,1,s1\ny,2,s2\n");
    stage.write("other.csv", "v\n1\n");
    stage.run("table add r a.t --from t.csv --as a.key").ok();
    stage.run("table add r a.other --from other.csv --as a.key").ok();
    stage
}

/// What becomes of `CREATE TABLE output.out AS {query}`: the reason code, or `build`, or `ok`.
fn fate(stage: &Stage, query: &str) -> String {
    stage.write("n.sql", format!("{HEADER}CREATE TABLE output.out AS {query};\n"));
    if stage.run("build n.sql -o n.wasm").code != Some(0) {
        return "build".into();
    }
    stage.run("notebook add r n.wasm --runner b --as b.key").ok();
    let digest = stage.revision("r", "n");
    stage.run(&format!("review r n --approve {digest} --as a.key")).ok();
    let done = stage.run("run r n --as b.key");
    if done.code == Some(0) {
        return "ok".into();
    }
    assert_eq!(done.code, Some(1), "{done}");
    for line in done.stderr.lines().filter(|line| !line.contains("hint")) {
        assert!(!line.contains("s1") && !line.contains("s2"), "a value leaks: {line}");
    }
    let runs = stage.run("runs r --json").ok().json();
    let last = runs.as_array().and_then(|runs| runs.last()).expect("a run").clone();
    last["reason"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn sql_reaches_what_was_granted_and_nothing_else() {
    let stage = stage();
    let check = |query: &str, expect: &str| assert_eq!(fate(&stage, query), expect, "{query}");
    check("SELECT sum(v) AS x FROM a.t", "ok");
    check("SELECT max(length(secret)) AS x FROM a.t", "column-not-granted");
    check("SELECT v AS x FROM a.other", "build");
    check("SELECT v AS x FROM '/etc/passwd'", "build");
    check("SELECT random() AS x FROM a.t", "sql-refused");
    check("SELECT CAST(now() AS BIGINT) AS x FROM a.t", "sql-refused");
    check("SELECT CAST('s1' AS BIGINT) AS x FROM a.t", "query-failed");
    check("SELECT v AS y FROM a.t", "output-schema");
    check("SELECT k AS x FROM a.t", "output-schema");
    let nested = format!("SELECT {} AS x FROM a.t", vec!["v"; 5_001].join(" + "));
    check(&nested, "sql-too-complex");
}

#[test]
fn the_build_refuses_what_is_no_query() {
    let stage = stage();
    for statement in [
        "COPY a.t TO '/tmp/x'",
        "CREATE EXTERNAL TABLE x STORED AS PARQUET LOCATION '/etc'",
        "EXPLAIN ANALYZE SELECT 1",
        "INSERT INTO a.t VALUES (1)",
        "SET datafusion.catalog.information_schema = true",
        "DROP TABLE a.t",
    ] {
        let text =
            format!("{HEADER}{statement};\nCREATE TABLE output.out AS SELECT v AS x FROM a.t;\n");
        stage.write("n.sql", text);
        let done = stage.run("build n.sql -o n.wasm");
        assert_eq!(done.code, Some(1), "{statement}: {done}");
    }
}
