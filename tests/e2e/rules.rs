//! Approvals in advance, and runs that are taken back.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Stage, build_directory, guest, repository};

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "spend"
version = "1.0.0"
description = "Sales by segment."

[inputs."shop.sales"]
columns = { segment = "utf8", amount = "int64" }

[parameters.min_group]
type = "int64"
default = 2
minimum = 2

[outputs.by_segment]
columns = ["segment utf8", "sales int64"]
*/
CREATE TABLE output.by_segment AS
SELECT segment, count(*) AS sales FROM shop.sales
GROUP BY segment HAVING count(*) >= :min_group ORDER BY segment;
"#;

const SALES: &str = "segment,amount\na,1\na,2\nb,3\nc,4\nc,5\nc,6\n";

/// A room of `shop`, which offers its sales, and `partner`, whose `spend.wasm` is built.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.room("r", &["shop", "partner"], "");
    stage.write("sales.csv", SALES);
    stage.write("spend.sql", NOTEBOOK);
    stage.run("table add r shop.sales --from sales.csv --as shop.key").ok();
    stage.run("build spend.sql -o spend.wasm").ok();
    stage
}

#[test]
fn a_rule_approves_what_comes_after_it() {
    let stage = stage();
    stage.run("notebook add r spend.wasm --runner partner --as partner.key").ok();
    let added = stage.run("rule add r trusted --author partner --runner partner --as shop.key");
    assert!(added.ok().stdout.contains("approves by rule trusted"));
    // What was there before the rule still waits for a look.
    stage.run("run r spend --as partner.key").refused("not-approved");

    stage.write("spend.sql", NOTEBOOK.replace("1.0.0", "1.1.0"));
    stage.run("build spend.sql -o next.wasm").ok();
    stage.run("notebook add r next.wasm --runner partner --as partner.key").ok();
    stage.run("run r spend --as partner.key").ok();
    let shown = stage.run("room show r --json").ok().json();
    let newest = shown["notebooks"][0]["revisions"].as_array().expect("revisions").last().cloned();
    let newest = newest.expect("a revision");
    assert_eq!(newest["status"], "approved", "{newest:#}");
    assert_eq!(newest["reviews"][0]["auto_approved"], "trusted", "{newest:#}");
    let told = stage.run("room show r").ok().stdout;
    assert!(told.contains("shop approves") && told.contains("by its rule trusted"), "{told}");
    assert!(told.contains("trusted: shop approves what partner adds for partner to run"), "{told}");

    // The party's own word outweighs its rule.
    let digest = stage.revision("r", "spend");
    stage.run(&format!("review r spend --reject {digest} --as shop.key")).ok();
    stage.run("run r spend --as partner.key").refused("rejected");
}

#[test]
fn a_rule_approves_for_its_runner_and_author_only_and_until_it_is_removed() {
    let stage = stage();
    stage.run("rule add r own --author shop --runner shop --as shop.key").refused("not-permitted");
    stage.run("rule add r who --runner nobody --as shop.key").refused("not-found");
    stage.run("rule remove r trusted --as shop.key").refused("not-found");
    stage.run("rule add r trusted --runner partner --as shop.key").ok();
    stage.run("rule add r trusted --runner partner --as shop.key").refused("already-exists");
    let rules = stage.run("rule list r --json").ok().json();
    assert_eq!(rules[0]["rule"], "trusted");
    assert_eq!(rules[0]["author"], serde_json::Value::Null);
    assert!(stage.run("rule list r").ok().stdout.contains("anyone"));

    // A second runner is not covered.
    stage.run("notebook add r spend.wasm --runner partner --runner shop --as partner.key").ok();
    stage.run("run r spend --as partner.key").refused("not-approved");
    stage.run("notebook add r spend.wasm --runner partner --as partner.key").ok();
    stage.run("run r spend --as partner.key").ok();

    stage.run("rule remove r trusted --as partner.key").refused("not-found");
    stage.run("rule remove r trusted --as shop.key").ok();
    stage.run("run r spend --as partner.key").refused("not-approved");
    assert_eq!(stage.run("rule list r --json").ok().json(), serde_json::json!([]));
    let log = stage.run("log r").ok().stdout;
    assert!(log.contains("removes the rule trusted"), "{log}");
    stage.run("bundle r -o r.bundle").ok();
    stage.run("verify r.bundle").ok();
}

