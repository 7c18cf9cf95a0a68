//! Runs: the host can only do what the parties asked for and approved.

use std::collections::BTreeMap;

use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::name::RunId;
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::{Outcome, Receipt, Usage};
use glovebox_contract::state::RunStatus;
use glovebox_contract::statement::{
    Body, Decision, Delete, OutputRead, OutputReaders, Pause, Refused, RunRequest, RunStart,
};

use crate::support::{
    NOW, Room, add_notebook, document, name, notebook, output_file, parse, reason,
};

#[test]
fn a_run_is_asked_for_by_a_runner_of_an_approved_revision() {
    let check = |party: &str, change: fn(&mut RunRequest), expected: Option<ReasonCode>| {
        let mut room = Room::approved();
        let Body::RunRequest(mut request) = room.request() else { panic!() };
        change(&mut request);
        assert_eq!(reason(room.tries(party, Body::RunRequest(request))), expected);
    };
    check("weather", |_| {}, None);
    check("weather", |r| r.parameters.clear(), None);
    check("airline", |_| {}, Some(ReasonCode::NotARunner));
    check("host", |_| {}, Some(ReasonCode::NotPermitted));
    check("weather", |r| r.notebook = parse("other"), Some(ReasonCode::NotFound));
    check("weather", |r| r.revision = Blake3Digest::of(b"other"), Some(ReasonCode::NotFound));
    check(
        "weather",
        |r| r.parameters = BTreeMap::from([(parse("min_group"), ParameterValue::Int64(1))]),
        Some(ReasonCode::ParameterInvalid),
    );
    check(
        "weather",
        |r| r.parameters = BTreeMap::from([(parse("other"), ParameterValue::Int64(1))]),
        Some(ReasonCode::ParameterInvalid),
    );
    // Values that have no text to sign.
    for unreadable in [f64::NAN, f64::INFINITY, -0.0] {
        let mut room = Room::approved();
        let Body::RunRequest(mut request) = room.request() else { panic!() };
        request.parameters = [(parse("min_group"), ParameterValue::Float64(unreadable))].into();
        assert!(room.tries("weather", Body::RunRequest(request)).is_err(), "{unreadable}");
    }
}

#[test]
fn only_the_host_starts_ends_and_refuses() {
    let (mut room, run) = Room::requested();
    let start = room.start(&run);
    assert_eq!(
        reason(room.tries("weather", Body::RunStart(start.clone()))),
        Some(ReasonCode::NotPermitted)
    );
    room.says("host", Body::RunStart(start));
    let receipt = Box::new(room.receipt(&run));
    assert_eq!(
        reason(room.tries("weather", Body::RunReceipt(receipt))),
        Some(ReasonCode::NotPermitted)
    );
    let refused = Refused {
        party: None,
        reason: ReasonCode::Internal,
        run: None,
        statement: None,
        what: "x".into(),
    };
    assert_eq!(
        reason(room.tries("weather", Body::Refused(refused))),
        Some(ReasonCode::NotPermitted)
    );
    assert_eq!(reason(room.tries("host", Body::Accept)), Some(ReasonCode::NotPermitted));
    let read = Body::OutputRead(OutputRead { output: parse("delay_by_wind"), run });
    assert_eq!(reason(room.tries("host", read)), Some(ReasonCode::NotPermitted));
}

#[test]
fn a_start_that_does_not_match_the_request_is_refused() {
    let check = |change: fn(&mut RunStart), expected: Option<ReasonCode>| {
        let (mut room, run) = Room::requested();
        let mut start = room.start(&run);
        change(&mut start);
        assert_eq!(reason(room.tries("host", Body::RunStart(start))), expected);
    };
    check(|_| {}, None);
    check(|s| s.run = RunId::of_request(&Blake3Digest::of(b"x")), Some(ReasonCode::NotFound));
    check(|s| s.request = Blake3Digest::of(b"x"), Some(ReasonCode::Malformed));
    check(|s| s.grants_digest = Blake3Digest::of(b"x"), Some(ReasonCode::Malformed));
    check(|s| s.inputs.clear(), Some(ReasonCode::Malformed));
    check(
        |s| {
            let snapshot = s.inputs.values().next().unwrap().clone();
            s.inputs.insert(parse("airline.secrets"), snapshot);
        },
        Some(ReasonCode::Malformed),
    );
}

