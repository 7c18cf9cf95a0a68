//! JavaScript notebooks, from text to component. These tests install what a build needs.

mod support;

use std::fs;

use glovebox_build::{BuildError, BuildOptions, Component};
use tempfile::TempDir;

use crate::support::{sections, wit};

const HEADER: &str = r#"/* glovebox notebook
name = "n"
version = "1.0.0"
[inputs."a.t"]
columns = { k = "utf8" }
[outputs.o]
columns = ["k utf8"]
*/
"#;

fn build(name: &str, text: &str, options: &BuildOptions) -> Result<Component, BuildError> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, text).unwrap();
    glovebox_build::build(&path, options, &mut |_| {})
}

fn installing() -> BuildOptions {
    BuildOptions { install_tools: true, ..BuildOptions::default() }
}

#[test]
fn four_builds_give_the_same_bytes() {
    let text = format!("{HEADER}export default function (room) {{ room.log.info('hello'); }}\n");
    let first = build("notebook.js", &text, &installing()).unwrap();
    for name in ["notebook.js", "other.mjs", "a-much-longer-name-for-the-same-notebook.js"] {
        assert!(
            build(name, &text, &installing()).unwrap().bytes() == first.bytes(),
            "{name} differs"
        );
    }
    let imports = wit(first.bytes());
    assert!(!imports.contains("wasi:"), "{imports}");
    let sections = sections(first.bytes());
    assert_eq!(sections[1].0, "glovebox:source");
    assert!(sections[1].1.contains("notebook.js"));
    assert!(!String::from_utf8_lossy(first.bytes()).contains(env!("HOME")));
}

#[test]
fn mistakes_have_their_place() {
    let check = |text: &str, expect: &str| {
        let error = build("notebook.js", text, &installing()).unwrap_err();
        assert_eq!(error.path().unwrap().file_name().unwrap(), "notebook.js");
        let place = error.position().map(|place| format!("{}:{}: ", place.line, place.column));
        assert_eq!(format!("{}{}", place.unwrap_or_default(), error.message()), expect);
    };
    check("export default () => {};", "1:1: the notebook has no header");
    check(
        "/* glovebox notebook\nname = 1\n*/",
        "2:8: invalid type: integer `1`, expected a string",
    );
    check(
        &format!("{HEADER}export default function () {{\n  let x = ;\n}}\n"),
        "10:11: SyntaxError: expected expression, got ';'",
    );
    check(
        &format!("{HEADER}import {{ tabel }} from 'glovebox';\nexport default () => {{}};\n"),
        "9:10: SyntaxError: The requested module 'glovebox.js' doesn't provide an export named: \
         'tabel'",
    );
    check(
        &format!("{HEADER}import lodash from 'lodash';\nexport default () => {{}};\n"),
        "there is no module \"lodash\"",
    );
    check(
        &format!(
            "{HEADER}import {{ table }} from 'glovebox';\ntable('a.t');\nexport default () => {{}};"
        ),
        "10:6: GloveboxError: the room can be used while the notebook runs only: move the call \
         into its function",
    );
    check(
        &format!("{HEADER}export function run() {{}}\n"),
        "TypeError: the notebook exports no function: write `export default function (room) { … }`",
    );
}

#[test]
fn what_cannot_be_is_said() {
    let text = format!("{HEADER}export default () => {{}};");
    let hidden = BuildOptions { hidden: true, ..installing() };
    let error = build("notebook.js", &text, &hidden).unwrap_err();
    assert_eq!(
        error.message(),
        "a JavaScript notebook cannot be hidden: its engine carries its text"
    );
}

/// The module `glovebox` itself, under Node: values through buffers and back, mock rooms.
#[test]
fn the_modules_own_tests_pass() {
    let tests = std::process::Command::new("node")
        .args(["--test", "--test-reporter=tap"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../js"))
        .env_remove("NODE_OPTIONS")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tests.stdout);
    assert!(tests.status.success(), "{said}");
    let passed = said.lines().find_map(|line| line.strip_prefix("# pass ")).unwrap();
    assert!(passed.parse::<u32>().unwrap() >= 69, "{said}");
}

#[test]
fn a_notebook_imports_what_it_asks_for() {
    let check = |text: &str, asked: &[&str]| {
        let component = build("notebook.js", text, &installing()).unwrap();
        let imports = wit(component.bytes());
        for interface in ["context", "volumes"] {
            assert_eq!(imports.contains(interface), asked.contains(&interface), "{imports}");
        }
    };
    let volumes = HEADER.replace("[outputs.o]", "[volumes.\"a.model\"]\n[outputs.o]");
    check(&format!("{HEADER}export default () => {{}};"), &[]);
    check(&format!("{HEADER}export default (room) => room.currentRun();"), &["context"]);
    check(
        &format!("{volumes}export default (room) => room.currentRun();"),
        &["context", "volumes"],
    );
}
