//! Tables that are outputs: what one run lets out goes into the next, with the same rights.

use std::collections::BTreeMap;

use glovebox_contract::column::Column;
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::manifest::{InputDeclaration, Manifest};
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::{Outcome, OutputFile};
use glovebox_contract::state::Refusal;
use glovebox_contract::statement::{
    Body, Decision, Delete, FileDigest, NotebookAsset, OutputReaders, Pin, Review, RunRequest,
    RunStart, Snapshot, TableAsset, TableOutput,
};

use crate::support::{
    NOW, Room, add_notebook, add_table, component, document, flights, hourly, name, notebook,
    output_file, parse, reason, table,
};

const DAY: u64 = 86_400;

/// A table of the notebook's output.
fn delays(owner: &str, columns: &[(&str, &str)]) -> TableAsset {
    let output = TableOutput { notebook: name(), output: parse("delay_by_wind") };
    TableAsset { output: Some(output), ..table(&format!("{owner}.delays"), columns) }
}

const COLUMNS: [(&str, &str); 2] = [("wind", "float64"), ("delay", "float64")];

/// A notebook over the table.
fn report(owner: &str) -> NotebookAsset {
    let columns = COLUMNS.iter().map(|(name, of)| ((*name).to_owned(), parse(of))).collect();
    let input = InputDeclaration { columns, description: String::new() };
    let manifest = Manifest {
        inputs: BTreeMap::from([(parse(&format!("{owner}.delays")), input)]),
        name: parse("report"),
        ..notebook("1.0.0").manifest
    };
    NotebookAsset {
        component: ContentDigest::of(&component("report")),
        manifest,
        ..notebook("1.0.0")
    }
}

fn approve_report(room: &mut Room, owner: &str) {
    room.says("partner", add_notebook(report(owner)));
    let report = room.state.notebook(&parse("report")).unwrap();
    let revision = *report.latest().unwrap().revision_digest().unwrap();
    for party in ["airline", "weather"] {
        let review = Review {
            comment: String::new(),
            decision: Decision::Approve,
            notebook: parse("report"),
            revision,
        };
        room.says(party, Body::Review(review));
    }
}

fn request_report(room: &mut Room) -> RunId {
    let report = room.state.notebook(&parse("report")).unwrap();
    let revision = *report.latest().unwrap().revision_digest().unwrap();
    let notebook = parse("report");
    let request = RunRequest { notebook, parameters: BTreeMap::new(), revision };
    RunId::of_request(&room.says("weather", Body::RunRequest(request)).digest)
}

/// A run-start that says this file was read.
fn start(room: &Room, run: &RunId, file: &[u8]) -> RunStart {
    let digest = ContentDigest::of(file);
    let files = vec![FileDigest { bytes: file.len() as u64, digest }];
    let snapshot = Snapshot { files, ..Snapshot::default() };
    RunStart { inputs: BTreeMap::from([(parse("weather.delays"), snapshot)]), ..room.start(run) }
}

/// The first notebook runs and writes this file.
fn write(room: &mut Room, file: &[u8]) -> RunId {
    let request = room.request();
    let run = RunId::of_request(&room.says("weather", request).digest);
    let start = room.start(&run);
    room.says("host", Body::RunStart(start));
    end(room, &run, file);
    run
}

fn end(room: &mut Room, run: &RunId, file: &[u8]) {
    let mut receipt = room.receipt(run);
    let output =
        OutputFile { bytes: file.len() as u64, digest: ContentDigest::of(file), ..output_file() };
    let outputs = BTreeMap::from([(parse("delay_by_wind"), output)]);
    receipt.outcome = Outcome::Succeeded { outputs };
    room.says("host", Body::RunReceipt(Box::new(receipt)));
}

/// An approved room in which the outputs are a table of the weather agency.
fn derived() -> Room {
    let mut room = Room::approved();
    room.says("weather", add_table(delays("weather", &COLUMNS)));
    approve_report(&mut room, "weather");
    room
}

