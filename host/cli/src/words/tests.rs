use std::collections::BTreeMap;

use glovebox_contract::difference::{ComponentFacts, between_components};
use glovebox_sandbox::Inspection;

use super::*;

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "spend"
version = "1.0.0"
description = "Spend by segment."

[inputs."shop.sales"]
columns = { segment = "utf8", amount = "int64" }

[parameters.min_group]
type = "int64"
default = 20
minimum = 10
description = "Smallest group that is shown."

[outputs.by_segment]
columns = ["segment utf8", "sales int64 not null"]
max_rows = 100
*/
CREATE TABLE output.by_segment AS
SELECT segment, count(*) AS sales FROM shop.sales WHERE amount > 0
GROUP BY segment HAVING count(*) >= :min_group;
"#;

fn built(text: &str) -> Inspection {
    let component = glovebox_build::build_sql(text).unwrap();
    glovebox_sandbox::inspect(component.bytes()).unwrap()
}

fn manifest(inspection: &Inspection) -> &Manifest {
    inspection.manifest.as_ref().unwrap()
}

fn told(inspection: &Inspection) -> String {
    abilities(&inspection.imports, &inspection.exports, inspection.manifest.as_ref())
}

fn facts_of(inspection: &Inspection) -> ComponentFacts<'_> {
    ComponentFacts {
        imports: &inspection.imports,
        exports: &inspection.exports,
        hidden: inspection.source.is_empty(),
        manifest: manifest(inspection),
    }
}

fn differences(old: &Inspection, new: &Inspection) -> String {
    let found = between_components(facts_of(old), facts_of(new));
    changes(&found, manifest(old), manifest(new)).unwrap_or_else(|| "none".into())
}

#[test]
fn what_a_notebook_may_do() {
    insta::assert_snapshot!(told(&built(NOTEBOOK)));
}

#[test]
fn what_every_import_means() {
    let imports = [
        "acme:scoring/score@1.0.0",
        "glovebox:guest/context@0.1.0",
        "glovebox:guest/data@0.1.0",
        "glovebox:guest/logging@0.1.0",
        "glovebox:guest/outputs@0.1.0",
        "glovebox:guest/parameters@0.1.0",
        "glovebox:guest/script@0.1.0",
        "glovebox:guest/sql@0.1.0",
        "glovebox:guest/tables@0.1.0",
        "glovebox:guest/types@0.1.0",
        "glovebox:guest/volumes@0.1.0",
    ]
    .map(String::from)
    .into();
    let exports = ["glovebox:guest/run@0.1.0".to_owned()].into();
    let manifest: Manifest = serde_json::from_value(serde_json::json!({
        "kind": "notebook", "language": "rust", "name": "all", "version": "1.2.3",
        "toolchain": "rustc 1.95.0",
        "inputs": { "shop.sales": { "columns": { "amount": "int64" } } },
        "libraries": { "scoring": { "interfaces": ["acme:scoring/score@1.0.0"] }, "hashing": {} },
        "outputs": { "o": { "columns": [{ "name": "c", "type": "list(utf8)" }], "max_bytes": 4096 } },
        "parameters": {
            "day": { "type": "date", "minimum": "2024-01-01", "maximum": "2024-12-31" },
            "model": { "type": "utf8", "choices": ["linear", "tree"], "default": "tree" },
        },
        "volumes": { "shop.weights": { "description": "The model." } },
    }))
    .unwrap();
    insta::assert_snapshot!(abilities(&imports, &exports, Some(&manifest)));
}

#[test]
fn an_unknown_import_is_no_promise() {
    let imports = ["evil:net/sockets@1.0.0".to_owned()].into();
    let told = abilities(&imports, &Default::default(), None);
    assert!(!told.contains("It cannot reach"), "{told}");
    assert!(told.contains("this host does not know evil:net/sockets@1.0.0"), "{told}");
    assert!(told.contains("UNKNOWN"), "{told}");
}

#[test]
fn what_a_library_offers() {
    let imports = ["glovebox:guest/data@0.1.0".to_owned()].into();
    let exports = ["glovebox:guest/scalar-functions@0.1.0".to_owned()].into();
    let manifest: Manifest = serde_json::from_value(serde_json::json!({
        "kind": "library", "language": "rust", "name": "scoring", "version": "2.0.0",
        "functions": {
            "score": {
                "kind": "scalar",
                "arguments": [{ "name": "recency", "type": "int64" }],
                "returns": [{ "name": "score", "type": "float64", "nullable": false }],
                "description": "How likely a visitor buys.",
            },
            "top": {
                "kind": "table", "volatility": "stable",
                "input": [{ "name": "id", "type": "utf8" }],
                "returns": [{ "name": "id", "type": "utf8" }, { "name": "rank", "type": "int64" }],
            },
        },
    }))
    .unwrap();
    insta::assert_snapshot!(abilities(&imports, &exports, Some(&manifest)));
}

