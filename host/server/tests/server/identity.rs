//! Signatures of requests: good once, for one request, by a present key.

use glovebox_api::path::{self, RoomPart};
use glovebox_api::signature::{Request, SignedHeaders, sign};
use glovebox_contract::key::PrivateKey;
use glovebox_contract::statement::{Body, Rotate};

use crate::world::{Answer, Party, World, key, now, signed_with};

async fn get_with(party: &Party<'_>, target: &str, headers: &SignedHeaders) -> Answer {
    let request = party.world.client.get(party.world.url(target));
    Answer::of(signed_with(request, headers).send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_good_for_the_request_that_was_signed_and_once() {
    let world = World::start().await;
    let room = world.room().await;
    let airline = world.party("airline");
    let log = path::room(&room, RoomPart::Log);

    let headers = airline.headers("GET", &log, b"");
    assert_eq!(get_with(&airline, &log, &headers).await.status, 200);
    assert_eq!(get_with(&airline, &log, &headers).await.error(), "409 replayed");

    // Taken for another path, another query, another method, another body.
    let bundle = path::room(&room, RoomPart::Bundle);
    let fresh = || airline.headers("GET", &log, b"");
    assert_eq!(get_with(&airline, &bundle, &fresh()).await.error(), "401 unauthenticated");
    let query = format!("{log}?from=0");
    assert_eq!(get_with(&airline, &query, &fresh()).await.error(), "401 unauthenticated");
    let empty_query = format!("{log}?");
    assert_eq!(get_with(&airline, &empty_query, &fresh()).await.status, 200);
    let posted = signed_with(world.client.post(world.url(&log)), &fresh());
    assert_eq!(Answer::of(posted.send().await.unwrap()).await.error(), "405 malformed");
    let statements = path::room(&room, RoomPart::Statements);
    let headers = airline.headers("POST", &statements, b"{}");
    let posted = signed_with(world.client.post(world.url(&statements)), &headers);
    let posted = posted.header("content-type", "application/json").body("{ }");
    assert_eq!(Answer::of(posted.send().await.unwrap()).await.error(), "401 unauthenticated");

    // For another host, too old, from the future, by another key.
    let request = Request { method: "GET", path: &log, query: "", body: b"" };
    let other_host = key("another host").public();
    for (signer, host, created, expected) in [
        (&airline.key, &world.host_key, now(), "200"),
        (&airline.key, &other_host, now(), "401 unauthenticated"),
        (&airline.key, &world.host_key, now() - 400, "401 unauthenticated"),
        (&airline.key, &world.host_key, now() + 400, "401 unauthenticated"),
        // Made before this process began: it may have been used.
        (&airline.key, &world.host_key, now() - 100, "503 unavailable"),
        (&key("stranger"), &world.host_key, now(), "404 not-found"),
    ] {
        let headers = sign(&request, signer, host, created).unwrap();
        let answer = get_with(&airline, &log, &headers).await;
        let found = if answer.status == 200 { "200".into() } else { answer.error() };
        assert_eq!(found, expected, "{created} {host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_taken_in_one_form_only() {
    let world = World::start().await;
    let airline = world.party("airline");
    let target = path::ROOMS;
    let good = airline.headers("GET", target, b"");
    let change = |change: fn(&mut SignedHeaders)| {
        let mut headers = airline.headers("GET", target, b"");
        change(&mut headers);
        headers
    };
    for headers in [
        change(|headers| headers.signature.push(' ')),
        change(|headers| headers.signature = headers.signature.replace("glovebox=", "sig1=")),
        change(|headers| headers.signature_input.push_str(";x=1")),
        change(|headers| headers.signature_input = headers.signature_input.to_uppercase()),
        change(|headers| headers.signature_input = String::new()),
        change(|headers| headers.content_digest = "sha-512=:AAAA:".into()),
        change(|headers| headers.signature = "glovebox=:AAAA:".into()),
    ] {
        let answer = get_with(&airline, target, &headers).await;
        // White space around a value is no part of it.
        if headers.signature.ends_with(' ') {
            assert_eq!(answer.status, 200);
        } else {
            assert_eq!(answer.error(), "401 unauthenticated", "{headers:?}");
            assert!(answer.headers.contains_key("www-authenticate"));
        }
    }
    // A header that is missing, or there twice.
    for name in ["content-digest", "signature-input", "signature"] {
        let mut request = airline.request("GET", target, Vec::new()).build().unwrap();
        let value = request.headers_mut().remove(name).unwrap();
        let answer = Answer::of(world.client.execute(request).await.unwrap()).await;
        assert_eq!(answer.error(), "401 unauthenticated", "{name}");
        let request = signed_with(world.client.get(world.url(target)), &good).header(name, value);
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.error(), "401 unauthenticated", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_given_up_opens_nothing() {
    let world = World::start().await;
    let room = world.room().await;
    let weather = world.party("weather");
    let new = PrivateKey::from_seed(&[9; 32]);
    let rotate = Rotate::to(&new, &room, &"weather".parse().unwrap());
    weather.say(&room, Body::Rotate(rotate)).await;
    let log = path::room(&room, RoomPart::Log);
    assert_eq!(weather.get(&log).await.error(), "404 not-found");
    assert_eq!(weather.get(path::ROOMS).await.text(), r#"{"rooms":[]}"#);
    let renewed = Party { key: new, ..world.party("weather") };
    assert_eq!(renewed.get(&log).await.status, 200);
    assert!(renewed.get(path::ROOMS).await.text().contains("lab"));
    // The host's own key is no party's.
    let host = std::fs::read_to_string(world.home.join("host.key")).unwrap();
    let host = Party { key: PrivateKey::from_file(&host).unwrap(), ..world.party("host") };
    assert_eq!(host.get(&log).await.error(), "404 not-found");
}
