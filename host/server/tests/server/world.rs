//! A host in this process, and parties that talk to it by nothing but HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use glovebox_api::error::ErrorBody;
use glovebox_api::path::{self, RoomPart};
use glovebox_api::signature::{Request, SignedHeaders, sign};
use glovebox_api::wire::{CreatedRoom, LogPage, StartedRun, Taken, UploadedFile};
use glovebox_contract::column::{Column, ColumnType};
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::{PrivateKey, PublicKey};
use glovebox_contract::limits::Limits;
use glovebox_contract::name::{Alias, RoomId, RunId};
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{
    AssetStatement, Body, Collaborator, Decision, FileDigest, LogReaders, NotebookAsset,
    OutputReaders, OutputSettings, Review, RoomDocument, RunRequest, Statement, TableAsset,
};
use glovebox_job::limits::JailMode;
use glovebox_job::process::WorkerProgram;
use glovebox_room::worker::WorkerSettings;
use glovebox_server::Config;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fake_worker::{self, FakeComponent};

pub(crate) const NOTEBOOK: &str = "delays";

pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn key(alias: &str) -> PrivateKey {
    PrivateKey::from_seed(Blake3Digest::of(alias.as_bytes()).as_bytes())
}

pub(crate) fn settings() -> WorkerSettings {
    WorkerSettings {
        program: WorkerProgram::this_program(),
        jail: JailMode::Off,
        engine: fake_worker::engine(),
        host_binary: Blake3Digest::of(b"host"),
        broker: None,
        crash_hook: None,
    }
}

/// A running host.
pub(crate) struct World {
    _root: Option<tempfile::TempDir>,
    pub(crate) home: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) host_key: PublicKey,
    pub(crate) client: reqwest::Client,
    pub(crate) scheme: &'static str,
    /// How many seconds the parties' clocks are ahead.
    pub(crate) ahead: u64,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    server: Option<tokio::task::JoinHandle<Result<(), glovebox_server::ServerError>>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    /// The body, if the status is this one.
    #[track_caller]
    pub(crate) fn json<T: DeserializeOwned>(&self, status: u16) -> T {
        assert_eq!(self.status, status, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `400 malformed`: the status and the reason of an answer that is an error.
    #[track_caller]
    pub(crate) fn error(&self) -> String {
        assert_eq!(self.headers[CONTENT_TYPE], "application/json", "{}", self.text());
        let body: ErrorBody = self.json(self.status);
        assert!(!body.error.message.is_empty());
        format!("{} {}", self.status, body.error.reason)
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let world = Self::start_at(&root.path().join("home"), change).await;
        Self { _root: Some(root), ..world }
    }

    /// A host with the home at `home`.
    pub(crate) async fn start_at(home: &Path, change: impl FnOnce(&mut Config)) -> Self {
        let (tell, told) = tokio::sync::oneshot::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let mut config =
            Config::new(vec!["127.0.0.1:0".parse().unwrap()], home.to_owned(), settings());
        config.limits.grace = Duration::from_secs(5);
        config.bound = Some(Box::new(move |bound| tell.send(bound).unwrap()));
        change(&mut config);
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let server = tokio::spawn(glovebox_server::serve(config, async {
            let _ = stopped.await;
        }));
        let bound = told.await.expect("the host starts");
        Self {
            _root: None,
            home: home.to_owned(),
            address: bound.addresses[0],
            host_key: bound.host_key,
            client: reqwest::Client::new(),
            scheme,
            ahead: 0,
            stop: Some(stop),
            server: Some(server),
        }
    }

    /// Asks the host to stop and waits until it has.
    pub(crate) async fn stop(&mut self) {
        self.ask_to_stop();
        self.server.take().unwrap().await.unwrap().unwrap();
    }

    pub(crate) fn ask_to_stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("{}://{}{target}", self.scheme, self.address)
    }

    /// A request that nobody signed.
    pub(crate) async fn unsigned(&self, method: &str, target: &str) -> Answer {
        let method = method.parse().unwrap();
        Answer::of(self.client.request(method, self.url(target)).send().await.unwrap()).await
    }

    pub(crate) fn party<'a>(&'a self, alias: &'a str) -> Party<'a> {
        Party { world: self, alias, key: key(alias) }
    }

    /// A room of `airline` and `weather` that both have accepted.
    pub(crate) async fn room(&self) -> RoomId {
        self.room_called("lab").await
    }

    async fn room_called(&self, name: &str) -> RoomId {
        let room = self.party("airline").create_room(name, &["airline", "weather"]).await;
        self.party("weather").say(&room, Body::Accept).await;
        room
    }

    /// [`World::room`] with both tables and the approved notebook.
    pub(crate) async fn ready(&self) -> RoomId {
        self.ready_called("lab").await
    }

    /// [`World::ready`] by another name, for a second room.
    pub(crate) async fn ready_called(&self, name: &str) -> RoomId {
        let room = self.room_called(name).await;
        self.party("airline").add_table(&room, "airline.flights", "origin,delay\n").await;
        self.party("weather").add_table(&room, "weather.hourly", "wind\n").await;
        self.party("airline").add_notebook(&room).await.json::<Taken>(200);
        let weather = self.party("weather");
        let review = Review {
            comment: String::new(),
            decision: Decision::Approve,
            notebook: NOTEBOOK.parse().unwrap(),
            revision: weather.revision(&room).await,
        };
        weather.say(&room, Body::Review(review)).await;
        room
    }
}

