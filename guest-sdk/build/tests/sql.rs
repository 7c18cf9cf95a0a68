//! SQL notebooks, from text to component.

mod support;

use glovebox_build::{build_sql, verify_sql};
use wasmparser::{Validator, WasmFeatures};

use crate::support::{sections, wit};

const NOTEBOOK: &str = include_str!("../../../examples/flights-weather/delay-by-wind.sql");

#[test]
fn imports_the_script_interface_and_nothing_else() {
    let component = build_sql(NOTEBOOK).unwrap();
    Validator::new_with_features(WasmFeatures::default()).validate_all(component.bytes()).unwrap();
    insta::assert_snapshot!(wit(component.bytes()));
}

#[test]
fn carries_manifest_and_source() {
    let component = build_sql(NOTEBOOK).unwrap();
    let sections = sections(component.bytes());
    let names: Vec<_> = sections.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["glovebox:manifest", "glovebox:source"]);
    let manifest: glovebox_contract::manifest::Manifest =
        serde_json::from_str(&sections[0].1).unwrap();
    assert_eq!(&manifest, component.manifest());
    let source: std::collections::BTreeMap<String, String> =
        serde_json::from_str(&sections[1].1).unwrap();
    assert_eq!(source["notebook.sql"], NOTEBOOK);
    insta::assert_snapshot!(serde_json::to_string_pretty(&manifest).unwrap());
}

#[test]
fn an_output_says_what_becomes_of_earlier_rows() {
    use glovebox_contract::manifest::OutputMode;

    let mode = |line: &str| {
        let text = NOTEBOOK.replace("max_rows = 100", &format!("max_rows = 100{line}"));
        let component = build_sql(&text).unwrap();
        let manifest = sections(component.bytes())[0].1.clone();
        let outputs = component.manifest().outputs.values();
        let modes: Vec<_> = outputs.map(|output| output.mode).collect();
        (modes, manifest.contains(r#""mode":"append""#), manifest.contains("mode"))
    };
    assert_eq!(mode(""), (vec![OutputMode::Replace], false, false));
    assert_eq!(mode("\nmode = \"replace\""), (vec![OutputMode::Replace], false, false));
    assert_eq!(mode("\nmode = \"append\""), (vec![OutputMode::Append], true, true));
}

#[test]
fn the_same_text_gives_the_same_bytes() {
    let first = build_sql(NOTEBOOK).unwrap();
    assert_eq!(first, build_sql(NOTEBOOK).unwrap());
    // Not an exact size on purpose: only that a wrapper costs little beside its text, which is in twice.
    assert!(first.bytes().len() < 2 * NOTEBOOK.len() + 4096, "{}", first.bytes().len());
}

#[test]
fn verify_accepts_what_build_made_and_no_changed_byte() {
    let component = build_sql(NOTEBOOK).unwrap().into_bytes();
    assert!(verify_sql(&component));
    for index in (0..component.len()).step_by(7) {
        let mut changed = component.clone();
        changed[index] ^= 1;
        assert!(!verify_sql(&changed), "byte {index}");
    }
    assert!(!verify_sql(&component[..component.len() - 1]));
    assert!(!verify_sql(b""));
}
