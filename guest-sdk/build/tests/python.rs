//! Python notebooks, from text to component. These tests install what a build needs.

mod support;

use std::fs;
use std::process::Command;

use glovebox_build::{BuildError, BuildOptions, Component};
use tempfile::TempDir;

use crate::support::{sections, wit};

const HEADER: &str = "\
# /// glovebox
# name = \"n\"
# version = \"1.0.0\"
# [outputs.o]
# columns = [\"k utf8\"]
# ///
";

fn build(
    directory: &TempDir,
    name: &str,
    text: &str,
    hidden: bool,
) -> Result<Component, BuildError> {
    let path = directory.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    let options = BuildOptions { hidden, install_tools: true, ..BuildOptions::default() };
    glovebox_build::build(&path, &options, &mut |_| {})
}

/// Names of what a component imports.
fn imports(component: &[u8]) -> Vec<String> {
    let text = wit(component);
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("import "));
    let mut names: Vec<_> = names.map(|name| name.trim_end_matches(';').to_owned()).collect();
    names.sort();
    names
}

fn jupyter(cells: &[(&str, &str)]) -> String {
    let cells: Vec<_> = cells
        .iter()
        .map(|(kind, source)| serde_json::json!({ "cell_type": kind, "source": source }))
        .collect();
    serde_json::json!({ "cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5 })
        .to_string()
}

/// Two folders, two file names, two builds at once: what CPython saw of each must not be in the
/// component.
#[test]
fn four_builds_in_different_folders_give_the_same_bytes() {
    let text = format!(
        "{HEADER}# %%\nimport json, statistics, glovebox\nfound = {{'a', 'b', 'c'}}\n\
         # %%\nglovebox.output('o').write({{'k': sorted(found)}})\n"
    );
    let (here, there) = (TempDir::new().unwrap(), TempDir::with_prefix("elsewhere").unwrap());
    let deep = "a/much/longer/path/notebook.py";
    let builds = std::thread::scope(|scope| {
        let two = [(&here, "n.py"), (&there, deep)]
            .map(|(directory, name)| scope.spawn(|| build(directory, name, &text, false).unwrap()));
        two.map(|build| build.join().unwrap())
    });
    let mut builds = Vec::from(builds);
    builds.push(build(&here, deep, &text, false).unwrap());
    builds.push(build(&there, "n.py", &text, false).unwrap());
    for other in &builds[1..] {
        assert!(
            other.bytes() == builds[0].bytes(),
            "{} and {}",
            builds[0].digest(),
            other.digest()
        );
    }
    let component = builds.remove(0);
    assert_eq!(component.manifest().language, "python");
    assert_eq!(component.manifest().toolchain, "componentize-py 0.25.1 (CPython 3.14)");
    let expect = ["data", "logging", "outputs", "parameters", "sql", "tables", "types"];
    assert_eq!(
        imports(component.bytes()),
        expect.map(|name| format!("glovebox:guest/{name}@0.1.0"))
    );
    assert!(sections(component.bytes())[1].1.contains("notebook.py"));
    let bytes = String::from_utf8_lossy(component.bytes());
    let folders = [here.path(), there.path()].map(|path| path.display().to_string());
    for trace in folders.iter().map(String::as_str).chain(["glovebox-build-", "repeatable"]) {
        assert!(!bytes.contains(trace), "the component contains `{trace}`");
    }
}

#[test]
fn a_notebook_of_jupyter_is_built_without_what_was_left_in_it() {
    let header = "/// glovebox\nname = \"n\"\nversion = \"1.0.0\"\nlanguage = \"python\"\n\
                  [outputs.o]\ncolumns = [\"k utf8\"]\n///\n";
    let cells =
        [("raw", header), ("markdown", "# Title"), ("code", "import glovebox\nglovebox.run_info")];
    let text = jupyter(&cells);
    let mut left: serde_json::Value = serde_json::from_str(&text).unwrap();
    left["cells"][2]["outputs"] = serde_json::json!([{ "text": "a private result" }]);
    left["cells"][2]["execution_count"] = 12.into();
    let directory = TempDir::new().unwrap();
    let first = build(&directory, "n.ipynb", &text, false).unwrap();
    let second = build(&directory, "m.ipynb", &left.to_string(), false).unwrap();
    assert!(first.bytes() == second.bytes(), "{} and {}", first.digest(), second.digest());
    // The notebook asks for the run's time, so reviewers see that.
    let context = "glovebox:guest/context@0.1.0".to_owned();
    let found = imports(first.bytes());
    assert!(found.contains(&context), "{found:?}");
    let hidden = build(&directory, "n.ipynb", &text, true).unwrap();
    assert!(sections(hidden.bytes()).iter().all(|(name, _)| name != "glovebox:source"));
}

#[test]
fn mistakes_are_shown_with_cell_and_line() {
    let directory = TempDir::new().unwrap();
    let check = |name: &str, text: &str, expect: &str| {
        let error = build(&directory, name, text, false).unwrap_err().to_string();
        let (_, shown) = error.split_once(name).unwrap_or(("", &error));
        assert!(shown.starts_with(expect), "{error}");
    };
    check(
        "syntax.py",
        &format!("{HEADER}# %%\na = 1\n# %% second\nb = 2\nif b\n    c = 3\n"),
        ":11:5: cell 2, line 2: expected ':'",
    );
    check(
        "shell.ipynb",
        &jupyter(&[("raw", &HEADER.replace("# ", "")), ("code", "a = 1\n!ls")]),
        ": cell 2, line 2: invalid syntax\nhelp: there is no shell in a room",
    );
    check(
        "missing.py",
        &format!("{HEADER}# %%\nimport json\n# %%\ndef f():\n    from pandas import DataFrame\n"),
        ":11:1: cell 2, line 2: module `pandas` is neither in the standard library nor bundled\n\
         help: a package of pure Python can be bundled",
    );
    check(
        "clock.py",
        &format!("{HEADER}# %%\nimport datetime\nx = datetime.date.today()\n"),
        ":9:5: cell 1, line 2: `date.today()` needs a clock",
    );
    check("bare.py", "print()\n", ": the notebook has no header\nhelp: begin with the lines");
    check("bare.ipynb", &jupyter(&[]), ": the notebook has no header\nhelp: add a raw cell");
    check("old.ipynb", r#"{"nbformat": 3}"#, ": only notebooks of Jupyter's format 4 are read");
    check("type.py", &HEADER.replace("utf8", "text"), ":5:14: column `k`: ");
    check(
        "loose.py",
        &HEADER.replace("# [outputs", "# requirements = [\"attrs>=1\"]\n# [outputs"),
        ": requirement `attrs>=1` is not pinned to one version",
    );
}

#[test]
fn a_package_of_pure_python_is_bundled_and_its_digest_recorded() {
    let directory = TempDir::new().unwrap();
    let with = |requirement: &str| {
        let requirements = format!("# requirements = [\"{requirement}\"]\n# [outputs");
        HEADER.replace("# [outputs", &requirements)
            + "# %%\nimport tabulate\ntabulate.tabulate([[1]])\n"
    };
    let component = build(&directory, "n.py", &with("tabulate==0.9.0"), false).unwrap();
    let toolchain = &component.manifest().toolchain;
    assert!(toolchain.contains(", requirements sha256:"), "{toolchain}");
    let digest = "024ca478df22e9340661486f85298cff5f6dcdba14f3813e8830015b9ed1948f";
    let pinned = with(&format!("tabulate==0.9.0 sha256:{digest}"));
    let again = build(&directory, "m.py", &pinned, false).unwrap();
    assert_eq!(again.manifest().toolchain, *toolchain);
    let other = with(&format!("tabulate==0.9.0 sha256:{}", "0".repeat(64)));
    let error = build(&directory, "n.py", &other, false).unwrap_err().to_string();
    assert!(error.contains(&format!("has digest sha256:{digest}")), "{error}");
    let native = build(&directory, "n.py", &with("numpy==2.3.0"), false).unwrap_err().to_string();
    assert!(native.contains("`numpy==2.3.0` cannot be bundled"), "{native}");
}

#[test]
fn without_tools_it_says_how_to_get_them() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("n.py");
    fs::write(&path, format!("{HEADER}# %%\n1\n")).unwrap();
    // The cache is found by the environment, so another process looks for it.
    let this = std::env::current_exe().unwrap();
    let done = Command::new(this)
        .args(["--exact", "in_an_empty_cache", "--nocapture", "--ignored"])
        .env("XDG_CACHE_HOME", directory.path())
        .env("NOTEBOOK", &path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(said.contains("the tools for Python notebooks are not installed"), "{said}");
    assert!(said.contains("build with --install-tools"), "{said}");
}

#[test]
#[ignore = "a part of without_tools_it_says_how_to_get_them"]
fn in_an_empty_cache() {
    let path = std::env::var_os("NOTEBOOK").unwrap();
    let built = glovebox_build::build(path.as_ref(), &BuildOptions::default(), &mut |_| {});
    println!("{}", built.unwrap_err());
}

/// The tests of the module `glovebox` itself, under the interpreter of this machine.
#[test]
fn the_module_passes_its_own_tests() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../python");
    let done = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "--start-directory", "tests"])
        .current_dir(directory)
        .output()
        .expect("python3");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("\nOK"), "{said}");
    assert!(!said.contains("Ran 0 tests"), "{said}");
}
