//! What is no request of this API gets a JSON error that says so, and changes nothing.

use glovebox_api::path::{self, RoomPart};
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::statement::{Body, Pause};
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use crate::world::{Answer, World, now};

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_methods_that_do_not_exist_are_json_errors() {
    let world = World::start().await;
    let room = world.room().await;
    let airline = world.party("airline");
    let hex = room.0.to_hex();
    for target in [
        "/".into(),
        "/v1".into(),
        "/v1/rooms/".into(),
        "/v1//rooms".into(),
        "/V1/rooms".into(),
        "/v1/rooms/..".into(),
        "/admin".into(),
        format!("/v1/rooms/{hex}"),
        format!("/v1/rooms/{hex}/log/"),
        format!("/v1/rooms/{}/log", hex.to_uppercase()),
        format!("/v1/rooms/blake3:{hex}/log"),
        format!("/v1/rooms/{}/log", &hex[1..]),
        "/v1/rooms/..%2f..%2fetc%2fpasswd/log".into(),
        "/v1/rooms/%2e%2e/log".into(),
        "/v1/rooms/%00/log".into(),
        "/v1/rooms/%ff%fe/log".into(),
        format!("/v1/rooms/{hex}%00/log"),
        format!("/v1/rooms/{hex}/components/..%2f..%2fhost.key"),
        format!("/v1/rooms/{hex}/components/{}", "0".repeat(64)),
        format!("/v1/rooms/{hex}/runs/..%2f"),
        format!("/v1/rooms/{hex}/runs/{}/text", "0".repeat(32)),
    ] {
        // As it stands: a client would tidy some of these up.
        let answer = raw(&world, &airline.headers("GET", &target, b""), &target).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{target}: {answer}");
        assert!(answer.contains(r#"{"error":{"reason":"not-found""#), "{target}: {answer}");
    }
    for (method, target) in [
        ("PUT", "/v1/rooms"),
        ("DELETE", "/v1/rooms"),
        ("POST", "/v1/host"),
        ("GET", "/v1/uploads/00"),
        ("TRACE", "/healthz"),
        ("BREW", "/v1/rooms"),
    ] {
        let answer = world.unsigned(method, target).await;
        assert_eq!(answer.error(), "405 malformed", "{method} {target}");
        assert!(answer.headers.contains_key("allow"), "{method} {target}");
    }
}

/// Sends a request with this very target and gives all of the answer.
async fn raw(
    world: &World,
    headers: &glovebox_api::signature::SignedHeaders,
    target: &str,
) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: host\r\nConnection: close\r\nContent-Digest: {}\r\n\
         Signature-Input: {}\r\nSignature: {}\r\n\r\n",
        headers.content_digest, headers.signature_input, headers.signature
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_what_the_call_takes_or_refused() {
    let world = World::start().await;
    let room = world.room().await;
    let airline = world.party("airline");
    let before = airline.log(&room).await.size;
    let part = |part| path::room(&room, part);
    let pause = Body::Pause(Pause { comment: String::new(), notebook: None });
    let good = airline.statement(&room, pause.clone()).await;
    let envelope: serde_json::Value = serde_json::from_slice(&good.to_bytes()).unwrap();
    let with_more = |mut value: serde_json::Value| {
        value["more"] = json!(1);
        value.to_string().into_bytes()
    };
    let spaced = format!(" {}", String::from_utf8(good.to_bytes()).unwrap()).into_bytes();
    let nested = "[".repeat(100_000).into_bytes();
    for (target, body, expected) in [
        (part(RoomPart::Statements), b"".to_vec(), "400 malformed"),
        (part(RoomPart::Statements), b"{".to_vec(), "400 malformed"),
        (part(RoomPart::Statements), b"\xff".to_vec(), "400 malformed"),
        (part(RoomPart::Statements), nested.clone(), "400 malformed"),
        (part(RoomPart::Statements), with_more(envelope.clone()), "400 malformed"),
        (part(RoomPart::Statements), spaced, "400 not-canonical"),
        (part(RoomPart::Describe), br#"{"fils":[]}"#.to_vec(), "400 malformed"),
        (part(RoomPart::Describe), b"{}".to_vec(), "422 input-unreadable"),
        (part(RoomPart::Describe), nested, "400 malformed"),
        (part(RoomPart::Volumes), with_more(json!({ "statement": envelope })), "400 malformed"),
        // Statements that belong elsewhere.
        (part(RoomPart::Runs), good.to_bytes(), "400 invalid-argument"),
        (part(RoomPart::Outputs), good.to_bytes(), "400 invalid-argument"),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = airline.post(&target, body).await;
        assert_eq!(answer.error(), expected, "{target} {shown}");
    }
    for kind in [RoomPart::Volumes, RoomPart::Notebooks, RoomPart::Libraries] {
        let answer = airline.post_json(&part(kind), &json!({ "statement": envelope })).await;
        assert_eq!(answer.error(), "400 invalid-argument", "{}", kind.as_str());
    }
    let body = json!({ "source": {}, "statement": envelope });
    assert_eq!(
        airline.post_json(&part(RoomPart::Tables), &body).await.error(),
        "400 invalid-argument"
    );

    // Another type, or none.
    for content_type in [None, Some("text/plain"), Some("application/octet-stream")] {
        let mut request = airline.request("POST", &part(RoomPart::Statements), good.to_bytes());
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let answer = Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.error(), "415 malformed", "{content_type:?}");
    }
    // A body where none is taken.
    let request = airline.request("GET", &part(RoomPart::Log), b"{}".to_vec());
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.error(), "413 request-too-large");
    // None of it is in the log.
    assert_eq!(airline.log(&room).await.size, before);
    let request = airline
        .request("POST", &part(RoomPart::Statements), good.to_bytes())
        .header(CONTENT_TYPE, "Application/JSON; charset=utf-8");
    assert_eq!(Answer::of(request.send().await.unwrap()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn oversize_bodies_are_refused_before_they_are_read() {
    let world = World::start().await;
    let room = world.room().await;
    let airline = world.party("airline");
    let target = path::room(&room, RoomPart::Statements);
    let large = vec![b' '; glovebox_api::limits::MAX_REQUEST_BYTES + 1];
    let answer = airline.post(&target, large.clone()).await;
    assert_eq!(answer.error(), "413 request-too-large");
    // The same in chunks, whose length nobody tells in advance.
    let headers = airline.headers("POST", &target, &large);
    let pieces: Vec<Result<_, std::io::Error>> =
        large.chunks(1 << 20).map(|piece| Ok(piece.to_vec())).collect();
    let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let request = crate::world::signed_with(world.client.post(world.url(&target)), &headers);
    // The host may close the connection while the client still writes.
    if let Ok(response) = request.body(body).send().await {
        assert_eq!(Answer::of(response).await.error(), "413 request-too-large");
    }
    let chunk = vec![0; glovebox_api::limits::UPLOAD_CHUNK_BYTES + 1];
    let digest = ContentDigest::of(&chunk);
    let answer = airline.chunk(&digest, 0, chunk.len(), &chunk).await;
    assert_eq!(answer.error(), "413 request-too-large");
    assert_eq!(airline.log(&room).await.size, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_judged_by_the_room() {
    let world = World::start().await;
    let room = world.room().await;
    let (airline, weather) = (world.party("airline"), world.party("weather"));
    let target = path::room(&room, RoomPart::Statements);
    let pause = || Body::Pause(Pause { comment: String::new(), notebook: None });
    // Handed in by another than its signer.
    let envelope = airline.statement(&room, pause()).await;
    assert_eq!(weather.post(&target, envelope.to_bytes()).await.error(), "403 not-permitted");
    assert_eq!(airline.post(&target, envelope.to_bytes()).await.status, 200);
    assert_eq!(airline.post(&target, envelope.to_bytes()).await.error(), "409 replayed");
    // For another room, out of sequence, in the name of another.
    let other = airline.create_room("other", &["airline", "weather"]).await;
    let elsewhere = airline.statement(&other, pause()).await;
    let refused = airline.post(&target, elsewhere.to_bytes()).await;
    assert_eq!(refused.error(), "422 wrong-room");
    let state = airline.state(&room).await;
    let mut statement = state.next_statement(&"airline".parse().unwrap(), pause(), now()).unwrap();
    statement.sequence += 1;
    let skipped = Envelope::sign(&statement, &airline.key).unwrap();
    assert_eq!(airline.post(&target, skipped.to_bytes()).await.error(), "409 out-of-sequence");
    let mut statement = state.next_statement(&"weather".parse().unwrap(), pause(), now()).unwrap();
    statement.sequence = 9;
    let forged = Envelope::sign(&statement, &airline.key).unwrap();
    assert_eq!(airline.post(&target, forged.to_bytes()).await.error(), "422 bad-signature");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_statements_with_one_number_one_is_taken() {
    let world = World::start().await;
    let room = world.room().await;
    let airline = world.party("airline");
    let target = path::room(&room, RoomPart::Statements);
    let mut envelopes = Vec::new();
    for comment in 0..8 {
        let comment = format!("number {comment}");
        let body = Body::Pause(Pause { comment, notebook: None });
        envelopes.push(airline.statement(&room, body).await);
    }
    let answers = envelopes.iter().map(|envelope| airline.post(&target, envelope.to_bytes()));
    let answers = futures::future::join_all(answers).await;
    let taken = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(taken, 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.error(), "409 replayed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_may_ask_what_the_host_is_and_how_it_is() {
    let world = World::start().await;
    let info: serde_json::Value = world.unsigned("GET", path::HOST).await.json(200);
    assert_eq!(info["host_key"], json!(world.host_key));
    assert_eq!(info["egress"], "none");
    assert_eq!(world.unsigned("GET", path::HEALTH).await.text(), "ok\n");
    let document: serde_json::Value = world.unsigned("GET", path::OPENAPI).await.json(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(world.unsigned("GET", path::ROOMS).await.error(), "401 unauthenticated");
    let metrics = world.unsigned("GET", path::METRICS).await.text();
    for line in [
        r#"glovebox_http_requests_total{method="GET",route="/v1/rooms",status="401"} 1"#,
        r#"glovebox_refusals_total{reason="unauthenticated"} 1"#,
        "glovebox_rooms 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
}
