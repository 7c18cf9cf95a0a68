use std::path::Path as FilePath;

use axum::http::HeaderValue;

use super::*;
use crate::alerts::Alerts;
use crate::clock::SystemClock;
use crate::outbox::Outbox;
use crate::secret::TokenDigest;

const TOKEN: &str = "a-token-of-some-length";

struct World {
    _directory: tempfile::TempDir,
    desk: Arc<Desk>,
}

impl World {
    fn new(overlap: &str) -> Self {
        let digest = TokenDigest::of(TOKEN).to_hex();
        let text = format!(
            "[[orders]]\nname = \"nightly\"\nroom = \"r\"\nnotebook = \"n\"\noverlap = \"{overlap}\"\n\
             [[triggers]]\nname = \"new-data\"\norder = \"nightly\"\ntoken_sha256 = \"{digest}\"\n\
             accepts = [\"day\"]\n"
        );
        let orders = Arc::new(Orders::parse(&text, FilePath::new(".")).unwrap());
        let directory = tempfile::tempdir().unwrap();
        let outbox = Arc::new(Outbox::open(directory.path()));
        let alerts = Alerts::new(Arc::clone(&orders), outbox);
        let store = Arc::new(Store::open(directory.path(), alerts).unwrap());
        let desk = Desk { orders, store, clock: Arc::new(SystemClock) };
        Self { _directory: directory, desk: Arc::new(desk) }
    }

    async fn ask(&self, name: &str, headers: &[(&'static str, &str)], body: &str) -> (u16, Value) {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        match answer(&self.desk, name, &all, Body::from(body.to_owned())).await {
            Ok((status, answer)) => (status.as_u16(), answer),
            Err(Refusal(status, why)) => (status.as_u16(), Value::String(why)),
        }
    }
}

#[tokio::test]
async fn only_who_has_the_token_is_heard() {
    let world = World::new("queue");
    let bearer = format!("Bearer {TOKEN}");
    for (name, authorization, expect) in [
        ("new-data", bearer.as_str(), 202),
        ("new-data", "bearer a-token-of-some-length", 202),
        ("new-data", "Bearer wrong", 401),
        ("new-data", "Bearer", 401),
        ("new-data", "Basic a-token-of-some-length", 401),
        ("new-data", TOKEN, 401),
        ("other", bearer.as_str(), 401),
        ("../new-data", bearer.as_str(), 401),
        ("", bearer.as_str(), 401),
    ] {
        let (status, answer) = world.ask(name, &[("authorization", authorization)], "").await;
        assert_eq!(status, expect, "{name} {authorization}: {answer}");
    }
    assert_eq!(world.ask("new-data", &[], "").await.0, 401);
    assert_eq!(world.desk.store.look(|book| book.occurrences.len()), 2);
}

#[tokio::test]
async fn the_same_key_is_the_same_request() {
    let world = World::new("queue");
    let bearer = format!("Bearer {TOKEN}");
    let ask = async |key: &str| {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", key)];
        let (status, answer) = world.ask("new-data", &headers, "").await;
        (status, answer["occurrence"].clone())
    };
    let first = ask("one").await;
    assert_eq!(first.0, 202);
    assert_eq!(ask("one").await, (200, first.1.clone()));
    let second = ask("two").await;
    assert_eq!(second.0, 202);
    assert_ne!(second.1, first.1);
    assert_eq!(ask(&"k".repeat(201)).await.0, 400);
    assert_eq!(world.desk.store.look(|book| book.occurrences.len()), 2);
}

#[tokio::test]
async fn what_overlaps_is_refused_when_it_is_not_queued() {
    let world = World::new("skip");
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
    assert_eq!(world.ask("new-data", &headers[..1], "").await.0, 202);
    assert_eq!(world.ask("new-data", &headers, "").await.0, 409);
    world
        .desk
        .store
        .change(|book| {
            book.occurrences.clear();
            ((), Vec::new())
        })
        .unwrap();
    // What was refused was not done, so the same key may come again.
    assert_eq!(world.ask("new-data", &headers, "").await.0, 202);
}

#[tokio::test]
async fn only_parameters_that_the_trigger_accepts_are_taken() {
    let world = World::new("queue");
    let bearer = format!("Bearer {TOKEN}");
    let check = async |body: &str, expect: u16, given: Option<&str>| {
        let (status, answer) = world.ask("new-data", &[("authorization", &bearer)], body).await;
        assert_eq!(status, expect, "{body}: {answer}");
        let last = world.desk.store.look(|book| book.occurrences.values().last().cloned());
        let day = last.and_then(|last| last.given.get(&"day".parse().unwrap()).cloned());
        if expect == 202 {
            assert_eq!(day.as_deref(), given, "{body}");
        }
    };
    check(r#"{"parameters": {"day": "2013-01-31"}}"#, 202, Some("2013-01-31")).await;
    check(r#"{"parameters": {"day": 7}}"#, 202, Some("7")).await;
    check("{}", 202, None).await;
    check(r#"{"parameters": {"least": 1}}"#, 400, None).await;
    check(r#"{"parameters": {"day": ["a"]}}"#, 400, None).await;
    check(r#"{"parameters": {"day": null}}"#, 400, None).await;
    check(r#"{"notebook": "other"}"#, 400, None).await;
    check("[]", 400, None).await;
    check("{", 400, None).await;
    check(&format!("\"{}\"", "a".repeat(MAX_BODY)), 413, None).await;
}
