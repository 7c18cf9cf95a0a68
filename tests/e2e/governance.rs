//! Who may do what: accept, approve, reject, revoke, pause, run.

use crate::support::Stage;

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "spend"
version = "1.0.0"

[inputs."shop.sales"]
columns = { segment = "utf8", amount = "int64" }

[parameters.min_group]
type = "int64"
default = 2
minimum = 2

[outputs.by_segment]
columns = [
    { name = "segment", type = "utf8" },
    { name = "sales", type = "int64", nullable = false },
    { name = "amount", type = "int64" },
]
*/
CREATE TABLE output.by_segment AS
SELECT segment, count(*) AS sales, sum(amount) AS amount
FROM shop.sales GROUP BY segment HAVING count(*) >= :min_group ORDER BY segment;
"#;

const SALES: &str = "segment,amount,email\na,1,x@example.com\na,2,y@example.com\nb,3,z@example.com\nc,4,p@example.com\nc,5,q@example.com\nc,6,r@example.com\n";

/// A room of `shop` and `partner`; partner's notebook `spend` may be run by partner.
fn room_with_notebook() -> Stage {
    let stage = Stage::new();
    stage.room("r", &["shop", "partner"], "");
    stage.write("sales.csv", SALES);
    stage.write("spend.sql", NOTEBOOK);
    stage
        .run("table add r shop.sales --from sales.csv --columns segment,amount --as shop.key")
        .ok();
    stage.run("build spend.sql -o spend.wasm").ok();
    stage.run("notebook add r spend.wasm --runner partner --as partner.key").ok();
    stage
}

fn approved_room() -> Stage {
    let stage = room_with_notebook();
    let digest = stage.revision("r", "spend");
    stage.run(&format!("review r spend --approve {digest} --as shop.key")).ok();
    stage
}

#[test]
fn nothing_runs_before_everyone_has_approved() {
    let stage = room_with_notebook();
    stage.run("run r spend --as partner.key").refused("not-approved");
    let digest = stage.revision("r", "spend");
    stage.run(&format!("review r spend --approve {digest} --as shop.key")).ok();
    stage.run("run r spend --as partner.key").ok();
    let log = stage.run("log r --json").ok().stdout;
    assert!(log.contains("not-approved"), "the refusal is in the log: {log}");
}

#[test]
fn only_runners_run() {
    let stage = approved_room();
    stage.run("run r spend --as shop.key").refused("not-a-runner");
    stage.key("stranger");
    stage.run("run r spend --as stranger.key").refused("unknown-signer");
}

#[test]
fn only_the_runner_reads_unless_the_room_says_all() {
    let stage = approved_room();
    stage.run("run r spend --as partner.key").ok();
    let shown = stage.run("output show r latest by_segment --json --as partner.key").ok().json();
    assert_eq!(
        shown["by_segment"],
        serde_json::json!([
            { "segment": "a", "sales": 2, "amount": 3 },
            { "segment": "c", "sales": 3, "amount": 15 },
        ])
    );
    stage.run("output show r latest by_segment --as shop.key").refused("not-permitted");
}

#[test]
fn parameters_keep_their_type_and_bounds() {
    let stage = approved_room();
    stage.run("run r spend --param min_group=3 --as partner.key").ok();
    for wrong in ["min_group=1", "min_group=many", "colour=red", "min_group=9223372036854775808"] {
        stage
            .run(&format!("run r spend --param {wrong} --as partner.key"))
            .refused("parameter-invalid");
    }
}

#[test]
fn a_changed_component_is_another_revision() {
    let stage = approved_room();
    stage.write(
        "spend.sql",
        NOTEBOOK.replace("count(*) >= :min_group", "count(*) >= :min_group - 1"),
    );
    stage.run("build spend.sql -o changed.wasm").ok();
    stage.run("notebook add r changed.wasm --runner partner --as partner.key").ok();
    let changed = stage.revision("r", "spend");
    stage
        .run(&format!("run r spend --revision {changed} --as partner.key"))
        .refused("not-approved");
    // The approved revision stays runnable until its cutover date.
    stage.run("run r spend --as partner.key").ok();
}

#[test]
fn a_changed_table_voids_the_approval() {
    let stage = approved_room();
    stage.write("sales.csv", SALES.replace(",1,", ",1.5,"));
    stage.run("table add r shop.sales --from sales.csv --as shop.key").ok();
    // `amount` is a float64 now, not the int64 that was approved.
    stage.run("run r spend --as partner.key").refused("schema-mismatch");
    stage.run("table add r shop.sales --from sales.csv --columns segment --as shop.key").ok();
    stage.run("run r spend --as partner.key").refused("schema-mismatch");
    // The very columns that were approved make the very revision that was approved.
    stage.write("sales.csv", SALES);
    stage.run("table add r shop.sales --from sales.csv --as shop.key").ok();
    stage.run("run r spend --as partner.key").ok();
}

#[test]
fn approvals_can_be_revoked_and_revisions_rejected() {
    let stage = approved_room();
    let digest = stage.revision("r", "spend");
    stage.run(&format!("review r spend --revoke {digest} --as shop.key")).ok();
    stage.run("run r spend --as partner.key").refused("rejected");
    stage.run(&format!("review r spend --approve {digest} --as shop.key")).ok();
    stage.run("run r spend --as partner.key").ok();
    stage.run(&format!("review r spend --reject {digest} --comment no --as shop.key")).ok();
    stage.run("run r spend --as partner.key").refused("rejected");
}

#[test]
fn one_party_pauses_and_all_resume() {
    let stage = approved_room();
    stage.run("room pause r --as shop.key").ok();
    stage.run("run r spend --as partner.key").refused("paused");
    stage.run("room resume r --as shop.key").ok();
    stage.run("run r spend --as partner.key").refused("paused");
    stage.run("room resume r --as partner.key").ok();
    stage.run("run r spend --as partner.key").ok();
}

#[test]
fn nobody_offers_tables_of_another() {
    let stage = room_with_notebook();
    stage.run("table add r shop.more --from sales.csv --as partner.key").refused("not-permitted");
}

#[test]
fn ten_collaborators_fit_and_eleven_do_not() {
    let aliases: Vec<String> = (1..=11).map(|n| format!("party{n}")).collect();
    let names: Vec<&str> = aliases.iter().map(String::as_str).collect();
    let stage = Stage::new();
    stage.room("ten", &names[..10], "");
    let text: String = aliases
        .iter()
        .map(|alias| {
            let key = if stage.path(format!("{alias}.key")).exists() {
                let shown = stage.run(&format!("key show {alias}.key --json")).ok().json();
                shown["public_key"].as_str().expect("a key").to_owned()
            } else {
                stage.key(alias)
            };
            format!("[[collaborators]]\nalias = \"{alias}\"\norganisation = \"x\"\npublic_key = \"{key}\"\n")
        })
        .collect();
    stage.write("eleven.toml", format!("name = \"eleven\"\nregion = \"test\"\n{text}"));
    stage.run("room create eleven.toml --as party1.key").refused("policy-limit");
}

#[test]
fn usage_errors_end_with_status_two() {
    let stage = Stage::new();
    for line in
        ["", "frobnicate", "run", "table add r notdotted --from x --as k", "review r n --as k"]
    {
        assert_eq!(stage.run(line).code, Some(2), "`{line}`");
    }
    for line in ["--help", "room --help", "room create --help", "--version"] {
        assert_eq!(stage.run(line).code, Some(0), "`{line}`");
    }
}
