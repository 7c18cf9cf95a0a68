//! Files behind signed URLs.

use glovebox_contract::name::RunId;
use glovebox_contract::statement::{Body, Delete};
use reqwest::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};

use super::{Client, NOTEBOOK, OUTPUT, TOKEN, error, output, table};
use crate::world::{Answer, World};

async fn fetch(world: &World, method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = world.client.request(method.parse().unwrap(), url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.send().await.unwrap()).await
}

fn published(world: &World, room: &glovebox_contract::name::RoomId, run: &RunId) -> Vec<u8> {
    let room = world.home.join("rooms").join(room.0.to_hex());
    std::fs::read(room.join(format!("outputs/{run}/{OUTPUT}.parquet"))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_gives_the_published_file_whole_or_in_parts() {
    let world = World::start().await;
    let (room, runs) = world.shared(1).await;
    let client = Client::new(&world, &room, TOKEN);
    let urls = client.files(&table()).await;
    assert_eq!(urls.len(), 1);
    let url = &urls[0];
    let content = published(&world, &room, &runs[0]);
    let length = content.len();

    let whole = fetch(&world, "GET", url, &[]).await;
    assert_eq!((whole.status, &whole.body), (200, &content));
    assert_eq!(whole.headers[ACCEPT_RANGES], "bytes");
    let head = fetch(&world, "HEAD", url, &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.headers[CONTENT_LENGTH], length.to_string());
    let tag = whole.headers[ETAG].to_str().unwrap();

    let (last, from_end) = (length - 1, length - 8);
    let cases = [
        ("bytes=0-3", 0..4, format!("bytes 0-3/{length}")),
        ("bytes=4-", 4..length, format!("bytes 4-{last}/{length}")),
        ("bytes=-8", from_end..length, format!("bytes {from_end}-{last}/{length}")),
        ("bytes=2-99999", 2..length, format!("bytes 2-{last}/{length}")),
    ];
    for (range, part, said) in cases {
        for headers in
            [&[(RANGE.as_str(), range)][..], &[(RANGE.as_str(), range), (IF_RANGE.as_str(), tag)]]
        {
            let answer = fetch(&world, "GET", url, headers).await;
            assert_eq!((answer.status, &answer.body[..]), (206, &content[part.clone()]), "{range}");
            assert_eq!(answer.headers[CONTENT_RANGE], said);
        }
        // A part of another state of the file is of no use.
        let answer =
            fetch(&world, "GET", url, &[(RANGE.as_str(), range), (IF_RANGE.as_str(), "\"x\"")])
                .await;
        assert_eq!((answer.status, answer.body.len()), (200, length));
    }
    let behind = format!("bytes={length}-");
    let answer = fetch(&world, "GET", url, &[(RANGE.as_str(), &behind)]).await;
    assert_eq!((answer.status, answer.body.len()), (416, 0));
    assert_eq!(answer.headers[CONTENT_RANGE], format!("bytes */{length}"));
    for strange in ["bytes=0-1,3-4", "bytes=x", "rows=0-1"] {
        assert_eq!(fetch(&world, "GET", url, &[(RANGE.as_str(), strange)]).await.body, content);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_was_changed_is_no_url() {
    let world = World::start().await;
    let (room, _) = world.shared(2).await;
    let client = Client::new(&world, &room, TOKEN);
    let url = client.files(&table()).await.remove(0);
    let (path, query) = url.split_once('?').unwrap();
    let (before, file) = path.rsplit_once('/').unwrap();
    let expires = query.rsplit_once('=').unwrap().1;
    let forged = [
        path.to_owned(),
        format!("{path}?expires={expires}"),
        format!("{path}?X-Databricks-Signature={}&expires={expires}", "0".repeat(64)),
        url.replace(expires, "99999999999"),
        format!("{before}/{}?{query}", file.replace("-0.", "-1.")),
        format!("{before}/..%2f..%2fhost.key?{query}"),
        format!("{before}AA/{file}?{query}"),
        url.replacen("/files/", "/files/A", 1),
    ];
    for url in forged {
        let answer = fetch(&world, "GET", &url, &[]).await;
        assert_eq!(error(&answer), "403 PERMISSION_DENIED", "{url}");
    }
    // A token changes nothing, and is not asked for.
    let with_token = [("authorization", "Bearer nonsense")];
    assert_eq!(fetch(&world, "GET", &url, &with_token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_ends_with_what_it_stands_on() {
    let world = World::start().await;
    let (room, runs) = world.shared(2).await;
    world.grant(&room, "other", output(), None).await;
    let client = Client::new(&world, &room, TOKEN);
    let mine = client.files(&table()).await.remove(0);
    let other =
        client.files(&format!("/shares/other/schemas/{NOTEBOOK}/tables/{OUTPUT}")).await.remove(0);
    let status = async |url: &str| fetch(&world, "GET", url, &[]).await.status;
    assert_eq!((status(&mine).await, status(&other).await), (200, 200));

    world.revoke(&room, Some("results")).await;
    assert_eq!((status(&mine).await, status(&other).await), (403, 200));
    // Another token does not end it: the recipient is the same.
    world.give_token(&room, "second", None).await;
    assert_eq!(status(&other).await, 200);
    // The runner deletes the outputs of the run.
    let delete = Body::Delete(Delete::Outputs { run: runs[1] });
    world.party("weather").say(&room, delete).await;
    assert_eq!(error(&fetch(&world, "GET", &other, &[]).await), "403 PERMISSION_DENIED");
    let client = Client::new(&world, &room, "second");
    let table = format!("/shares/other/schemas/{NOTEBOOK}/tables/{OUTPUT}");
    // The removal is a version of its own; the first run's rows were replaced, and stay so.
    assert_eq!(client.get(&format!("{table}/version")).await.headers["delta-table-version"], "2");
    assert_eq!(client.files(&table).await.len(), 0);
    let gone = client.query(&table, r#"{"version":1}"#).await;
    assert_eq!(error(&gone), "400 INVALID_PARAMETER_VALUE");
    assert!(gone.text().contains("no longer available"), "{}", gone.text());
    let first = client.query(&table, r#"{"version":0}"#).await;
    assert_eq!(first.status, 200);

    let older = super::lines(&first)[2]["file"]["url"].as_str().unwrap().to_owned();
    assert_eq!(status(&older).await, 200);
    world.revoke(&room, None).await;
    assert_eq!(status(&older).await, 403);
}
