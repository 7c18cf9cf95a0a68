//! Names that stand for others: published columns, and tables bound to a notebook's inputs.

use crate::support::Stage;

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "spend"
version = "1.0.0"
[inputs."advertiser.crm"]
columns = { email = "utf8", spend = "int64" }
[inputs."partner.visits"]
columns = { email = "utf8", site = "utf8" }
[parameters.least]
type = "int64"
default = 1
minimum = 1
maximum = 100
[parameters.rounding]
type = "utf8"
default = "none"
choices = ["none", "tens"]
[outputs.sites]
columns = [ "site utf8", "people int64", "spend int64" ]
*/
CREATE TABLE output.sites AS
SELECT v.site, count(DISTINCT c.email) AS people,
       sum(CASE WHEN :rounding = 'tens' THEN c.spend / 10 * 10 ELSE c.spend END) AS spend
FROM advertiser.crm AS c JOIN partner.visits AS v ON c.email = v.email
WHERE c.spend >= :least GROUP BY v.site;
"#;

/// A room of two advertisers and a partner, which brings a notebook that knows neither of them.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.room("r", &["nike", "acme", "partner"], "");
    stage.write("nike.csv", "mail_address,total,phone\na@x,10,1\nb@x,20,2\nc@x,0,3\n");
    // The file's `email` is something else; what the notebook wants is called `kontakt`.
    stage.write("acme.csv", "email,kontakt,umsatz\nz1,a@x,10\nz2,b@x,20\nz3,c@x,0\n");
    stage.write("visits.ndjson", "{\"m\":\"a@x\",\"s\":\"news\"}\n{\"m\":\"b@x\",\"s\":\"news\"}\n{\"m\":\"b@x\",\"s\":\"shop\"}\n");
    stage
        .run(
            "table add r nike.customers --from nike.csv --columns mail_address,total --as nike.key",
        )
        .ok();
    stage.run("table add r acme.kunden --from acme.csv --alias email=kontakt --alias code=email --alias spend=umsatz --columns email,spend --as acme.key").ok();
    stage.run("table add r partner.visits --from visits.ndjson --alias email=m --alias site=s --as partner.key").ok();
    stage.write("spend.sql", NOTEBOOK);
    stage.run("build spend.sql -o spend.wasm").ok();
    stage
}

fn approve(stage: &Stage) {
    let digest = stage.revision("r", "spend");
    for party in ["nike", "acme"] {
        stage.run(&format!("review r spend --approve {digest} --as {party}.key")).ok();
    }
}

fn sites(stage: &Stage) -> serde_json::Value {
    stage.run("run r spend --as partner.key").ok();
    stage.run("output show r latest --json --as partner.key").ok().json()["sites"].clone()
}

#[test]
fn one_notebook_serves_two_customers() {
    let stage = stage();
    let expected = serde_json::json!([
        { "site": "news", "people": 2, "spend": 30 },
        { "site": "shop", "people": 1, "spend": 20 },
    ]);
    stage.run("notebook add r spend.wasm --runner partner --bind advertiser.crm=nike.customers --bind advertiser.crm.email=mail_address --bind advertiser.crm.spend=total --as partner.key").ok();
    approve(&stage);
    assert_eq!(sites(&stage), expected);
    let for_nike = stage.revision("r", "spend");

    stage.run("notebook add r spend.wasm --runner partner --bind advertiser.crm=acme.kunden --as partner.key").ok();
    assert_ne!(stage.revision("r", "spend"), for_nike, "another binding is another revision");
    stage
        .run(&format!("run r spend --revision {} --as partner.key", stage.revision("r", "spend")))
        .refused("not-approved");
    approve(&stage);
    assert_eq!(sites(&stage), expected);

    let shown = stage.run("room show r").ok().stdout;
    assert!(
        shown.contains("advertiser.crm is nike.customers: email is mail_address, spend is total"),
        "{shown}"
    );
    assert!(shown.contains("advertiser.crm is acme.kunden\n"), "{shown}");
    // What columns are called in files stays with the host.
    for line in ["room show r", "room show r --json", "log r --json"] {
        let said = stage.run(line).ok().stdout;
        assert!(!said.contains("kontakt") && !said.contains("umsatz"), "{line}: {said}");
    }
    stage.run("bundle r -o r.bundle").ok();
    let bundle = std::fs::read(stage.path("r.bundle")).expect("a bundle");
    assert!(!String::from_utf8_lossy(&bundle).contains("kontakt"));
}

