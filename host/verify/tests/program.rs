//! The program as an auditor uses it: arguments, words, exit status.

#[expect(dead_code, reason = "the contract's tests use more of it")]
#[path = "../../contract/tests/contract/support.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{OUTPUT, Room, component, key};
use tempfile::TempDir;

/// A directory with the files of a finished run.
struct Files {
    directory: TempDir,
    room: Room,
}

/// What the program printed, and its exit status.
struct Outcome {
    status: i32,
    text: String,
    error: String,
}

impl Files {
    fn new() -> Self {
        let (room, _) = Room::finished();
        let files = Self { directory: tempfile::tempdir().unwrap(), room };
        files.write("room.bundle", &files.room.bundle().to_bytes().unwrap());
        files.write("out.parquet", OUTPUT);
        files.write("notebook.wasm", &component("1.0.0"));
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn verify(&self, arguments: &[&str]) -> Outcome {
        verify(self.directory.path(), arguments)
    }
}

fn verify(directory: &Path, arguments: &[&str]) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_glovebox-verify"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    Outcome {
        status: output.status.code().unwrap(),
        text: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

#[test]
fn a_good_bundle_is_verified() {
    let files = Files::new();
    let outcome =
        files.verify(&["room.bundle", "--output", "out.parquet", "--component", "notebook.wasm"]);
    assert_eq!(outcome.error, "");
    assert_eq!(outcome.status, 0);
    insta::assert_snapshot!(outcome.text, @r###"
    room delays

    statements          holds       11, each signed by its party, in sequence, within the rules
    room                not pinned  blake3:fce8482230d447a7311135f2a42458875afe8420106f083af0d8ba8ad18f0adc
    host key            not pinned  ed25519:530cfc76e7d37b3bb6d1fc46b656b1951fba760dbffbc1e782cc705518ff1e43
    party key           not pinned  airline ed25519:3c218f9bebaf13dedfa89b38aa2bc5a34b9ecdf2191318577ea1d12bb616eb91
    party key           not pinned  partner ed25519:4e2f5dc91f4dc258ad5c26e1bc05aa06b72310cdd2ba373cb1b1fa75fccb75aa
    party key           not pinned  weather ed25519:7454d5d9277c1ffe5c3ca3a68fe3724dbe311f79d5b6d885d7b358c2e4b975f0
    checkpoint          holds       the host signed 11 entries, root sha256:d578794eda1a4dea3d2ff2d8f0e91996e8cc63d3da891cbc6d374f475f23c6a3
    runs                holds       1 of approved revisions: 1 succeeded, 0 failed, 0 refused, 0 waiting, 0 without receipt

    run fb6bbf52119d54f211c4a36255a60fad  succeeded, asserted
      notebook   delay-by-wind, asked for by weather
      revision   blake3:65edfa2202bb213227801f486b34099a53ce5eb77b1a424787548dfae40f1cf2
      component  blake3:52cbf88bc9db275c6daef25a3d07013a0b82bc61993842baff4289adb5ce7a9e
      receipt    blake3:fdaa8e46a2f501dca19df576a444139fb50837e4de1ca6c292098ec41434cb8b
      output     delay_by_wind: 7 rows, 21 bytes
                 blake3:2c638245070a91e640e78813d8edd6b82c02b633df1d8b73182b1b147493dca3
                 sha256:fd2da56ef916d2e58e537547199f8942d3fe3f193fef2fe5a54f5c95f5d9f827
      table      blake3:047f88e9dc91aec8d0181b288a3ce5e27386504a5585d05cfbb017397389ce87

    asserted: the host's word that this component made these outputs from these inputs
    not pinned: the bundle's own word; compare it with what you know: --room, --host-key, --party

    output file out.parquet  blake3:2c638245070a91e640e78813d8edd6b82c02b633df1d8b73182b1b147493dca3
      holds  delay_by_wind of run fb6bbf52119d54f211c4a36255a60fad, asserted
             receipt blake3:fdaa8e46a2f501dca19df576a444139fb50837e4de1ca6c292098ec41434cb8b

    component file notebook.wasm  blake3:52cbf88bc9db275c6daef25a3d07013a0b82bc61993842baff4289adb5ce7a9e
      holds  delay-by-wind 1.0.0, approved by all parties: revision blake3:65edfa2202bb213227801f486b34099a53ce5eb77b1a424787548dfae40f1cf2

    verified
    "###);
}

#[test]
fn a_bad_bundle_is_not_verified() {
    let files = Files::new();
    let mut bytes = files.room.bundle().to_bytes().unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    files.write("flipped.bundle", &bytes);
    files.write("empty.bundle", b"");
    files.write("text.bundle", b"hello");
    for bundle in ["flipped.bundle", "empty.bundle", "text.bundle", "out.parquet"] {
        let outcome = files.verify(&[bundle]);
        assert_eq!(outcome.status, 1, "{bundle}: {}", outcome.text);
        assert_eq!(last_line(&outcome.text), "not verified");
    }
}

#[test]
fn what_the_auditor_knows_is_compared() {
    let files = Files::new();
    let room = files.room.state.id().to_string();
    let host = key("host").public().to_string();
    let party = format!("airline={}", key("airline").public());
    let check = |arguments: &[&str], status: i32, word: &str| {
        let outcome = files.verify(&[&["room.bundle"], arguments].concat());
        assert_eq!(outcome.status, status, "{}{}", outcome.text, outcome.error);
        assert!(outcome.text.contains(word), "{}", outcome.text);
    };
    check(&["--room", &room], 0, "room                holds");
    check(&["--host-key", &host], 0, "host key            holds");
    check(&["--party", &party], 0, "party key           holds");
    check(&["--room", &room.replace('0', "1")], 1, "room                FAILS");
    check(&["--host-key", &key("airline").public().to_string()], 1, "host key            FAILS");
    let other = format!("weather={}", key("airline").public());
    check(&["--party", &party, "--party", &other], 1, "party key           FAILS");
}

#[test]
fn files_without_a_receipt_or_an_approval_are_not_verified() {
    let files = Files::new();
    files.write("other", b"other");
    let check = |arguments: &[&str], word: &str| {
        let outcome = files.verify(&[&["room.bundle"], arguments].concat());
        assert_eq!(outcome.status, 1);
        assert!(outcome.text.contains(word), "{}", outcome.text);
        assert_eq!(last_line(&outcome.text), "not verified");
    };
    check(&["--output", "other"], "FAILS  no receipt names this file");
    check(&["--output", "out.parquet", "--output", "other"], "FAILS");
    check(&["--component", "other"], "FAILS  no notebook of this room is this component");
    let unapproved = Room::with_notebook();
    files.write("room.bundle", &unapproved.bundle().to_bytes().unwrap());
    check(
        &["--component", "notebook.wasm"],
        "FAILS  delay-by-wind 1.0.0, not approved by all parties",
    );
}

#[test]
fn an_earlier_checkpoint_must_be_continued() {
    let files = Files::new();
    files.write("seen", files.room.bundle().checkpoint().as_bytes());
    let arguments = ["room.bundle", "--checkpoint", "seen"];
    assert_eq!(files.verify(&arguments).status, 0);
    let (started, _) = Room::started();
    files.write("room.bundle", &started.bundle().to_bytes().unwrap());
    let outcome = files.verify(&arguments);
    assert_eq!(outcome.status, 1);
    assert!(outcome.text.contains("the log was rolled back"), "{}", outcome.text);
}

#[test]
fn json_says_the_same() {
    let files = Files::new();
    let json = |arguments: &[&str]| {
        let outcome = files.verify(&[arguments, &["--json"]].concat());
        let value: serde_json::Value = serde_json::from_str(&outcome.text).unwrap();
        (outcome.status, value)
    };
    let (status, value) = json(&["room.bundle", "--output", "out.parquet"]);
    assert_eq!((status, value["verdict"].as_str()), (0, Some("verified")));
    assert_eq!(value["report"]["runs"][0]["result"], "succeeded, asserted");
    assert_eq!(value["report"]["checks"][0]["result"], "holds");
    assert_eq!(value["outputs"][0]["found"][0]["evidence"], "asserted");
    let (status, value) = json(&["out.parquet"]);
    assert_eq!((status, value["verdict"].as_str()), (1, Some("not verified")));
    assert!(value["error"].as_str().unwrap().starts_with("not a bundle"));
}

#[test]
fn a_question_that_cannot_be_asked_is_status_2() {
    let files = Files::new();
    let check = |arguments: &[&str], word: &str| {
        let outcome = files.verify(arguments);
        assert_eq!(outcome.status, 2, "{}", outcome.text);
        assert!(outcome.error.contains(word), "{}", outcome.error);
        assert!(!outcome.text.contains("verified"), "{}", outcome.text);
    };
    check(&[], "Usage");
    check(&["missing.bundle"], "cannot open missing.bundle");
    check(&["room.bundle", "--output", "missing"], "cannot open missing");
    check(&["room.bundle", "--room", "x"], "64 lower-case hex digits");
    check(&["room.bundle", "--party", "airline"], "ALIAS=KEY");
    check(&["room.bundle", "--host-key", "ed25519:00"], "64 lower-case hex digits");
    let party = format!("airline={}", key("airline").public());
    check(&["room.bundle", "--party", &party, "--party", &party], "--party airline is given twice");
}
