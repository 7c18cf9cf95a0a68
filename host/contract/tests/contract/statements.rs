//! What statements look like, and what the room makes of them.

use std::fmt::Write as _;

use glovebox_contract::canonical;
use glovebox_contract::state::{RoomState, RunStatus};
use glovebox_contract::statement::{Body, Decision, Kind, Pause, Statement};

use crate::support::{NOW, Room, name, parse, table};

fn pretty(statement: &Statement) -> String {
    let bytes = canonical::encode(statement).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

/// What a command line would show of a room.
fn show(state: &RoomState, now: u64) -> String {
    let mut text = format!("{} {}\n", state.document().name, state.statements());
    for member in state.members() {
        let accepted = if member.has_accepted() { "accepted" } else { "invited" };
        writeln!(text, "{} {accepted} next {}", member.alias(), member.next_sequence()).unwrap();
    }
    for table in state.tables() {
        writeln!(text, "{} {} columns", table.name, table.columns.len()).unwrap();
    }
    for notebook in state.notebooks() {
        let statuses = state.statuses(notebook.name(), now).unwrap();
        for (version, status) in notebook.versions().iter().zip(statuses) {
            let version = &version.asset().manifest.version;
            writeln!(text, "{} {version} by {} {status:?}", notebook.name(), notebook.author()).unwrap();
        }
    }
    for run in state.runs() {
        let status = match run.status() {
            RunStatus::Ended { receipt, .. } => receipt.outcome.to_string(),
            other => format!("{other:?}"),
        };
        writeln!(text, "run {} of {} by {} {status}", run.id(), run.notebook(), run.runner()).unwrap();
    }
    text
}

#[test]
fn a_room_as_it_is_shown() {
    let (mut room, _) = Room::finished();
    room.says("partner", crate::support::add_notebook(crate::support::notebook("2.0.0")));
    room.review("airline", Decision::Reject);
    insta::assert_snapshot!(show(&room.state, room.now), @"");
}

#[test]
fn a_receipt_as_it_is_signed() {
    let (room, run) = Room::started();
    let receipt = room.receipt(&run);
    let statement = room.statement("host", Body::RunReceipt(Box::new(receipt)));
    insta::assert_snapshot!(pretty(&statement), @"");
}

#[test]
fn an_accept_as_it_is_signed() {
    let mut statement = Room::accepted().statement("weather", Body::Accept);
    statement.sequence = 1;
    insta::assert_snapshot!(pretty(&statement), @"");
}

#[test]
fn refusals_say_what_was_wrong_and_what_would_be_right() {
    let mut text = String::new();
    let mut note = |room: &Room, party: &str, body: Body| {
        let refusal = room.clone().tries(party, body).unwrap_err();
        writeln!(text, "{refusal}").unwrap();
    };
    let room = Room::with_notebook();
    note(&room, "weather", room.request());
    note(&room, "partner", room.review_body(Decision::Approve));
    note(&room, "airline", room.review_body(Decision::Revoke));
    note(&room, "weather", crate::support::add_table(table("airline.x", &[("a", "utf8")])));
    note(&room, "weather", Body::Accept);
    let mut room = Room::approved();
    note(&room, "airline", room.request());
    room.says("airline", Body::Pause(Pause { comment: String::new(), notebook: Some(name()) }));
    note(&room, "weather", room.request());
    let mut room = Room::approved();
    room.review("airline", Decision::Reject);
    note(&room, "weather", room.request());
    insta::assert_snapshot!(text, @"");
}

#[test]
fn every_kind_has_its_own_words() {
    let words: Vec<String> =
        Kind::ALL.iter().map(|kind| format!("{kind}: {}, {}", kind.label(), kind.predicate_type())).collect();
    insta::assert_snapshot!(words.join("\n"), @"");
}

#[test]
fn the_log_reads_as_sentences() {
    let (room, _) = Room::finished();
    let lines: Vec<String> = room
        .entries
        .iter()
        .map(|envelope| envelope.unverified().unwrap())
        .map(|statement| format!("{} {}", statement.party, statement.body.summary()))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"");
}

#[test]
fn a_party_can_ask_before_it_signs() {
    let room = Room::with_notebook();
    assert_eq!(room.state.check(&room.statement("airline", room.review_body(Decision::Approve))), Ok(()));
    assert!(room.state.check(&room.statement("weather", room.request())).is_err());
    assert!(room.state.next_statement(&parse("mallory"), Body::Accept, NOW).is_err());
}
