//! Rules that approve under conditions, revisions that come to their end, and what runs cost.

use serde_json::json;

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
columns = ["segment utf8", "sales int64"]
max_rows = 100
*/
CREATE TABLE output.by_segment AS
SELECT segment, count(*) AS sales FROM shop.sales
GROUP BY segment HAVING count(*) >= :min_group ORDER BY segment;
"#;

const SALES: &str = "segment,amount,email\na,1,x@a.example\na,2,y@a.example\nb,3,z@a.example\n\
                     c,4,u@a.example\nc,5,v@a.example\nc,6,w@a.example\n";

/// A room of `shop`, which offers its sales, and `partner`.
fn stage(settings: &str) -> Stage {
    let stage = Stage::new();
    stage.room("r", &["shop", "partner"], settings);
    stage.write("sales.csv", SALES);
    stage.run("table add r shop.sales --from sales.csv --as shop.key").ok();
    stage
}

/// Offers another version of the notebook, and gives its revision.
fn offer(stage: &Stage, version: &str, text: &str, options: &str) -> String {
    stage.write("spend.sql", text.replace("1.0.0", version));
    stage.run("build spend.sql -o spend.wasm").ok();
    stage
        .run(&format!("notebook add r spend.wasm --runner partner {options} --as partner.key"))
        .ok();
    stage.revision("r", "spend")
}

/// The same notebook, which reads the addresses and lets the last of them out.
fn greedy() -> String {
    NOTEBOOK
        .replace("amount = \"int64\" }", "amount = \"int64\", email = \"utf8\" }")
        .replace("\"sales int64\"]", "\"sales int64\", \"mail utf8\"]")
        .replace("count(*) AS sales", "count(*) AS sales, max(email) AS mail")
}

#[test]
fn a_rule_approves_as_long_as_its_conditions_are_met() {
    let stage = stage("");
    let add = "rule add r trusted --author partner --runner partner --if-not-grown \
               --if-same-outputs --if-param min_group=3.. --max-runs 2 --expires 1d --as shop.key";
    let added = stage.run(add).ok();
    let said = ", if it may do no more than what it reviewed last, with the same outputs, with \
                min_group at least 3, for 2 runs, until 2";
    assert!(added.stdout.contains(said), "{added}");
    // Somebody looks once: before, the rule has nothing to compare with.
    let first = offer(&stage, "1.0.0", NOTEBOOK, "");
    stage.run("run r spend --param min_group=3 --as partner.key").refused("not-approved");
    stage.run(&format!("review r spend --approve {first} --as shop.key")).ok();

    offer(&stage, "1.1.0", NOTEBOOK, "");
    stage.run("run r spend --as partner.key").refused("parameter-invalid");
    let refused = stage.run("run r spend --param min_group=2 --as partner.key");
    assert!(refused.stderr.contains("its rule trusted only"), "{refused}");
    stage.run("run r spend --param min_group=3 --as partner.key").ok();
    stage.run("bundle r -o one.bundle").ok();
    let verified = stage.run("verify one.bundle").ok().stdout;
    assert!(verified.contains("  approved   for shop by its rule trusted\n"), "{verified}");
    let runs = stage.run("runs r --json").ok().json();
    let started = runs.as_array().expect("runs").last().expect("a run").clone();
    assert_eq!(started["rules"], json!({ "shop": ["trusted"] }), "{runs:#}");

    // A version that takes more waits for the shop, and the one before it still runs.
    let third = offer(&stage, "1.2.0", &greedy(), "");
    let revision = format!("--revision {third}");
    stage
        .run(&format!("run r spend {revision} --param min_group=3 --as partner.key"))
        .refused("not-approved");
    stage.run("run r spend --param min_group=4 --as partner.key").ok();

    // Two runs were all.
    let rules = stage.run("rule list r --json").ok().json();
    assert_eq!((&rules[0]["runs"], &rules[0]["used_up"]), (&json!(2), &json!(true)), "{rules:#}");
    assert_eq!(rules[0]["conditions"]["max_runs"], 2);
    let told = stage.run("room show r").ok().stdout;
    assert!(told.contains("USED UP (2 runs so far)"), "{told}");
    // What runs now is the version that the shop approved itself.
    let ran = stage.run("run r spend --json --as partner.key").ok().json();
    assert_eq!(ran["receipt"]["revision"], json!(first));
    stage.run("bundle r -o r.bundle").ok();
    stage.run("verify r.bundle").ok();
}

#[test]
fn conditions_that_make_no_sense_are_wrong_usage_or_refused() {
    let stage = stage("");
    let add = |options: &str| {
        stage.run(&format!("rule add r trusted --runner partner {options} --as shop.key"))
    };
    assert_eq!(add("--max-runs 0").code, Some(2));
    assert_eq!(add("--if-param min_group").code, Some(2));
    assert_eq!(add("--if-param min_group=..").code, Some(2));
    let twice = add("--if-param min_group=1.. --if-param min_group=..9");
    assert_eq!(twice.code, Some(1), "{twice}");
    add("--expires 2013-01-01").refused("not-permitted");
    add("--expires 1d").ok();
}

