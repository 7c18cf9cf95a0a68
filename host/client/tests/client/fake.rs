//! A host that does what tests tell it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use glovebox_api::signature::{self, Nonce, Request, SignedHeaders};
use glovebox_api::wire::{
    AddAsset, AddTable, CreatedRoom, Described, Egress, HostInfo, LogPage, RoomList, RoomSummary,
    RunProgress, RunText, StartedRun, Taken,
};
use glovebox_api::{ApiError, status_of};
use glovebox_client::{Client, Options, Session};
use glovebox_contract::bundle::replay;
use glovebox_contract::checkpoint::Checkpoint;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::log::Log;
use glovebox_contract::name::{RoomId, RunId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Refusal, RoomState};
use glovebox_contract::statement::{Body, Refused};
use serde::Serialize;
use tempfile::TempDir;

use crate::http::{Asked, Reply};
use crate::support::{OUTPUT, Room, component, key};

/// What is done to one request.
#[derive(Clone)]
pub(crate) enum Trick {
    /// Nothing is done, and no answer comes.
    HangUp,
    /// It is done, and no answer comes.
    DoAndHangUp,
    /// It is done, and half of the answer comes.
    HalfAnAnswer,
    /// Another answer comes.
    Reply(Reply),
    /// An answer without end.
    Endless,
    /// The answer comes byte by byte.
    Slow(Duration),
    /// The answer comes late.
    Late(Duration),
}

/// What becomes of a run.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    /// It ends well.
    Ends,
    /// It is turned down.
    Refused,
    /// It is asked for and nothing happens.
    Waits,
}

pub(crate) struct World {
    pub(crate) key: PrivateKey,
    pub(crate) room: Room,
    /// What is shown in place of the room's log.
    pub(crate) shown: Option<Vec<Envelope>>,
    /// What is shown in place of its checkpoint.
    pub(crate) note: Option<String>,
    pub(crate) page_entries: usize,
    pub(crate) uploads: BTreeMap<String, (Vec<u8>, u64)>,
    pub(crate) chunk_bytes: u64,
    pub(crate) output: Vec<u8>,
    pub(crate) component: Vec<u8>,
    pub(crate) fate: Fate,
    pub(crate) rooms: Option<Vec<RoomList>>,
    /// All requests, in order.
    pub(crate) asked: Vec<String>,
    nonces: BTreeSet<Nonce>,
    /// Keys that were changed for others.
    retired: BTreeSet<[u8; 32]>,
    /// What to do to the next requests whose lines begin so.
    tricks: VecDeque<(&'static str, Trick)>,
}

/// A running fake host.
pub(crate) struct Fake {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    stop: Arc<AtomicBool>,
    pub(crate) state: TempDir,
}

impl Fake {
    /// Starts a host with this room.
    pub(crate) fn start(room: Room) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        Self::on(listener, room)
    }

