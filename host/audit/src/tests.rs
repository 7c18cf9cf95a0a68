//! Rooms are played statement by statement, and the tables are read as text.

use std::collections::BTreeSet;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow::json::LineDelimitedWriter;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::statement::{
    AuditTable, AutoApproval, Billing, Body, Cancel, Decision, Delete, Deprecate, Grant,
    OutputRead, Pause, Prices, Recipient, Refused, Resume, Rotate, Rule, Share, Shared, SharedRead,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::columns::{EVENTS, RUNS, STATEMENTS, columns, schema};
use crate::support::{self as world, NOW, Room, parse};
use crate::{AuditError, Journal, Table, statements, write_parquet};

/// How many rows and columns a Parquet file has.
fn parquet_rows(bytes: &[u8]) -> (usize, usize) {
    let path = std::env::temp_dir().join(format!("glovebox-audit-{}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let columns = builder.schema().fields().len();
    let rows = builder.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    (rows, columns)
}

/// The rows as JSON objects, without what is null.
fn rows(table: &Table) -> Vec<Value> {
    let mut text = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut text);
    for batch in &table.batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    let text = String::from_utf8(text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn events(room: &Room) -> Vec<Value> {
    rows(&Journal::of(&room.entries).unwrap().events().unwrap())
}

fn runs(room: &Room) -> Vec<Value> {
    rows(&Journal::of(&room.entries).unwrap().runs().unwrap())
}

/// The newest event.
fn last(room: &Room) -> Value {
    events(room).pop().unwrap()
}

fn types(room: &Room) -> Vec<String> {
    events(room).iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
}

/// A finished run whose outputs the runner shares and reads.
fn shared() -> Room {
    let (mut room, run) = Room::finished();
    room.says("weather", Body::OutputRead(OutputRead { output: parse("delay_by_wind"), run }));
    let recipient = Recipient {
        expires: NOW + 1_000_000,
        name: parse("acme"),
        previous_until: None,
        token: glovebox_contract::digest::Sha256Digest::of(b"token"),
    };
    room.says("weather", Body::Share(Share::Recipient(recipient)));
    room.says(
        "weather",
        Body::Share(Share::Grant(Grant {
            recipient: parse("acme"),
            share: parse("audit"),
            until: None,
            what: Shared::Events {},
        })),
    );
    room.says(
        "host",
        Body::SharedRead(SharedRead {
            owner: parse("weather"),
            recipient: parse("acme"),
            share: parse("audit"),
            version: 11,
            what: AuditTable::Events.in_statement().into(),
        }),
    );
    room
}

#[test]
fn every_column_has_a_type_that_every_engine_knows() {
    for named in [EVENTS, RUNS, STATEMENTS] {
        let (columns, schema) = (columns(named).unwrap(), schema(named).unwrap());
        assert_eq!(columns.len(), schema.fields().len());
        let names: BTreeSet<_> = named.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), named.len(), "no name is there twice");
    }
}

#[test]
fn the_first_columns_are_those_of_clean_room_events() {
    let names: Vec<_> = EVENTS.iter().map(|(name, _)| *name).take(16).collect();
    assert_eq!(
        names,
        [
            "account_id",
            "metastore_id",
            "event_id",
            "clean_room_name",
            "central_clean_room_id",
            "initiator_global_metastore_id",
            "initiator_collaborator_alias",
            "event_time",
            "event_type",
            "clean_room_created_metadata",
            "clean_room_deleted_metadata",
            "run_notebook_started_metadata",
            "run_notebook_completed_metadata",
            "clean_room_assets_updated_metadata",
            "asset_review_created_metadata",
            "output_schema_deleted_metadata",
        ]
    );
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
    let component = glovebox_contract::digest::ContentDigest::of(&world::component("1.0.0"));
    assert_eq!(started["notebook_checksum"], component.blake3.to_string());
    assert_eq!(started["notebook_etag"], room.revision().to_string());
    // The value of the parameter is in the log, not in the events.
    assert!(!events.iter().any(|event| event.to_string().contains("min_group")));
}

#[test]
fn a_run_is_metered_from_its_receipt() {
    let (room, run) = Room::finished();
    let rows = runs(&room);
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(row["run_id"], run.to_string());
    assert_eq!((&row["runner"], &row["payer"]), (&json!("weather"), &json!("weather")));
    assert_eq!(row["author"], "partner");
    assert_eq!(row["state"], "SUCCESS");
    assert_eq!(row["data_owners"], json!(["airline", "weather"]));
    assert_eq!(row["bytes_in"], "flights.parquet".len() + "hourly.parquet".len());
    assert_eq!(row["bytes_out"], world::OUTPUT.len());
    assert_eq!(row["rows_out"], 7);
    assert_eq!(row["peak_memory_bytes"], 1 << 26);
    assert_eq!(row["inputs"][0]["owner"], "airline");
    assert_eq!(row["inputs"][0]["pinned_by"], "content");
    assert_eq!(row["outputs"][0]["name"], "delay_by_wind");
    assert_eq!(row["jail"], "full");
    assert_eq!(row.get("cost"), None, "the room names no prices");
    let table = Journal::of(&room.entries).unwrap().runs().unwrap();
    let batch = &table.batches[0];
    // 900 and 1,100 milliseconds, rounded up as the receipt does.
    assert_eq!(decimal(batch, "cpu_seconds"), 1024);
    assert_eq!(decimal(batch, "wall_seconds"), 2048);
}

#[test]
fn what_a_run_costs_is_for_the_payer_of_the_room() {
    let check = |payer: Option<&str>, expect: &str| {
        let mut document = world::document(&["airline", "weather", "partner"]);
        let prices = Prices { cpu_second: parse("0.25"), ..Prices::default() };
        let payer = payer.map(parse);
        document.billing = Some(Billing { currency: "EUR".into(), payer, prices });
        let mut room = Room::create(document).unwrap();
        room.says("weather", Body::Accept);
        room.says("partner", Body::Accept);
        room.says("airline", world::add_table(world::flights()));
        room.says("weather", world::add_table(world::hourly()));
        room.says("partner", world::add_notebook(world::notebook("1.0.0")));
        room.review("airline", Decision::Approve);
        room.review("weather", Decision::Approve);
        let request = room.request();
        let run = RunId::of_request(&room.says("weather", request).digest);
        assert_eq!(runs(&room)[0].get("cost"), None, "it has used nothing yet");
        let start = room.start(&run);
        room.says("host", Body::RunStart(start));
        let receipt = room.receipt(&run);
        room.says("host", Body::RunReceipt(Box::new(receipt)));
        let row = &runs(&room)[0];
        assert_eq!(row["payer"], expect);
        assert_eq!(row["currency"], "EUR");
        let table = Journal::of(&room.entries).unwrap().runs().unwrap();
        // 1.024 seconds at 0.25, in billionths.
        assert_eq!(decimal(&table.batches[0], "cost"), 256_000_000);
    };
    check(None, "weather");
    check(Some("airline"), "airline");
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

fn decimal(batch: &RecordBatch, column: &str) -> i128 {
    batch.column_by_name(column).unwrap().as_primitive::<Decimal128Type>().value(0)
}

#[test]
fn a_run_goes_through_its_states() {
    let check = |room: &Room, state: &str, reason: Option<&str>| {
        let rows = runs(room);
        assert_eq!(rows[0]["state"], state);
        assert_eq!(rows[0].get("reason").and_then(Value::as_str), reason);
    };
    let (mut room, run) = Room::requested();
    check(&room, "REQUESTED", None);
    let mut refused = room.clone();
    refused.says(
        "host",
        Body::Refused(Refused {
            party: Some(parse("weather")),
            reason: ReasonCode::InputChanged,
            run: Some(run),
            statement: None,
            what: "run-request".into(),
        }),
    );
    check(&refused, "REFUSED", Some("input-changed"));
    let event = last(&refused);
    assert_eq!(event["event_type"], "REQUEST_REFUSED");
    assert_eq!(event["reason"], "input-changed");
    assert_eq!(event["run_id"], run.to_string());
    assert_eq!(event["requested_by"], "weather");

    let start = room.start(&run);
    room.says("host", Body::RunStart(start));
    check(&room, "RUNNING", None);
    let mut failed = room.clone();
    let fail = |room: &mut Room, reason| {
        let mut receipt = room.receipt(&run);
        receipt.outcome = Outcome::Failed { reason };
        room.says("host", Body::RunReceipt(Box::new(receipt)));
    };
    fail(&mut failed, ReasonCode::MemoryLimit);
    check(&failed, "FAILED", Some("memory-limit"));
    assert_eq!(last(&failed)["reason"], "memory-limit");
    assert_eq!(runs(&failed)[0]["cpu_seconds"], runs(&Room::finished().0)[0]["cpu_seconds"]);
    room.says("weather", Body::Cancel(Cancel { run }));
    assert_eq!(last(&room)["event_type"], "RUN_NOTEBOOK_CANCEL_REQUESTED");
    fail(&mut room, ReasonCode::Cancelled);
    check(&room, "CANCELED", Some("cancelled"));
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
        conditions: Default::default(),
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

#[test]
fn a_log_that_does_not_hold_up_is_no_table() {
    let room = shared();
    assert!(matches!(Journal::of(&[]), Err(AuditError::Empty)));
    let mut cut = room.entries.clone();
    cut.remove(5);
    let Err(AuditError::Log { position: 5, .. }) = Journal::of(&cut) else { panic!() };
    let mut journal = Journal::of(&room.entries[..5]).unwrap();
    let before = rows(&journal.events().unwrap());
    assert!(journal.take(&room.entries[6]).is_err());
    assert_eq!(rows(&journal.events().unwrap()), before, "it stays as it was");
    room.entries[5..].iter().for_each(|envelope| journal.take(envelope).unwrap());
    assert_eq!(rows(&journal.events().unwrap()), events(&room), "read in parts or at once");
}

#[test]
fn the_log_is_a_table_too() {
    let room = shared();
    let name = &room.state.document().name;
    let table = statements(name, &room.entries).unwrap();
    let rows = rows(&table);
    assert_eq!(rows.len(), room.entries.len());
    assert_eq!(rows[1]["kind"], "accept");
    assert_eq!(rows[1]["party"], "weather");
    assert_eq!(rows[1]["central_clean_room_id"], room.state.id().to_string());
    let statement: Value = serde_json::from_str(rows[3]["statement"].as_str().unwrap()).unwrap();
    assert_eq!(statement["predicate"]["body"]["name"], "airline.flights");
}

#[test]
fn many_rows_are_as_few() {
    let mut rows_of = crate::Rows::new(STATEMENTS).unwrap();
    for position in 0..10_000 {
        rows_of.push(&json!({ "position": position, "party": "weather" })).unwrap();
    }
    let table = rows_of.table().unwrap();
    assert_eq!(table.rows(), 10_000);
    let all = concat_batches(&table.schema, &table.batches).unwrap();
    let positions = all.column_by_name("position").unwrap().as_primitive::<Int64Type>();
    assert!(positions.values().iter().enumerate().all(|(at, value)| at as i64 == *value));
    assert_eq!(all.column_by_name("kind").unwrap().null_count(), 10_000);
}

#[test]
fn a_member_that_is_no_column_is_found() {
    let mut rows = crate::Rows::new(STATEMENTS).unwrap();
    rows.push(&json!({ "positon": 1 })).unwrap();
    assert!(rows.table().is_err());
}

#[test]
fn the_same_log_is_the_same_file() {
    let room = shared();
    let file = || {
        let mut bytes = Vec::new();
        write_parquet(&Journal::of(&room.entries).unwrap().events().unwrap(), &mut bytes).unwrap();
        bytes
    };
    let bytes = file();
    assert_eq!(bytes, file());
    assert_eq!(parquet_rows(&bytes), (room.entries.len(), EVENTS.len()));
}