#[test]
fn columns_may_swap_names_and_inputs_share_a_table() {
    let stage = Stage::new();
    stage.room("r", &["a", "b"], "");
    stage.write("t.csv", "x,y\n1,10\n2,20\n");
    stage.run("table add r a.t --from t.csv --alias x=y --alias y=x --as a.key").ok();
    stage.write(
        "n.sql",
        r#"/* glovebox notebook
name = "n"
version = "1.0.0"
[inputs."one.t"]
columns = { x = "int64" }
[inputs."two.t"]
columns = { x = "int64", again = "int64" }
[outputs.out]
columns = [ "one int64", "two int64", "again int64" ]
*/
CREATE TABLE output.out AS SELECT
  (SELECT sum(x) FROM one.t) AS one, (SELECT sum(x) FROM two.t) AS two,
  (SELECT sum(again) FROM two.t WHERE x > 1) AS again;
"#,
    );
    stage.run("build n.sql -o n.wasm").ok();
    stage.run("notebook add r n.wasm --runner b --bind one.t=a.t --bind two.t=a.t --bind two.t.x=y --bind two.t.again=y --as b.key").ok();
    let digest = stage.revision("r", "n");
    stage.run(&format!("review r n --approve {digest} --as a.key")).ok();
    stage.run("run r n --as b.key").ok();
    let out = stage.run("output show r latest --json --as b.key").ok().json();
    // Published `x` is the file's `y`: 30; published `y` is the file's `x`: 3.
    assert_eq!(out["out"], serde_json::json!([{ "one": 30, "two": 3, "again": 2 }]));
}

#[test]
fn what_does_not_fit_is_told_when_it_is_bound() {
    let stage = stage();
    let check = |options: &str, reason: &str, words: &[&str]| {
        let line = format!("notebook add r spend.wasm --runner partner {options} --as partner.key");
        let done = stage.run(&line).refused(reason);
        for word in words {
            assert!(done.stderr.contains(word), "{word} in {done}");
        }
    };
    check("", "not-found", &["advertiser.crm"]);
    check("--bind advertiser.crm=nike.customers", "schema-mismatch", &["`email`", "utf8"]);
    check(
        "--bind advertiser.crm=nike.customers --bind advertiser.crm.email=total --bind advertiser.crm.spend=total",
        "schema-mismatch",
        &["`total`", "int64", "utf8"],
    );
    check(
        "--bind advertiser.crm=nike.customers --bind advertiser.crm.email=phone",
        "schema-mismatch",
        &["`phone`"],
    );
    check("--bind advertiser.crm=nike.shoes", "not-found", &["nike.shoes"]);
    let usage = |options: &str, word: &str| {
        let line = format!("notebook add r spend.wasm --runner partner {options} --as partner.key");
        let done = stage.run(&line);
        assert!(matches!(done.code, Some(1 | 2)) && done.stderr.contains(word), "{done}");
    };
    usage("--bind advertiser.crm", "INPUT=TABLE");
    usage("--bind advertiser.crm=nike.customers --bind advertiser.crm=acme.kunden", "twice");
    usage("--bind other.crm=nike.customers", "no such input");
    usage("--bind advertiser.crm=nike.customers --bind advertiser.crm.phone=total", "no column");

    for (aliases, word) in [
        ("--alias a=nope", "no column `nope`"),
        ("--alias total=phone", "two columns would be called `total`"),
        ("--alias a=phone --alias b=phone", "two aliases"),
        ("--alias a=phone --alias a=total", "two columns"),
        ("--alias phone", "NAME=COLUMN"),
    ] {
        let done =
            stage.run(&format!("table add r nike.other --from nike.csv {aliases} --as nike.key"));
        assert!(done.code != Some(0) && done.stderr.contains(word), "{word} in {done}");
    }
}

#[test]
fn a_parameter_out_of_bounds_is_one_clear_error() {
    let stage = stage();
    stage.run("notebook add r spend.wasm --runner partner --bind advertiser.crm=acme.kunden --as partner.key").ok();
    approve(&stage);
    for (parameter, word) in [
        ("least=0", "minimum"),
        ("least=101", "maximum"),
        ("least=many", "int64"),
        ("rounding=fives", "tens"),
        ("other=1", "other"),
    ] {
        let line = format!("run r spend --param {parameter} --as partner.key");
        let done = stage.run(&line).refused("parameter-invalid");
        assert!(done.stderr.contains(word), "{word} in {done}");
    }
    stage.run("run r spend --param least=15 --param rounding=tens --as partner.key").ok();
}

/// The owner may call its columns otherwise later: the room sees no change, and no new approval.
#[test]
fn the_files_may_change_their_names_under_a_stable_contract() {
    let stage = stage();
    stage.run("notebook add r spend.wasm --runner partner --bind advertiser.crm=acme.kunden --as partner.key").ok();
    approve(&stage);
    let before = (stage.revision("r", "spend"), sites(&stage));
    stage.write("acme2.csv", "a,b\na@x,10\nb@x,20\nc@x,0\n");
    stage.run("table add r acme.kunden --from acme2.csv --alias email=a --alias spend=b --as acme.key").ok();
    assert_eq!((stage.revision("r", "spend"), sites(&stage)), before);
}
