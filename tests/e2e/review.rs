//! What a reviewer does before approving: read what a component may do, compare it with what was
//! approved, build it again.

use crate::support::{Stage, guest, repository};

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
GROUP BY segment HAVING count(*) >= :min_group AND sum(amount) > 0;
"#;

fn weakened() -> String {
    NOTEBOOK
        .replace("minimum = 2", "minimum = 1")
        .replace("amount = \"int64\" }", "amount = \"int64\", email = \"utf8\" }")
        .replace("\"sales int64\"]", "\"sales int64\", \"mail utf8\"]")
        .replace("count(*) AS sales", "count(*) AS sales, max(email) AS mail")
        .replace("1.0.0", "1.0.1")
}

/// `old.wasm` and `new.wasm`, the second of which lets more out.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.write("old.sql", NOTEBOOK);
    stage.write("new.sql", weakened());
    stage.run("build old.sql -o old.wasm").ok();
    stage.run("build new.sql -o new.wasm").ok();
    stage
}

#[test]
fn inspect_says_what_a_component_may_do() {
    let stage = stage();
    let told = stage.run("inspect old.wasm").ok().stdout;
    for words in [
        "2 columns of shop.sales: amount int64, segment utf8",
        "the table by_segment (at most 100 rows)",
        "It cannot reach the network",
        "run its SQL over its declared inputs",
        "min_group (int64), at least 2; 2 when nothing is said",
        "what you read is what runs",
        "HAVING count(*) >= :min_group",
    ] {
        assert!(told.contains(words), "`{words}` is missing in\n{told}");
    }
    let json = stage.run("inspect old.wasm --json").ok().json();
    assert_eq!(json["text_is_what_runs"], true);
    assert_eq!(
        json["imports"],
        serde_json::json!(["glovebox:guest/script@0.1.0", "glovebox:guest/types@0.1.0"])
    );
}

#[test]
fn a_damaged_component_is_refused_in_words() {
    let stage = stage();
    let bytes = std::fs::read(stage.path("old.wasm")).expect("the component");
    for (name, bytes) in [
        ("cut.wasm", &bytes[..bytes.len() / 2]),
        ("empty.wasm", &[][..]),
        ("text.wasm", b"not a component"),
    ] {
        stage.write(name, bytes);
        for line in
            [format!("inspect {name}"), format!("diff old.wasm {name}"), format!("dry-run {name}")]
        {
            let done = stage.run(&line);
            assert_eq!(done.code, Some(1), "{done}");
            assert!(done.stderr.contains("component"), "{done}");
        }
    }
    // Two sections that both claim to be the manifest.
    let mut twice = bytes.clone();
    twice.extend_from_slice(&custom_section("glovebox:manifest", b"{}"));
    stage.write("twice.wasm", twice);
    assert_eq!(stage.run("inspect twice.wasm").code, Some(1));
}

/// A custom section as WebAssembly writes it; name and data are short.
fn custom_section(name: &str, data: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u8::try_from(bytes).expect("short");
    let mut content = vec![length(name.len())];
    content.extend_from_slice(name.as_bytes());
    content.extend_from_slice(data);
    let mut section = vec![0, length(content.len())];
    section.append(&mut content);
    section
}

#[test]
fn diff_shouts_what_widens() {
    let stage = stage();
    let shown = stage.run("diff old.wasm new.wasm").ok().stdout;
    let (loud, rest) = shown.split_once("Words only").expect("a section of words");
    for words in [
        "MORE THAN BEFORE",
        "+ it reads another column of shop.sales: email utf8",
        "+ by_segment has another column: mail utf8",
        "~ min_group is at least 1; before 2",
    ] {
        assert!(loud.contains(words), "`{words}` is missing in\n{shown}");
    }
    assert!(rest.contains("its version is 1.0.1, was 1.0.0"), "{shown}");
    assert!(rest.contains("+SELECT segment, count(*) AS sales, max(email) AS mail"), "{shown}");
    let json = stage.run("diff old.wasm new.wasm --json").ok().json();
    assert_eq!(json["same_code"], false);
    assert_eq!(json["changes"][0]["effect"], "widens");

    assert_eq!(stage.run("diff old.wasm new.wasm --exit-code").code, Some(1));
    assert_eq!(stage.run("diff old.wasm old.wasm --exit-code").code, Some(0));
    let same = stage.run("diff old.wasm old.wasm").ok().stdout;
    assert!(same.contains("They are the same."), "{same}");
    let wrong = stage.run("diff old.wasm nowhere.wasm");
    assert_eq!(wrong.code, Some(1), "{wrong}");
}

