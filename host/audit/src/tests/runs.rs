//! What runs used, and what that costs.

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Decimal128Type;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::statement::{Billing, Body, Cancel, Decision, Prices, Refused};
use serde_json::{Value, json};

use super::{last, runs};
use crate::Journal;
use crate::support::{self as world, Room, parse};
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
