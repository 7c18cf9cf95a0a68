//! A runner takes its request back.

use glovebox_contract::bundle::{Expectations, RunResult, Verdict, verify};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::state::RunStatus;
use glovebox_contract::statement::{Body, Cancel, Refused};

use crate::support::{Room, key, reason};

fn cancel(run: &RunId) -> Body {
    Body::Cancel(Cancel { run: *run })
}

#[test]
fn only_the_runner_cancels_and_once_and_before_the_end() {
    let check = |(mut room, run): (Room, RunId), party: &str, expected: Option<ReasonCode>| {
        let before = format!("{:?}", room.state);
        assert_eq!(reason(room.tries(party, cancel(&run))), expected, "{party}");
        assert_eq!(expected.is_some(), before == format!("{:?}", room.state), "all or nothing");
        assert_eq!(room.state.run(&run).unwrap().cancelled(), expected.is_none());
        if expected.is_none() {
            assert_eq!(reason(room.tries(party, cancel(&run))), Some(ReasonCode::AlreadyExists));
        }
    };
    check(Room::requested(), "weather", None);
    check(Room::started(), "weather", None);
    check(Room::finished(), "weather", Some(ReasonCode::AlreadyExists));
    for party in ["airline", "partner", "host"] {
        check(Room::requested(), party, Some(ReasonCode::NotPermitted));
        check(Room::started(), party, Some(ReasonCode::NotPermitted));
    }
    let (mut room, _) = Room::requested();
    let unknown = cancel(&RunId::of_request(&Blake3Digest::of(b"x")));
    assert_eq!(reason(room.tries("weather", unknown)), Some(ReasonCode::NotFound));
}

#[test]
fn a_run_that_was_cancelled_does_not_start() {
    let (mut room, run) = Room::requested();
    let start = room.start(&run);
    room.says("weather", cancel(&run));
    assert_eq!(room.state.run(&run).unwrap().cancelled_at(), Some(room.now - 1));
    assert!(!room.state.run(&run).unwrap().has_ended());
    assert_eq!(reason(room.state.grants_for(&run, room.now)), Some(ReasonCode::Cancelled));
    let started = room.tries("host", Body::RunStart(start));
    assert_eq!(reason(started), Some(ReasonCode::Cancelled));
    let refused = Body::Refused(Refused {
        party: Some("weather".parse().unwrap()),
        reason: ReasonCode::Cancelled,
        run: Some(run),
        statement: None,
        what: "run-request".into(),
    });
    room.says("host", refused);
    let ended = RunStatus::Refused { reason: ReasonCode::Cancelled };
    assert_eq!(room.state.run(&run).unwrap().status(), &ended);
    assert!(room.state.run(&run).unwrap().has_ended());
}

#[test]
fn what_a_cancelled_run_made_is_not_published() {
    let (mut room, run) = Room::started();
    room.says("weather", cancel(&run));
    assert_eq!(reason(room.state.publishable(&run)), Some(ReasonCode::Cancelled));
    let mut receipt = room.receipt(&run);
    let success = Body::RunReceipt(Box::new(receipt.clone()));
    assert_eq!(reason(room.tries("host", success)), Some(ReasonCode::Cancelled));
    receipt.outcome = Outcome::Failed { reason: ReasonCode::Cancelled };
    room.says("host", Body::RunReceipt(Box::new(receipt)));
    let party = "weather".parse().unwrap();
    let read = room.state.may_read_output(&run, &party, room.now);
    assert_eq!(reason(read), Some(ReasonCode::NotFound));
}

#[test]
fn a_replayed_or_forged_cancel_is_refused() {
    let (room, run) = Room::started();
    let statement = room.statement("weather", cancel(&run));
    let mut twice = room.clone();
    let envelope = Envelope::sign(&statement, &key("weather")).unwrap();
    assert_eq!(reason(twice.try_apply(envelope.clone())), None);
    assert_eq!(reason(twice.try_apply(envelope)), Some(ReasonCode::Replayed));
    let mut forged = room.clone();
    let envelope = Envelope::sign(&statement, &key("airline")).unwrap();
    assert_eq!(reason(forged.try_apply(envelope)), Some(ReasonCode::BadSignature));
}

#[test]
fn a_report_tells_cancelled_runs_from_waiting_ones() {
    let result = |room: &Room| {
        let report = verify(&room.bundle().to_bytes().unwrap(), &Expectations::default()).unwrap();
        assert_eq!(report.verdict(), Verdict::Verified);
        let counted = report.checks().iter().find(|check| check.what == "runs").unwrap();
        (report.runs()[0].result, counted.detail.ends_with(", 1 cancelled"))
    };
    let (mut room, run) = Room::requested();
    assert_eq!(result(&room), (RunResult::Waiting, false));
    room.says("weather", cancel(&run));
    assert_eq!(result(&room), (RunResult::Cancelled, true));
    // Started and without a receipt, nothing of it may be believed, cancelled or not.
    let (mut room, run) = Room::started();
    room.says("weather", cancel(&run));
    assert_eq!(result(&room), (RunResult::NoReceipt, false));
    let mut receipt = room.receipt(&run);
    receipt.outcome = Outcome::Failed { reason: ReasonCode::Cancelled };
    room.says("host", Body::RunReceipt(Box::new(receipt)));
    assert_eq!(result(&room), (RunResult::Failed(ReasonCode::Cancelled), false));
}
