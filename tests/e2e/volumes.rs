//! Volumes: files pinned by their digests, which a notebook reads and nobody changes unseen.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Done, Stage, guest};

/// A room whose notebook `files` is approved and reads the volume `acme.model`.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.room("r", &["acme", "shop"], "");
    fs::create_dir_all(stage.path("model/docs")).expect("a directory");
    stage.write("model/weights.txt", "2\n3\n");
    // Several reads of the largest size that the SDK asks for.
    stage.write("model/docs/large.bin", vec![b'x'; 2_500_000]);
    stage.write("model/docs/empty", "");
    stage.write("model/.hidden", "not offered");
    stage.write("sales.csv", "amount\n1\n10\n");
    stage.run("table add r shop.sales --from sales.csv --as shop.key").ok();
    stage.run("volume add r acme.model --from model --description weights --as acme.key").ok();
    fs::copy(guest("tests/guests/files"), stage.path("files.wasm")).expect("the guest");
    stage.run("notebook add r files.wasm --runner shop --as acme.key").ok();
    approve(&stage);
    stage
}

fn approve(stage: &Stage) {
    let digest = stage.revision("r", "files");
    stage.run(&format!("review r files --approve {digest} --as shop.key")).ok();
}

fn run(stage: &Stage) -> Done {
    stage.run("run r files --as shop.key")
}

