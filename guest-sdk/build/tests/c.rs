//! C notebooks: their bindings, and from sources to component. These tests need clang and wasm-ld.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use glovebox_build::{BuildError, BuildOptions, Component};
use tempfile::TempDir;
use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use crate::support::{sections, wit};

const HEADER: &str = r#"language = "c"
name = "n"
version = "1.0.0"
[outputs.o]
columns = ["k utf8"]
"#;

const SOURCE: &str = r#"#include "notebook.h"
bool exports_glovebox_guest_run_run(exports_glovebox_guest_run_error_t *err) {
  notebook_string_t message;
  notebook_string_set(&message, __FILE__);
  glovebox_guest_logging_log(GLOVEBOX_GUEST_LOGGING_LEVEL_INFO, &message);
  return true;
}
"#;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `guest-sdk/c/notebook.{h,c}` are what wit-bindgen makes of the WIT package.
/// `UPDATE_BINDINGS=1 cargo test -p glovebox-build --test c` renews them.
#[test]
fn the_bindings_are_those_of_the_wit_package() {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(here().join("../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("notebook")).unwrap();
    let options = wit_bindgen_c::Opts { no_object_file: true, ..Default::default() };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).unwrap();
    let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["notebook.c", "notebook.h"]);
    for (name, generated) in files.iter() {
        let path = here().join("../c").join(name);
        if std::env::var_os("UPDATE_BINDINGS").is_some() {
            fs::write(&path, generated).unwrap();
        }
        let kept = fs::read(&path).unwrap_or_default();
        assert!(kept == generated, "{name} is not current: run this test with UPDATE_BINDINGS=1");
    }
}

fn write(directory: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(directory).unwrap();
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
}

fn build(directory: &Path) -> Result<Component, BuildError> {
    glovebox_build::build(directory, &BuildOptions::default(), &mut |_| {})
}

fn in_folder(folder: &str, files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(folder);
    write(&path, files);
    (directory, path)
}

#[test]
fn the_same_files_in_two_folders_give_the_same_bytes() {
    let files =
        [("glovebox.toml", HEADER), ("n.c", SOURCE), ("n.h", "// not used\n"), ("x.txt", "")];
    let (_first, here) = in_folder("here", &files);
    let (_second, there) = in_folder("a/rather/longer/path", &files);
    let component = build(&here).unwrap();
    assert_eq!(component, build(&there).unwrap());
    let text = String::from_utf8_lossy(component.bytes());
    assert!(!text.contains(here.to_str().unwrap()));
    assert!(component.manifest().toolchain.contains("clang"));
    let imports = wit(component.bytes());
    assert!(imports.contains("logging") && !imports.contains("tables"), "{imports}");
    let sections = sections(component.bytes());
    let source: Vec<_> = ["n.c", "n.h", "glovebox.toml"]
        .into_iter()
        .filter(|name| sections[1].1.contains(&format!("\"{name}\":")))
        .collect();
    assert_eq!(source.len(), 3);
    assert!(component.bytes().len() < 12_000, "{} bytes", component.bytes().len());
}

#[test]
fn mistakes_say_where_and_what_to_do() {
    let check = |files: &[(&str, &str)], expect: &str| {
        let (_kept, path) = in_folder("n", files);
        let error = build(&path).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    let header = ("glovebox.toml", HEADER);
    check(&[header, ("n.c", "bool f( {")], "n.c:1:");
    check(&[header, ("-v.c", "bool f( {")], "-v.c:1:");
    check(
        &[header, ("n.c", "void missing(void);\nvoid f(void) { missing(); }")],
        "undefined symbol",
    );
    check(&[header], "exports_glovebox_guest_run_run");
    check(&[("glovebox.toml", "name = \"n\"")], "add language = \"c\"");
    check(&[("glovebox.toml", "language = \"cobol\"")], "not a notebook in C");
    check(&[("glovebox.toml", "language = \"c\"\nname = 1")], "glovebox.toml:2:8");
}