    pub(crate) fn on(listener: TcpListener, room: Room) -> Self {
        let address = listener.local_addr().unwrap();
        let world = World {
            key: key("host"),
            room,
            shown: None,
            note: None,
            page_entries: 3,
            uploads: BTreeMap::new(),
            chunk_bytes: 10,
            output: OUTPUT.to_vec(),
            component: component("1.0.0"),
            fate: Fate::Ends,
            rooms: None,
            asked: Vec::new(),
            nonces: BTreeSet::new(),
            retired: BTreeSet::new(),
            tricks: VecDeque::new(),
        };
        let world = Arc::new(Mutex::new(world));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&world), Arc::clone(&stop));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let world = Arc::clone(&shared);
                thread::spawn(move || serve(&stream.unwrap(), &world));
            }
        });
        Self { address, world, stop, state: TempDir::new().unwrap() }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            patience: Duration::from_secs(3),
            timeout: Duration::from_secs(4),
            ..Options::new(self.state.path())
        }
    }

    pub(crate) fn session(&self, party: &str) -> Session {
        Client::connect(&self.url(), &self.options()).unwrap().party(key(party))
    }

    pub(crate) fn open(&self, party: &str) -> glovebox_client::Result<glovebox_client::RemoteRoom> {
        let id = *self.world().room.state.id();
        self.session(party).open_room(&id)
    }

    /// Has this done to the next request whose line begins so, after those that were told before.
    pub(crate) fn plan(&self, line: &'static str, trick: Trick) {
        self.world().tricks.push_back((line, trick));
    }

    /// How many requests with such a line came.
    pub(crate) fn count(&self, line: &str) -> usize {
        self.world().asked.iter().filter(|asked| matches(asked, line)).count()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// Whether a request is meant by `METHOD end-of-path`.
fn matches(asked: &str, line: &str) -> bool {
    let (method, end) = line.split_once(' ').unwrap();
    let target = asked.split_once(' ').unwrap();
    target.0 == method && target.1.split('?').next().unwrap().contains(end)
}

fn serve(stream: &TcpStream, world: &Mutex<World>) {
    let Some(asked) = Asked::read(stream) else { return };
    let is_head = asked.method == "HEAD";
    let trick = {
        let mut world = world.lock().unwrap();
        let line = asked.line();
        let next = world.tricks.iter().position(|(wanted, _)| matches(&line, wanted));
        world.asked.push(line);
        next.and_then(|at| world.tricks.remove(at)).map(|(_, trick)| trick)
    };
    match trick {
        None => answer(&asked, world).send(stream, is_head),
        Some(Trick::HangUp) => {}
        Some(Trick::DoAndHangUp) => drop(answer(&asked, world)),
        Some(Trick::HalfAnAnswer) => answer(&asked, world).send_half(stream),
        Some(Trick::Reply(reply)) => reply.send(stream, is_head),
        Some(Trick::Endless) => {
            let sent = Reply::new(200, "").send_without_end(stream);
            assert!(sent < 64 << 20, "{sent} bytes were read");
        }
        Some(Trick::Slow(pause)) => answer(&asked, world).send_slowly(stream, pause),
        Some(Trick::Late(pause)) => {
            thread::sleep(pause);
            answer(&asked, world).send(stream, is_head);
        }
    }
}

type Answered = Result<Reply, ApiError>;

fn json<T: Serialize>(status: u16, body: &T) -> Answered {
    Ok(Reply::new(status, serde_json::to_vec(body).unwrap()))
}

pub(crate) fn error(reason: ReasonCode, message: &str) -> Reply {
    let body = ApiError::new(reason, message).into_body();
    Reply::new(status_of(reason), serde_json::to_vec(&body).unwrap())
}

fn refused(refusal: &Refusal) -> ApiError {
    ApiError::new(refusal.reason(), refusal.detail())
}

fn answer(asked: &Asked, world: &Mutex<World>) -> Reply {
    wait(asked, world);
    let mut world = world.lock().unwrap();
    world.answer(asked).unwrap_or_else(|failed| error(failed.reason, &failed.message))
}

/// Waits for the log to grow, if that is asked for.
fn wait(asked: &Asked, world: &Mutex<World>) {
    let seconds: u64 = asked.value("wait_seconds").map_or(0, |text| text.parse().unwrap());
    let from: usize = asked.value("from").map_or(0, |text| text.parse().unwrap());
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(seconds)
        && world.lock().unwrap().log().len() <= from
    {
        thread::sleep(Duration::from_millis(10));
    }
}

impl World {
    /// Signs what the log is shown to be.
    pub(crate) fn sign(&self, entries: &[Envelope], key: &PrivateKey) -> String {
        let mut log = Log::new();
        for envelope in entries {
            log.append(envelope.unverified().unwrap().body.kind(), envelope);
        }
        Checkpoint::of(self.room.state.id(), &log).sign(key)
    }

    fn log(&self) -> &[Envelope] {
        self.shown.as_deref().unwrap_or(&self.room.entries)
    }

    fn authenticate(&mut self, asked: &Asked) -> Result<(), ApiError> {
        let header = |name: &str| asked.header(name).unwrap_or_default().to_owned();
        let headers = SignedHeaders {
            content_digest: header("content-digest"),
            signature_input: header("signature-input"),
            signature: header("signature"),
        };
        let Asked { method, path, query, body, .. } = asked;
        let request = Request { method, path, query, body };
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let failed = |why: String| ApiError::new(ReasonCode::Unauthenticated, why);
        let verified = signature::verify(&request, &headers, &self.key.public(), now)
            .map_err(|error| failed(error.to_string()))?;
        if !self.nonces.insert(verified.nonce) {
            return Err(failed("used".into()));
        }
        // Tests have strangers, too, but whoever had a key and gave it up is one no more.
        if self.retired.contains(verified.key.as_bytes()) {
            return Err(ApiError::new(ReasonCode::NotFound, "there is no such room"));
        }
        Ok(())
    }

    fn answer(&mut self, asked: &Asked) -> Answered {
        let Asked { method, path, .. } = asked;
        if path == "/v1/host" {
            return json(
                200,
                &HostInfo {
                    egress: Egress::None,
                    host_key: self.key.public(),
                    max_request_bytes: 1 << 20,
                    time: 0,
                    upload_chunk_bytes: self.chunk_bytes,
                    version: "0".into(),
                },
            );
        }
        self.authenticate(asked)?;
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let id = self.room.state.id().0.to_hex();
        let body = &asked.body;
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["rooms"]) => self.list(asked),
            ("POST", ["rooms"]) => self.create(body),
            (_, ["rooms", other, ..]) if **other != *id => {
                Err(ApiError::new(ReasonCode::NotFound, "there is no such room"))
            }
            ("GET", ["rooms", _, "log"]) => self.log_page(asked),
            ("POST", ["rooms", _, "statements"]) => self.take(&envelope(body)?),
            ("POST", ["rooms", _, "tables"]) => {
                let add: AddTable = serde_json::from_slice(body).unwrap();
                self.take(&add.statement)
            }
            ("POST", ["rooms", _, "volumes" | "notebooks" | "libraries"]) => {
                let add: AddAsset = serde_json::from_slice(body).unwrap();
                self.take(&add.statement)
            }
            ("POST", ["rooms", _, "describe"]) => {
                json(200, &Described { bytes: 1, columns: vec![], definition: None, files: 1 })
            }
            ("POST", ["rooms", _, "runs"]) => self.run(&envelope(body)?),
            ("POST", ["rooms", _, "outputs"]) => {
                self.take(&envelope(body)?)?;
                Ok(Reply::new(200, self.output.clone()))
            }
            ("GET", ["rooms", _, "runs", run]) => {
                let run = self.room.state.run(&run.parse().unwrap());
                run.map_err(|refusal| refused(&refusal))?;
                json(200, &RunProgress { ahead: None, stage: None, done: Some(1), total: Some(2) })
            }
            ("GET", ["rooms", _, "runs", _, "text"]) => {
                json(200, &RunText { detail: Some("why".into()), ..RunText::default() })
            }
            ("GET", ["rooms", _, "components", _]) => Ok(Reply::new(200, self.component.clone())),
            ("HEAD", ["uploads", digest]) => match self.uploads.get(*digest) {
                None => Ok(Reply::new(404, "")),
                Some((bytes, length)) => Ok(Reply::new(200, "")
                    .with("upload-offset", bytes.len())
                    .with("upload-length", length)),
            },
            ("PATCH", ["uploads", digest]) => self.patch(digest, asked),
            _ => Err(ApiError::new(ReasonCode::NotFound, "there is no such thing")),
        }
    }

    fn list(&self, asked: &Asked) -> Answered {
        let token: usize = asked.value("page_token").map_or(0, |text| text.parse().unwrap());
        if let Some(pages) = &self.rooms {
            return json(200, &pages[token.min(pages.len() - 1)]);
        }
        let id = *self.room.state.id();
        let name = self.room.state.document().name.clone();
        let rooms = vec![RoomSummary { id, name, statements: 1 }];
        json(200, &RoomList { next_page_token: None, rooms })
    }

    fn create(&mut self, body: &[u8]) -> Answered {
        let envelope = envelope(body)?;
        let id = RoomId(envelope.digest());
        if *self.room.state.id() == id {
            return Err(ApiError::new(ReasonCode::AlreadyExists, "the room exists"));
        }
        let state = RoomState::open(&envelope).map_err(|refusal| refused(&refusal))?;
        let name = state.document().name.clone();
        self.room.state = state;
        self.room.entries = vec![envelope];
        json(201, &CreatedRoom { id, name })
    }

    fn log_page(&self, asked: &Asked) -> Answered {
        let from: usize = asked.value("from").unwrap().parse().unwrap();
        let all = self.log();
        let entries = all.iter().skip(from).take(self.page_entries).cloned().collect();
        let checkpoint = self.note.clone().unwrap_or_else(|| self.sign(all, &self.key));
        json(200, &LogPage { checkpoint, entries, size: all.len() as u64 })
    }

    fn apply(&mut self, envelope: &Envelope) -> Result<Taken, ApiError> {
        let position = self.room.entries.len() as u64;
        let applied = self.room.try_apply(envelope.clone()).map_err(|refusal| refused(&refusal))?;
        Ok(Taken { digest: applied.digest, position })
    }

    fn take(&mut self, envelope: &Envelope) -> Answered {
        let statement = envelope.unverified().unwrap();
        let old = self.room.state.member(&statement.party).map(|party| *party.public_key());
        let taken = self.apply(envelope)?;
        if let Body::Rotate(_) = statement.body {
            self.retired.insert(*old.unwrap().as_bytes());
        }
        json(200, &taken)
    }

    fn run(&mut self, envelope: &Envelope) -> Answered {
        let run = RunId::of_request(&envelope.digest());
        if self.room.state.run(&run).is_err() {
            self.apply(envelope)?;
            match self.fate {
                Fate::Waits => {}
                Fate::Ends => self.finish(&run),
                Fate::Refused => {
                    let refused = Refused {
                        party: None,
                        reason: ReasonCode::InputChanged,
                        run: Some(run),
                        statement: Some(envelope.digest()),
                        what: "run-request".into(),
                    };
                    self.room.says("host", Body::Refused(refused));
                }
            }
        }
        json(202, &StartedRun { run })
    }

    /// Starts and ends a run.
    pub(crate) fn finish(&mut self, run: &RunId) {
        let start = self.room.start(run);
        self.room.says("host", Body::RunStart(start));
        let receipt = self.room.receipt(run);
        self.room.says("host", Body::RunReceipt(Box::new(receipt)));
    }

    fn patch(&mut self, digest: &str, asked: &Asked) -> Answered {
        let length = asked.number("upload-length").unwrap();
        let (bytes, known) =
            self.uploads.entry(digest.into()).or_insert_with(|| (Vec::new(), length));
        assert_eq!(*known, length);
        if asked.number("upload-offset") != Some(bytes.len() as u64) {
            return Err(ApiError::new(ReasonCode::UploadIncomplete, "another offset"));
        }
        assert!(asked.body.len() as u64 <= self.chunk_bytes);
        bytes.extend_from_slice(&asked.body);
        let offset = bytes.len();
        if offset as u64 == length && Blake3Digest::of(bytes).to_hex() != digest {
            self.uploads.remove(digest);
            return Err(ApiError::new(ReasonCode::UploadMismatch, "another digest"));
        }
        Ok(Reply::new(204, "").with("upload-offset", offset))
    }

    /// A log that begins as this one and goes on differently, and is all signed.
    pub(crate) fn rewritten(&self, keep: usize) -> Vec<Envelope> {
        let entries = self.room.entries[..keep].to_vec();
        let state = replay(&entries).unwrap().state;
        let mut other = Room { state, entries, now: self.room.now };
        let pause = glovebox_contract::statement::Pause { comment: "other".into(), notebook: None };
        let mut party = ["airline", "weather"].into_iter().cycle();
        while other.entries.len() < self.room.entries.len() {
            other.says(party.next().unwrap(), Body::Pause(pause.clone()));
        }
        other.entries
    }
}

fn envelope(body: &[u8]) -> Result<Envelope, ApiError> {
    Envelope::from_bytes(body).map_err(|error| ApiError::new(error.reason(), error.to_string()))
}
