//! The program as an auditor uses it: arguments, words, exit status.

#[expect(dead_code, reason = "the contract's tests use more of it")]
#[path = "../../contract/tests/contract/support.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use glovebox_contract::digest::Sha256Digest;
use glovebox_contract::statement::{
    AutoApproval, Body, Cancel, Conditions, Grant, Recipient, Rule, Share, Shared, SharedRead,
};
use support::{
    NOW, OUTPUT, Room, add_notebook, add_table, component, flights, hourly, key, name, notebook,
    parse,
};
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

/// A room in which the airline approves by rule, a run was cancelled, and the weather agency
/// shares what its run made.
fn room_with_everything() -> Room {
    let mut room = Room::accepted();
    room.says("airline", add_table(flights()));
    room.says("weather", add_table(hourly()));
    let (author, id) = (Some(parse("partner")), parse("trusted"));
    let conditions = Conditions { max_runs: Some(1), ..Conditions::default() };
    let rule = AutoApproval { author, conditions, id, runner: parse("weather") };
    room.says("airline", Body::Rule(Rule::Add(rule)));
    room.says("partner", add_notebook(notebook("1.0.0")));
    room.review("weather", glovebox_contract::statement::Decision::Approve);
    for cancelled in [true, false] {
        let request = room.request();
        let digest = room.says("weather", request).digest;
        let run = glovebox_contract::name::RunId::of_request(&digest);
        if cancelled {
            room.says("weather", Body::Cancel(Cancel { run }));
        } else {
            let start = room.start(&run);
            room.says("host", Body::RunStart(start));
            let receipt = room.receipt(&run);
            room.says("host", Body::RunReceipt(Box::new(receipt)));
        }
    }
    let recipient = Recipient {
        expires: NOW + 1_000_000,
        name: parse("acme"),
        previous_until: None,
        token: Sha256Digest::of(b"token"),
    };
    room.says("weather", Body::Share(Share::Recipient(recipient)));
    let grant = |share: &str, until, what| {
        let (recipient, share) = (parse("acme"), parse(share));
        Body::Share(Share::Grant(Grant { recipient, share, until, what }))
    };
    let output = Shared::Output { notebook: name(), output: None };
    room.says("weather", grant("results", None, output));
    let table = Shared::Table { table: parse("weather.hourly") };
    room.says("weather", grant("plain", Some(NOW + 86_400), table));
    let read = |share: &str, what: &str| {
        let (owner, recipient) = (parse("weather"), parse("acme"));
        let (share, what) = (parse(share), what.to_owned());
        Body::SharedRead(SharedRead { owner, recipient, share, version: 0, what })
    };
    room.says("host", read("results", "delay-by-wind.delay_by_wind"));
    room.says("host", read("results", "delay-by-wind.delay_by_wind"));
    room.says("host", read("plain", "weather.hourly"));
    let revoke = Share::Revoke { recipient: parse("acme"), share: Some(parse("results")) };
    room.says("weather", Body::Share(revoke));
    room
}

#[test]
fn rules_cancelled_runs_and_shares_are_told() {
    let files = Files::new();
    let room = room_with_everything();
    files.write("room.bundle", &room.bundle().to_bytes().unwrap());
    let outcome = files.verify(&["room.bundle", "--component", "notebook.wasm"]);
    assert_eq!((outcome.status, outcome.error.as_str()), (0, ""), "{}", outcome.text);
    let says = |expected: &str| assert!(outcome.text.contains(expected), "{}", outcome.text);
    says(
        "2 of approved revisions: 1 succeeded, 0 failed, 0 refused, 0 waiting, 0 without receipt, 1 cancelled",
    );
    says("  cancelled\n");
    // The rule was good for this one run; that it is used up does not undo what it approved.
    says("\n  approved   for airline by its rule trusted\n");
    says(
        "\nshare plain of weather for acme  read once\n  grant      the table weather.hourly, until 2026-01-02T00:00:00Z\n",
    );
    says("\nshare results of weather for acme  read 2 times\n  revoked\n");
    says("delay-by-wind 1.0.0, approved by all parties, airline by its rule trusted: revision");
    let outcome = files.verify(&["room.bundle", "--component", "notebook.wasm", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&outcome.text).unwrap();
    assert_eq!(value["report"]["runs"][0]["result"], "cancelled");
    assert_eq!(value["report"]["runs"][0].get("rules"), None);
    let trusted = serde_json::json!({ "airline": ["trusted"] });
    assert_eq!(value["report"]["runs"][1]["rules"], trusted);
    assert_eq!(value["report"]["shares"][0]["reads"], 1);
    assert_eq!(value["report"]["shares"][0]["grants"][0]["what"]["table"], "weather.hourly");
    assert_eq!(value["components"][0]["found"][0]["by_rule"]["airline"], "trusted");
}

#[test]
fn a_statement_that_the_room_would_not_take_is_found_in_its_place() {
    let files = Files::new();
    let room = room_with_everything();
    let position = |kind: &str| {
        let is = |entry: &glovebox_contract::envelope::Envelope| {
            entry.unverified().unwrap().body.kind().as_str() == kind
        };
        room.entries.iter().position(is).unwrap()
    };
    let without = [
        ("rule", "this revision of delay-by-wind is not approved yet by airline (not-approved)"),
        ("share", "the next is number"),
    ];
    for (kind, words) in without {
        let mut entries = room.entries.clone();
        entries.remove(position(kind));
        let bundle =
            glovebox_contract::bundle::Bundle::new(room.bundle().checkpoint().to_owned(), entries);
        files.write("room.bundle", &bundle.to_bytes().unwrap());
        let outcome = files.verify(&["room.bundle"]);
        assert_eq!(outcome.status, 1, "{kind}: {}", outcome.text);
        assert!(outcome.text.contains("statements          FAILS"), "{kind}: {}", outcome.text);
        assert!(outcome.text.contains(words), "{kind}: {}", outcome.text);
        assert_eq!(last_line(&outcome.text), "not verified");
    }
}

#[test]
fn a_packaged_room_is_told() {
    let files = Files::new();
    let mut document = support::document(&["airline", "weather"]);
    document.log_readers = glovebox_contract::statement::LogReaders::Runner;
    document.package_provider = Some(parse("weather"));
    let room = Room::create(document).unwrap();
    files.write("room.bundle", &room.bundle().to_bytes().unwrap());
    let outcome = files.verify(&["room.bundle"]);
    assert_eq!(outcome.status, 0, "{}", outcome.text);
    assert!(outcome.text.starts_with("room delays, packaged by weather\n"), "{}", outcome.text);
}
