//! What statements are as events.

use std::collections::BTreeMap;

use arrow::array::AsArray as _;
use arrow::datatypes::TimestampMicrosecondType;
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::library::LibraryRequirement;
use glovebox_contract::manifest::{ComponentKind, Manifest};
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{
    AssetStatement, AutoApproval, Body, Conditions, Decision, Delete, Deprecate, LibraryAsset,
    Pause, Refused, Resume, Rotate, Rule,
};
use serde_json::json;

use super::{events, last, runs, shared};
use crate::Journal;
use crate::support::{self as world, Room, parse};

fn types(room: &Room) -> Vec<String> {
    events(room).iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_room_from_its_creation_to_a_read() {
    let room = shared();
    assert_eq!(
        types(&room),
        [
            "CLEAN_ROOM_CREATED",
            "CLEAN_ROOM_ACCEPTED",
            "CLEAN_ROOM_ACCEPTED",
            "CLEAN_ROOM_ASSETS_UPDATED",
            "CLEAN_ROOM_ASSETS_UPDATED",
            "CLEAN_ROOM_ASSETS_UPDATED",
            "ASSET_REVIEW_CREATED",
            "ASSET_REVIEW_CREATED",
            "RUN_NOTEBOOK_REQUESTED",
            "RUN_NOTEBOOK_STARTED",
            "RUN_NOTEBOOK_COMPLETED",
            "OUTPUT_READ",
            "SHARE_RECIPIENT_UPDATED",
            "SHARE_GRANTED",
            "SHARED_TABLE_READ",
        ]
    );
    let events = events(&room);
    for (position, (event, envelope)) in events.iter().zip(&room.entries).enumerate() {
        assert_eq!(event["position"], position);
        assert_eq!(event["statement_digest"], envelope.digest().to_string());
        assert_eq!(event["event_id"], envelope.digest().to_string());
    }
    let created = &events[0];
    let id = format!("glovebox:eu-central:{}", world::key("airline").public());
    assert_eq!(created["initiator_global_metastore_id"], id);
    assert_eq!(created["initiator_collaborator_alias"], "airline");
    assert_eq!(created["event_time"], "2026-01-01T00:00:00Z");
    let parties = created["clean_room_created_metadata"]["collaborators"].as_array().unwrap();
    assert_eq!(parties.len(), 3);
    assert_eq!(parties[0]["collaborator_global_metastore_id"], id);
    assert_eq!(
        events[5]["clean_room_assets_updated_metadata"]["added_assets"][0]["version"],
        "1.0.0"
    );
    let review = &events[6]["asset_review_created_metadata"];
    assert_eq!(review["review_state"], "APPROVED");
    assert_eq!(review["asset_name"], "delay-by-wind");
    let read = &events[14]["output_read_metadata"];
    assert_eq!(
        *read,
        json!({
            "output": "audit:events", "owner": "weather", "recipient": "acme", "share": "audit",
            "version": 11
        })
    );
}

#[test]
fn a_run_says_who_asked_for_what_with_which_parameters() {
    let (room, run) = Room::finished();
    let events = events(&room);
    let [.., requested, started, ended] = events.as_slice() else { panic!() };
    for event in [requested, started, ended] {
        assert_eq!(event["run_id"], run.to_string());
        assert_eq!(event["requested_by"], "weather");
        assert_eq!(event["notebook_name"], "delay-by-wind");
        assert_eq!(event["parameters_digest"], requested["parameters_digest"]);
    }
    assert!(requested["parameters_digest"].as_str().unwrap().starts_with("blake3:"));
    assert_eq!(requested["acting_principal"], world::key("weather").public().to_string());
    assert_eq!(ended["acting_principal"], world::key("host").public().to_string());
    let metadata = &ended["run_notebook_completed_metadata"];
    assert_eq!(metadata["state"], "SUCCESS");
    assert_eq!(metadata["duration_in_seconds"], 1);
    assert_eq!(metadata["output_schema"], format!("run_{run}"));
    let started = &started["run_notebook_started_metadata"];
    let component = ContentDigest::of(&world::component("1.0.0"));
    assert_eq!(started["notebook_checksum"], component.blake3.to_string());
    assert_eq!(started["notebook_etag"], room.revision().to_string());
    // The value of the parameter is in the log, not in the events.
    assert!(!events.iter().any(|event| event.to_string().contains("min_group")));
}

#[test]
fn a_deprecation_names_its_notebook() {
    let mut room = Room::approved();
    let deprecate = Deprecate {
        note: "use the next one".into(),
        notebook: world::name(),
        revision: room.revision(),
        until: None,
    };
    room.says("partner", Body::Deprecate(deprecate));
    let event = last(&room);
    assert_eq!(event["event_type"], "NOTEBOOK_DEPRECATED");
    assert_eq!(event["notebook_name"], "delay-by-wind");
    assert_eq!(event["initiator_collaborator_alias"], "partner");
}

#[test]
fn what_was_turned_down_without_a_run_is_an_event() {
    let mut room = Room::accepted();
    room.says(
        "host",
        Body::Refused(Refused {
            party: Some(parse("partner")),
            reason: ReasonCode::NotApproved,
            run: None,
            statement: None,
            what: "run-request".into(),
        }),
    );
    let event = last(&room);
    assert_eq!(event["event_type"], "REQUEST_REFUSED");
    assert_eq!(event["initiator_collaborator_alias"], "host");
    assert_eq!(event["requested_by"], "partner");
    assert_eq!(event["reason"], "not-approved");
    assert_eq!(event["refused_request"], "run-request");
    assert_eq!(event["summary"], "refuses run-request: not-approved");
    assert_eq!(event.get("run_id"), None);
}

fn trusted(author: Option<&str>) -> AutoApproval {
    AutoApproval {
        author: author.map(parse),
        conditions: Conditions::default(),
        id: parse("trusted"),
        runner: parse("weather"),
    }
}

#[test]
fn a_rule_is_seen_from_its_making_to_its_end() {
    let mut room = Room::accepted();
    room.says("airline", world::add_table(world::flights()));
    room.says("weather", world::add_table(world::hourly()));
    room.says("airline", Body::Rule(Rule::Add(trusted(None))));
    assert_eq!(last(&room)["event_type"], "AUTO_APPROVAL_RULE_CREATED");
    assert_eq!(last(&room)["rule_metadata"]["runner"], "weather");
    assert_eq!(last(&room)["rule_metadata"].get("conditions"), None);
    room.says("airline", Body::Rule(Rule::Add(trusted(Some("partner")))));
    assert_eq!(last(&room)["event_type"], "AUTO_APPROVAL_RULE_REPLACED");
    assert_eq!(last(&room)["rule_metadata"]["author"], "partner");

    let added = room.says("partner", world::add_notebook(world::notebook("1.0.0")));
    let approval = last(&room);
    assert_eq!(approval["event_type"], "ASSET_REVIEW_CREATED");
    assert_eq!(approval["initiator_collaborator_alias"], "airline");
    assert_eq!(approval["event_id"], format!("{}/1", added.digest));
    assert_eq!(approval.get("acting_principal"), None, "nobody signed this");
    let review = &approval["asset_review_created_metadata"];
    assert_eq!(review["review_sub_reason"], "AUTO_APPROVED");
    assert_eq!(review["auto_approval_rule_id"], "trusted");

    room.review("weather", Decision::Approve);
    let request = room.request();
    let run = RunId::of_request(&room.says("weather", request).digest);
    let start = room.start(&run);
    room.says("host", Body::RunStart(start));
    let used = last(&room);
    assert_eq!(used["event_type"], "AUTO_APPROVAL_RULE_USED");
    assert_eq!(
        used["rule_metadata"],
        json!({ "owner": "airline", "rule_id": "trusted", "action": "USED" })
    );
    assert_eq!(
        runs(&room)[0]["auto_approvals"],
        json!([{ "owner": "airline", "rule_id": "trusted" }])
    );

    room.says("airline", Body::Rule(Rule::Remove { id: parse("trusted") }));
    assert_eq!(last(&room)["rule_metadata"]["action"], "DELETED");
}

#[test]
fn assets_come_change_and_go() {
    let (mut room, run) = Room::finished();
    let changed = |room: &Room| last(room)["clean_room_assets_updated_metadata"].clone();
    room.says("airline", world::add_table(world::flights()));
    assert_eq!(changed(&room)["updated_assets"][0]["name"], "airline.flights");
    room.says("airline", Body::Delete(Delete::Table { table: parse("airline.flights") }));
    assert_eq!(
        changed(&room),
        json!({ "removed_assets": [{ "name": "airline.flights", "data_object_type": "TABLE" }] })
    );
    room.says("weather", Body::Delete(Delete::Outputs { run }));
    let deleted = &last(&room)["output_schema_deleted_metadata"];
    assert_eq!(deleted["action"], "DELETED");
    assert_eq!(deleted["name"], format!("run_{run}"));
    assert_eq!(runs(&room)[0]["outputs_deleted"], true);
    // The run keeps what it was, though its table is gone.
    room.says("partner", Body::Delete(Delete::Notebook { notebook: world::name() }));
    assert_eq!(runs(&room)[0]["data_owners"], json!(["airline", "weather"]));
    assert_eq!(runs(&room)[0]["notebook_version"], "1.0.0");
}

#[test]
fn who_acts_is_the_key_that_signed() {
    let mut room = Room::accepted();
    let new = world::key("another");
    let party = parse("weather");
    let rotate = Rotate::to(&new, room.state.id(), &party);
    room.says("weather", Body::Rotate(rotate));
    assert_eq!(last(&room)["acting_principal"], world::key("weather").public().to_string());
    assert_eq!(last(&room)["event_type"], "COLLABORATOR_KEY_CHANGED");
    let pause = Body::Pause(Pause { comment: String::new(), notebook: None });
    let said = Envelope::sign(&room.statement("weather", pause), &new).unwrap();
    room.try_apply(said).unwrap();
    assert_eq!(last(&room)["event_type"], "CLEAN_ROOM_PAUSED");
    assert_eq!(last(&room)["acting_principal"], new.public().to_string());
    room.says("airline", Body::Resume(Resume { notebook: None }));
    assert_eq!(last(&room)["event_type"], "CLEAN_ROOM_RESUME_AGREED");
}

#[test]
fn a_time_that_no_calendar_has_is_the_last_one() {
    let mut room = Room::create(world::document(&["airline", "weather"])).unwrap();
    room.now = 1 << 52;
    room.says("weather", Body::Accept);
    let table = Journal::of(&room.entries).unwrap().events().unwrap();
    let batch = &table.batches[0];
    let times = batch.column_by_name("event_time").unwrap();
    let times = times.as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.value(1), 253_402_300_799_000_000);
    assert_eq!(last(&room)["event_time"], "9999-12-31T23:59:59Z");
}

