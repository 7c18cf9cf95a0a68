use super::*;
use crate::inspect::inspect;
use crate::testing::{guest, limits, manifest, with_manifest, with_section};
use glovebox_contract::canonical;
use glovebox_contract::manifest::{MANIFEST_SECTION, SOURCE_SECTION};

fn good() -> Vec<u8> {
    let code = r#"(func (export "glovebox:guest/run@0.1.0#run") (result i32)
        (call $log (i32.const 0) (i32.const 0) (i32.const 0)) (global.get $ok))"#;
    guest(&["log"], code)
}

fn granted() -> BTreeSet<String> {
    served_interfaces()
}

#[test]
fn an_inspection_tells_all_that_a_reviewer_needs() {
    let source = canonical::encode(&serde_json::json!({"notebook.sql": "SELECT 1"})).unwrap();
    let bytes = with_section(good(), SOURCE_SECTION, &source);
    let inspection = admit(&bytes, &granted(), &limits()).unwrap();
    let names = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>();
    assert_eq!(inspection.digest, ContentDigest::of(&bytes));
    assert_eq!(inspection.bytes, bytes.len() as u64);
    assert_eq!(
        names(&inspection.imports),
        ["glovebox:guest/logging@0.1.0", "glovebox:guest/types@0.1.0"]
    );
    assert_eq!(names(&inspection.exports), [RUN_INTERFACE]);
    assert_eq!(inspection.world.as_deref(), Some("glovebox:guest/notebook@0.1.0"));
    assert_eq!(inspection.manifest, Some(manifest()));
    assert_eq!(inspection.source["notebook.sql"], "SELECT 1");
    assert_eq!(inspection.memory_bytes, 2 * 65536);
    assert!(inspection.functions >= 2);
}

#[test]
fn an_import_that_was_not_granted_is_refused_by_name() {
    let without = granted().into_iter().filter(|name| !name.contains("logging")).collect();
    let error = admit(&good(), &without, &limits()).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::ImportNotGranted);
    assert_eq!(
        error.detail(),
        "the component imports `glovebox:guest/logging@0.1.0`, which was not granted"
    );
    let check = |name: &str| {
        let text = format!(r#"(component (import "{name}" (instance)))"#);
        let mut all = granted();
        all.insert(name.into());
        let error = admit(&with_manifest(wat::parse_str(text).unwrap()), &all, &limits());
        assert_eq!(error.unwrap_err().reason(), ReasonCode::ImportNotGranted, "{name}");
    };
    check("wasi:filesystem/types@0.2.0");
    check("wasi:sockets/tcp@0.2.0");
    check("glovebox:guest/volumes@0.2.0");
    check("glovebox:guest/secrets@0.1.0");
    check("glovebox:guest/logging@0.2.0");
    check("glovebox:guest/logging");
}

fn refused(bytes: &[u8], expect: &str) {
    let error = admit(bytes, &granted(), &limits()).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::ComponentRefused, "{error}");
    assert!(error.detail().contains(expect), "{error}");
}

#[test]
fn what_is_no_component_is_refused() {
    refused(b"", "not a well-formed component");
    refused(b"SELECT 1", "not a well-formed component");
    refused(&wat::parse_str("(module)").unwrap(), "a core WebAssembly module");
    refused(&good()[..good().len() / 2], "not a well-formed component");
    refused(&vec![0; (1 << 20) + 1], "the room allows 1048576");
    let engine = crate::engine::Engine::new().unwrap();
    let machine_code = engine.compile(&good()).unwrap();
    refused(&machine_code, "");
}

#[test]
fn what_a_notebook_never_needs_is_refused() {
    let check = |text: &str, expect: &str| {
        refused(&with_manifest(wat::parse_str(format!("(component {text})")).unwrap()), expect);
    };
    check("", "does not export `glovebox:guest/run@0.1.0`");
    check(
        r#"(core module $m (memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable) (func (export "f") (param i32 i32)))
        (core instance $i (instantiate $m))
        (func (param "a" string) (canon lift (core func $i "f") string-encoding=utf16
            (memory (core memory $i "m")) (realloc (core func $i "r"))))"#,
        "a string encoding other than UTF-8",
    );
    check(&"(component)".repeat(MAX_NESTED_COMPONENTS + 1), "more than 8 nested components");
    check(&"(core module)".repeat(MAX_CORE_MODULES + 1), "more than 64 core modules");
    check(&"(core module (memory 1))".repeat(9), "more than 8 memories");
    check("(core module (memory 1) (memory 1))", "more than 1 memory in a module");
    check(
        r#"(core module (import "a" "m" (memory 1)) (memory 1))"#,
        "more than 1 memory in a module",
    );
    check("(core module (memory 1000))", "65536000 bytes of memory; the room allows 8388608");
    check("(core module (table 200000 funcref))", "more than 100000 elements in a table");
    let functions = format!("(core module (type (func)) {})", "(func (type 0))".repeat(100_001));
    check(&functions, "more than 100000 functions");
    let locals = format!("(core module (func (local {})))", "i32 ".repeat(50_001));
    check(&locals, "more than 50000 locals in a function");
    check(
        r#"(component (core module (func (export "f") (local i32))) (component (component)))
           (core func (canon task.cancel))"#,
        "asynchronous or threaded functions",
    );
}

