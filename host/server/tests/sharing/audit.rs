//! What happened in a room, for people outside of it.

use glovebox_contract::name::RoomId;
use glovebox_contract::statement::{Body, Shared};
use serde_json::{Value, json};

use super::{Client, TOKEN, error, kinds, lines, output};
use crate::world::{Answer, World};

const EVENTS: &str = "/shares/audit/schemas/audit/tables/events";
const RUNS: &str = "/shares/audit/schemas/audit/tables/runs";

/// A room with a run, whose events are in the share `audit` of `acme`.
async fn told(world: &World) -> RoomId {
    let room = world.with_recipient().await;
    world.grant(&room, "audit", Shared::Events {}, None).await;
    world.succeed(&room).await;
    room
}

fn version(answer: &Answer) -> u64 {
    answer.headers["delta-table-version"].to_str().unwrap().parse().unwrap()
}

/// How many rows the one file of an answer has, by its own figures.
fn rows(answer: &Answer) -> u64 {
    let lines = lines(answer);
    assert_eq!(kinds(&lines), "protocol metaData file");
    let stats: Value = serde_json::from_str(lines[2]["file"]["stats"].as_str().unwrap()).unwrap();
    stats["numRecords"].as_u64().unwrap()
}

async fn entries(world: &World, room: &RoomId) -> u64 {
    world.party("weather").state(room).await.statements()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_reads_what_happened() {
    let world = World::start().await;
    let room = told(&world).await;
    let client = Client::new(&world, &room, TOKEN);
    let tables: Value = client.get("/shares/audit/all-tables").await.json(200);
    assert_eq!(
        tables["items"],
        json!([
            { "name": "events", "schema": "audit", "share": "audit" },
            { "name": "runs", "schema": "audit", "share": "audit" },
        ])
    );
    let before = entries(&world, &room).await;
    let events = client.query(EVENTS, "{}").await;
    assert_eq!((version(&events), rows(&events)), (before, before), "one event a statement");
    let runs = client.query(RUNS, "{}").await;
    assert_eq!((version(&runs), rows(&runs)), (before, 1));
    let schema = lines(&events)[1]["metaData"]["schemaString"].as_str().unwrap().to_owned();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(schema["fields"][8]["name"], "event_type");
    assert_eq!(schema["fields"][7]["type"], "timestamp");
    // What no table here has is not said to be there.
    assert_eq!(lines(&events)[1]["metaData"]["configuration"], json!({}));

    let [url] = &client.files(EVENTS).await[..] else { panic!() };
    let file = world.client.get(url).send().await.unwrap().bytes().await.unwrap();
    assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
    // The names of tables and files have been used; a client does not care about their case.
    assert_eq!(client.get("/shares/AUDIT/schemas/Audit/tables/EVENTS/version").await.status, 200);
    let missing = client.get("/shares/audit/schemas/audit/tables/statements/version").await;
    assert_eq!(error(&missing), "404 RESOURCE_DOES_NOT_EXIST");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_of_events_is_an_event_of_the_next_version() {
    let world = World::start().await;
    let room = told(&world).await;
    let client = Client::new(&world, &room, TOKEN);
    let first = client.query(EVENTS, "{}").await;
    let again = client.query(EVENTS, "{}").await;
    assert_eq!(version(&first), version(&again), "reading makes no version");
    let logged = entries(&world, &room).await;
    assert_eq!(logged, version(&first) + 1, "and is in the log, once a minute");

    world.succeed(&room).await;
    let after = client.query(EVENTS, "{}").await;
    assert!(version(&after) > logged);
    assert_eq!(rows(&after), version(&after), "with the read");
    // Who began with the version before ends with it.
    let asked = format!(r#"{{"version":{}}}"#, version(&first));
    let before = client.query(EVENTS, &asked).await;
    assert_eq!(rows(&before), rows(&first));
    let between = format!(r#"{{"version":{logged}}}"#);
    assert_eq!(error(&client.query(EVENTS, &between).await), "400 INVALID_PARAMETER_VALUE");
    let changes = format!("{EVENTS}/changes?startingVersion={}", version(&first));
    assert!(error(&client.get(&changes).await).starts_with("400 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_starts_again_tells_the_same() {
    let mut world = World::start().await;
    let room = told(&world).await;
    let head = |answer: &Answer| {
        let lines = lines(answer);
        (version(answer), lines[1]["metaData"].clone(), lines[2]["file"]["id"].clone())
    };
    let before = head(&Client::new(&world, &room, TOKEN).query(EVENTS, "{}").await);
    let url = Client::new(&world, &room, TOKEN).files(EVENTS).await.remove(0);
    let bytes = world.client.get(&url).send().await.unwrap().bytes().await.unwrap();
    world.stop().await;
    // The tables are made of the log, so nothing is lost with them.
    std::fs::remove_dir_all(world.home.join("delta")).unwrap();
    let world = World::start_at(&world.home, |_| ()).await;
    let client = Client::new(&world, &room, TOKEN);
    assert_eq!(head(&client.query(EVENTS, "{}").await), before);
    let url = client.files(EVENTS).await.remove(0);
    assert_eq!(world.client.get(&url).send().await.unwrap().bytes().await.unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_read_by_whom_they_were_granted_to() {
    let world = World::start().await;
    let room = world.with_recipient().await;
    world.grant(&room, "audit", output(), None).await;
    let client = Client::new(&world, &room, TOKEN);
    let missing = "404 RESOURCE_DOES_NOT_EXIST";
    assert_eq!(error(&client.query(EVENTS, "{}").await), missing);
    world.grant(&room, "audit", Shared::Events {}, None).await;
    let url = client.files(EVENTS).await.remove(0);
    assert_eq!(world.client.get(&url).send().await.unwrap().status(), 200);
    let log = world.party("weather").log(&room).await;
    let read =
        log.entries.iter().rev().find_map(|envelope| match envelope.unverified().unwrap().body {
            Body::SharedRead(read) => Some(read),
            _ => None,
        });
    assert_eq!(read.unwrap().what, "audit:events");
    world.revoke(&room, Some("audit")).await;
    assert_eq!(error(&client.query(EVENTS, "{}").await), missing);
    assert_eq!(world.client.get(&url).send().await.unwrap().status(), 403);
}
