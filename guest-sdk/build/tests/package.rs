//! Rust notebooks, from cargo package to component. These tests need the target
//! wasm32-unknown-unknown and install it when it is missing.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use glovebox_build::{BuildError, BuildOptions, Component};
use tempfile::TempDir;

use crate::support::{sections, wit};

const PACKAGE: &str = "examples/flights-weather/weather-delay-model";
const LIBRARY: &str = "tests/guests/scoring";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
        return;
    }
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        if name != "target" {
            copy(&from.join(&name), &to.join(&name));
        }
    }
}

/// A checkout of what the example needs, somewhere else.
fn checkout(folder: &str) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let root = directory.path().canonicalize().unwrap().join(folder);
    let sdk = ["guest-sdk/rust", "guest-sdk/macros", "guest-sdk/wit"];
    for part in ["Cargo.toml", PACKAGE, LIBRARY].into_iter().chain(sdk) {
        copy(&repository().join(part), &root.join(part));
    }
    (directory, root)
}

fn build(package: &Path, hidden: bool) -> Result<Component, BuildError> {
    let options = BuildOptions { hidden, install_target: true, ..BuildOptions::default() };
    glovebox_build::build(package, &options, &mut |_| {})
}

#[test]
fn the_same_package_in_two_folders_gives_the_same_bytes() {
    let (_first, here) = checkout("here");
    let (_second, there) = checkout("a/rather/longer/path/somewhere/else");
    let component = build(&here.join(PACKAGE), false).unwrap();
    assert_eq!(component, build(&there.join(PACKAGE), false).unwrap());

    let text = String::from_utf8_lossy(component.bytes());
    for secret in [here.to_str().unwrap(), env!("CARGO_MANIFEST_DIR"), env!("HOME"), ".cargo/"] {
        assert!(!text.contains(secret), "{secret} is in the component");
    }
    assert!(component.bytes().len() < 200_000, "{} bytes", component.bytes().len());
    insta::assert_snapshot!(wit(component.bytes()), @r"
    package root:component;

    world root {
      import glovebox:guest/types@0.1.0;
      import glovebox:guest/data@0.1.0;
      import glovebox:guest/logging@0.1.0;
      import glovebox:guest/parameters@0.1.0;
      import glovebox:guest/sql@0.1.0;
      import glovebox:guest/outputs@0.1.0;

      export glovebox:guest/run@0.1.0;
    }
    ");

    let sections: BTreeMap<_, _> = sections(component.bytes()).into_iter().collect();
    let source: BTreeMap<String, String> =
        serde_json::from_str(&sections["glovebox:source"]).unwrap();
    let files: Vec<_> = source.keys().collect();
    assert_eq!(
        files,
        ["Cargo.lock", "Cargo.toml", "src/lib.rs", "src/regression.rs", "src/tests.rs"]
    );
    assert!(component.manifest().toolchain.starts_with("rustc "));

    let hidden = build(&here.join(PACKAGE), true).unwrap();
    let names: Vec<_> =
        support::sections(hidden.bytes()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["glovebox:manifest"]);

    // Where the SDK lies shows in Cargo.toml, and so in a visible source, but not in the code.
    let (_third, elsewhere) = checkout("elsewhere");
    let package = elsewhere.join("model");
    copy(&elsewhere.join(PACKAGE), &package);
    let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("../../../guest-sdk"));
    fs::write(package.join("Cargo.toml"), manifest.replace("../../../guest-sdk", "../guest-sdk"))
        .unwrap();
    assert_eq!(hidden, build(&package, true).unwrap());
}

/// Builds the example with one file changed.
fn refusal(file: &str, text: &str, change: &str) -> String {
    let (_directory, root) = checkout("changed");
    let package = root.join(PACKAGE);
    let path = package.join(file);
    let before = fs::read_to_string(&path).unwrap();
    assert!(before.contains(text));
    fs::write(&path, before.replace(text, change)).unwrap();
    let error = build(&package, false).unwrap_err();
    error.to_string().replace(package.to_str().unwrap(), "PACKAGE")
}

