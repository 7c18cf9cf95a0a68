//! Tables that an owner shares the plain way.

use std::collections::BTreeMap;

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::UploadedFile;
use glovebox_contract::column::{Column, ColumnType};
use glovebox_contract::name::RoomId;
use glovebox_contract::statement::{AssetStatement, Body, Delete, Shared, TableAsset};
use serde_json::{Value, json};

use super::{Client, TOKEN, error, lines};
use crate::world::World;

const TABLE: &str = "/shares/tables/schemas/weather/tables/stations";

fn what() -> Shared {
    Shared::Table { table: "weather.stations".parse().unwrap() }
}

/// Adds `weather.stations` with these columns of a file of this name.
async fn offer(
    world: &World,
    room: &RoomId,
    file: &str,
    content: &str,
    columns: &str,
    aliases: Value,
) {
    let weather = world.party("weather");
    let uploaded =
        UploadedFile { digest: weather.upload(content.as_bytes()).await, name: file.into() };
    let column =
        |name: &str| Column { name: name.into(), nullable: true, column_type: ColumnType::Int64 };
    let asset = TableAsset {
        columns: columns.split(',').map(column).collect(),
        description: String::new(),
        join_keys: BTreeMap::new(),
        name: "weather.stations".parse().unwrap(),
        output: None,
        view: None,
    };
    let statement = weather.statement(room, Body::Asset(AssetStatement::Table(asset))).await;
    let body =
        json!({ "source": { "files": [uploaded], "aliases": aliases }, "statement": statement });
    weather.post_json(&path::room(room, RoomPart::Tables), &body).await.json::<Value>(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_shares_a_table_of_its_own() {
    let world = World::start().await;
    let room = world.with_recipient().await;
    // A file of one line; the worker of these tests reads no Parquet.
    let content = "id,height";
    offer(&world, &room, "rows.parquet", content, "id,height", json!({})).await;
    world.grant(&room, "tables", what(), None).await;
    let client = Client::new(&world, &room, TOKEN);
    let tables: Value = client.get("/shares/tables/all-tables").await.json(200);
    assert_eq!(
        tables["items"],
        json!([{ "name": "stations", "schema": "weather", "share": "tables" }])
    );
    let told = lines(&client.query(TABLE, "{}").await);
    assert_eq!(told[2]["file"]["size"], content.len());
    let url = told[2]["file"]["url"].as_str().unwrap().to_owned();
    let get = async |url: &str| world.client.get(url).send().await.unwrap();
    assert_eq!(get(&url).await.text().await.unwrap(), content);

    // Other rows: another version, and the rows before are gone.
    offer(&world, &room, "rows.parquet", "id,height\n1,2", "id,height", json!({})).await;
    assert_eq!(client.get(&format!("{TABLE}/version")).await.headers["delta-table-version"], "1");
    assert_eq!(get(&url).await.status().as_u16(), 403);
    assert_eq!(
        error(&client.query(TABLE, r#"{"version":0}"#).await),
        "400 INVALID_PARAMETER_VALUE"
    );
    let url = client.files(TABLE).await.remove(0);
    assert_eq!(get(&url).await.status().as_u16(), 200);

    // What cannot be handed out as it is, is not.
    for (file, columns, aliases, why) in [
        ("rows.csv", "id,height", json!({}), "not Parquet"),
        ("rows.parquet", "id", json!({}), "withholds"),
        ("rows.parquet", "number,height", json!({ "number": "id" }), "other names"),
    ] {
        offer(&world, &room, file, content, columns, aliases).await;
        let answer = client.query(TABLE, "{}").await;
        assert_eq!(error(&answer), "400 UNSUPPORTED_OPERATION");
        assert!(answer.text().contains(why), "{}", answer.text());
        assert_eq!(get(&url).await.status().as_u16(), 403);
    }
    offer(&world, &room, "rows.parquet", content, "id,height", json!({})).await;
    assert_eq!(client.get(&format!("{TABLE}/version")).await.headers["delta-table-version"], "5");
    let delete = Delete::Table { table: "weather.stations".parse().unwrap() };
    world.party("weather").say(&room, Body::Delete(delete)).await;
    assert_eq!(error(&client.query(TABLE, "{}").await), "404 RESOURCE_DOES_NOT_EXIST");
    // The host keeps no copy of what is not shared.
    let kept = world.home.join("delta").join(room.0.to_hex()).join("weather/.tables/stations");
    for _ in 0..100 {
        if !kept.exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{} is still there", kept.display());
}