#[test]
fn a_party_makes_a_table_of_what_it_may_read() {
    let check = |readers: OutputReaders, owner: &str, expect: Option<ReasonCode>| {
        let mut document = document(&["airline", "weather", "partner"]);
        document.outputs.readers = readers;
        let mut room = Room::create(document).unwrap();
        room.says("weather", Body::Accept);
        room.says("partner", Body::Accept);
        room.says("airline", add_table(flights()));
        room.says("weather", add_table(hourly()));
        room.says("partner", add_notebook(notebook("1.0.0")));
        let made = room.tries(owner, add_table(delays(owner, &COLUMNS)));
        assert_eq!(reason(made), expect, "{readers:?} {owner}");
    };
    check(OutputReaders::Runner, "weather", None);
    // Nobody but runners can ever read an output.
    check(OutputReaders::Runner, "airline", Some(ReasonCode::NotPermitted));
    check(OutputReaders::All, "airline", None);
    check(OutputReaders::All, "weather", None);
}

#[test]
fn the_table_offers_columns_of_the_output() {
    let check = |change: fn(&mut TableAsset), expect: Option<ReasonCode>| {
        let mut room = Room::approved();
        let mut table = delays("weather", &COLUMNS);
        change(&mut table);
        let body = add_table(table);
        let statement = room.statement("weather", body.clone());
        let taken = match statement.validate() {
            Ok(()) => reason(room.tries("weather", body)),
            Err(_) => Some(ReasonCode::Malformed),
        };
        assert_eq!(taken, expect);
    };
    check(|_| {}, None);
    check(|table| drop(table.columns.remove(0)), None);
    check(|table| table.columns.reverse(), None);
    let other: fn(&mut TableAsset) = |table| table.columns[0].name = "gust".into();
    check(other, Some(ReasonCode::SchemaMismatch));
    let other: fn(&mut TableAsset) = |table| table.columns[0].column_type = parse("utf8");
    check(other, Some(ReasonCode::SchemaMismatch));
    let other: fn(&mut TableAsset) = |table| {
        let Some(output) = &mut table.output else { panic!() };
        output.notebook = parse("other");
    };
    check(other, Some(ReasonCode::NotFound));
    let other: fn(&mut TableAsset) = |table| {
        let Some(output) = &mut table.output else { panic!() };
        output.output = parse("other");
    };
    check(other, Some(ReasonCode::NotFound));
    let other: fn(&mut TableAsset) = |table| table.name = parse("airline.delays");
    check(other, Some(ReasonCode::NotPermitted));
    let other: fn(&mut TableAsset) =
        |table| table.view = Some(glovebox_contract::digest::Blake3Digest::of(b"a view"));
    check(other, Some(ReasonCode::Malformed));
}

#[test]
fn a_run_reads_the_newest_output() {
    let mut room = derived();
    let held = |room: &Room, at: u64| {
        let held = room.state.derived_table(&parse("weather.delays"), at);
        held.map(|table| table.map(|table| (table.run, table.file.digest)))
    };
    let unreadable = |held: Result<_, Refusal>| reason(held) == Some(ReasonCode::InputUnreadable);
    assert!(unreadable(held(&room, NOW)));
    let first = write(&mut room, b"first");
    assert_eq!(held(&room, NOW), Ok(Some((first, ContentDigest::of(b"first")))));
    let second = write(&mut room, b"second");
    assert_eq!(held(&room, NOW), Ok(Some((second, ContentDigest::of(b"second")))));
    // It is read as long as its owner may read it.
    room.says("weather", Body::Delete(Delete::Outputs { run: second }));
    assert_eq!(held(&room, NOW), Ok(Some((first, ContentDigest::of(b"first")))));
    assert!(unreadable(held(&room, NOW + 31 * DAY)));
    assert_eq!(room.state.derived_table(&parse("airline.flights"), NOW).unwrap(), None);
    assert_eq!(reason(held(&room, NOW)), None);
}

