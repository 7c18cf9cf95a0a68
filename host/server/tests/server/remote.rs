//! Tables that are elsewhere, of parties in the network.

use std::collections::BTreeMap;
use std::sync::Arc;

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::{Described, Taken};
use glovebox_contract::name::RoomId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{AssetStatement, Body, TableAsset};
use serde_json::{Value, json};

use crate::fake_broker::{FakeBroker, PASSWORD};
use crate::world::{Answer, Party, World};

const FLIGHTS: &str = "airline.flights";

/// A host with a broker, and its ready room.
async fn start() -> (World, RoomId, FakeBroker) {
    let broker = FakeBroker::new();
    let theirs = Arc::new(broker.clone());
    let world = World::start_with(|config| config.settings.broker = Some(theirs)).await;
    let room = world.ready().await;
    (world, room, broker)
}

fn source(place: &str, password: &str) -> Value {
    json!({ "remote": { "place": place, "credentials": { "password": password } } })
}

/// Describes the source, and adds what that gave.
async fn add(party: &Party<'_>, room: &RoomId, source: Value) -> Answer {
    let answer = party.post_json(&path::room(room, RoomPart::Describe), &source).await;
    if answer.status != 200 {
        return answer;
    }
    let described: Described = answer.json(200);
    let table = TableAsset {
        columns: described.columns,
        description: String::new(),
        join_keys: BTreeMap::new(),
        name: FLIGHTS.parse().unwrap(),
        output: None,
        view: None,
    };
    let statement = party.statement(room, Body::Asset(AssetStatement::Table(table))).await;
    let body = json!({ "source": source, "statement": statement });
    party.post_json(&path::room(room, RoomPart::Tables), &body).await
}

/// How a run ends.
async fn run(party: &Party<'_>, room: &RoomId) -> String {
    let run = party.run(room, "succeed").await;
    party.end_of(room, &run).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_elsewhere_is_added_and_read() {
    let (world, room, broker) = start().await;
    let (airline, weather) = (world.party("airline"), world.party("weather"));
    let added = add(&airline, &room, source("s3://bucket/flights", PASSWORD)).await;
    added.json::<Taken>(200);
    assert_eq!(run(&weather, &room).await, "succeeded");

    broker.change(|there| there.password = "another password");
    assert_eq!(run(&weather, &room).await, "refused source-denied");
    let target = path::room(&room, RoomPart::Credentials);
    let new = |password: &str| json!({ "table": FLIGHTS, "credentials": { "password": password } });
    assert_eq!(
        weather.post_json(&target, &new("another password")).await.error(),
        "403 not-permitted"
    );
    assert_eq!(
        airline.post_json(&target, &new("wrong password")).await.error(),
        "422 source-denied"
    );
    assert_eq!(world.party("eve").post_json(&target, &new("x")).await.error(), "404 not-found");
    let replaced: Value = airline.post_json(&target, &new("another password")).await.json(200);
    assert_eq!(replaced, json!({ "table": FLIGHTS }));
    assert_eq!(run(&weather, &room).await, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_place_its_owner_learns() {
    let (world, room, broker) = start().await;
    let airline = world.party("airline");
    let denied = add(&airline, &room, source("s3://bucket/flights", "wrong password")).await;
    assert_eq!(denied.error(), "422 source-denied");
    assert!(denied.text().contains("s3://bucket/flights"), "{}", denied.text());
    assert!(!denied.text().contains("wrong password"), "{}", denied.text());

    let check = async |source: Value, expect: &str| {
        let answer = add(&airline, &room, source.clone()).await;
        assert_eq!(answer.error(), expect, "{source}");
        assert!(!answer.text().contains("horse"), "{}", answer.text());
    };
    let opened = broker.0.lock().unwrap().opened;
    check(source("file:///etc", PASSWORD), "422 source-refused").await;
    check(source("/etc/passwd", PASSWORD), "400 invalid-argument").await;
    check(source("postgresql://me:horse@db/x#t", PASSWORD), "400 invalid-argument").await;
    check(json!({ "remote": { "place": "s3://b", "credentials": ["horse"] } }), "400 malformed")
        .await;
    check(json!({ "remote": { "place": "s3://b", "credentials": { "a": 1 } } }), "400 malformed")
        .await;
    check(json!({ "remote": { "place": "s3://b" }, "files": [] , "view": { "sql": "", "tables": {} } }), "400 malformed").await;
    assert_eq!(broker.0.lock().unwrap().opened, opened, "nobody has even looked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_the_room_refuses_opens_nothing() {
    let (world, room, broker) = start().await;
    let (airline, weather) = (world.party("airline"), world.party("weather"));
    let table = TableAsset {
        columns: vec![serde_json::from_value(json!({ "name": "a", "type": "int64" })).unwrap()],
        description: String::new(),
        join_keys: BTreeMap::new(),
        name: FLIGHTS.parse().unwrap(),
        output: None,
        view: None,
    };
    let theirs = weather.statement(&room, Body::Asset(AssetStatement::Table(table.clone()))).await;
    let body = json!({ "source": source("s3://bucket/flights", PASSWORD), "statement": theirs });
    let target = path::room(&room, RoomPart::Tables);
    assert_eq!(weather.post_json(&target, &body).await.error(), "403 not-permitted");
    assert_eq!(broker.0.lock().unwrap().opened, 0);
    // What the statement offers has to be there.
    let ours = airline.statement(&room, Body::Asset(AssetStatement::Table(table))).await;
    let body = json!({ "source": source("s3://bucket/flights", PASSWORD), "statement": ours });
    assert_eq!(airline.post_json(&target, &body).await.error(), "422 schema-mismatch");
    broker.change(|there| there.fails = Some(ReasonCode::SourceUnavailable));
    broker.change(|there| there.columns = None);
    let answer = add(&airline, &room, source("s3://bucket/flights", PASSWORD)).await;
    assert_eq!(answer.error(), "422 source-unavailable");
    assert!(!answer.text().contains("horse"), "{}", answer.text());
}
