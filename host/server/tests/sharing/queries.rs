//! Versions, snapshots and changes.

use glovebox_contract::statement::{Body, Kind};
use serde_json::{Value, json};

use super::{Client, NOTEBOOK, OUTPUT, TOKEN, error, kinds, lines, table};
use crate::world::{Answer, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_query_tells_the_files_of_a_version_and_stands_in_the_log() {
    let world = World::start().await;
    let (room, _) = world.shared(2).await;
    let client = Client::new(&world, &room, TOKEN);

    let metadata = client.get(&format!("{}/metadata", table())).await;
    assert_eq!(metadata.headers["delta-table-version"], "1");
    assert_eq!(metadata.headers["delta-sharing-capabilities"], "responseformat=parquet");
    let metadata = lines(&metadata);
    assert_eq!(metadata[0], json!({ "protocol": { "minReaderVersion": 1 } }));
    let inner = &metadata[1]["metaData"];
    let schema: Value = serde_json::from_str(inner["schemaString"].as_str().unwrap()).unwrap();
    assert_eq!(schema["fields"][0]["name"], "rows");
    assert_eq!(schema["fields"][0]["type"], "long");
    assert_eq!((&inner["version"], &inner["numFiles"]), (&json!(1), &json!(1)));
    assert_eq!(inner["format"], json!({ "provider": "parquet" }));
    assert_eq!(inner["partitionColumns"], json!([]));

    // The second run replaced what the first one wrote.
    let newest = lines(&client.query(&table(), "{}").await);
    assert_eq!(kinds(&newest), "protocol metaData file");
    assert_eq!(newest[1], metadata[1]);
    let file = &newest[2]["file"];
    assert_eq!((&file["version"], &file["partitionValues"]), (&json!(1), &json!({})));
    assert!(file["expirationTimestamp"].as_i64() > file["timestamp"].as_i64());
    let older = client.query(&table(), r#"{"version":0}"#).await;
    assert_eq!(older.headers["delta-table-version"], "0");
    let older = lines(&older);
    assert_eq!(older[2]["file"]["version"], 0);
    assert_ne!(older[2]["file"]["id"], file["id"]);

    // As Delta's own actions.
    let delta = client.query_with(&table(), "", "responseformat=delta").await;
    assert_eq!(delta.headers["delta-sharing-capabilities"], "responseformat=delta");
    let delta = lines(&delta);
    assert_eq!(kinds(&delta), "protocol metaData file");
    assert_eq!(delta[0]["protocol"]["deltaProtocol"]["minReaderVersion"], 1);
    let inner = &delta[1]["metaData"];
    assert_eq!(inner["deltaMetadata"]["configuration"]["delta.enableChangeDataFeed"], "true");
    assert_eq!((&inner["version"], &inner["numFiles"]), (&json!(1), &json!(1)));
    let action = &delta[2]["file"]["deltaSingleAction"]["add"];
    assert!(action["path"].as_str().unwrap().contains("X-Databricks-Signature="));
    assert_eq!((&action["size"], &action["dataChange"]), (&file["size"], &json!(true)));
    assert_eq!(delta[2]["file"]["id"], file["id"]);

    // One read of each version in this minute.
    let log = world.party("airline").log(&room).await.entries;
    let statements = log.iter().map(|entry| entry.unverified().unwrap());
    let reads = statements.filter_map(|statement| match statement.body {
        Body::SharedRead(read) => Some((read.what, read.version)),
        body => {
            assert_ne!(body.kind(), Kind::Refused);
            None
        }
    });
    let what = format!("{NOTEBOOK}.{OUTPUT}");
    assert_eq!(reads.collect::<Vec<_>>(), [(what.clone(), 1), (what, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_found_by_number_and_by_time() {
    let world = World::start().await;
    let (room, _) = world.shared(2).await;
    let client = Client::new(&world, &room, TOKEN);
    let version = async |query: &str| {
        let answer = client.get(&format!("{}/version{query}", table())).await;
        assert!(answer.body.is_empty() || answer.status != 200);
        match answer.headers.get("delta-table-version") {
            Some(version) => version.to_str().unwrap().to_owned(),
            None => error(&answer),
        }
    };
    assert_eq!(version("").await, "1");
    assert_eq!(version("?startingTimestamp=2020-01-01T00:00:00Z").await, "0");
    assert_eq!(
        version("?startingTimestamp=2100-01-01T00:00:00Z").await,
        "400 INVALID_PARAMETER_VALUE"
    );
    assert_eq!(version("?startingTimestamp=soon").await, "400 INVALID_PARAMETER_VALUE");
    let head = Answer::of(client.request("HEAD", &table()).send().await.unwrap()).await;
    assert_eq!((head.status, &head.headers["delta-table-version"]), (200, &"1".parse().unwrap()));

    let asked = async |body: &str| {
        let answer = client.query(&table(), body).await;
        if answer.status == 200 {
            answer.headers["delta-table-version"].to_str().unwrap().to_owned()
        } else {
            error(&answer)
        }
    };
    let cases = [
        ("", "1"),
        ("{}", "1"),
        (r#"{"version":0}"#, "0"),
        (r#"{"version":null,"timestamp":"","unknown":{"a":[1]}}"#, "1"),
        (r#"{"timestamp":"2100-01-01T00:00:00Z"}"#, "1"),
        (r#"{"timestamp":"2020-01-01T00:00:00Z"}"#, "400 INVALID_PARAMETER_VALUE"),
        (r#"{"version":2}"#, "400 INVALID_PARAMETER_VALUE"),
        (r#"{"version":-1}"#, "400 INVALID_PARAMETER_VALUE"),
        (r#"{"version":"0"}"#, "400 INVALID_PARAMETER_VALUE"),
        (r#"{"version":0,"timestamp":"2100-01-01T00:00:00Z"}"#, "400 INVALID_PARAMETER_VALUE"),
        (r#"{"version":0,"startingVersion":0}"#, "400 INVALID_PARAMETER_VALUE"),
        (r#"{"startingVersion":9}"#, "400 INVALID_PARAMETER_VALUE"),
        (r#"{"maxFiles":0}"#, "400 INVALID_PARAMETER_VALUE"),
        (r#"{"pageToken":"x","maxFiles":1}"#, "400 INVALID_PARAMETER_VALUE"),
        (r#"{"refreshToken":"x"}"#, "400 INVALID_PARAMETER_VALUE"),
        (
            r#"{"jsonPredicateHints":"not json","predicateHints":["nor = sql; "],"limitHint":1}"#,
            "1",
        ),
        (r#"{"limitHint":"many"}"#, "400 INVALID_PARAMETER_VALUE"),
        ("{", "400 MALFORMED_REQUEST"),
        ("[]", "400 MALFORMED_REQUEST"),
    ];
    for (body, expected) in cases {
        assert_eq!(asked(body).await, expected, "{body}");
    }
    let format = client.query_with(&table(), "{}", "responseformat=avro").await;
    assert_eq!(error(&format), "400 INVALID_PARAMETER_VALUE");
    for (wanted, status) in [("parquet", 200), ("DELTA", 200), ("sha1", 400)] {
        let request =
            client.request("GET", &format!("{}/metadata", table())).header("fileidhash", wanted);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.status, status);
        let said = answer.headers.get("fileidhash").map(|value| value.to_str().unwrap());
        assert_eq!(said, (status == 200).then_some(wanted.to_lowercase()).as_deref());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_line_comes_when_it_is_asked_for_and_pages_go_on() {
    let world = World::start().await;
    let (room, _) = world.shared(1).await;
    let client = Client::new(&world, &room, TOKEN);
    for body in [r#"{"includeRefreshToken":true}"#, r#"{"maxFiles":5}"#] {
        let answer = client.query(&table(), body).await;
        assert_eq!(
            answer.headers["delta-sharing-capabilities"],
            "responseformat=parquet;includeendstreamaction=true"
        );
        assert_eq!(kinds(&lines(&answer)), "protocol metaData file endStreamAction");
    }
    let asked = lines(&client.query_with(&table(), "{}", "includeEndStreamAction=True").await);
    let end = &asked.last().unwrap()["endStreamAction"];
    assert_eq!(end["minUrlExpirationTimestamp"], asked[2]["file"]["expirationTimestamp"]);

    // The same version again, with new URLs, after another run.
    let first = lines(&client.query(&table(), r#"{"includeRefreshToken":true}"#).await);
    let token =
        first.last().unwrap()["endStreamAction"]["refreshToken"].as_str().unwrap().to_owned();
    world.succeed(&room).await;
    let body = json!({ "refreshToken": token, "includeRefreshToken": true }).to_string();
    let answer = client.query(&table(), &body).await;
    assert_eq!(answer.headers["delta-table-version"], "0");
    assert_eq!(lines(&answer)[2]["file"]["id"], first[2]["file"]["id"]);
    let other = json!({ "refreshToken": token, "limitHint": 1 }).to_string();
    assert_eq!(error(&client.query(&table(), &other).await), "400 INVALID_PARAMETER_VALUE");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_tell_what_came_and_went() {
    let world = World::start().await;
    let (room, _) = world.shared(3).await;
    let client = Client::new(&world, &room, TOKEN);
    let changes = async |query: &str| client.get(&format!("{}/changes?{query}", table())).await;

    let all = changes("startingVersion=0").await;
    assert_eq!(all.headers["delta-table-version"], "0");
    let all = lines(&all);
    assert_eq!(kinds(&all), "protocol metaData add remove add remove add");
    let version =
        |line: &Value| line.as_object().unwrap().values().next().unwrap()["version"].clone();
    let versions: Vec<Value> = all[2..].iter().map(version).collect();
    assert_eq!(versions, [0, 1, 1, 2, 2]);
    assert_eq!(all[2]["add"]["id"], all[3]["remove"]["id"]);
    assert!(all[2..].iter().all(|line| line.to_string().contains("expirationTimestamp")));

    let delta = client
        .request(
            "GET",
            &format!(
                "{}/changes?startingVersion=1&endingVersion=1&includeHistoricalMetadata=True",
                table()
            ),
        )
        .header(
            "delta-sharing-capabilities",
            "responseformat=delta;readerfeatures=deletionvectors",
        );
    let delta = lines(&Answer::of(delta.send().await.unwrap()).await);
    assert_eq!(kinds(&delta), "protocol metaData file file");
    assert_eq!(delta[1]["metaData"]["version"], 1);
    for (line, action) in [(&delta[2], "remove"), (&delta[3], "add")] {
        assert_eq!(line["file"]["version"], 1);
        assert!(line["file"]["timestamp"].is_i64());
        assert!(line["file"]["deltaSingleAction"][action]["path"].is_string());
    }
    // For readers of streams: the same from a version on.
    let stream = lines(&client.query(&table(), r#"{"startingVersion":1,"endingVersion":7}"#).await);
    assert_eq!(kinds(&stream), "protocol metaData remove add remove add");

    for (query, expected) in [
        ("startingVersion=1&endingVersion=0", "400 INVALID_PARAMETER_VALUE"),
        ("startingVersion=3", "400 INVALID_PARAMETER_VALUE"),
        ("", "400 INVALID_PARAMETER_VALUE"),
        ("startingVersion=0&startingTimestamp=2020-01-01T00:00:00Z", "400 INVALID_PARAMETER_VALUE"),
        (
            "startingVersion=0&endingVersion=1&endingTimestamp=2100-01-01T00:00:00Z",
            "400 INVALID_PARAMETER_VALUE",
        ),
        ("startingVersion=0&includeHistoricalMetadata=perhaps", "400 INVALID_PARAMETER_VALUE"),
    ] {
        assert_eq!(error(&changes(query).await), expected, "{query}");
    }
    assert_eq!(
        changes("startingTimestamp=2020-01-01T00:00:00Z&endingTimestamp=2100-01-01T00:00:00Z")
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_come_back_after_their_directory_is_lost() {
    let world = World::start().await;
    let (room, _) = world.shared(2).await;
    let client = Client::new(&world, &room, TOKEN);
    let told = async |client: &Client<'_>| {
        let lines = lines(&client.get(&format!("{}/changes?startingVersion=0", table())).await);
        let inner = |line: &Value| line.as_object().unwrap().values().next().unwrap().clone();
        let facts = lines.iter().map(inner).map(|line| {
            (
                line["id"].clone(),
                line["version"].clone(),
                line["timestamp"].clone(),
                line["size"].clone(),
            )
        });
        facts.collect::<Vec<_>>()
    };
    let before = told(&client).await;
    let home = world.home.clone();
    let mut world = world;
    world.stop().await;
    std::fs::remove_dir_all(home.join("delta")).unwrap();
    let again = World::start_at(&home, |_| {}).await;
    let client = Client::new(&again, &room, TOKEN);
    assert_eq!(told(&client).await, before);
}