#[test]
fn a_host_cannot_start_what_lost_its_approval() {
    let check = |party: &str, change: fn(&Room) -> Body, expected: ReasonCode| {
        let (mut room, run) = Room::requested();
        let start = room.start(&run);
        let body = change(&room);
        room.says(party, body);
        assert_eq!(reason(room.state.grants_for(&run, room.now)), Some(expected));
        assert_eq!(reason(room.tries("host", Body::RunStart(start))), Some(expected));
    };
    check("weather", |room| room.review_body(Decision::Revoke), ReasonCode::Rejected);
    check("partner", |room| room.review_body(Decision::Revoke), ReasonCode::Rejected);
    check(
        "airline",
        |_| Body::Pause(Pause { comment: String::new(), notebook: None }),
        ReasonCode::Paused,
    );
    check(
        "airline",
        |_| Body::Delete(Delete::Table { table: parse("airline.flights") }),
        ReasonCode::NotFound,
    );
    check("partner", |_| Body::Delete(Delete::Notebook { notebook: name() }), ReasonCode::NotFound);
}

#[test]
fn a_host_cannot_start_after_the_cutover_with_other_limits_or_at_another_time() {
    let (mut room, run) = Room::requested();
    let mut next = notebook("2.0.0");
    next.cutover = Some(room.now + 100);
    room.says("partner", add_notebook(next));
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    let start = room.start(&run);
    let mut late = room.clone();
    late.now += 100;
    assert_eq!(
        reason(late.tries("host", Body::RunStart(start.clone()))),
        Some(ReasonCode::Superseded)
    );
    // The logical time is under the digest of the grants.
    let mut later = room.clone();
    later.now += 1;
    assert_eq!(
        reason(later.tries("host", Body::RunStart(start.clone()))),
        Some(ReasonCode::Malformed)
    );
    // So are the limits.
    let grants = room.state.grants_for(&run, room.now).unwrap();
    let json = serde_json::to_string(&grants).unwrap();
    let lowered = json.replace(r#""wall_seconds":300"#, r#""wall_seconds":9000"#);
    assert_ne!(json, lowered);
    let lowered: glovebox_contract::grants::Grants = serde_json::from_str(&lowered).unwrap();
    let lied = RunStart { grants_digest: lowered.digest().unwrap(), ..start.clone() };
    assert_eq!(
        reason(room.clone().tries("host", Body::RunStart(lied))),
        Some(ReasonCode::Malformed)
    );
    assert_eq!(reason(room.tries("host", Body::RunStart(start))), None);
}

#[test]
fn a_run_starts_once_and_ends_once() {
    let (mut room, run) = Room::requested();
    let start = room.start(&run);
    room.says("host", Body::RunStart(start.clone()));
    assert_eq!(
        reason(room.tries("host", Body::RunStart(start.clone()))),
        Some(ReasonCode::AlreadyExists)
    );
    let receipt = Body::RunReceipt(Box::new(room.receipt(&run)));
    assert!(room.state.run(&run).unwrap().grants().is_some());
    room.says("host", receipt.clone());
    assert!(room.state.run(&run).unwrap().grants().is_none());
    assert_eq!(reason(room.tries("host", receipt)), Some(ReasonCode::AlreadyExists));
    assert_eq!(reason(room.tries("host", Body::RunStart(start))), Some(ReasonCode::AlreadyExists));
}

#[test]
fn a_receipt_needs_a_start() {
    let (mut room, run) = Room::started();
    let receipt = room.receipt(&run);
    let (mut unstarted, same_run) = Room::requested();
    assert_eq!(run, same_run);
    let refused = unstarted.tries("host", Body::RunReceipt(Box::new(receipt.clone())));
    assert_eq!(reason(refused), Some(ReasonCode::AlreadyExists));
    assert_eq!(reason(room.tries("host", Body::RunReceipt(Box::new(receipt)))), None);
}

fn outputs(
    receipt: &mut Receipt,
) -> &mut BTreeMap<glovebox_contract::name::Identifier, glovebox_contract::receipt::OutputFile> {
    let Outcome::Succeeded { outputs } = &mut receipt.outcome else { panic!() };
    outputs
}

#[test]
fn a_receipt_that_does_not_match_its_run_is_refused() {
    let check = |change: fn(&mut Receipt), expected: Option<ReasonCode>| {
        let (mut room, run) = Room::started();
        let mut receipt = room.receipt(&run);
        change(&mut receipt);
        assert_eq!(reason(room.tries("host", Body::RunReceipt(Box::new(receipt)))), expected);
    };
    check(|_| {}, None);
    check(|r| r.outcome = Outcome::Failed { reason: ReasonCode::GuestTrap }, None);
    check(|r| r.run = RunId::of_request(&Blake3Digest::of(b"x")), Some(ReasonCode::NotFound));
    check(|r| r.start = Blake3Digest::of(b"x"), Some(ReasonCode::Malformed));
    check(|r| r.revision = Blake3Digest::of(b"x"), Some(ReasonCode::Malformed));
    check(|r| r.notebook = parse("other"), Some(ReasonCode::Malformed));
    check(|r| r.computation = Blake3Digest::of(b"x"), Some(ReasonCode::Malformed));
    check(|r| r.usage = Usage { wall_ms: 1100, ..r.usage }, Some(ReasonCode::Malformed));
    // The files that were read are those that the run-start pinned.
    check(
        |r| r.inputs.values_mut().next().unwrap().files[0].digest = ContentDigest::of(b"swapped"),
        Some(ReasonCode::InputChanged),
    );
    check(|r| r.inputs.clear(), Some(ReasonCode::InputChanged));
    // The outputs are those that the manifest declares.
    check(|r| outputs(r).clear(), Some(ReasonCode::OutputUnfinished));
    check(
        |r| outputs(r).extend([(parse("extra"), output_file())]),
        Some(ReasonCode::OutputNotDeclared),
    );
    check(
        |r| outputs(r).values_mut().for_each(|file| file.rows = 1001),
        Some(ReasonCode::OutputRows),
    );
    check(
        |r| outputs(r).values_mut().for_each(|file| file.bytes = (1 << 30) + 1),
        Some(ReasonCode::OutputBytes),
    );
}

#[test]
fn nothing_is_published_after_a_pause_or_a_rejection() {
    let check = |party: &str, change: fn(&Room) -> Body, expected: ReasonCode| {
        let (mut room, run) = Room::started();
        let body = change(&room);
        room.says(party, body);
        assert_eq!(reason(room.state.publishable(&run)), Some(expected));
        let mut receipt = room.receipt(&run);
        let success = Body::RunReceipt(Box::new(receipt.clone()));
        assert_eq!(reason(room.tries("host", success)), Some(expected));
        receipt.outcome = Outcome::Failed { reason: expected };
        room.says("host", Body::RunReceipt(Box::new(receipt)));
    };
    check(
        "airline",
        |_| Body::Pause(Pause { comment: String::new(), notebook: None }),
        ReasonCode::Paused,
    );
    check(
        "partner",
        |_| Body::Pause(Pause { comment: String::new(), notebook: Some(name()) }),
        ReasonCode::Paused,
    );
    check("airline", |room| room.review_body(Decision::Reject), ReasonCode::Rejected);
    check("partner", |_| Body::Delete(Delete::Notebook { notebook: name() }), ReasonCode::NotFound);
    check(
        "weather",
        |_| Body::Delete(Delete::Table { table: parse("weather.hourly") }),
        ReasonCode::NotFound,
    );
}

#[test]
fn a_refusal_ends_a_run_only_when_it_names_it() {
    let refused = |run: Option<RunId>, statement: Option<Blake3Digest>| {
        Body::Refused(Refused {
            party: Some(parse("weather")),
            reason: ReasonCode::Replayed,
            run,
            statement,
            what: "run-request".into(),
        })
    };
    let (mut room, run) = Room::requested();
    // Someone replays the request: that refusal must not hurt the run that waits.
    let request = *room.state.run(&run).unwrap().request();
    room.says("host", refused(None, Some(request)));
    assert_eq!(room.state.run(&run).unwrap().status(), &RunStatus::Requested);
    room.says("host", refused(Some(run), None));
    assert_eq!(
        room.state.run(&run).unwrap().status(),
        &RunStatus::Refused { reason: ReasonCode::Replayed }
    );
    assert_eq!(
        reason(room.tries("host", refused(Some(run), None))),
        Some(ReasonCode::NotPermitted)
    );
    assert_eq!(reason(room.state.grants_for(&run, room.now)), None);

    let (mut room, run) = Room::started();
    assert_eq!(
        reason(room.tries("host", refused(Some(run), None))),
        Some(ReasonCode::NotPermitted)
    );
    let (mut room, run) = Room::finished();
    assert_eq!(
        reason(room.tries("host", refused(Some(run), None))),
        Some(ReasonCode::NotPermitted)
    );
}

#[test]
fn outputs_are_for_the_runner_or_for_all_and_for_a_time() {
    let (room, run) = Room::finished();
    let ended = room.state.run(&run).unwrap().receipt().unwrap().finished_at;
    let may = |room: &Room, party: &str, now: u64| {
        reason(room.state.may_read_output(&run, &parse(party), now))
    };
    assert_eq!(may(&room, "weather", ended), None);
    assert_eq!(may(&room, "airline", ended), Some(ReasonCode::NotPermitted));
    assert_eq!(may(&room, "partner", ended), Some(ReasonCode::NotPermitted));
    assert_eq!(may(&room, "host", ended), Some(ReasonCode::NotFound));
    assert_eq!(may(&room, "mallory", ended), Some(ReasonCode::NotFound));
    let month = 30 * 86_400;
    assert_eq!(may(&room, "weather", ended + month - 1), None);
    assert_eq!(may(&room, "weather", ended + month), Some(ReasonCode::NotFound));

    let (started, run) = Room::started();
    assert_eq!(
        reason(started.state.may_read_output(&run, &parse("weather"), NOW)),
        Some(ReasonCode::NotFound)
    );
    let open = document(&["airline", "weather"]);
    assert_eq!(open.outputs.readers, OutputReaders::Runner);
}

#[test]
fn reads_and_deletions_of_outputs_are_logged_by_those_who_may() {
    let (mut room, run) = Room::finished();
    let read = |output: &str| Body::OutputRead(OutputRead { output: parse(output), run });
    assert_eq!(reason(room.tries("weather", read("delay_by_wind"))), None);
    assert_eq!(reason(room.tries("weather", read("other"))), Some(ReasonCode::NotFound));
    assert_eq!(
        reason(room.tries("airline", read("delay_by_wind"))),
        Some(ReasonCode::NotPermitted)
    );
    let delete = Body::Delete(Delete::Outputs { run });
    assert_eq!(reason(room.tries("airline", delete.clone())), Some(ReasonCode::NotPermitted));
    assert_eq!(reason(room.tries("host", delete.clone())), Some(ReasonCode::NotPermitted));
    let mut expired = room.clone();
    expired.now += 31 * 86_400;
    assert_eq!(reason(expired.tries("host", delete.clone())), None);
    assert_eq!(reason(room.tries("weather", delete.clone())), None);
    assert_eq!(reason(room.tries("weather", delete)), Some(ReasonCode::NotFound));
    assert_eq!(reason(room.tries("weather", read("delay_by_wind"))), Some(ReasonCode::NotFound));
}

#[test]
fn the_computation_is_the_same_for_every_run_of_the_same_thing() {
    let (mut room, first) = Room::finished();
    let request = room.request();
    let second = RunId::of_request(&room.says("weather", request).digest);
    assert_ne!(first, second);
    let start = room.start(&second);
    room.says("host", Body::RunStart(start));
    let receipt = room.receipt(&second);
    let earlier = room.state.run(&first).unwrap().receipt().unwrap();
    assert_eq!(receipt.computation, earlier.computation);
}

#[test]
fn usage_is_rounded_up_to_powers_of_two() {
    let check = |exact: u64, expected: u64| {
        let usage = Usage::rounded(exact, exact, exact);
        assert_eq!(usage, Usage { cpu_ms: expected, memory_bytes: expected, wall_ms: expected });
    };
    check(0, 0);
    check(1, 1);
    check(3, 4);
    check(1024, 1024);
    check(1025, 2048);
    check(u64::MAX, 1 << 52);
}
