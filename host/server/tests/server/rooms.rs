//! A room from its first statement to outputs, and who sees it.

use std::collections::BTreeSet;

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::{RoomList, RunText};
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::statement::{Body, OutputRead, Pause, Resume};

use crate::fake_worker::FakeComponent;
use crate::world::{NOTEBOOK, World, key};

#[tokio::test(flavor = "multi_thread")]
async fn two_parties_go_all_the_way_over_http() {
    let world = World::start().await;
    let room = world.ready().await;
    let (airline, weather) = (world.party("airline"), world.party("weather"));

    // Paused: the request is refused and the refusal is in the log.
    airline.say(&room, Body::Pause(Pause { comment: String::new(), notebook: None })).await;
    let request = weather.run_request(&room, "succeed").await;
    assert_eq!(weather.ask_to_run(&room, &request).await.error(), "422 paused");
    let last = weather.log(&room).await.entries.pop().unwrap();
    assert_eq!(last.unverified().unwrap().body.summary(), "refuses run-request: paused");
    for alias in ["airline", "weather"] {
        world.party(alias).say(&room, Body::Resume(Resume { notebook: None })).await;
    }

    let run = weather.run(&room, "log").await;
    assert_eq!(weather.end_of(&room, &run).await, "succeeded");
    let progress = weather.get(&path::run(&room, &run)).await;
    assert_eq!(progress.text(), "{}");
    assert_eq!(airline.get(&path::run(&room, &run)).await.error(), "403 not-permitted");
    let text: RunText = airline.get(&path::run_text(&room, &run)).await.json(200);
    assert_eq!(
        text.log.iter().map(|line| line.message.as_str()).collect::<Vec<_>>(),
        ["first", "second"]
    );
    assert_eq!(weather.get(&path::run_text(&room, &run)).await.error(), "403 not-permitted");

    let read = || Body::OutputRead(OutputRead { output: "summary".parse().unwrap(), run });
    let outputs = path::room(&room, RoomPart::Outputs);
    let envelope = weather.statement(&room, read()).await;
    let answer = weather.post(&outputs, envelope.to_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "application/vnd.apache.parquet");
    assert_eq!(answer.headers["content-length"], answer.body.len().to_string().as_str());
    let state = weather.state(&room).await;
    let receipt = state.run(&run).unwrap().receipt().unwrap();
    let output = &receipt.outputs().unwrap()[&"summary".parse().unwrap()];
    assert_eq!(output.digest, ContentDigest::of(&answer.body));
    // The same read again is another statement.
    assert_eq!(weather.post(&outputs, envelope.to_bytes()).await.error(), "409 replayed");
    let envelope = airline.statement(&room, read()).await;
    assert_eq!(airline.post(&outputs, envelope.to_bytes()).await.error(), "403 not-permitted");

    let bundle = airline.get(&path::room(&room, RoomPart::Bundle)).await;
    assert_eq!(bundle.status, 200);
    let parsed: serde_json::Value = serde_json::from_slice(&bundle.body).unwrap();
    assert!(parsed.is_object());
    let component = FakeComponent::new(NOTEBOOK).to_bytes();
    let target = path::component(&room, &ContentDigest::of(&component));
    assert_eq!(weather.get(&target).await.body, component);
    let target = path::component(&room, &ContentDigest::of(b"another"));
    assert_eq!(weather.get(&target).await.error(), "404 not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_member_sees_nothing_of_a_room() {
    let world = World::start().await;
    let room = world.ready().await;
    let run = world.party("weather").run(&room, "succeed").await;
    let stranger = world.party("stranger");
    // The very bytes of a statement that the room would take.
    let statement = world.party("weather").run_request(&room, "succeed").await.to_bytes();
    let component = ContentDigest::of(&FakeComponent::new(NOTEBOOK).to_bytes());
    let mut answers = BTreeSet::new();
    for id in [room, glovebox_contract::name::RoomId(component.blake3)] {
        let part = |part| path::room(&id, part);
        for target in [
            part(RoomPart::Log),
            format!("{}?wait_seconds=30", part(RoomPart::Log)),
            part(RoomPart::Bundle),
            path::run(&id, &run),
            path::run_text(&id, &run),
            path::component(&id, &component),
        ] {
            let answer = stranger.get(&target).await;
            assert_eq!(answer.error(), "404 not-found", "{target}");
            answers.insert(answer.body);
        }
        for kind in [
            RoomPart::Statements,
            RoomPart::Describe,
            RoomPart::Tables,
            RoomPart::Volumes,
            RoomPart::Notebooks,
            RoomPart::Libraries,
            RoomPart::Runs,
            RoomPart::Outputs,
        ] {
            let answer = stranger.post(&part(kind), statement.clone()).await;
            assert_eq!(answer.error(), "404 not-found", "{}", kind.as_str());
            answers.insert(answer.body);
        }
    }
    // A room that is not there and one that is not shown are told with the very same bytes.
    assert_eq!(answers.len(), 1, "{answers:?}");
    let list: RoomList = stranger.get(path::ROOMS).await.json(200);
    assert!(list.rooms.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_rooms_goes_on_where_its_caller_left_off() {
    let world = World::start().await;
    let airline = world.party("airline");
    let mut rooms = BTreeSet::new();
    for name in ["a", "b", "c", "d", "e"] {
        rooms.insert(airline.create_room(name, &["airline"]).await);
    }
    world.party("weather").create_room("other", &["weather"]).await;
    world.party("weather").create_room("another", &["weather"]).await;
    let mut found = BTreeSet::new();
    let mut target = format!("{}?page_size=2", path::ROOMS);
    let mut tokens = Vec::new();
    loop {
        let page: RoomList = airline.get(&target).await.json(200);
        assert!(page.rooms.len() <= 2);
        found.extend(page.rooms.into_iter().map(|room| room.id));
        let Some(token) = page.next_page_token else { break };
        target = format!("{}?page_size=2&page_token={token}", path::ROOMS);
        tokens.push(token);
    }
    assert_eq!(found, rooms);
    assert_eq!(tokens.len(), 2);
    // Nobody else's token, none that was made up.
    for token in [&tokens[0], "AAAA", ""] {
        let target = format!("{}?page_token={token}", path::ROOMS);
        assert_eq!(world.party("weather").get(&target).await.error(), "400 malformed", "{token}");
    }
    for query in
        ["page_size=0", "page_size=1001", "page_size=-1", "page=2", "page_size=1&page_size=2"]
    {
        let target = format!("{}?{query}", path::ROOMS);
        assert_eq!(airline.get(&target).await.error(), "400 malformed", "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_made_by_their_creators_for_this_host() {
    let world = World::start_with(|config| {
        config.creators = Some(vec![key("airline").public()]);
    })
    .await;
    let (airline, weather) = (world.party("airline"), world.party("weather"));
    let envelope = airline.creation(airline.document("lab", &["airline", "weather"]));
    let created = airline.post(path::ROOMS, envelope.to_bytes()).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(airline.post(path::ROOMS, envelope.to_bytes()).await.error(), "409 already-exists");
    // Signed by its creator, handed in by somebody else.
    let other = airline.creation(airline.document("other", &["airline", "weather"]));
    assert_eq!(weather.post(path::ROOMS, other.to_bytes()).await.error(), "403 not-permitted");
    // Somebody whom the operator does not list.
    let own = weather.creation(weather.document("own", &["weather"]));
    assert_eq!(weather.post(path::ROOMS, own.to_bytes()).await.error(), "403 not-permitted");
    // Another host's room.
    let mut document = airline.document("elsewhere", &["airline"]);
    document.host_key = key("another host").public();
    let elsewhere = airline.creation(document);
    assert_eq!(airline.post(path::ROOMS, elsewhere.to_bytes()).await.error(), "403 not-permitted");
    // A statement that is no room.
    let room = airline.get(path::ROOMS).await.json::<RoomList>(200).rooms[0].id;
    let accept = airline.statement(&room, Body::Accept).await;
    assert_eq!(airline.post(path::ROOMS, accept.to_bytes()).await.error(), "400 malformed");
}
