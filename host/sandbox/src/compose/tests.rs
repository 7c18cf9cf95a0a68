use super::*;

/// `UPDATE_SILENT=1` renews the kept component.
#[test]
fn the_silent_component_is_the_one_in_text() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/compose");
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest-sdk/wit")).unwrap();
    let package = resolve
        .push_str(
            "silent.wit",
            "package glovebox:silent; world silent { export glovebox:guest/logging@0.1.0; }",
        )
        .unwrap();
    let world = resolve.select_world(&[package], Some("silent")).unwrap();
    let mut module = wat::parse_file(format!("{folder}/silent.wat")).unwrap();
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    let made = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap()
        .encode()
        .unwrap();
    let path = format!("{folder}/silent.wasm");
    if std::env::var_os("UPDATE_SILENT").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(std::fs::read(path).unwrap_or_default() == made, "run with UPDATE_SILENT=1");
}

/// A library that exports `acme:NAME/it@1.0.0` with a function that returns `result`, and imports
/// the same of `needs`.
fn library(name: &str, result: &str, needs: &[&str], logs: bool) -> Vec<u8> {
    let imports: String = needs
        .iter()
        .map(|needed| {
            format!(
                r#"(import "acme:{needed}/it@1.0.0" (instance (export "f" (func (result u32)))))"#
            )
        })
        .collect();
    let logging = r#"(import "glovebox:guest/logging@0.1.0" (instance
        (export "progress" (func (param "done" u64) (param "total" (option u64))))))"#;
    let logging = if logs { logging } else { "" };
    let text = format!(
        r#"(component {imports} {logging}
            (core module $m (func (export "f") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func $f (result {result}) (canon lift (core func $i "f")))
            (instance $e (export "f" (func $f)))
            (export "acme:{name}/it@1.0.0" (instance $e)))"#
    );
    let needs: serde_json::Map<_, _> = needs
        .iter()
        .map(|needed| {
            let interface = format!("acme:{needed}/it@1.0.0");
            ((*needed).to_owned(), serde_json::json!({ "interfaces": [interface] }))
        })
        .collect();
    let mut manifest = serde_json::json!({
        "kind": "library", "language": "wat", "name": name, "version": "1.0.0",
    });
    if !needs.is_empty() {
        manifest["libraries"] = needs.into();
    }
    let manifest: Manifest = serde_json::from_value(manifest).unwrap();
    let manifest = glovebox_contract::canonical::encode(&manifest).unwrap();
    let name = glovebox_contract::manifest::MANIFEST_SECTION;
    crate::testing::with_section(wat::parse_str(text).unwrap(), name, &manifest)
}

fn with_source(component: Vec<u8>) -> Vec<u8> {
    let name = glovebox_contract::manifest::SOURCE_SECTION;
    crate::testing::with_section(component, name, br#"{"a.wat":"(component)"}"#)
}

/// Imports of the composed component, or why there is none.
fn composed(root: &[u8], libraries: &[(&str, Vec<u8>)]) -> Result<Vec<String>, String> {
    let limits = crate::testing::limits();
    let admit = |bytes: &[u8]| {
        crate::admit(bytes, &crate::served_interfaces(), &limits).map_err(|error| error.to_string())
    };
    let admitted: Vec<_> =
        libraries.iter().map(|(_, bytes)| admit(bytes)).collect::<Result<_, _>>()?;
    let parts = libraries
        .iter()
        .zip(&admitted)
        .map(|((name, bytes), inspection)| (name.parse().unwrap(), Part { bytes, inspection }))
        .collect();
    let inspection = admit(root)?;
    let composed = compose(Part { bytes: root, inspection: &inspection }, &parts, &limits)
        .map_err(|error| format!("{}: {error}", error.reason()))?;
    let Some(composed) = composed else { return Ok(vec!["nothing to compose".into()]) };
    let engine = crate::Engine::new().unwrap();
    engine.compile(&composed).unwrap();
    let inspection = crate::inspect::inspect_parts(&composed, 8).unwrap();
    assert_eq!(inspection.exports.into_iter().collect::<Vec<_>>(), ["acme:top/it@1.0.0"]);
    Ok(inspection.imports.into_iter().collect())
}

#[test]
fn every_import_is_satisfied_by_the_library_that_the_manifest_names() {
    let check = |root: Vec<u8>, libraries: &[(&str, Vec<u8>)], expect: Result<&[&str], &str>| {
        let found = composed(&root, libraries);
        let expect = expect.map(|names| names.iter().map(ToString::to_string).collect());
        assert_eq!(found, expect.map_err(str::to_owned));
    };
    let one = |needs: &[&str]| library("one", "u32", needs, false);
    let two = |needs: &[&str]| library("two", "u32", needs, false);
    let top = |needs: &[&str]| library("top", "u32", needs, false);

    check(top(&[]), &[], Ok(&["nothing to compose"]));
    check(top(&["one"]), &[("one", one(&[]))], Ok(&[]));
    check(top(&["one", "two"]), &[("one", one(&["two"])), ("two", two(&[]))], Ok(&[]));
    check(top(&["one"]), &[], Err("library-mismatch: library one is missing"));
    check(
        top(&["one"]),
        &[("one", two(&[]))],
        Err("library-mismatch: library one does not export `acme:one/it@1.0.0`"),
    );
    check(
        top(&["one"]),
        &[("one", one(&["two"])), ("two", two(&["one"]))],
        Err("library-mismatch: libraries need each other: one → two → one"),
    );
    let other = composed(&top(&["one"]), &[("one", library("one", "s8", &[], false))]);
    let other = other.expect_err("it has another type");
    let start = "library-mismatch: `acme:one/it@1.0.0` has other types in the library: ";
    assert!(other.starts_with(start), "{other}");
}

#[test]
fn what_a_hidden_library_logs_goes_nowhere() {
    let top = library("top", "u32", &["one"], false);
    let hidden = library("one", "u32", &[], true);
    let logging = ["glovebox:guest/logging@0.1.0".to_owned()];
    assert_eq!(composed(&top, &[("one", hidden.clone())]), Ok(Vec::new()));
    assert_eq!(composed(&top, &[("one", with_source(hidden))]), Ok(logging.into()));
}