#[test]
fn an_approval_of_another_revision_shows_what_it_changes() {
    let stage = stage("");
    let first = offer(&stage, "1.0.0", NOTEBOOK, "");
    let alone = stage.run(&format!("review r spend --approve {first} --diff --as shop.key")).ok();
    assert!(alone.stdout.contains("no revision of spend was approved before"), "{alone}");
    let second = offer(&stage, "2.0.0", &greedy(), "");
    let words = ["MORE THAN BEFORE", "+ it reads another column of shop.sales: email utf8"];
    // A rejection shows it when asked to, an approval always, and as JSON too.
    let rejected = stage.run(&format!("review r spend --reject {second} --diff --as shop.key"));
    let approve = format!("review r spend --approve {second} --as shop.key");
    let approved = stage.run(&approve);
    for done in [rejected.ok(), approved.ok()] {
        assert!(words.iter().all(|words| done.stdout.contains(words)), "{done}");
    }
    stage.run(&format!("review r spend --revoke {second} --as shop.key")).ok();
    let json = stage.run(&format!("{approve} --json")).ok().json();
    assert_eq!(json["difference"]["changes"][0]["effect"], "widens", "{json:#}");
    assert_eq!(json["difference"]["old"]["digest"], json!(first));
}

#[test]
fn revisions_stand_side_by_side_until_their_end() {
    let stage = stage("");
    let approve = |revision: &str| {
        stage.run(&format!("review r spend --approve {revision} --as shop.key")).ok();
    };
    let first = offer(&stage, "1.0.0", NOTEBOOK, "");
    approve(&first);
    let second = offer(&stage, "2.0.0", NOTEBOOK, "--cutover 30d");
    approve(&second);
    let told = stage.run("room show r").ok().stdout;
    assert_eq!(told.matches("APPROVED").count(), 2, "{told}");
    assert!(told.contains("cutover   once approved, earlier versions end on "), "{told}");
    let run =
        |revision: &str| stage.run(&format!("run r spend --revision {revision} --as partner.key"));
    run(&first).ok();
    run(&second).ok();

    // Only the author gives a revision up; everyone is told, and its runs are warned of.
    let deprecate = |revision: &str, key: &str, options: &str| {
        stage.run(&format!("notebook deprecate r spend {revision} {options} --as {key}.key"))
    };
    deprecate(&first, "shop", "").refused("not-permitted");
    deprecate(&first, "partner", "--note use-2.0.0 --until 7d").ok();
    let warned = run(&first).ok();
    assert!(warned.stderr.contains("warning: spend is DEPRECATED, it ends on "), "{warned}");
    assert!(warned.stderr.contains("use-2.0.0"), "{warned}");
    assert!(!run(&second).ok().stderr.contains("DEPRECATED"));
    let shown = stage.run("room show r --json").ok().json();
    let revisions = &shown["notebooks"][0]["revisions"];
    assert_eq!(revisions[0]["deprecated"]["note"], "use-2.0.0", "{shown:#}");
    assert_eq!(revisions[1]["deprecated"], json!(null));
    deprecate(&first, "partner", "--until 0").ok();
    run(&first).refused("superseded");
    run(&second).ok();
    let log = stage.run("log r").ok().stdout;
    assert!(log.contains("deprecates spend"), "{log}");
}

#[test]
fn a_room_says_what_runs_cost() {
    let stage =
        stage("[billing]\ncurrency = \"EUR\"\npayer = \"shop\"\ncpu_second = \"0.00002\"\n");
    let told = stage.run("room show r").ok().stdout;
    let bill = "shop pays for every run, in EUR: 0.00002 a second of processor time";
    assert!(told.contains(bill), "{told}");
    let shown = stage.run("room show r --json").ok().json();
    let expect =
        json!({ "currency": "EUR", "payer": "shop", "prices": { "cpu_second": "0.00002" } });
    assert_eq!(shown["document"]["billing"], expect);
    let other = Stage::new();
    let key = other.key("shop");
    let party = format!(
        "[[collaborators]]\nalias = \"shop\"\norganisation = \"x\"\npublic_key = \"{key}\"\n"
    );
    for billing in ["currency = \"EUR\"\npayer = \"bank\"", "currency = \"euro\""] {
        let room = format!("name = \"r\"\nregion = \"test\"\n{party}[billing]\n{billing}\n");
        other.write("r.toml", room);
        let refused = other.run("room create r.toml --as shop.key");
        assert_eq!(refused.code, Some(1), "{refused}");
        assert!(refused.stderr.contains("billing"), "{refused}");
    }
}
