//! Views: an owner's query over its own files, of which the others see columns only.

use std::fs;

use crate::support::Stage;

const VISITS: &str = "id,patient,cost\n1,7,10.5\n2,7,20\n3,8,5.25\n4,9,\n";
const PATIENTS: &str = "patient,name,born\n7,Ada,1950-01-02\n8,Ben,1980-03-04\n9,Cyd,2001-05-06\n";

const QUERY: &str = "-- What the insurer may know.
SELECT CASE WHEN extract(year FROM p.born) < 1960 THEN 'old' ELSE 'young' END AS age,
       v.cost AS paid
FROM visits AS v JOIN patients AS p ON v.patient = p.patient
";

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "spend"
version = "1.0.0"
[inputs."hospital.spend"]
columns = { age = "utf8", paid = "float64" }
[outputs.by_age]
columns = [ "age utf8", "visits int64", "paid float64" ]
*/
CREATE TABLE output.by_age AS
SELECT age, count(*) AS visits, sum(paid) AS paid FROM hospital.spend GROUP BY age;
"#;

fn stage() -> Stage {
    let stage = Stage::new();
    stage.room("r", &["hospital", "insurer"], "");
    fs::create_dir(stage.path("visits")).expect("a directory");
    stage.write("visits/1.csv", VISITS);
    stage.write("patients.csv", PATIENTS);
    stage.write("spend.sql", QUERY);
    stage.write("n.sql", NOTEBOOK);
    stage.run("build n.sql -o n.wasm").ok();
    stage
}

const ADD: &str = "view add r hospital.spend --sql spend.sql --from visits=visits --from patients=patients.csv --as hospital.key";

fn approved() -> Stage {
    let stage = stage();
    stage.run(ADD).ok();
    stage.run("notebook add r n.wasm --runner insurer --as insurer.key").ok();
    approve(&stage);
    stage
}

fn approve(stage: &Stage) {
    let digest = stage.revision("r", "spend");
    stage.run(&format!("review r spend --approve {digest} --as hospital.key")).ok();
}

fn by_age(stage: &Stage) -> serde_json::Value {
    stage.run("run r spend --as insurer.key").ok();
    stage.run("output show r latest --json --as insurer.key").ok().json()["by_age"].clone()
}