/// A party, or whoever has this key.
pub(crate) struct Party<'a> {
    pub(crate) world: &'a World,
    pub(crate) alias: &'a str,
    pub(crate) key: PrivateKey,
}

impl Party<'_> {
    pub(crate) fn headers(&self, method: &str, target: &str, body: &[u8]) -> SignedHeaders {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request { method, path, query, body };
        sign(&request, &self.key, &self.world.host_key, now() + self.world.ahead).unwrap()
    }

    /// A signed request that has not been sent.
    pub(crate) fn request(
        &self,
        method: &str,
        target: &str,
        body: Vec<u8>,
    ) -> reqwest::RequestBuilder {
        let headers = self.headers(method, target, &body);
        let request =
            self.world.client.request(method.parse().unwrap(), self.world.url(target)).body(body);
        signed_with(request, &headers)
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        Answer::of(self.request("GET", target, Vec::new()).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, target: &str, body: Vec<u8>) -> Answer {
        let request = self.request("POST", target, body).header(CONTENT_TYPE, "application/json");
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn post_json(&self, target: &str, body: &Value) -> Answer {
        self.post(target, serde_json::to_vec(body).unwrap()).await
    }

    pub(crate) fn document(&self, name: &str, aliases: &[&str]) -> RoomDocument {
        let collaborators = aliases.iter().map(|alias| Collaborator {
            alias: alias.parse().unwrap(),
            organisation: alias.to_uppercase(),
            public_key: key(alias).public(),
        });
        RoomDocument {
            billing: None,
            collaborators: collaborators.collect(),
            created: now(),
            creator: self.alias(),
            host_key: self.world.host_key,
            limits: Limits {
                batch_bytes: 1 << 20,
                collaborators: 10,
                component_bytes: 1 << 20,
                cpu_seconds: 20,
                log_bytes: 4096,
                memory_bytes: 1 << 32,
                open_files: 256,
                output_bytes: 4096,
                output_rows: 100,
                scratch_bytes: 1 << 20,
                threads: 64,
                wall_seconds: 20,
            },
            log_readers: LogReaders::Author,
            name: name.parse().unwrap(),
            nonce: "00112233445566778899aabbccddeeff".into(),
            outputs: OutputSettings { readers: OutputReaders::Runner, time_to_live_days: 30 },
            package_provider: None,
            region: "local".into(),
        }
    }

    pub(crate) fn creation(&self, document: RoomDocument) -> Envelope {
        let statement = Statement {
            body: Body::Room(document),
            issued_at: now(),
            party: self.alias(),
            room: None,
            sequence: 1,
        };
        Envelope::sign(&statement, &self.key).unwrap()
    }

    pub(crate) async fn create_room(&self, name: &str, aliases: &[&str]) -> RoomId {
        let envelope = self.creation(self.document(name, aliases));
        let answer = self.post(path::ROOMS, envelope.to_bytes()).await;
        let created: CreatedRoom = answer.json(201);
        assert_eq!(created.id, RoomId(envelope.digest()));
        created.id
    }

    fn alias(&self) -> Alias {
        self.alias.parse().unwrap()
    }

    pub(crate) async fn log(&self, room: &RoomId) -> LogPage {
        self.get(&path::room(room, RoomPart::Log)).await.json(200)
    }

    /// The state that the log gives, checked from its first statement on.
    pub(crate) async fn state(&self, room: &RoomId) -> RoomState {
        let page = self.log(room).await;
        assert_eq!(page.entries.len() as u64, page.size);
        let mut state = RoomState::open(&page.entries[0]).unwrap();
        assert_eq!(state.id(), room);
        for entry in &page.entries[1..] {
            state.apply(entry).unwrap();
        }
        state
    }

    /// The next statement of this party, signed.
    pub(crate) async fn statement(&self, room: &RoomId, body: Body) -> Envelope {
        let statement = self.state(room).await.next_statement(&self.alias(), body, now()).unwrap();
        Envelope::sign(&statement, &self.key).unwrap()
    }

    pub(crate) async fn say(&self, room: &RoomId, body: Body) -> Taken {
        let envelope = self.statement(room, body).await;
        let target = path::room(room, RoomPart::Statements);
        self.post(&target, envelope.to_bytes()).await.json(200)
    }

    /// Uploads a small file in one piece.
    pub(crate) async fn upload(&self, bytes: &[u8]) -> FileDigest {
        let digest = ContentDigest::of(bytes);
        let answer = self.chunk(&digest, 0, bytes.len(), bytes).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        FileDigest { bytes: bytes.len() as u64, digest }
    }

    pub(crate) async fn chunk(
        &self,
        digest: &ContentDigest,
        offset: usize,
        length: usize,
        piece: &[u8],
    ) -> Answer {
        let request = self
            .request("PATCH", &path::upload(digest), piece.to_vec())
            .header(CONTENT_TYPE, "application/octet-stream")
            .header("upload-offset", offset)
            .header("upload-length", length);
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn add_table(&self, room: &RoomId, name: &str, content: &str) {
        let file =
            UploadedFile { digest: self.upload(content.as_bytes()).await, name: "rows.csv".into() };
        let source = json!({ "files": [file] });
        let described: Value =
            self.post_json(&path::room(room, RoomPart::Describe), &source).await.json(200);
        let columns = content.trim_end().split(',').map(|name| Column {
            name: name.into(),
            nullable: true,
            column_type: ColumnType::Int64,
        });
        let columns: Vec<_> = columns.collect();
        assert_eq!(described["columns"], json!(columns));
        assert_eq!((&described["files"], &described["bytes"]), (&json!(1), &json!(content.len())));
        let table = TableAsset {
            columns,
            description: String::new(),
            join_keys: BTreeMap::new(),
            name: name.parse().unwrap(),
            output: None,
            view: None,
        };
        let statement = self.statement(room, Body::Asset(AssetStatement::Table(table))).await;
        let body = json!({ "source": source, "statement": statement });
        self.post_json(&path::room(room, RoomPart::Tables), &body).await.json::<Taken>(200);
    }

    pub(crate) async fn add_notebook(&self, room: &RoomId) -> Answer {
        let component = FakeComponent::new(NOTEBOOK).to_bytes();
        self.upload(&component).await;
        let statement = self.statement(room, notebook(&component)).await;
        let target = path::room(room, RoomPart::Notebooks);
        self.post_json(&target, &json!({ "statement": statement })).await
    }

    pub(crate) async fn revision(&self, room: &RoomId) -> Blake3Digest {
        let state = self.state(room).await;
        let notebook = state.notebook(&NOTEBOOK.parse().unwrap()).unwrap();
        *notebook.latest().unwrap().revision_digest().unwrap()
    }

    /// A request for a run in which the worker behaves so.
    pub(crate) async fn run_request(&self, room: &RoomId, behaviour: &str) -> Envelope {
        let value = ParameterValue::Utf8(behaviour.into());
        let body = Body::RunRequest(RunRequest {
            notebook: NOTEBOOK.parse().unwrap(),
            parameters: BTreeMap::from([("behaviour".parse().unwrap(), value)]),
            revision: self.revision(room).await,
        });
        self.statement(room, body).await
    }

    pub(crate) async fn ask_to_run(&self, room: &RoomId, request: &Envelope) -> Answer {
        self.post(&path::room(room, RoomPart::Runs), request.to_bytes()).await
    }

    /// Starts a run.
    pub(crate) async fn run(&self, room: &RoomId, behaviour: &str) -> RunId {
        let request = self.run_request(room, behaviour).await;
        let started: StartedRun = self.ask_to_run(room, &request).await.json(202);
        assert_eq!(started.run, RunId::of_request(&request.digest()));
        started.run
    }

    /// How a run ended, in words; waits for it by the log.
    pub(crate) async fn end_of(&self, room: &RoomId, run: &RunId) -> String {
        use glovebox_contract::receipt::Outcome;
        use glovebox_contract::state::RunStatus;
        for _ in 0..100 {
            let state = self.state(room).await;
            match state.run(run).unwrap().status() {
                RunStatus::Refused { reason } => return format!("refused {reason}"),
                RunStatus::Ended { receipt, .. } => match &receipt.outcome {
                    Outcome::Succeeded { .. } => return "succeeded".into(),
                    Outcome::Failed { reason } => return format!("failed {reason}"),
                },
                _ => {}
            }
            let size = state.statements();
            let target = path::room(room, RoomPart::Log);
            self.get(&format!("{target}?from={size}&wait_seconds=5")).await.json::<LogPage>(200);
        }
        panic!("run {run} does not end");
    }
}

pub(crate) fn signed_with(
    request: reqwest::RequestBuilder,
    headers: &SignedHeaders,
) -> reqwest::RequestBuilder {
    request
        .header("content-digest", &headers.content_digest)
        .header("signature-input", &headers.signature_input)
        .header("signature", &headers.signature)
}

pub(crate) fn notebook(component: &[u8]) -> Body {
    let fake = FakeComponent::from_bytes(component).unwrap();
    Body::Asset(AssetStatement::Notebook(Box::new(NotebookAsset {
        bindings: BTreeMap::new(),
        component: ContentDigest::of(component),
        component_bytes: component.len() as u64,
        cutover: None,
        hidden: false,
        interfaces: fake.imports,
        manifest: fake.manifest,
        runners: ["weather".parse().unwrap()].into(),
    })))
}
