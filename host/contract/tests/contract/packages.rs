//! Packaged rooms: one party's hidden code, run by the others, who alone see what comes of it.

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::manifest::{ComponentKind, Manifest};
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{
    AssetStatement, Body, Decision, Grant, LibraryAsset, LogReaders, NotebookAsset, OutputRead,
    OutputReaders, Recipient, RoomDocument, Share, Shared,
};

use crate::support::{
    Room, add_notebook, add_table, document, flights, hourly, manifest, name, notebook, parse,
    reason,
};

fn packaged() -> RoomDocument {
    let mut document = document(&["airline", "weather", "partner"]);
    document.package_provider = Some(parse("partner"));
    document.log_readers = LogReaders::Runner;
    document
}

fn hidden(version: &str) -> NotebookAsset {
    NotebookAsset { hidden: true, ..notebook(version) }
}

fn library(hidden: bool) -> Body {
    Body::Asset(AssetStatement::Library(Box::new(LibraryAsset {
        component: ContentDigest::of(b"library"),
        component_bytes: 7,
        exports: Default::default(),
        hidden,
        interfaces: Default::default(),
        manifest: Manifest {
            inputs: Default::default(),
            kind: ComponentKind::Library,
            name: parse("scoring"),
            outputs: Default::default(),
            parameters: Default::default(),
            ..manifest()
        },
    })))
}

/// A packaged room, accepted, with the consumers' tables.
fn with_tables() -> Room {
    let mut room = Room::create(packaged()).unwrap();
    room.says("weather", Body::Accept);
    room.says("partner", Body::Accept);
    room.says("airline", add_table(flights()));
    room.says("weather", add_table(hourly()));
    room
}

#[test]
fn a_packaged_room_keeps_everything_from_its_provider() {
    let check = |change: fn(&mut RoomDocument), expected: Option<&str>| {
        let mut document = packaged();
        change(&mut document);
        match (Room::create(document), expected) {
            (Ok(_), None) => {}
            (Err(refusal), Some(expected)) => {
                assert_eq!(refusal.reason(), ReasonCode::Malformed);
                assert!(refusal.detail().contains(expected), "{refusal}");
            }
            (result, expected) => panic!("{:?} is not {expected:?}", result.err()),
        }
    };
    check(|_| {}, None);
    check(|d| d.package_provider = Some(parse("airline")), None); // the creator may be it
    check(|d| d.package_provider = Some(parse("mallory")), Some("not among"));
    check(|d| d.package_provider = Some(parse("host")), Some("not among"));
    check(|d| d.outputs.readers = OutputReaders::All, Some("for the runner only"));
    check(|d| d.log_readers = LogReaders::All, Some("for the runner only"));
    check(|d| d.log_readers = LogReaders::Author, Some("for the runner only"));
    check(
        |d| {
            d.collaborators.truncate(1);
            d.package_provider = Some(parse("airline"));
        },
        Some("somebody else"),
    );
}

#[test]
fn all_code_is_the_providers_and_hidden_and_run_by_others() {
    let check = |party: &str, change: fn(&mut NotebookAsset), expected: Option<ReasonCode>| {
        let mut room = with_tables();
        let mut notebook = hidden("1.0.0");
        change(&mut notebook);
        let before = format!("{:?}", room.state);
        let result = reason(room.tries(party, add_notebook(notebook)));
        assert_eq!(result, expected, "{party}");
        assert_eq!(result.is_some(), before == format!("{:?}", room.state), "all or nothing");
    };
    check("partner", |_| {}, None);
    check("partner", |n| n.runners = [parse("airline"), parse("weather")].into(), None);
    check("partner", |n| n.hidden = false, Some(ReasonCode::NotPermitted));
    check("partner", |n| n.runners = [parse("partner")].into(), Some(ReasonCode::NotPermitted));
    check(
        "partner",
        |n| n.runners = [parse("partner"), parse("weather")].into(),
        Some(ReasonCode::NotPermitted),
    );
    check("weather", |_| {}, Some(ReasonCode::NotPermitted));
    check("airline", |n| n.hidden = false, Some(ReasonCode::NotPermitted));
    let libraries = [
        ("partner", true, None),
        ("partner", false, Some(ReasonCode::NotPermitted)),
        ("weather", true, Some(ReasonCode::NotPermitted)),
    ];
    for (party, hidden, expected) in libraries {
        assert_eq!(reason(with_tables().tries(party, library(hidden))), expected, "{party}");
    }
    // A later version cannot slip out of it.
    let mut room = with_tables();
    room.says("partner", add_notebook(hidden("1.0.0")));
    let visible = add_notebook(notebook("1.0.1"));
    assert_eq!(reason(room.tries("partner", visible)), Some(ReasonCode::NotPermitted));
    // In another room all of this may be.
    assert_eq!(reason(Room::with_notebook().tries("weather", library(false))), None);
}

