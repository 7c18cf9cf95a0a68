//! Tables that no run finds in plain files: a Delta table beside the host, with its credential, and
//! an output that the next notebook reads.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::Stage;

/// Lets rows out as they are.
const KEEP: &str = r#"/* glovebox notebook
name = "keep"
version = "1.0.0"
[inputs."shop.raw"]
columns = { day = "int64", amount = "int64" }
[outputs.sales]
columns = [ "day int64", "amount int64" ]
*/
CREATE TABLE output.sales AS SELECT day, amount FROM shop.raw ORDER BY 1, 2;
"#;

const TOTAL: &str = r#"/* glovebox notebook
name = "total"
version = "1.0.0"
[inputs."INPUT"]
columns = { amount = "int64" }
[outputs.total]
columns = [ "rows int64 not null", "amount int64" ]
*/
CREATE TABLE output.total AS SELECT count(*) AS rows, sum(amount) AS amount FROM INPUT;
"#;

/// A room in which `keep` has run once over four rows, whose file is `sales.parquet`.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.room("r", &["shop"], "");
    stage.write("raw.csv", "day,amount\n1,10\n1,20\n2,30\n2,40\n");
    stage.write("keep.sql", KEEP);
    stage.run("build keep.sql -o keep.wasm").ok();
    stage.run("table add r shop.raw --from raw.csv --as shop.key").ok();
    stage.run("notebook add r keep.wasm --runner shop --as shop.key").ok();
    stage.run("run r keep --as shop.key").ok();
    stage.run("output export r latest sales -o sales.parquet --as shop.key").ok();
    stage
}