#[test]
fn a_form_says_what_a_notebook_asks_for() {
    let stage = stage();
    stage.run("notebook add r spend.wasm --runner partner --as partner.key").ok();
    let form = stage.run("room form r spend --json").ok().json();
    assert_eq!(form["description"], "Sales by segment.");
    assert_eq!(form["reads"], serde_json::json!([{ "name": "shop.sales", "offered": true }]));
    assert_eq!(
        form["fields"],
        serde_json::json!([{
            "name": "min_group", "type": "int64", "default": "2", "needed": false, "choices": [],
            "minimum": "2", "maximum": null, "description": "",
        }])
    );
    // Nobody is at a terminal here, so nothing is asked and nothing runs.
    let told = stage.run("room form r spend --as partner.key").ok();
    assert!(told.stdout.contains("int64, at least 2"), "{told}");
    assert!(told.stderr.contains("glovebox run r spend"), "{told}");
    assert_eq!(stage.run("runs r --json").ok().json(), serde_json::json!([]));
    assert_eq!(stage.run("room form r spend --param colour=red").code, Some(1));
    stage.run("room form r nothing").refused("not-found");
}

#[test]
fn in_a_packaged_room_the_provider_sees_runs_and_nothing_else() {
    let stage = Stage::new();
    let aliases = ["vendor", "retail"];
    let mut text = "name = \"p\"\nregion = \"test\"\npackage_provider = \"vendor\"\n".to_owned();
    for alias in aliases {
        let key = stage.key(alias);
        text += &format!(
            "[[collaborators]]\nalias = \"{alias}\"\norganisation = \"x\"\npublic_key = \"{key}\"\n"
        );
    }
    stage.write("p.toml", text);
    stage.run("room create p.toml --as vendor.key").ok();
    stage.run("room accept p --as retail.key").ok();
    stage.write("customers.csv", "segment,spend\na,1\na,2\nb,3\n");
    stage.run("table add p retail.customers --from customers.csv --as retail.key").ok();
    let package = "tests/service/score";
    let open = guest(package).display().to_string();
    let hidden = stage
        .command(&["build", "--install-target", "--hidden", "-o", "hidden.wasm"])
        .arg(repository().join(package))
        .env("GLOVEBOX_BUILD_DIRECTORY", build_directory())
        .status()
        .expect("the glovebox binary");
    assert!(hidden.success());
    let add = |component: &str, runner: &str, key: &str| {
        stage.run(&format!("notebook add p {component} --runner {runner} --as {key}.key"))
    };
    add(&open, "retail", "vendor").refused("not-permitted");
    add("hidden.wasm", "vendor", "vendor").refused("not-permitted");
    add("hidden.wasm", "retail", "retail").refused("not-permitted");
    add("hidden.wasm", "retail", "vendor").ok();

    // The consumer sees the name, the words and what is asked of it, and no source.
    let form = stage.run("room form p score --json --as retail.key").ok().json();
    let words = form["description"].as_str().expect("a description");
    assert!(words.starts_with("How much each segment spends"), "{words}");
    assert_eq!(form["reads"], serde_json::json!([{ "name": "retail.customers", "offered": true }]));
    let shown = stage.run("room show p --json").ok().json();
    assert_eq!(shown["notebooks"][0]["hidden"], true, "{shown:#}");
    assert_eq!(shown["notebooks"][0]["description"], form["description"]);
    let digest = stage.revision("p", "score");
    stage.run(&format!("review p score --approve {digest} --as retail.key")).ok();
    stage.run("run p score --param least=2 --as retail.key").ok();
    let rows = stage.run("output show p latest scores --json --as retail.key").ok().json();
    assert_eq!(rows["scores"], serde_json::json!([{ "segment": "a", "spend": 3 }]));
    stage.run("output log p latest --as retail.key").ok();

    let runs = stage.run("runs p --json --as vendor.key").ok().json();
    assert_eq!(runs[0]["outcome"], "succeeded");
    stage.run("output show p latest --as vendor.key").refused("not-permitted");
    stage.run("output log p latest --as vendor.key").refused("not-permitted");
    let shown = stage.run("room show p").ok().stdout;
    assert!(shown.contains("packaged: vendor brings the code"), "{shown}");
}

