//! Notebooks that attack the host: each attack of `tests/guests/evil` and what comes of it.

use crate::support::{Stage, guest};

/// A room with the evil notebook, approved, under tight limits.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.room(
        "r",
        &["a", "b"],
        "[limits]\nwall_seconds = 12\ncpu_seconds = 6\nmemory_bytes = 268_435_456\nlog_bytes = 4_096\n",
    );
    stage.write("t.csv", "k,v,secret\nx,1,canary-secret\ny,2,canary-secret\n");
    stage.write("other.csv", "v\n1\n");
    stage.run("table add r a.t --from t.csv --as a.key").ok();
    stage.run("table add r a.other --from other.csv --as a.key").ok();
    std::fs::copy(guest("tests/guests/evil"), stage.path("evil.wasm")).expect("the evil guest");
    stage.run("notebook add r evil.wasm --runner b --as b.key").ok();
    let digest = stage.revision("r", "evil");
    stage.run(&format!("review r evil --approve {digest} --as a.key")).ok();
    stage
}

/// What became of one attack: the public reason, or `succeeded`.
fn fate(stage: &Stage, attack: &str) -> String {
    let done = stage.run(&format!("run r evil --param attack={attack} --as b.key"));
    assert!(matches!(done.code, Some(0 | 1)), "{attack}: {done}");
    assert!(!done.stderr.contains("canary-secret"), "{attack}: {done}");
    let runs = stage.run("runs r --json").ok().json();
    let last = runs.as_array().and_then(|runs| runs.last()).expect("a run").clone();
    if last["outcome"] == "succeeded" {
        return "succeeded".into();
    }
    // A failed run publishes nothing.
    let run = last["run"].as_str().expect("an id");
    stage.run(&format!("output show r {run} --as b.key")).refused("not-found");
    last["reason"].as_str().expect("a reason").to_owned()
}

#[test]
fn every_attack_ends_in_its_reason_code() {
    let stage = stage();
    let expected = include_str!("guests.txt");
    let mut wrong = Vec::new();
    for line in expected.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (attack, expect) = line.split_once(char::is_whitespace).expect("two words");
        let got = fate(&stage, attack);
        if !expect.split('|').any(|expect| expect.trim() == got) {
            wrong.push(format!("{attack}: expected {}, got {got}", expect.trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The host is none the worse.
    assert_eq!(fate(&stage, "none"), "succeeded");
    stage.run("bundle r -o room.bundle").ok();
    stage.run("verify room.bundle").ok();
}

#[test]
fn the_author_reads_why_and_nobody_else() {
    let stage = stage();
    assert_eq!(fate(&stage, "panic"), "guest-trap");
    let log = stage.run("output log r latest --as b.key").ok().stdout;
    assert!(log.contains("the notebook panics on purpose"), "{log}");
    stage.run("output log r latest --as a.key").refused("not-permitted");
    assert_eq!(fate(&stage, "flood_log"), "succeeded");
    let log = stage.run("output log r latest --as b.key").ok().stdout;
    assert!(log.len() < 10_000, "{} bytes of log pass a limit of 4,096", log.len());
    assert_eq!(fate(&stage, "forge_log"), "succeeded");
    let log = stage.run("output log r latest --as b.key").ok().stdout;
    assert!(!log.contains('\x1b') && !log.contains('\u{202e}'), "{log:?}");
}