#[test]
fn a_package_without_declarations_is_refused_before_it_is_compiled() {
    let error = refusal("Cargo.toml", "metadata.glovebox", "metadata.other");
    insta::assert_snapshot!(error, @r#"
    PACKAGE/Cargo.toml:2:8: the package is neither a notebook nor a library
    help: declare inputs and outputs, or kind = "library", under [package.metadata.glovebox]
    "#);
    let error = refusal("Cargo.toml", "\"flights int64 not null\"", "\"flights integer\"");
    insta::assert_snapshot!(
        error,
        @"PACKAGE/Cargo.toml:44:5: column `flights`: `integer` is not a column type: unknown type"
    );
}

#[test]
fn the_compilers_own_words_are_shown() {
    let error = refusal("src/lib.rs", "let min_flights: i64", "let min_flights: i32");
    assert!(error.contains("the trait bound `i32: FromScalar` is not satisfied"), "{error}");
    assert!(error.contains("src/lib.rs:"), "{error}");
}

#[test]
fn a_member_of_a_workspace_is_refused() {
    let (_directory, root) = checkout("member");
    let package = root.join("member");
    copy(&root.join(PACKAGE), &package);
    let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
    let manifest = manifest.replace("[workspace]", "").replace("../../../", "../");
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::remove_file(package.join("Cargo.lock")).unwrap();
    fs::write(root.join("Cargo.toml"), "[workspace]\nmembers = [\"member\"]\n").unwrap();
    fs::write(root.join("guest-sdk/rust/Cargo.toml"), STAND_IN).unwrap();
    fs::write(root.join("guest-sdk/rust/src/lib.rs"), "").unwrap();
    let error = build(&package, false).unwrap_err();
    assert!(error.message().starts_with("the package is a member of the workspace "), "{error}");
    assert_eq!(
        error.help_text(),
        Some("its source must build alone: add an empty [workspace] table and a Cargo.lock")
    );
}

/// A guest SDK that needs nothing from its own workspace.
const STAND_IN: &str = "[package]\nname = \"glovebox-guest\"\nversion = \"0.1.0\"\n";

#[test]
fn a_lock_file_that_does_not_fit_is_refused() {
    let error = refusal("Cargo.lock", "name = \"glovebox-guest\"", "name = \"glovebox-other\"");
    assert!(error.contains("--locked"), "{error}");
}

/// A library has many symbols; their order must not follow from where its packages stand.
#[test]
fn the_same_library_in_two_folders_gives_the_same_bytes() {
    let (_first, here) = checkout("here");
    let (_second, there) = checkout("another/path");
    let component = build(&here.join(LIBRARY), true).unwrap();
    assert_eq!(component, build(&there.join(LIBRARY), true).unwrap());
}

#[test]
fn the_manifest_of_a_library_comes_from_its_code() {
    let component = build(&repository().join(LIBRARY), true).unwrap();
    insta::assert_snapshot!(wit(component.bytes()), @r"
    package root:component;

    world root {
      import glovebox:guest/types@0.1.0;
      import glovebox:guest/data@0.1.0;
      import glovebox:guest/logging@0.1.0;

      export acme:scoring/score@1.0.0;
      export glovebox:guest/aggregate-functions@0.1.0;
      export glovebox:guest/scalar-functions@0.1.0;
      export glovebox:guest/table-functions@0.1.0;
    }
    ");
    let manifest = component.manifest();
    let names: Vec<_> = manifest.functions.keys().map(ToString::to_string).collect();
    assert_eq!(names.join(" "), "checked halves score shout squares sums tier weighted_mean");
    let score = serde_json::to_string(&manifest.functions[&"score".parse().unwrap()]).unwrap();
    assert_eq!(
        score,
        r#"{"arguments":[{"name":"recency","nullable":false,"type":"int64"},{"name":"spend","nullable":false,"type":"float64"}],"description":"How likely a customer is to buy again.","kind":"scalar","returns":[{"name":"score","nullable":false,"type":"float64"}]}"#
    );
}

#[test]
fn an_import_of_a_library_stands_in_the_manifest() {
    let component = build(&repository().join("tests/guests/asks-scoring"), true).unwrap();
    let scoring = &component.manifest().libraries[&"scoring".parse().unwrap()];
    assert_eq!(scoring.interfaces.iter().collect::<Vec<_>>(), ["acme:scoring/score@1.0.0"]);
}
