//! Clients that say nothing, or take nothing, hold no place for long.

use std::time::{Duration, Instant};

use glovebox_api::path::{self, RoomPart};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::World;

async fn impatient() -> World {
    World::start_with(|config| {
        config.limits.header_time = Duration::from_millis(500);
        config.limits.idle_time = Duration::from_millis(700);
        config.limits.connections = 8;
    })
    .await
}

/// All that comes until the host closes the connection, which it has to do soon.
async fn rest(mut stream: TcpStream) -> String {
    let began = Instant::now();
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_a_connection() {
    let world = impatient().await;
    for begin in
        ["", "P", "PRI * HTTP", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: a"]
    {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        let answer = rest(stream).await;
        assert!(!answer.contains("200 OK"), "{begin:?}: {answer}");
    }
    // A header that comes byte by byte.
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let began = Instant::now();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nX: ").await.unwrap();
    while stream.write_all(b"x").await.is_ok() && began.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(world.unsigned("GET", path::HEALTH).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = impatient().await;
    let room = world.room().await;
    let target = path::room(&room, RoomPart::Statements);
    let headers = world.party("airline").headers("POST", &target, b"{}");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: host\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\nContent-Digest: {}\r\nSignature-Input: {}\r\nSignature: {}\r\n\r\n{{",
        headers.content_digest, headers.signature_input, headers.signature
    );
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#"{"error":{"reason":"malformed""#), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_makes_the_host_read_no_body() {
    let world = impatient().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = b"POST /v1/rooms HTTP/1.1\r\nHost: host\r\nContent-Type: application/json\r\n\
                 Content-Length: 10000000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = [0; 12];
    let reading = stream.read_exact(&mut answer);
    tokio::time::timeout(Duration::from_millis(400), reading).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_connections_and_no_more() {
    let world = World::start_with(|config| config.limits.connections = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        held.push(stream);
    }
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(rest(stream).await, "");
    held.pop();
    for _ in 0..50 {
        if world.client.get(world.url(path::HEALTH)).send().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the place of a connection that ended is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_loses_its_connection() {
    let world = impatient().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    // Far more than the system keeps for a reader that does not read.
    let request = b"GET /openapi.json HTTP/1.1\r\nHost: host\r\n\r\n";
    let asking = async {
        for _ in 0..400 {
            if stream.write_all(request).await.is_err() {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), asking).await;
    let began = Instant::now();
    loop {
        // The connection that asks is one as well; it ends when it has said nothing for a while.
        let metrics = world.unsigned("GET", path::METRICS).await.text();
        if metrics.lines().any(|line| line == "glovebox_connections 1") {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{metrics}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