#[test]
fn names_that_trick_the_eye_are_refused() {
    let name = "aaaa:bbbb/cccc";
    let text = format!(r#"(component (import "{name}" (instance)))"#);
    for trick in ["aaaa:bbbb/\u{1b}[2J", "aaaa:b\u{202e}b/ccc", "aaaa:bbb\u{430}/ccc"] {
        assert_eq!(trick.len(), name.len(), "{trick:?}");
        let mut bytes = wat::parse_str(&text).unwrap();
        let at = bytes.windows(name.len()).position(|w| w == name.as_bytes()).unwrap();
        bytes[at..at + name.len()].copy_from_slice(trick.as_bytes());
        let error = inspect(&bytes).unwrap_err();
        assert!(error.detail().is_ascii(), "{error}");
        assert!(error.detail().starts_with("the name `aaaa:b"), "{error}");
    }
}

#[test]
fn a_manifest_is_there_once_canonical_and_makes_sense() {
    let bare = wat::parse_str("(component)").unwrap();
    let text = canonical::encode(&manifest()).unwrap();
    let with = |data: &[u8]| with_section(bare.clone(), MANIFEST_SECTION, data);
    refused(&bare, "no manifest section");
    refused(&with_section(with(&text), MANIFEST_SECTION, &text), "two manifest sections");
    refused(&with(b"{}"), "manifest section: ");
    refused(&with(&[&text[..], b" "].concat()), "not in canonical form");
    let mut odd = manifest();
    odd.version = "one".into();
    refused(&with(&canonical::encode(&odd).unwrap()), "version `one`");
    let mut library = manifest();
    library.kind = ComponentKind::Library;
    refused(&with(&canonical::encode(&library).unwrap()), "a library has no inputs, outputs");
}

#[test]
fn a_library_offers_something_and_reaches_nothing() {
    let check = |text: &str, manifest: serde_json::Value, reason: ReasonCode, expect: &str| {
        let mut whole = serde_json::json!({
            "kind": "library", "language": "wat", "name": "lib", "version": "1.0.0",
        });
        whole.as_object_mut().unwrap().extend(manifest.as_object().unwrap().clone());
        let manifest: Manifest = serde_json::from_value(whole).unwrap();
        let component = wat::parse_str(format!("(component {text})")).unwrap();
        let bytes =
            with_section(component, MANIFEST_SECTION, &canonical::encode(&manifest).unwrap());
        let error = admit(&bytes, &granted(), &limits()).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert!(error.detail().contains(expect), "{error}");
    };
    let none = || serde_json::json!({});
    let refused = ReasonCode::ComponentRefused;
    let not_granted = ReasonCode::ImportNotGranted;
    let export = |name: &str| format!(r#"(instance $i) (export "{name}" (instance $i))"#);
    let import = |name: &str| format!(r#"(import "{name}" (instance)) {}"#, export("a:b/c"));

    check("", none(), refused, "the library exports nothing");
    check(&export(RUN_INTERFACE), none(), refused, "a library does not export `glovebox:guest/run");
    check(&export("glovebox:guest/table-functions@0.1.0"), none(), refused, "do not agree");
    let function = serde_json::json!({"functions": {"f": {
        "kind": "scalar", "returns": [{"name": "f", "type": "int64"}],
    }}});
    check(&export("a:b/c"), function, refused, "do not agree");
    for interface in ["tables", "sql", "outputs", "parameters", "context", "script"] {
        let name = format!("glovebox:guest/{interface}@0.1.0");
        let expect = "a library sees only what its caller passes in";
        check(&import(&name), none(), not_granted, expect);
    }
    check(&import("acme:other/it@1.0.0"), none(), not_granted, "takes from no library");
    let needs =
        serde_json::json!({"libraries": {"other": {"interfaces": ["acme:other/it@1.0.0"]}}});
    check(&export("a:b/c"), needs, refused, "the component does not import it");
}

#[test]
fn the_component_of_a_run_is_the_approved_one_to_the_bit() {
    let grants = crate::testing::grants(&[]);
    let error = admit_run(&good(), &grants).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::ComponentMismatch);
}

#[test]
fn no_mutant_makes_the_reader_panic() {
    let good = good();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..4 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = (seed % bytes.len() as u64) as usize;
            bytes[at] = (seed >> 32) as u8;
        }
        let _ = admit(&bytes, &granted(), &limits());
    }
}
