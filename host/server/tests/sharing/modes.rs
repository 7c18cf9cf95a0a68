//! Outputs that append, and outputs that every party may read.

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::{CreatedRoom, Taken};
use glovebox_contract::digest::Sha256Digest;
use glovebox_contract::name::RoomId;
use glovebox_contract::statement::{
    Body, Decision, Grant, OutputReaders, Recipient, Review, Share, SharedRead,
};
use serde_json::{Value, json};

use super::{Client, OUTPUT, error, kinds, lines, output};
use crate::fake_worker::FakeComponent;
use crate::world::{NOTEBOOK, World, notebook, now};

/// A room whose outputs every party may read, with the approved notebook, whose output appends.
async fn open_room(world: &World) -> RoomId {
    let (airline, weather) = (world.party("airline"), world.party("weather"));
    let mut document = airline.document("lab", &["airline", "weather"]);
    document.outputs.readers = OutputReaders::All;
    let created: CreatedRoom =
        airline.post(path::ROOMS, airline.creation(document).to_bytes()).await.json(201);
    let room = created.id;
    weather.say(&room, Body::Accept).await;
    airline.add_table(&room, "airline.flights", "origin,delay\n").await;
    weather.add_table(&room, "weather.hourly", "wind\n").await;

    let mut component = FakeComponent::new(NOTEBOOK);
    let mut manifest = serde_json::to_value(&component.manifest).unwrap();
    manifest["outputs"][OUTPUT]["mode"] = json!("append");
    component.manifest = serde_json::from_value(manifest).unwrap();
    let bytes = component.to_bytes();
    airline.upload(&bytes).await;
    let statement = airline.statement(&room, notebook(&bytes)).await;
    let target = path::room(&room, RoomPart::Notebooks);
    airline.post_json(&target, &json!({ "statement": statement })).await.json::<Taken>(200);
    let review = Review {
        comment: String::new(),
        decision: Decision::Approve,
        notebook: NOTEBOOK.parse().unwrap(),
        revision: weather.revision(&room).await,
    };
    weather.say(&room, Body::Review(review)).await;
    room
}

/// `owner` shares the outputs with a recipient of its own.
async fn share(world: &World, room: &RoomId, owner: &str, token: &str) {
    let recipient = Recipient {
        expires: now() + 86_400,
        name: "acme".parse().unwrap(),
        previous_until: None,
        token: Sha256Digest::of(token.as_bytes()),
    };
    let grant = Grant {
        recipient: "acme".parse().unwrap(),
        share: "results".parse().unwrap(),
        until: None,
        what: output(),
    };
    for act in [Share::Recipient(recipient), Share::Grant(grant)] {
        world.party(owner).say(room, Body::Share(act)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_appends_and_the_owner_of_a_recipient_may_be_another_party() {
    let world = World::start().await;
    let room = open_room(&world).await;
    share(&world, &room, "airline", "of airline").await;
    share(&world, &room, "weather", "of weather").await;
    for _ in 0..3 {
        world.succeed(&room).await;
    }
    let schema = format!("/shares/results/schemas/{NOTEBOOK}/tables");
    let (own, others) = (format!("{schema}/{OUTPUT}"), format!("{schema}/{OUTPUT}@weather"));
    for (token, table, missing) in [("of weather", &own, &others), ("of airline", &others, &own)] {
        let client = Client::new(&world, &room, token);
        let listed: Value = client.get("/shares/results/all-tables").await.json(200);
        let name = table.rsplit_once('/').unwrap().1;
        assert_eq!(listed["items"][0]["name"], name);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        assert_eq!(error(&client.query(missing, "{}").await), "404 RESOURCE_DOES_NOT_EXIST");
        let newest = lines(&client.query(table, "{}").await);
        assert_eq!(kinds(&newest), "protocol metaData file file file");
        assert_eq!(newest[1]["metaData"]["numFiles"], 3);
        let first = lines(&client.query(table, r#"{"version":0}"#).await);
        assert_eq!(kinds(&first), "protocol metaData file");
        let changes = client.get(&format!("{table}/changes?startingVersion=1")).await;
        assert_eq!(kinds(&lines(&changes)), "protocol metaData add add");

        // In pages of two.
        let page = lines(&client.query(table, r#"{"maxFiles":2}"#).await);
        assert_eq!(kinds(&page), "protocol metaData file file endStreamAction");
        let next = page[4]["endStreamAction"]["nextPageToken"].as_str().unwrap();
        let body = json!({ "maxFiles": 2, "pageToken": next }).to_string();
        let page = lines(&client.query(table, &body).await);
        assert_eq!(kinds(&page), "protocol metaData file endStreamAction");
        assert_eq!(page[2]["file"]["id"], newest[4]["file"]["id"]);
        assert!(page[3]["endStreamAction"]["nextPageToken"].is_null());
        assert_eq!(
            error(&client.query(table, &json!({ "pageToken": next }).to_string()).await),
            "400 INVALID_PARAMETER_VALUE"
        );
        let elsewhere = Client::new(
            &world,
            &room,
            if token == "of weather" { "of airline" } else { "of weather" },
        );
        assert_eq!(error(&elsewhere.query(missing, &body).await), "400 INVALID_PARAMETER_VALUE");
    }

    let log = world.party("airline").log(&room).await.entries;
    let reads = log.iter().filter_map(|entry| match entry.unverified().unwrap().body {
        Body::SharedRead(SharedRead { owner, what, version: 2, .. }) => {
            Some(format!("{owner} {what}"))
        }
        _ => None,
    });
    let name = format!("{NOTEBOOK}.{OUTPUT}");
    assert_eq!(
        reads.collect::<Vec<_>>(),
        [format!("weather {name}"), format!("airline {name}@weather")]
    );
}