#[test]
fn a_room_file_for_another_host_is_refused() {
    let stage = Stage::new();
    let (key, other) = (stage.key("shop"), stage.key("other"));
    let file = |host: &str| {
        format!(
            "name = \"r\"\nregion = \"test\"\nhost_key = \"{host}\"\n[[collaborators]]\n\
             alias = \"shop\"\norganisation = \"x\"\npublic_key = \"{key}\"\n"
        )
    };
    stage.write("r.toml", file(&other));
    let refused = stage.run("room create r.toml --as shop.key");
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("another host"), "{refused}");
}

/// Counts a billion pairs: long enough to be caught in the act.
const SLOW: &str = r#"/* glovebox notebook
name = "slow"
version = "1.0.0"

[inputs."shop.sales"]
columns = { segment = "utf8", amount = "int64" }

[outputs.o]
columns = ["n int64"]
*/
CREATE TABLE output.o AS
SELECT sum((x.amount * y.amount) % (z.amount + 1)) AS n
FROM shop.sales x CROSS JOIN shop.sales y CROSS JOIN shop.sales z;
"#;

#[test]
fn a_run_is_cancelled_by_its_runner_and_by_nobody_else() {
    let stage = Stage::new();
    stage.room("r", &["shop", "partner"], "");
    let rows: String = (0..2_000).map(|n| format!("s{n},{n}\n")).collect();
    stage.write("sales.csv", format!("segment,amount\n{rows}"));
    stage.write("slow.sql", SLOW);
    stage.run("table add r shop.sales --from sales.csv --as shop.key").ok();
    stage.run("build slow.sql -o slow.wasm").ok();
    stage.run("rule add r trusted --runner partner --as shop.key").ok();
    stage.run("notebook add r slow.wasm --runner partner --as partner.key").ok();
    stage.run("cancel r latest --as partner.key").refused("not-found");

    let mut running = stage
        .command(&["run", "r", "slow", "--as", "partner.key", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the glovebox binary");
    let started = Instant::now();
    while stage.run("runs r --json").ok().json()[0]["outcome"] != "running" {
        assert!(started.elapsed() < Duration::from_secs(60), "the run does not start");
        assert!(running.try_wait().expect("its status").is_none(), "the run ended at once");
        std::thread::sleep(Duration::from_millis(50));
    }
    stage.run("cancel r latest --as shop.key").refused("not-permitted");
    stage.run("cancel r latest --as partner.key").ok();
    let cancelled = Instant::now();
    let ended = running.wait_with_output().expect("its end");
    let words = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{words}");
    assert!(words.contains("(cancelled)"), "{words}");
    assert!(cancelled.elapsed() < Duration::from_secs(30), "it was not stopped, it ended");
    let runs = stage.run("runs r --json").ok().json();
    assert_eq!((&runs[0]["outcome"], &runs[0]["reason"]), (&"failed".into(), &"cancelled".into()));
    stage.run("output show r latest --as partner.key").refused("not-found");
    stage.run("cancel r latest --as partner.key").refused("not-found");
}