#[test]
fn the_host_cannot_choose_what_is_read() {
    let check = |file: &[u8], expect: Option<ReasonCode>| {
        let mut room = derived();
        write(&mut room, b"old");
        write(&mut room, b"new");
        let run = request_report(&mut room);
        let start = start(&room, &run, file);
        let started = room.tries("host", Body::RunStart(start));
        assert_eq!(reason(started), expect, "{}", String::from_utf8_lossy(file));
    };
    check(b"new", None);
    check(b"old", Some(ReasonCode::InputChanged));
    check(b"made up", Some(ReasonCode::InputChanged));
}

#[test]
fn how_the_file_was_pinned_is_part_of_what_is_checked() {
    let check = |change: fn(&mut Snapshot)| {
        let mut room = derived();
        write(&mut room, b"new");
        let run = request_report(&mut room);
        let mut start = start(&room, &run, b"new");
        start.inputs.values_mut().for_each(change);
        let started = room.tries("host", Body::RunStart(start));
        assert_eq!(reason(started), Some(ReasonCode::InputChanged));
    };
    check(|snapshot| snapshot.pin = Pin::Version);
    check(|snapshot| snapshot.tables = vec![1]);
    check(|snapshot| snapshot.files.clear());
    check(|snapshot| snapshot.files.push(snapshot.files[0]));
    check(|snapshot| snapshot.files[0].bytes += 1);
}

#[test]
fn what_came_after_the_request_may_be_read_and_nothing_older_than_before_it() {
    let check = |file: &[u8], expect: Option<ReasonCode>| {
        let mut room = derived();
        write(&mut room, b"old");
        write(&mut room, b"before");
        // Asked for before, ends after.
        let late = room.request();
        let late = RunId::of_request(&room.says("weather", late).digest);
        let begun = room.start(&late);
        room.says("host", Body::RunStart(begun));
        let run = request_report(&mut room);
        end(&mut room, &late, b"late");
        write(&mut room, b"after");
        let start = start(&room, &run, file);
        assert_eq!(reason(room.tries("host", Body::RunStart(start))), expect);
    };
    for allowed in [&b"before"[..], b"late", b"after"] {
        check(allowed, None);
    }
    check(b"old", Some(ReasonCode::InputChanged));
}

#[test]
fn where_a_table_comes_from_is_part_of_what_is_approved() {
    let mut room = derived();
    let revision = |room: &Room| {
        let report = room.state.notebook(&parse("report")).unwrap();
        report.latest().unwrap().revision().unwrap().clone()
    };
    let before = revision(&room);
    assert_eq!(before.revision().inputs[0].output, delays("weather", &COLUMNS).output);
    // The same columns, from the owner's own files.
    room.says("weather", add_table(table("weather.delays", &COLUMNS)));
    let after = revision(&room);
    assert_eq!(after.revision().inputs[0].output, None);
    assert_ne!(before.digest(), after.digest());
    let request = RunRequest {
        notebook: parse("report"),
        parameters: BTreeMap::new(),
        revision: *after.digest(),
    };
    let asked = room.tries("weather", Body::RunRequest(request));
    assert_eq!(reason(asked), Some(ReasonCode::NotApproved));
}

#[test]
fn an_output_that_lacks_a_column_is_not_read() {
    let mut room = derived();
    write(&mut room, b"narrow");
    let mut next = notebook("2.0.0");
    let declared = next.manifest.outputs.get_mut(&parse("delay_by_wind")).unwrap();
    let other: Column = table("x.y", &[("gust", "float64")]).columns.remove(0);
    declared.columns[1] = other;
    room.says("partner", add_notebook(next));
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    let held = |room: &Room| reason(room.state.derived_table(&parse("weather.delays"), NOW));
    assert_eq!(held(&room), None);
    write(&mut room, b"wide");
    assert_eq!(held(&room), Some(ReasonCode::SchemaMismatch));
}
