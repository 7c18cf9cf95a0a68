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
            writeln!(text, "{} {version} by {} {status:?}", notebook.name(), notebook.author())
                .unwrap();
        }
    }
    for run in state.runs() {
        let status = match run.status() {
            RunStatus::Ended { receipt, .. } => receipt.outcome.to_string(),
            other => format!("{other:?}"),
        };
        writeln!(text, "run {} of {} by {} {status}", run.id(), run.notebook(), run.runner())
            .unwrap();
    }
    text
}

#[test]
fn a_room_as_it_is_shown() {
    let (mut room, _) = Room::finished();
    room.says("partner", crate::support::add_notebook(crate::support::notebook("2.0.0")));
    room.review("airline", Decision::Reject);
    insta::assert_snapshot!(show(&room.state, room.now), @r###"
    delays 13
    airline accepted next 5
    partner accepted next 4
    weather accepted next 5
    airline.flights 3 columns
    weather.hourly 2 columns
    delay-by-wind 1.0.0 by partner Approved
    delay-by-wind 2.0.0 by partner Rejected { by: {Alias("airline")} }
    run fb6bbf52119d54f211c4a36255a60fad of delay-by-wind by weather succeeded
    "###);
}

#[test]
fn a_receipt_as_it_is_signed() {
    let (room, run) = Room::started();
    let receipt = room.receipt(&run);
    let statement = room.statement("host", Body::RunReceipt(Box::new(receipt)));
    insta::assert_snapshot!(pretty(&statement), @r###"
    {
      "_type": "https://in-toto.io/Statement/v1",
      "predicate": {
        "body": {
          "computation": "blake3:36cfa52e95a880f43f86d9992703e7c35ce72f4658a4b887daecb460e3cf9782",
          "evidence": "asserted",
          "finished_at": 1767225609,
          "inputs": {
            "airline.flights": {
              "files": [
                {
                  "bytes": 15,
                  "digest": {
                    "blake3": "blake3:433ee4f39f8e6fd8246bf48ee0b32b790672bda5688b41b291093030e3d580d2",
                    "sha256": "sha256:1d91248d239d48170aacbf4118cbd0e335a108047d20b38798752cb380a6d6ad"
                  }
                }
              ]
            },
            "weather.hourly": {
              "files": [
                {
                  "bytes": 14,
                  "digest": {
                    "blake3": "blake3:e3ecb275bc34af9c6c95d64c4d4a30510252fa77f155104b1329cd27bfa88c70",
                    "sha256": "sha256:1150fc584dff2e9db321b48c4942665ee2821e07d3e5ca069c99f10e014e9615"
                  }
                }
              ]
            }
          },
          "notebook": "delay-by-wind",
          "outcome": {
            "outputs": {
              "delay_by_wind": {
                "bytes": 21,
                "content": "blake3:047f88e9dc91aec8d0181b288a3ce5e27386504a5585d05cfbb017397389ce87",
                "digest": {
                  "blake3": "blake3:2c638245070a91e640e78813d8edd6b82c02b633df1d8b73182b1b147493dca3",
                  "sha256": "sha256:fd2da56ef916d2e58e537547199f8942d3fe3f193fef2fe5a54f5c95f5d9f827"
                },
                "rows": 7
              }
            },
            "result": "succeeded"
          },
          "revision": "blake3:65edfa2202bb213227801f486b34099a53ce5eb77b1a424787548dfae40f1cf2",
          "run": "fb6bbf52119d54f211c4a36255a60fad",
          "start": "blake3:b8e87ae4b4caa55898ba0ec476661123fcdf18e359b2ba9b7158e852e6466a0f",
          "usage": {
            "cpu_ms": 1024,
            "memory_bytes": 67108864,
            "wall_ms": 2048
          }
        },
        "issued_at": 1767225609,
        "party": "host",
        "room": "blake3:fce8482230d447a7311135f2a42458875afe8420106f083af0d8ba8ad18f0adc",
        "sequence": 2
      },
      "predicateType": "urn:glovebox:run-receipt:v1",
      "subject": [
        {
          "digest": {
            "blake3": "2c638245070a91e640e78813d8edd6b82c02b633df1d8b73182b1b147493dca3",
            "sha256": "fd2da56ef916d2e58e537547199f8942d3fe3f193fef2fe5a54f5c95f5d9f827"
          },
          "name": "delay_by_wind"
        }
      ]
    }
    "###);
}

#[test]
fn an_accept_as_it_is_signed() {
    let mut statement = Room::accepted().statement("weather", Body::Accept);
    statement.sequence = 1;
    insta::assert_snapshot!(pretty(&statement), @r###"
    {
      "_type": "https://in-toto.io/Statement/v1",
      "predicate": {
        "body": {},
        "issued_at": 1767225602,
        "party": "weather",
        "room": "blake3:fce8482230d447a7311135f2a42458875afe8420106f083af0d8ba8ad18f0adc",
        "sequence": 1
      },
      "predicateType": "urn:glovebox:accept:v1",
      "subject": [
        {
          "digest": {
            "blake3": "58e9390c117901192e9cd44601dae4dc7455c94f16804374dc7a6704381e1541",
            "sha256": "7218ac46ca7fbab224c0f05aed8d559a8f0bcd5ad695499be4fef12f71e2f02a"
          },
          "name": "accept"
        }
      ]
    }
    "###);
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
    insta::assert_snapshot!(text, @r###"
    this revision of delay-by-wind is not approved yet by airline, weather (not-approved)
    partner added this notebook; an author's approval does not count (not-permitted)
    airline has not approved this revision; reject it instead (not-permitted)
    airline.x belongs to airline; weather names its own weather.NAME (not-permitted)
    weather has accepted the room already (already-exists)
    airline is not among the runners of delay-by-wind (not-a-runner)
    the notebook delay-by-wind is paused by airline; all collaborators must agree to resume (paused)
    this revision of delay-by-wind is rejected by airline (rejected)
    "###);
}

#[test]
fn every_kind_has_its_own_words() {
    let words: Vec<String> = Kind::ALL
        .iter()
        .map(|kind| format!("{kind}: {}, {}", kind.label(), kind.predicate_type()))
        .collect();
    insta::assert_snapshot!(words.join("\n"), @r###"
    room: creates the room, urn:glovebox:room:v1
    accept: accepts the room, urn:glovebox:accept:v1
    asset: adds an asset, urn:glovebox:asset:v1
    review: reviews a notebook, urn:glovebox:review:v1
    run-request: asks for a run, urn:glovebox:run-request:v1
    run-start: starts a run, urn:glovebox:run-start:v1
    run-receipt: ends a run, urn:glovebox:run-receipt:v1
    output-read: reads an output, urn:glovebox:output-read:v1
    pause: pauses, urn:glovebox:pause:v1
    resume: agrees to resume, urn:glovebox:resume:v1
    rotate: changes its key, urn:glovebox:rotate:v1
    delete: deletes, urn:glovebox:delete:v1
    refused: refuses, urn:glovebox:refused:v1
    cancel: cancels a run, urn:glovebox:cancel:v1
    rule: changes a rule, urn:glovebox:rule:v1
    share: changes what it shares, urn:glovebox:share:v1
    shared-read: lets a recipient read, urn:glovebox:shared-read:v1
    deprecate: deprecates a revision, urn:glovebox:deprecate:v1
    "###);
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
    insta::assert_snapshot!(lines.join("\n"), @r###"
    airline creates the room delays
    weather accepts the room
    partner accepts the room
    airline adds the table airline.flights
    weather adds the table weather.hourly
    partner adds the notebook delay-by-wind 1.0.0
    airline approves delay-by-wind blake3:65edfa2202bb213227801f486b34099a53ce5eb77b1a424787548dfae40f1cf2
    weather approves delay-by-wind blake3:65edfa2202bb213227801f486b34099a53ce5eb77b1a424787548dfae40f1cf2
    weather asks to run delay-by-wind
    host starts run fb6bbf52119d54f211c4a36255a60fad
    host ends run fb6bbf52119d54f211c4a36255a60fad: succeeded
    "###);
}

#[test]
fn a_party_can_ask_before_it_signs() {
    let room = Room::with_notebook();
    assert_eq!(
        room.state.check(&room.statement("airline", room.review_body(Decision::Approve))),
        Ok(())
    );
    assert!(room.state.check(&room.statement("weather", room.request())).is_err());
    assert!(room.state.next_statement(&parse("mallory"), Body::Accept, NOW).is_err());
}
