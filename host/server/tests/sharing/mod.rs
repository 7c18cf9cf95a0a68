//! Delta Sharing as clients meet it: recipients, tables, files, and what they may not have.

mod audit;
mod expiry;
mod files;
mod lists;
mod modes;
mod plain;
mod queries;

use glovebox_contract::digest::Sha256Digest;
use glovebox_contract::name::{RoomId, RunId};
use glovebox_contract::statement::{Body, Grant, Recipient, Share, Shared};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

use crate::world::{Answer, NOTEBOOK, World, now};

const TOKEN: &str = "a token of acme";
const OUTPUT: &str = "summary";

/// What a client knows: the address of the room's shares, and a token.
struct Client<'a> {
    world: &'a World,
    room: RoomId,
    token: &'a str,
}

impl<'a> Client<'a> {
    fn new(world: &'a World, room: &RoomId, token: &'a str) -> Self {
        Self { world, room: *room, token }
    }

    fn url(&self, path: &str) -> String {
        self.world.url(&format!("/delta-sharing/{}{path}", self.room.0.to_hex()))
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.world.client.request(method.parse().unwrap(), self.url(path));
        request.header(AUTHORIZATION, format!("Bearer {}", self.token))
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path).send().await.unwrap()).await
    }

    async fn query(&self, table: &str, body: &str) -> Answer {
        self.query_with(table, body, "").await
    }

    async fn query_with(&self, table: &str, body: &str, capabilities: &str) -> Answer {
        let request = self
            .request("POST", &format!("{table}/query"))
            .header(CONTENT_TYPE, "application/json")
            .header("delta-sharing-capabilities", capabilities)
            .body(body.to_owned());
        Answer::of(request.send().await.unwrap()).await
    }

    /// The URLs of the newest files of a table.
    async fn files(&self, table: &str) -> Vec<String> {
        let lines = lines(&self.query(table, "{}").await);
        let urls = lines.iter().filter_map(|line| line["file"]["url"].as_str());
        urls.map(str::to_owned).collect()
    }
}

/// `200 RESOURCE_DOES_NOT_EXIST`: the status and the code of an answer that is an error.
#[track_caller]
fn error(answer: &Answer) -> String {
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json", "{}", answer.text());
    let body: Value = answer.json(answer.status);
    assert!(!answer.text().contains('\n'), "clients read one line");
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    assert!(body["message"].is_string(), "{body}");
    format!("{} {}", answer.status, body["errorCode"].as_str().unwrap())
}

/// The lines of an answer about a table.
#[track_caller]
fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.headers[CONTENT_TYPE], "application/x-ndjson; charset=utf-8");
    assert!(answer.headers.contains_key("delta-table-version"));
    let text = answer.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line.as_object().unwrap().len() == 1), "{text}");
    lines
}

/// The keys of the lines: `protocol metaData file file`.
fn kinds(lines: &[Value]) -> String {
    let kinds = lines.iter().map(|line| line.as_object().unwrap().keys().next().unwrap().as_str());
    kinds.collect::<Vec<_>>().join(" ")
}

fn table() -> String {
    format!("/shares/results/schemas/{NOTEBOOK}/tables/{OUTPUT}")
}

impl World {
    /// A room where `weather` gives its recipient `acme` the token [`TOKEN`].
    async fn with_recipient(&self) -> RoomId {
        let room = self.ready().await;
        self.give_token(&room, TOKEN, None).await;
        room
    }

    async fn give_token(&self, room: &RoomId, token: &str, previous_until: Option<u64>) {
        let recipient = Recipient {
            expires: now() + 86_400,
            name: "acme".parse().unwrap(),
            previous_until,
            token: Sha256Digest::of(token.as_bytes()),
        };
        let body = Body::Share(Share::Recipient(recipient));
        self.party("weather").say(room, body).await;
    }

    async fn grant(&self, room: &RoomId, share: &str, what: Shared, until: Option<u64>) {
        let grant = Grant {
            recipient: "acme".parse().unwrap(),
            share: share.parse().unwrap(),
            until,
            what,
        };
        self.party("weather").say(room, Body::Share(Share::Grant(grant))).await;
    }

    async fn revoke(&self, room: &RoomId, share: Option<&str>) {
        let share = share.map(|share| share.parse().unwrap());
        let revoke = Share::Revoke { recipient: "acme".parse().unwrap(), share };
        self.party("weather").say(room, Body::Share(revoke)).await;
    }

    /// A room with so many runs, whose output is in the share `results` of `acme`.
    async fn shared(&self, runs: usize) -> (RoomId, Vec<RunId>) {
        let room = self.with_recipient().await;
        self.grant(&room, "results", output(), None).await;
        let mut ids = Vec::new();
        for _ in 0..runs {
            ids.push(self.succeed(&room).await);
        }
        (room, ids)
    }

    async fn succeed(&self, room: &RoomId) -> RunId {
        let weather = self.party("weather");
        let run = weather.run(room, "succeed").await;
        assert_eq!(weather.end_of(room, &run).await, "succeeded");
        run
    }
}

fn output() -> Shared {
    Shared::Output { notebook: NOTEBOOK.parse().unwrap(), output: None }
}