#[test]
fn every_weakening_is_loud() {
    let old = built(NOTEBOOK);
    let new = built(
        &NOTEBOOK
            .replace("version = \"1.0.0\"", "version = \"1.1.0\"")
            .replace("Spend by segment.", "Spend by segment and mail.")
            .replace("amount = \"int64\" }", "amount = \"float64\", email = \"utf8\" }")
            .replace("minimum = 10", "minimum = 1")
            .replace("default = 20", "default = 1")
            .replace("\"sales int64 not null\"]", "\"sales int64\", \"mail utf8\"]")
            .replace("max_rows = 100\n", "")
            .replace("count(*) AS sales", "count(*) AS sales, max(email) AS mail"),
    );
    insta::assert_snapshot!("weakened", differences(&old, &new));
    insta::assert_snapshot!("narrowed", differences(&new, &old));
    insta::assert_snapshot!(
        "weakened_source",
        code(&old, &new, source_difference(&old.source, &new.source).as_deref())
    );
}

#[test]
fn nothing_is_said_of_what_is_the_same() {
    let old = built(NOTEBOOK);
    assert_eq!(differences(&old, &old), "none");
    assert_eq!(source_difference(&old.source, &old.source), None);
    assert!(code(&old, &old, None).starts_with("The code is the same, byte for byte"));
}

#[test]
fn only_the_code_tells_whether_it_does_the_same() {
    // A description is in the text of an SQL notebook, and the text is what runs.
    let old = built(NOTEBOOK);
    let new = built(&NOTEBOOK.replace("Spend by", "The spend by"));
    assert_ne!(old.code, new.code);
    let mut other = new.clone();
    other.source = BTreeMap::new();
    assert!(code(&old, &other, None).starts_with("THE CODE DIFFERS"));
}

#[test]
fn no_text_of_the_author_steers_the_terminal() {
    let evil = "\u{1b}[2J\u{202e}txt\u{200b}";
    let manifest: Manifest = serde_json::from_value(serde_json::json!({
        "kind": "notebook", "language": evil, "name": "n", "version": "1.0.0", "description": evil,
        "inputs": { "a.t": { "columns": { evil: "int64" }, "description": evil } },
        "outputs": { "o": { "columns": [{ "name": evil, "type": "utf8" }], "description": evil } },
        "parameters": { "p": { "type": "utf8", "choices": [evil], "default": evil, "description": evil } },
        "libraries": { "l": { "interfaces": [evil] } },
        "volumes": { "a.v": { "description": evil } },
    }))
    .unwrap();
    let mut bare = manifest.clone();
    bare.inputs.clear();
    bare.parameters.clear();
    bare.outputs.values_mut().for_each(|output| output.columns[0].name = "plain".into());
    let (imports, none) = ([evil.to_owned()].into(), Default::default());
    let facts =
        |imports, manifest| ComponentFacts { imports, exports: &none, hidden: true, manifest };
    let found = between_components(facts(&none, &bare), facts(&imports, &manifest));
    let files = |text: &str| BTreeMap::from([(evil.to_owned(), text.to_owned())]);
    let shown = [
        abilities(&imports, &imports, Some(&manifest)),
        changes(&found, &bare, &manifest).unwrap(),
        source(&files(evil), None, true),
        source_difference(&files("a\n"), &files(evil)).unwrap(),
    ]
    .concat();
    let steers = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202e}' | '\u{200b}');
    assert!(!shown.contains(steers), "{shown:?}");
    assert!(shown.contains("\\u{1b}[2J\\u{202e}txt\\u{200b}"), "{shown}");
}

#[test]
fn a_line_that_hides_its_change_is_shown() {
    let files = |text: &str| BTreeMap::from([("src/lib.rs".to_owned(), text.to_owned())]);
    let shown = source_difference(&files("let k = 50;\n"), &files("let k = 50;\u{200b}\n"));
    insta::assert_snapshot!(shown.unwrap(), @r"
    --- old/src/lib.rs
    +++ new/src/lib.rs
    @@ -1 +1 @@
    -let k = 50;
    +let k = 50;\u{200b}
    ");
    let ending = source_difference(&files("a\nb\n"), &files("a\r\nb\r\n"));
    assert!(ending.is_some());
    let added = source_difference(&BTreeMap::new(), &files("fn f() {}\n")).unwrap();
    assert!(added.starts_with("--- nothing\n+++ new/src/lib.rs"), "{added}");
    let long = "x\n".repeat(1 << 20);
    let large = source_difference(&files("a\n"), &files(&long)).unwrap();
    assert!(large.contains("too large"), "{large}");
}
