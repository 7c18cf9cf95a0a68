use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};

use serde_json::json;

use super::*;
use crate::clock::Clock;
use crate::orders::Orders;
use crate::secret::WebhookSecret;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A clock that is set by hand.
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// An endpoint that answers each request with the next of these; and what it was sent.
fn receiver(answers: Vec<&'static str>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/in?key=hidden", listener.local_addr().unwrap());
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let count = stream.read(&mut buffer).unwrap();
                text.extend_from_slice(&buffer[..count]);
                let all = String::from_utf8_lossy(&text).into_owned();
                if count == 0
                    || all.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with("}"))
                {
                    break;
                }
            }
            let _ = sender.send(String::from_utf8(text).unwrap());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, received)
}

fn endpoint(directory: &Path, url: &str) -> Endpoint {
    let secret = directory.join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "[[alerts]]\nname = \"ops\"\nurl = \"{url}\"\nsecret_file = \"secret\"\non = [\"test\"]\n"
    );
    let orders = Orders::parse(&text, directory).unwrap();
    Endpoint::new(orders.alerts.into_values().next().unwrap()).unwrap()
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_default()
}

const OK: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const WAIT: &str =
    "HTTP/1.1 429 Wait\r\nretry-after: 90\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const MOVED: &str = "HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const GONE: &str = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[test]
fn a_webhook_is_sent_until_it_is_taken_and_then_never_again() {
    let directory = tempfile::tempdir().unwrap();
    let (url, received) = receiver(vec![BUSY, WAIT, MOVED, OK]);
    let (endpoint, outbox) = (endpoint(directory.path(), &url), Outbox::open(directory.path()));
    let name = endpoint.name().clone();
    let clock = Hand(AtomicU64::new(1_000));
    assert!(outbox.put(&name, "msg_1", &json!({ "type": "test" })).unwrap());
    assert!(!outbox.put(&name, "msg_1", &json!({ "type": "test" })).unwrap());
    let tries = |at: u64, expect: usize| {
        clock.0.store(at, Ordering::SeqCst);
        // As a new process would, which knows nothing but the directory.
        endpoint.deliver(&Outbox::open(directory.path()), &clock).unwrap();
        let seen: Vec<String> = received.try_iter().collect();
        assert_eq!(seen.len(), expect, "at {at}");
        for request in &seen {
            let (_, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(request.starts_with("POST /in?key=hidden HTTP/1.1\r\n"), "{request}");
            assert_eq!(header(request, "webhook-id"), "msg_1");
            assert_eq!(header(request, "webhook-timestamp"), at.to_string());
            let signed = WebhookSecret::parse(SECRET).unwrap().sign("msg_1", at, body.as_bytes());
            assert_eq!(header(request, "webhook-signature"), signed);
            assert_eq!(body, r#"{"type":"test"}"#);
        }
    };
    tries(1_000, 1);
    tries(1_004, 0);
    tries(1_005, 1);
    // It asked for a minute and a half.
    tries(1_094, 0);
    tries(1_095, 1);
    tries(1_120, 1);
    tries(9_999, 0);
    assert_eq!(outbox.waiting(&name).unwrap(), []);
    // The event is found again, for example after a crash.
    assert!(!outbox.put(&name, "msg_1", &json!({ "type": "test" })).unwrap());
}

#[test]
fn what_nobody_takes_is_put_aside_and_not_lost() {
    let check = |answers: Vec<&'static str>, times: &[u64]| {
        let directory = tempfile::tempdir().unwrap();
        let (url, _received) = receiver(answers);
        let (endpoint, outbox) = (endpoint(directory.path(), &url), Outbox::open(directory.path()));
        let name = endpoint.name().clone();
        let clock = Hand(AtomicU64::new(0));
        outbox.put(&name, "msg_1", &json!({})).unwrap();
        for time in times {
            clock.0.store(*time, Ordering::SeqCst);
            endpoint.deliver(&outbox, &clock).unwrap();
        }
        assert_eq!(outbox.waiting(&name).unwrap(), []);
        assert_eq!(list(&outbox.path(UNDELIVERED, &name)).unwrap().len(), 1);
    };
    check(vec![GONE], &[0]);
    // Nobody listens any more after the first.
    check(vec![BUSY], &[0, 86_400, 3 * 86_400]);
}

#[test]
fn garbage_in_the_directory_holds_nothing_up() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(directory.path());
    let name = "ops".parse().unwrap();
    outbox.put(&name, "msg_1", &json!({})).unwrap();
    for (file, content) in [("a.json", "{"), ("b.json.tmp", "{}"), ("c", "")] {
        std::fs::write(outbox.path(WAITING, &name).join(file), content).unwrap();
    }
    let ids: Vec<_> =
        outbox.waiting(&name).unwrap().into_iter().map(|message| message.id).collect();
    assert_eq!(ids, ["msg_1"]);
}
