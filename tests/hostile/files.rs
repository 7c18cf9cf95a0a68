//! Files that are not what they say, or change, or are gone; and a home that is not ours.

use crate::support::Stage;

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "n"
version = "1.0.0"
[inputs."a.t"]
columns = { v = "int64" }
[outputs.out]
columns = [ "x int64" ]
*/
CREATE TABLE output.out AS SELECT sum(v) AS x FROM a.t;
"#;

/// A room whose notebook `n` is approved and reads `t.csv`.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.room("r", &["a", "b"], "");
    stage.write("t.csv", "v\n1\n2\n");
    stage.run("table add r a.t --from t.csv --as a.key").ok();
    stage.write("n.sql", NOTEBOOK);
    stage.run("build n.sql -o n.wasm").ok();
    stage.run("notebook add r n.wasm --runner b --as b.key").ok();
    let digest = stage.revision("r", "n");
    stage.run(&format!("review r n --approve {digest} --as a.key")).ok();
    stage
}

#[test]
fn a_missing_file_is_one_clear_refusal() {
    let stage = stage();
    std::fs::remove_file(stage.path("t.csv")).expect("the table's file");
    stage.run("run r n --as b.key").refused("input-unreadable");
}

#[test]
fn a_file_that_became_garbage_fails_the_run_and_shows_no_value() {
    let stage = stage();
    stage.write("t.csv", "v\n1\nsecret-cell-value\n");
    let done = stage.run("run r n --as b.key").refused("input-corrupt");
    assert!(!done.stderr.contains("secret-cell-value"), "{done}");
}

#[test]
fn corrupt_files_are_refused_when_they_are_added() {
    let stage = stage();
    for (name, bytes) in [
        ("bad.parquet", &b"PAR1 and then nothing of the kind PAR1"[..]),
        ("bad.arrow", b"ARROW1\0\0 garbage ARROW1"),
        ("bad.ndjson", b"{\"v\": 1}\n{\"v\": \n"),
        ("empty.parquet", b""),
    ] {
        stage.write(name, bytes);
        stage.run(&format!("table add r a.bad --from {name} --as a.key")).refused("input-corrupt");
    }
    stage.run("table add r a.bad --from nowhere.csv --as a.key").refused("input-unreadable");
}

#[test]
fn a_home_of_another_version_is_left_alone() {
    let stage = stage();
    stage.write(".glovebox/version", "glovebox-home 999\n");
    let done = stage.run("room show r").refused("home-version");
    assert!(done.stderr.contains("another version"), "{done}");
}

#[test]
fn a_directory_that_is_no_home_is_left_alone() {
    let stage = Stage::new();
    std::fs::create_dir(stage.path("mine")).expect("a directory");
    stage.write("mine/letter.txt", "dear diary");
    let done = stage.run("room list --home mine");
    assert_eq!(done.code, Some(1), "{done}");
    assert!(stage.path("mine/letter.txt").exists());
}

#[test]
fn a_component_swapped_on_the_hosts_disk_does_not_run() {
    let stage = stage();
    let components = std::fs::read_dir(stage.path(".glovebox/components")).expect("components");
    for component in components {
        let path = component.expect("a component").path();
        let mut bytes = std::fs::read(&path).expect("its bytes");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::remove_file(&path).expect("the component's file");
        std::fs::write(&path, bytes).expect("another component");
    }
    stage.run("run r n --as b.key").refused("component-mismatch");
}

#[test]
fn machine_code_changed_on_disk_is_never_loaded() {
    let stage = stage();
    for file in std::fs::read_dir(stage.path(".glovebox/cache")).expect("the cache") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "code") {
            std::fs::write(&path, b"not machine code").expect("a poisoned cache");
        }
    }
    // Compiled again from the approved component.
    stage.run("run r n --as b.key").ok();
}