/// Adds `sales.parquet` to the Delta table in `delta`, as its next version.
fn commit(stage: &Stage, version: usize) {
    let file = format!("part-{version}.parquet");
    fs::create_dir_all(stage.path("delta/_delta_log")).expect("directories");
    fs::copy(stage.path("sales.parquet"), stage.path("delta").join(&file)).expect("a copy");
    let bytes = fs::metadata(stage.path("sales.parquet")).expect("the file").len();
    let mut lines = Vec::new();
    if version == 0 {
        let field = |name: &str| {
            format!(
                r#"{{\"name\":\"{name}\",\"type\":\"long\",\"nullable\":true,\"metadata\":{{}}}}"#
            )
        };
        let fields = format!("{},{}", field("day"), field("amount"));
        let schema = format!(r#"{{\"type\":\"struct\",\"fields\":[{fields}]}}"#);
        lines.push(r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#.to_owned());
        lines.push(format!(
            r#"{{"metaData":{{"id":"5fba94ed-9794-4965-ba6e-6ee3c0d22af9","format":{{"provider":"parquet","options":{{}}}},"schemaString":"{schema}","partitionColumns":[],"configuration":{{}},"createdTime":1}}}}"#
        ));
    }
    lines.push(format!(
        r#"{{"add":{{"path":"{file}","partitionValues":{{}},"size":{bytes},"modificationTime":1,"dataChange":true}}}}"#
    ));
    stage.write(&format!("delta/_delta_log/{version:020}.json"), lines.join("\n"));
}

fn offer_total(stage: &Stage, table: &str) {
    stage.write("total.sql", TOTAL.replace("INPUT", table));
    stage.run("build total.sql -o total.wasm").ok();
    stage.run("notebook add r total.wasm --runner shop --as shop.key").ok();
}

/// What the notebook `total` finds, and the digests of what it read.
fn total(stage: &Stage) -> (serde_json::Value, String) {
    let ran = stage.run("run r total --json --as shop.key").ok().json();
    let rows = stage.run("output show r latest --json --as shop.key").ok().json();
    (rows["total"].clone(), ran["receipt"]["inputs"].to_string())
}

fn found(rows: u64, amount: u64) -> serde_json::Value {
    serde_json::json!([{ "rows": rows, "amount": amount }])
}

#[test]
fn a_delta_table_is_read_at_its_newest_version() {
    let stage = stage();
    commit(&stage, 0);
    let added = stage.run("table add r shop.sales --from delta --json --as shop.key").ok().json();
    assert_eq!((&added["pin"], &added["files"]), (&"version".into(), &1.into()));
    offer_total(&stage, "shop.sales");
    let (rows, first) = total(&stage);
    assert_eq!(rows, found(4, 100));
    assert_eq!(total(&stage), (rows, first.clone()), "the same version has the same digest");
    commit(&stage, 1);
    let (rows, second) = total(&stage);
    assert_eq!(rows, found(8, 200));
    assert_ne!(first, second);

    let shown = stage.run("table show r").ok().stdout;
    assert!(shown.contains("shop.sales: file://"), "{shown}");
    let log = stage.run("log r --json").ok().stdout;
    assert!(!log.contains(stage.path("delta").to_str().expect("a path")), "{log}");
    assert!(log.contains(r#""pin": "version""#), "{log}");
    stage.run("bundle r -o r.bundle").ok();
    stage.run("verify r.bundle").ok();

    fs::remove_dir_all(stage.path("delta")).expect("the table");
    let gone = stage.run("run r total --as shop.key");
    assert!(gone.stderr.contains("shop.sales"), "{gone}");
    assert!(!gone.stderr.contains("file://"), "{gone}");
}

#[test]
fn credentials_are_private_here_and_sealed_there() {
    let stage = stage();
    commit(&stage, 0);
    let secret = "hunter2-hunter2-hunter2";
    let file = stage.write("db.toml", format!("user = \"me\"\npassword = \"{secret}\"\n"));
    let mode =
        |mode: u32| fs::set_permissions(&file, Permissions::from_mode(mode)).expect("a mode");
    mode(0o644);
    let add = "table add r shop.far --from postgresql://127.0.0.1:1/d#t --credentials db.toml --as shop.key";
    let open = stage.run(add);
    assert!(open.stderr.contains("chmod 600"), "{open}");
    mode(0o600);
    let down = stage.run(add).refused("source-unavailable");
    assert!(!down.stderr.contains(secret), "{down}");
    let here = "table add r shop.sales --from raw.csv --credentials db.toml --as shop.key";
    assert!(stage.run(here).stderr.contains("for a place elsewhere"));

    stage.run("table add r shop.sales --from delta --as shop.key").ok();
    stage.run("table credentials r shop.sales --credentials db.toml --as shop.key").ok();
    assert!(stage.run("table show r shop.sales").ok().stdout.contains("sealed"));
    offer_total(&stage, "shop.sales");
    assert_eq!(total(&stage).0, found(4, 100));
    assert!(!holds(&stage.path(""), secret.as_bytes(), &file), "the secret is in a file");
    let raw = "table credentials r shop.raw --credentials db.toml --as shop.key";
    stage.run(raw).refused("not-found");
}

/// Whether any file below `folder` but `except` holds these bytes.
fn holds(folder: &Path, bytes: &[u8], except: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return holds(&path, bytes, except);
        }
        let content = fs::read(&path).unwrap_or_default();
        path != except && content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn a_sealing_key_of_the_operator_is_asked_for_from_then_on() {
    let stage = stage();
    commit(&stage, 0);
    for (name, digit) in [("seal.key", "a"), ("other.key", "b")] {
        let file = stage.write(name, digit.repeat(64));
        fs::set_permissions(file, Permissions::from_mode(0o600)).expect("a mode");
    }
    let file = stage.write("db.toml", "user = \"me\"\n");
    fs::set_permissions(file, Permissions::from_mode(0o600)).expect("a mode");
    stage.run("table add r shop.sales --from delta --as shop.key").ok();
    let replace = "table credentials r shop.sales --credentials db.toml --as shop.key";
    stage.run(&format!("{replace} --sealing-key seal.key")).ok();
    offer_total(&stage, "shop.sales");
    stage.run("run r total --sealing-key seal.key --as shop.key").ok();
    let without = stage.run("run r total --as shop.key").refused("source-denied");
    assert!(without.stderr.contains("--sealing-key"), "{without}");
    assert!(stage.run(replace).stderr.contains("--sealing-key"));
    let other = stage.run("run r total --sealing-key other.key --as shop.key");
    assert!(other.stderr.contains("another sealing key"), "{other}");
}

#[test]
fn an_output_is_the_next_notebooks_input() {
    let stage = stage();
    let add = "table add r shop.kept --from-output keep.sales --columns amount --as shop.key";
    let added = stage.run(&format!("{add} --json")).ok().json();
    assert_eq!(added["columns"].as_array().map(Vec::len), Some(1));
    offer_total(&stage, "shop.kept");
    assert_eq!(total(&stage).0, found(4, 100));
    stage.write("raw.csv", "day,amount\n3,7\n");
    stage.run("run r keep --as shop.key").ok();
    assert_eq!(total(&stage).0, found(1, 7), "the newest one");
    let none = "table add r shop.none --from-output keep.nothing --as shop.key";
    stage.run(none).refused("not-found");
    let both = "table add r shop.both --from raw.csv --from-output keep.sales --as shop.key";
    assert_eq!(stage.run(both).code, Some(2));
}