#[test]
fn a_view_is_read_like_a_table() {
    let stage = approved();
    let rows = by_age(&stage);
    assert_eq!(
        rows,
        serde_json::json!([
            { "age": "old", "visits": 2, "paid": 30.5 },
            { "age": "young", "visits": 2, "paid": 5.25 },
        ])
    );
    let shown = stage.run("room show r").ok().stdout;
    assert!(shown.contains("hospital.spend: age utf8"), "{shown}");
    let digest = glovebox_contract::digest::Blake3Digest::of(QUERY.as_bytes()).to_string();
    assert!(shown.contains(&digest), "{shown}");
    // The query, its tables and their columns stay with the host.
    stage.run("bundle r -o r.bundle").ok();
    stage.run("verify r.bundle").ok();
    let bundle = fs::read(stage.path("r.bundle")).expect("a bundle");
    let said = [
        shown,
        stage.run("log r --json").ok().stdout,
        String::from_utf8_lossy(&bundle).into_owned(),
    ];
    for said in said {
        for secret in ["patients", "born", "CASE"] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
    }
    // The receipt pins every file behind it: that of patients, and those of visits.
    stage.write("visits/2.csv", "id,patient,cost\n5,8,1\n");
    by_age(&stage);
    let log = stage.run("log r --json").ok().stdout;
    let spaceless: String = log.split_whitespace().collect();
    assert!(spaceless.contains(r#""tables":[1,1]"#), "{log}");
    assert!(spaceless.contains(r#""tables":[1,2]"#), "{log}");
    let digest_of =
        |text: &str| glovebox_contract::digest::Blake3Digest::of(text.as_bytes()).to_string();
    for file in [VISITS, PATIENTS, "id,patient,cost\n5,8,1\n"] {
        assert!(log.contains(&digest_of(file)), "{log}");
    }
}

#[test]
fn another_query_is_another_revision() {
    let stage = approved();
    let before = stage.revision("r", "spend");
    stage.run(ADD).ok();
    assert_eq!(stage.revision("r", "spend"), before, "the same view is the same revision");
    stage.write("spend.sql", QUERY.replace("1960", "1990"));
    stage.run(ADD).ok();
    assert_ne!(stage.revision("r", "spend"), before);
    stage.run("run r spend --as insurer.key").refused("not-approved");
    approve(&stage);
    assert_eq!(by_age(&stage)[0]["visits"], 3);
}

#[test]
fn a_query_reads_its_own_tables_and_nothing_else() {
    let stage = stage();
    stage.write("claims.csv", "id\n1\n");
    stage.run("table add r insurer.claims --from claims.csv --as insurer.key").ok();
    let check = |query: &str, reason: &str, word: &str| {
        stage.write("spend.sql", query);
        let done = stage.run(ADD).refused(reason);
        assert!(done.stderr.contains(word), "{word} in {done}");
    };
    check("SELECT * FROM insurer.claims", "table-not-granted", "insurer.claims");
    check("SELECT * FROM 'claims.csv'", "table-not-granted", "claims.csv");
    check("SELECT * FROM read_csv('claims.csv')", "sql-refused", "table function");
    check("SELECT random() AS r, id FROM visits", "sql-refused", "random");
    check("SELECT now() AS at, id FROM visits", "sql-refused", "now");
    check("SELECT nothing FROM visits", "column-not-granted", "nothing");
    check("SELECT id FROM", "sql-invalid", "syntax");
    check("DELETE FROM visits", "sql-refused", "SELECT");
    // The others may not add a view in the owner's name.
    stage.write("spend.sql", "SELECT id FROM visits, patients");
    stage.run(&ADD.replace("hospital.key", "insurer.key")).refused("not-permitted");
    let done = stage.run(&ADD.replace("visits=visits", "visits"));
    assert_eq!(done.code, Some(2), "{done}");
    stage.run(&ADD.replace("patients.csv", "nowhere.csv")).refused("input-unreadable");
}

#[test]
fn a_notebook_cannot_look_behind_a_view() {
    let stage = approved();
    for table in ["visits", "patients", "hospital.visits", "hospital.patients"] {
        let text = NOTEBOOK.replace("FROM hospital.spend", &format!("FROM {table}"));
        let text = text.replace("1.0.0", "1.0.1").replace("paid)", "cost)");
        stage.write("n2.sql", text);
        // Names that are no input may be refused as early as by the builder.
        if stage.run("build n2.sql -o n2.wasm").code == Some(0) {
            stage.run("notebook add r n2.wasm --runner insurer --as insurer.key").ok();
            approve(&stage);
            stage.run("run r spend --as insurer.key").refused("table-not-granted");
        }
    }
}

#[test]
fn files_that_changed_their_columns_are_a_mismatch() {
    let stage = approved();
    let check = |file: &str, text: &str, reason: &str| {
        let before = fs::read(stage.path(file)).expect("the file");
        stage.write(file, text);
        let done = stage.run("run r spend --as insurer.key").refused(reason);
        for secret in ["born", "visits", "patients", "4711"] {
            assert!(!done.stderr.contains(secret), "{secret} in {done}");
        }
        let log = stage.run("output log r latest --as insurer.key").ok().stdout;
        assert!(!log.contains("born") && !log.contains("4711"), "{log}");
        stage.write(file, before);
        by_age(&stage);
    };
    check("patients.csv", "patient,name\n7,Ada\n", "schema-mismatch");
    check("visits/1.csv", "id,patient,amount\n1,7,1\n", "schema-mismatch");
    check("visits/1.csv", "id,patient,cost\n1,7,x4711\n", "input-corrupt");
}

#[test]
fn a_rust_notebook_scans_a_view() {
    let stage = Stage::new();
    stage.room("r", &["acme", "shop"], "");
    fs::create_dir(stage.path("model")).expect("a directory");
    stage.write("model/weights.txt", "2\n");
    stage.write("orders.ndjson", "{\"net\":1,\"tax\":1}\n{\"net\":20,\"tax\":2}\n");
    stage.write(
        "sales.sql",
        "SELECT net + tax AS amount, net FROM orders WHERE net > 0 ORDER BY net DESC;",
    );
    stage
        .run("view add r shop.sales --sql sales.sql --from orders=orders.ndjson --as shop.key")
        .ok();
    stage.run("volume add r acme.model --from model --as acme.key").ok();
    fs::copy(crate::support::guest("tests/guests/files"), stage.path("files.wasm"))
        .expect("the guest");
    stage.run("notebook add r files.wasm --runner shop --as acme.key").ok();
    let digest = stage.revision("r", "files");
    stage.run(&format!("review r files --approve {digest} --as shop.key")).ok();
    stage.run("run r files --as shop.key").ok();
    let rows = stage.run("output show r latest --json --as shop.key").ok().json();
    let scores: Vec<_> = rows["scores"]
        .as_array()
        .expect("scores")
        .iter()
        .map(|row| row["score"].as_i64())
        .collect();
    assert!(scores == [Some(44), Some(4)] || scores == [Some(4), Some(44)], "{rows}");
}
