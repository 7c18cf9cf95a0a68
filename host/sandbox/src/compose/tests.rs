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