#[test]
fn an_approver_sees_what_changed_since_the_last_approval() {
    let stage = stage();
    stage.room("r", &["shop", "partner"], "");
    stage.write("sales.csv", "segment,amount,email\na,1,x@example.com\na,2,y@example.com\n");
    stage.run("table add r shop.sales --from sales.csv --as shop.key").ok();
    stage.run("notebook add r old.wasm --runner partner --as partner.key").ok();
    let nothing = stage.run("diff r spend --as shop.key");
    assert_eq!(nothing.code, Some(1), "{nothing}");
    let first = stage.revision("r", "spend");
    stage.run(&format!("review r spend --approve {first} --as shop.key")).ok();
    stage.run("notebook add r new.wasm --runner partner --runner shop --as partner.key").ok();
    let second = stage.revision("r", "spend");
    let shown = stage.run("diff r spend --as shop.key").ok().stdout;
    for words in [
        "+ shop may run it",
        "+ it reads another column of shop.sales: email utf8",
        "the component is another",
        &first,
        &second,
    ] {
        assert!(shown.contains(words), "`{words}` is missing in\n{shown}");
    }
    let named = stage.run(&format!("diff r spend {first} {second}")).ok().stdout;
    assert_eq!(named, shown);
    // A refusal to look is no way around: approving says what it changes.
    let reviewed = stage.run(&format!("review r spend --approve {second} --as shop.key")).ok();
    assert!(
        reviewed.stderr.contains(&format!("glovebox diff r spend {first} {second}")),
        "{reviewed}"
    );
    stage.run(&format!("diff r spend {first} blake3:{}", "0".repeat(64))).refused("not-found");
    assert_eq!(stage.run("diff nowhere spend").code, Some(1));
}

#[test]
fn a_build_is_verified_by_its_digest() {
    let stage = stage();
    let json = stage.run("inspect old.wasm --json").ok().json();
    for digest in ["blake3", "sha256"] {
        let digest = json[digest].as_str().expect("a digest");
        stage.run(&format!("build --verify old.sql --expect {digest}")).ok();
        let other = stage.run(&format!("build --verify new.sql --expect {digest}"));
        assert_eq!(other.code, Some(1), "{other}");
        assert!(other.stdout.contains("DIFFERENT"), "{other}");
    }
    // From the text that the component itself carries.
    let same = stage.run("build --verify old.wasm").ok();
    assert!(same.stdout.contains("SAME"), "{same}");
    let shown = stage.run("build --verify new.sql --expect old.wasm");
    assert_eq!(shown.code, Some(1), "{shown}");
    assert!(shown.stdout.contains("it reads another column of shop.sales: email utf8"), "{shown}");
    let json = stage.run("build --verify new.sql --expect old.wasm --json");
    assert_eq!((json.code, json.json()["same"].as_bool()), (Some(1), Some(false)), "{json}");

    assert_eq!(stage.run("build --verify old.sql").code, Some(1));
    assert_eq!(stage.run("build old.sql --expect old.wasm").code, Some(2));
    assert_eq!(stage.run("build --verify old.sql --expect blake3:12").code, Some(2));
    assert!(!stage.path("spend.wasm").exists(), "verifying writes nothing");
}

#[test]
fn a_rust_build_is_verified_from_its_package() {
    const PACKAGE: &str = "examples/flights-weather/weather-delay-model";
    let stage = Stage::new();
    let model = guest(PACKAGE).display().to_string();
    let package = repository().join(PACKAGE).display().to_string();
    stage.run(&format!("build --install-target --verify {package} --expect {model}")).ok();

    // Its SDK is a path on the author's machine, which a component cannot carry.
    let alone = stage.run(&format!("build --verify {model}"));
    assert_eq!(alone.code, Some(1), "{alone}");
    assert!(
        alone.stderr.contains("glovebox-guest` comes from `../../../guest-sdk/rust`"),
        "{alone}"
    );
}