#[test]
fn a_notebook_reads_the_files_of_a_volume() {
    let stage = stage();
    run(&stage).ok();
    let rows = stage.run("output show r latest --json --as shop.key").ok().json();
    assert_eq!(rows["scores"], serde_json::json!([{ "score": 5 }, { "score": 50 }]));
    let files = rows["files"].as_array().expect("files");
    let said: Vec<_> = files
        .iter()
        .map(|row| format!("{} {} {}", row["path"], row["bytes"], row["last"]))
        .collect();
    assert_eq!(
        said,
        [r#""docs/empty" 0 """#, r#""docs/large.bin" 2500000 "x""#, "\"weights.txt\" 4 \"\\n\"",]
    );
    // The digests are those of `b3sum`, and of the room.
    let digest = glovebox_contract_digest(b"2\n3\n");
    assert_eq!(files[2]["digest"], digest);
    let shown = stage.run("room show r").ok().stdout;
    assert!(shown.contains(&format!("{digest} weights.txt")), "{shown}");
    assert!(!shown.contains(".hidden"), "{shown}");
    // Where they are stays with the host.
    let log = stage.run("log r --json").ok().stdout;
    assert!(!log.contains(stage.path("model").to_str().expect("a path")), "{log}");
    stage.run("bundle r -o r.bundle").ok();
    stage.run("verify r.bundle").ok();
}

fn glovebox_contract_digest(bytes: &[u8]) -> String {
    glovebox_contract::digest::Blake3Digest::of(bytes).to_string()
}

#[test]
fn a_file_that_changed_after_it_was_pinned_stops_every_run() {
    let stage = stage();
    let check = |change: &dyn Fn(), undo: &dyn Fn(), word: &str| {
        change();
        let done = run(&stage).refused("volume-changed");
        assert!(done.stderr.contains(word), "{word} in {done}");
        undo();
        run(&stage).ok();
    };
    let weights = stage.path("model/weights.txt");
    let restore = || drop(stage.write("model/weights.txt", "2\n3\n"));
    // One bit, at the same length.
    check(&|| drop(stage.write("model/weights.txt", "2\n7\n")), &restore, "weights.txt");
    check(&|| drop(stage.write("model/weights.txt", "2\n3\n4\n")), &restore, "weights.txt");
    check(&|| drop(stage.write("model/weights.txt", "")), &restore, "weights.txt");
    check(&|| fs::remove_file(&weights).expect("the file"), &restore, "gone");
    // A link, even to the very same bytes.
    check(
        &|| {
            fs::rename(&weights, stage.path("model/moved")).expect("a move");
            symlink("moved", &weights).expect("a link");
        },
        &|| fs::rename(stage.path("model/moved"), &weights).expect("a move back"),
        "weights.txt",
    );
    check(
        &|| {
            fs::rename(stage.path("model/docs"), stage.path("docs")).expect("a move");
            symlink("../docs", stage.path("model/docs")).expect("a link");
        },
        &|| {
            fs::remove_file(stage.path("model/docs")).expect("the link");
            fs::rename(stage.path("docs"), stage.path("model/docs")).expect("a move back");
        },
        "docs/",
    );
    check(
        &|| {
            fs::remove_file(&weights).expect("the file");
            fs::create_dir(&weights).expect("a directory in its place");
        },
        &|| {
            fs::remove_dir(&weights).expect("the directory");
            restore();
        },
        "weights.txt",
    );
    // Files that were not pinned are nobody's business.
    stage.write("model/more.txt", "new");
    run(&stage).ok();
}

#[test]
fn a_volume_added_again_is_a_revision_that_nobody_has_approved() {
    let stage = stage();
    let before = stage.revision("r", "files");
    stage.write("model/weights.txt", "4\n");
    stage.run("volume add r acme.model --from model --as acme.key").ok();
    assert_ne!(stage.revision("r", "files"), before);
    run(&stage).refused("not-approved");
    approve(&stage);
    run(&stage).ok();
    let rows = stage.run("output show r latest --json --as shop.key").ok().json();
    assert_eq!(rows["scores"], serde_json::json!([{ "score": 4 }, { "score": 40 }]));
}

#[test]
fn what_is_not_granted_is_not_read() {
    let stage = stage();
    stage.write("secret.txt", "canary-secret");
    stage.run("volume add r shop.other --from secret.txt --as shop.key").ok();
    for ask in [
        "shop.other:secret.txt",
        "acme.model:../secret.txt",
        "acme.model:docs/../weights.txt",
        "acme.model:./weights.txt",
        "acme.model:/weights.txt",
        "acme.model:.hidden",
        "acme.model:docs",
        "acme.model:",
        "acme:weights.txt",
    ] {
        let done = stage.run(&format!("run r files --param ask={ask} --as shop.key"));
        done.refused("not-found");
    }
}

#[test]
fn what_is_no_volume_is_refused_when_it_is_added() {
    let stage = stage();
    let check = |name: &str, prepare: &dyn Fn(&std::path::Path), reason: &str, word: &str| {
        let path = stage.path(name);
        prepare(&path);
        let done = stage.run(&format!("volume add r acme.bad --from {name} --as acme.key"));
        let done = done.refused(reason);
        assert!(done.stderr.contains(word), "{word} in {done}");
    };
    let folder = |path: &std::path::Path| fs::create_dir(path).expect("a directory");
    check("nowhere", &|_| {}, "input-unreadable", "nowhere");
    check("empty", &folder, "input-unreadable", "no files");
    check("link", &|path| symlink("model", path).expect("a link"), "input-unreadable", "symbolic");
    check(
        "inner",
        &|path| {
            folder(path);
            symlink("../secret", path.join("x")).expect("a link");
        },
        "input-unreadable",
        "symbolic",
    );
    check(
        "many",
        &|path| {
            folder(path);
            for number in 0..1025 {
                fs::write(path.join(number.to_string()), "").expect("a file");
            }
        },
        "input-unreadable",
        "1024",
    );
    folder(&stage.path("control"));
    stage.write("control/a\u{1b}[2J", "");
    let done = stage.run("volume add r acme.bad --from control --as acme.key");
    assert!(done.code == Some(1) && done.stderr.contains("a control character"), "{done}");
    // Only its owner adds it, and a notebook that wants one that is not there does not fit.
    stage.run("volume add r acme.model --from model --as shop.key").refused("not-permitted");
}

#[test]
fn pinned_files_count_as_open_files() {
    let stage = Stage::new();
    stage.room("r", &["acme", "shop"], "[limits]\nopen_files = 6\n");
    fs::create_dir_all(stage.path("model")).expect("a directory");
    stage.write("model/weights.txt", "1\n");
    stage.write("model/more.txt", "1\n");
    stage.write("sales.csv", "amount\n1\n");
    stage.run("table add r shop.sales --from sales.csv --as shop.key").ok();
    fs::copy(guest("tests/guests/files"), stage.path("files.wasm")).expect("the guest");
    let done = stage.run("notebook add r files.wasm --runner shop --as acme.key");
    done.refused("not-found");
    stage.run("volume add r acme.model --from model --as acme.key").ok();
    stage.run("notebook add r files.wasm --runner shop --as acme.key").ok();
    approve(&stage);
    // Two outputs, a table, the machine code and two files.
    run(&stage).ok();
    stage.write("model/third.txt", "1\n");
    stage.run("volume add r acme.model --from model --as acme.key").ok();
    approve(&stage);
    let done = run(&stage).refused("policy-limit");
    assert!(done.stderr.contains("3 of its volumes"), "{done}");
}

const HEADER: &str = r#"name = "NAME"
version = "1.0.0"
[volumes."acme.model"]
description = "Words."
[inputs."shop.sales"]
columns = { amount = "int64" }
[parameters.path]
type = "utf8"
default = ""
[outputs.files]
columns = ["path utf8", "bytes int64", "text utf8"]
"#;

const PYTHON: &str = r##"# %%
import glovebox
model = glovebox.volume("acme.model")
model.read(glovebox.param("path") or "words.txt")
glovebox.output("files").write({
    "path": [file.path for file in model.files],
    "bytes": [len(model.read(file.path)) for file in model.files],
    "text": [model.text("words.txt")[:5], None],
})
"##;

const JAVASCRIPT: &str = r#"
import { output, param, volume } from "glovebox";
export default function () {
  const model = volume("acme.model");
  model.read(param("path") || "words.txt");
  output("files").write({
    path: model.files.map(({ path }) => path),
    bytes: model.files.map(({ path }) => BigInt(model.read(path).length)),
    text: [model.text("words.txt").slice(0, 5), null],
  });
}
"#;

#[test]
fn python_and_javascript_read_volumes() {
    let stage = Stage::new();
    stage.room("r", &["acme", "shop"], "");
    fs::create_dir(stage.path("model")).expect("a directory");
    stage.write("model/weights.bin", vec![7; 2_500_000]);
    stage.write("model/words.txt", "grüße aus München");
    stage.write("sales.csv", "amount\n1\n");
    stage.run("table add r shop.sales --from sales.csv --as shop.key").ok();
    stage.run("volume add r acme.model --from model --as acme.key").ok();
    let header = |name: &str| HEADER.replace("NAME", name);
    let commented: String = header("python").lines().map(|line| format!("# {line}\n")).collect();
    stage.write("n.py", format!("# /// glovebox\n{commented}# ///\n{PYTHON}"));
    let header = header("javascript");
    stage.write("n.js", format!("/* glovebox notebook\n{header}*/\n{JAVASCRIPT}"));
    for (name, file) in [("python", "n.py"), ("javascript", "n.js")] {
        stage.run(&format!("build {file} -o {name}.wasm --install-tools")).ok();
        stage.run(&format!("notebook add r {name}.wasm --runner shop --as acme.key")).ok();
        let digest = stage.revision("r", name);
        stage.run(&format!("review r {name} --approve {digest} --as shop.key")).ok();
        stage.run(&format!("run r {name} --as shop.key")).ok();
        let rows = stage.run("output show r latest --json --as shop.key").ok().json();
        assert_eq!(
            rows["files"],
            serde_json::json!([
                { "path": "weights.bin", "bytes": 2_500_000, "text": "grüße" },
                { "path": "words.txt", "bytes": 20, "text": null },
            ]),
            "{name}"
        );
        let ask = format!("run r {name} --param path=../words.txt --as shop.key");
        let done = stage.run(&ask);
        assert_eq!(done.code, Some(1), "{done}");
        let log = stage.run("output log r latest --as acme.key").ok().stdout;
        assert!(log.contains("has no file `../words.txt`"), "{name}: {log}");
    }
}