#[test]
fn the_provider_sees_the_run_and_neither_output_nor_text() {
    let mut room = with_tables();
    room.says("partner", add_notebook(hidden("1.0.0")));
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    let request = room.request();
    assert_eq!(reason(room.tries("partner", request.clone())), Some(ReasonCode::NotARunner));
    let run = RunId::of_request(&room.says("weather", request).digest);
    let start = room.start(&run);
    room.says("host", Body::RunStart(start));
    let receipt = room.receipt(&run);
    room.says("host", Body::RunReceipt(Box::new(receipt)));
    let record = room.state.run(&run).unwrap();
    let sees = |party: &str| {
        let party = parse(party);
        let reads = room.state.may_read_output(&run, &party, room.now).is_ok();
        (reads, room.state.may_read_words(record, &party))
    };
    assert_eq!(sees("weather"), (true, true));
    assert_eq!(sees("partner"), (false, false));
    assert_eq!(sees("airline"), (false, false));
    assert_eq!(sees("host"), (false, false));
    assert!(record.receipt().is_some());
    let read = Body::OutputRead(OutputRead { output: parse("delay_by_wind"), run });
    assert_eq!(reason(room.tries("partner", read)), Some(ReasonCode::NotPermitted));
    // Nor through a recipient of its own.
    let recipient = Recipient {
        expires: room.now + 1000,
        name: parse("self"),
        previous_until: None,
        token: glovebox_contract::digest::Sha256Digest::of(b"token"),
    };
    room.says("partner", Body::Share(Share::Recipient(recipient)));
    let what = Shared::Output { notebook: name(), output: None };
    let grant =
        Grant { recipient: parse("self"), share: parse("x"), until: None, what: what.clone() };
    let refused = room.tries("partner", Body::Share(Share::Grant(grant)));
    assert_eq!(reason(refused), Some(ReasonCode::NotPermitted));
    assert_eq!(room.state.shared_outputs(&parse("partner"), &what, room.now).count(), 0);
}

#[test]
fn who_reads_the_words_of_a_run_is_a_setting_of_the_room() {
    for (readers, expected) in [
        (LogReaders::Author, ["partner"].as_slice()),
        (LogReaders::All, ["airline", "weather", "partner"].as_slice()),
        (LogReaders::Runner, ["weather"].as_slice()),
    ] {
        let mut document = document(&["airline", "weather", "partner"]);
        document.log_readers = readers;
        let mut room = Room::create(document).unwrap();
        room.says("weather", Body::Accept);
        room.says("partner", Body::Accept);
        room.says("airline", add_table(flights()));
        room.says("weather", add_table(hourly()));
        room.says("partner", add_notebook(notebook("1.0.0")));
        room.review("airline", Decision::Approve);
        room.review("weather", Decision::Approve);
        let request = room.request();
        let run = RunId::of_request(&room.says("weather", request).digest);
        let record = room.state.run(&run).unwrap();
        for party in ["airline", "weather", "partner", "host", "mallory"] {
            let may = room.state.may_read_words(record, &parse(party));
            assert_eq!(may, expected.contains(&party), "{readers:?} {party}");
        }
    }
}