const SCORE: &str = "acme:scoring/score@1.0.0";

#[test]
fn the_libraries_of_a_run_are_named_by_their_digests() {
    let mut room = Room::accepted();
    room.says("airline", world::add_table(world::flights()));
    room.says("weather", world::add_table(world::hourly()));
    let component = ContentDigest::of(b"scoring");
    let library = LibraryAsset {
        component,
        component_bytes: 7,
        exports: [SCORE.into()].into(),
        hidden: true,
        interfaces: ["glovebox:guest/data@0.1.0".into()].into(),
        manifest: Manifest {
            inputs: BTreeMap::new(),
            kind: ComponentKind::Library,
            name: parse("scoring"),
            outputs: BTreeMap::new(),
            parameters: BTreeMap::new(),
            ..world::manifest()
        },
    };
    room.says("airline", Body::Asset(AssetStatement::Library(Box::new(library))));
    let added = &last(&room)["clean_room_assets_updated_metadata"]["added_assets"][0];
    assert_eq!(added["data_object_type"], "LIBRARY");
    assert_eq!(added["digest"], component.blake3.to_string());
    let mut notebook = world::notebook("1.0.0");
    notebook.interfaces.insert(SCORE.into());
    let requirement = LibraryRequirement { digest: None, interfaces: [SCORE.into()].into() };
    notebook.manifest.libraries.insert(parse("scoring"), requirement);
    room.says("partner", world::add_notebook(notebook));
    let expected = json!([
        { "name": "scoring", "owner": "airline", "digest": component.blake3.to_string() }
    ]);
    assert_eq!(last(&room)["library_digests"], expected);
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    let request = room.request();
    room.says("weather", request);
    assert_eq!(last(&room)["library_digests"], expected);
    // What the run was asked for with stays, whatever becomes of the library.
    room.says("airline", Body::Delete(Delete::Library { library: parse("scoring") }));
    assert_eq!(runs(&room)[0]["library_digests"], expected);
}
