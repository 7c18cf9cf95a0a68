//! Who asks, and what there is.

use glovebox_contract::statement::Shared;
use serde_json::{Value, json};

use super::{Client, OUTPUT, TOKEN, error, output, table};
use crate::world::{NOTEBOOK, World, now};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_in_its_room_as_long_as_its_owner_says() {
    let world = World::start().await;
    let (room, _) = world.shared(1).await;
    let other = world.party("airline").create_room("other", &["airline"]).await;
    let client = Client::new(&world, &room, TOKEN);
    assert_eq!(client.get("/shares").await.status, 200);

    let strangers = [
        Client::new(&world, &room, "another token"),
        Client::new(&world, &room, "a token of acme "),
        Client::new(&world, &room, "A token of acme"),
        Client::new(&world, &other, TOKEN),
    ];
    for stranger in &strangers[..] {
        for path in ["/shares", "/shares/results", &format!("{}/version", table()), "/nothing"] {
            let answer = stranger.get(path).await;
            if stranger.token.ends_with(' ') {
                // Spaces around a token are the header's.
                continue;
            }
            assert_eq!(error(&answer), "401 UNAUTHENTICATED", "{path}");
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        }
    }
    for nowhere in ["00".repeat(32), "files".into(), "..".into(), "x".into()] {
        let url = world.url(&format!("/delta-sharing/{nowhere}/shares"));
        let answer = world.client.get(&url).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), if nowhere == ".." { 404 } else { 401 }, "{nowhere}");
    }
    assert_eq!(
        error(&world.unsigned("GET", &format!("/delta-sharing/{}/shares", room.0.to_hex())).await),
        "401 UNAUTHENTICATED"
    );

    // Another token, and the first one for an hour; then one more and none before it.
    world.give_token(&room, "second", Some(now() + 3600)).await;
    for (token, good) in [(TOKEN, true), ("second", true), ("third", false)] {
        let status = Client::new(&world, &room, token).get("/shares").await.status;
        assert_eq!(status, if good { 200 } else { 401 }, "{token}");
    }
    world.give_token(&room, "third", None).await;
    for (token, good) in [(TOKEN, false), ("second", false), ("third", true)] {
        let status = Client::new(&world, &room, token).get("/shares").await.status;
        assert_eq!(status, if good { 200 } else { 401 }, "{token}");
    }
    world.revoke(&room, None).await;
    assert_eq!(Client::new(&world, &room, "third").get("/shares").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_is_listed_and_the_rest_is_missing() {
    let world = World::start().await;
    let (room, _) = world.shared(1).await;
    world.grant(&room, "later.on", output(), Some(now() + 3600)).await;
    let client = Client::new(&world, &room, TOKEN);
    let get = async |path: &str| client.get(path).await.json::<Value>(200);

    assert_eq!(
        get("/shares").await,
        json!({ "items": [{ "name": "later~on" }, { "name": "results" }] })
    );
    for name in ["results", "RESULTS", "%72esults"] {
        let share = get(&format!("/shares/{name}")).await;
        assert_eq!(share, json!({ "share": { "name": "results" } }));
    }
    let schemas = json!({ "items": [{ "name": NOTEBOOK, "share": "results" }] });
    assert_eq!(get("/shares/results/schemas").await, schemas);
    let item = json!({ "name": OUTPUT, "schema": NOTEBOOK, "share": "results" });
    let tables = json!({ "items": [item] });
    assert_eq!(get(&format!("/shares/results/schemas/{NOTEBOOK}/tables")).await, tables);
    assert_eq!(get("/shares/Results/all-tables").await, tables);
    let version = client
        .get(&format!(
            "{}/version",
            table()
                .to_uppercase()
                .replace("/SHARES/", "/shares/")
                .replace("/SCHEMAS/", "/schemas/")
                .replace("/TABLES/", "/tables/")
        ))
        .await;
    assert_eq!(version.headers["delta-table-version"], "0");

    for missing in [
        "/shares/other",
        "/shares/other/schemas",
        "/shares/other/all-tables",
        "/shares/results/schemas/other/tables",
        "/shares/results/nothing",
        "/shares/results/schemas/delays/tables/other/version",
        "/shares/results/schemas/delays/tables/summary@airline/version",
        "/shares/results/schemas/delays/tables/summary@weather/version",
        "/shares/results/schemas/other/tables/summary/metadata",
        "/shares/other/schemas/delays/tables/summary/changes?startingVersion=0",
        "/shares/results/schemas/..%2f..%2f/tables/%2e%2e/version",
        "/shares/results/schemas/delays/tables/%00/version",
        "/shares/results/schemas/delays/tables/%ff/version",
    ] {
        assert_eq!(error(&client.get(missing).await), "404 RESOURCE_DOES_NOT_EXIST", "{missing}");
    }
    assert_eq!(
        error(&client.query("/shares/results/schemas/delays/tables/x", "{}").await),
        "404 RESOURCE_DOES_NOT_EXIST"
    );
    let credentials = client.request("POST", &format!("{}/temporary-table-credentials", table()));
    let answer = crate::world::Answer::of(credentials.send().await.unwrap()).await;
    assert_eq!(error(&answer), "400 UNSUPPORTED_OPERATION");

    world.revoke(&room, Some("results")).await;
    assert_eq!(
        error(&client.get(&format!("{}/version", table())).await),
        "404 RESOURCE_DOES_NOT_EXIST"
    );
    assert_eq!(get("/shares").await, json!({ "items": [{ "name": "later~on" }] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_for_the_one_who_got_them() {
    let world = World::start().await;
    let (room, _) = world.shared(1).await;
    for share in ["a", "b", "c", "d"] {
        let what = Shared::Output {
            notebook: NOTEBOOK.parse().unwrap(),
            output: Some(OUTPUT.parse().unwrap()),
        };
        world.grant(&room, share, what, None).await;
    }
    let client = Client::new(&world, &room, TOKEN);
    let mut names = Vec::new();
    let mut path = "/shares?maxResults=2".to_owned();
    let mut pages = 0;
    let mut token = String::new();
    loop {
        let page: Value = client.get(&path).await.json(200);
        pages += 1;
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["nextPageToken"].as_str() else { break };
        token = next.to_owned();
        path = format!("/shares?maxResults=2&pageToken={next}");
    }
    assert_eq!((names.join(" "), pages), ("a b c d results".to_owned(), 3));
    let nothing: Value = client.get("/shares?maxResults=0").await.json(200);
    assert_eq!(nothing["items"], json!([]));
    let again: Value = client
        .get(&format!("/shares?pageToken={}", nothing["nextPageToken"].as_str().unwrap()))
        .await
        .json(200);
    assert_eq!(again["items"].as_array().unwrap().len(), 5);

    for bad in [
        "/shares?pageToken=x".to_owned(),
        format!("/shares?pageToken={}", &token[1..]),
        format!("/shares/results/schemas?pageToken={token}"),
        "/shares?maxResults=-1".to_owned(),
        "/shares?maxResults=many".to_owned(),
    ] {
        assert_eq!(error(&client.get(&bad).await), "400 INVALID_PARAMETER_VALUE", "{bad}");
    }
}
