//! Uploads: in pieces, resumed, checked at the end, and nobody else's.

use glovebox_api::path;
use glovebox_contract::digest::ContentDigest;
use reqwest::header::CONTENT_TYPE;

use crate::world::{Answer, Party, World};

async fn status(party: &Party<'_>, digest: &ContentDigest) -> Answer {
    let request = party.request("HEAD", &path::upload(digest), Vec::new());
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_where_it_stopped() {
    let world = World::start().await;
    world.room().await;
    let (airline, weather) = (world.party("airline"), world.party("weather"));
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = ContentDigest::of(&bytes);
    assert_eq!(status(&airline, &digest).await.status, 404);
    let (first, rest) = bytes.split_at(150_000);
    let answer = airline.chunk(&digest, 0, bytes.len(), first).await;
    assert_eq!(
        (answer.status, &answer.headers["upload-offset"]),
        (204, &"150000".parse().unwrap())
    );
    let found = status(&airline, &digest).await;
    assert_eq!(found.status, 200);
    assert_eq!(found.headers["upload-offset"], "150000");
    assert_eq!(found.headers["upload-length"], "400000");
    // The answer was lost and the client does not know: it learns where to go on.
    for offset in [0, 149_999, 150_001, 399_990] {
        let answer = airline.chunk(&digest, offset, bytes.len(), &rest[..10]).await;
        assert_eq!(answer.error(), "409 upload-incomplete", "{offset}");
        assert_eq!(answer.headers["upload-offset"], "150000");
    }
    // Another's upload with the same digest is another upload.
    assert_eq!(status(&weather, &digest).await.status, 404);
    let answer = airline.chunk(&digest, 150_000, bytes.len(), rest).await;
    assert_eq!(
        (answer.status, &answer.headers["upload-offset"]),
        (204, &"400000".parse().unwrap())
    );
    assert_eq!(status(&weather, &digest).await.status, 404);
    let metrics = world.unsigned("GET", path::METRICS).await.text();
    assert!(metrics.contains("glovebox_upload_bytes_total 400040"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_what_its_digest_says_or_it_is_dropped() {
    let world = World::start_with(|config| config.limits.upload_bytes_per_key = 1000).await;
    world.room().await;
    let airline = world.party("airline");
    let digest = ContentDigest::of(b"what was promised");
    let answer = airline.chunk(&digest, 0, 5, b"other").await;
    assert_eq!(answer.error(), "422 upload-mismatch");
    assert_eq!(status(&airline, &digest).await.status, 404);
    assert_eq!(airline.chunk(&digest, 0, 3, b"more than 3").await.error(), "400 malformed");
    assert_eq!(airline.chunk(&digest, 0, 1001, b"much").await.error(), "422 policy-limit");
    // Only parties of rooms have a place here.
    let stranger = world.party("stranger");
    assert_eq!(stranger.chunk(&digest, 0, 17, b"what").await.error(), "403 not-permitted");
    // Headers that are missing, or no numbers, and another type.
    for (offset, length, content_type, expected) in [
        (None, Some("17"), "application/octet-stream", "400 malformed"),
        (Some("0"), None, "application/octet-stream", "400 malformed"),
        (Some("-1"), Some("17"), "application/octet-stream", "400 malformed"),
        (Some("+0"), Some("17"), "application/octet-stream", "400 malformed"),
        (Some("0"), Some("1e3"), "application/octet-stream", "400 malformed"),
        (Some("0"), Some("99999999999999999999"), "application/octet-stream", "400 malformed"),
        (Some("0"), Some("17"), "application/json", "415 malformed"),
    ] {
        let mut request = airline
            .request("PATCH", &path::upload(&digest), b"what".to_vec())
            .header(CONTENT_TYPE, content_type);
        for (name, value) in [("upload-offset", offset), ("upload-length", length)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.error(), expected, "{offset:?} {length:?} {content_type}");
    }
}
