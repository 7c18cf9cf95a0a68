//! A room of two parties, its files, and a home to keep it in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::limits::Limits;
use glovebox_contract::name::RunId;
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::statement::{
    AssetStatement, Body, Collaborator, Decision, LogReaders, NotebookAsset, OutputRead,
    OutputReaders, OutputSettings, Review, RoomDocument, RunRequest, Statement, TableAsset,
};
use glovebox_job::limits::JailMode;
use glovebox_job::process::WorkerProgram;
use glovebox_room::clock::Clock;
use glovebox_room::outputs::OpenedOutput;
use glovebox_room::run::{EndedRun, RunObserver};
use glovebox_room::tables::DescribedTable;
use glovebox_room::worker::WorkerSettings;
use glovebox_room::{Home, Room, RoomError};

use crate::fake_worker::{self, FakeComponent};

pub(crate) const NOTEBOOK: &str = "delays";
pub(crate) const START: u64 = 1_800_000_000;
pub(crate) const DAY: u64 = 86_400;

/// A clock that stands where a test puts it.
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn unix_micros(&self) -> u64 {
        self.0.load(Ordering::SeqCst) * 1_000_000
    }
}

/// What differs from test to test.
pub(crate) struct Wishes {
    pub(crate) limits: fn(&mut Limits),
    pub(crate) log_readers: LogReaders,
    pub(crate) output_readers: OutputReaders,
    pub(crate) runners: &'static [&'static str],
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            limits: |_| {},
            log_readers: LogReaders::Author,
            output_readers: OutputReaders::Runner,
            runners: &["weather"],
        }
    }
}

/// Two parties: `airline` owns `airline.flights` and wrote the notebook, `weather` owns
/// `weather.hourly` and runs it.
pub(crate) struct World {
    _root: Option<tempfile::TempDir>,
    pub(crate) path: PathBuf,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) home: Home,
    pub(crate) settings: WorkerSettings,
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

impl World {
    /// An accepted room with both tables and the approved notebook.
    pub(crate) fn ready(wishes: &Wishes) -> Self {
        let root = tempfile::tempdir().unwrap();
        let world = Self::ready_at(root.path(), wishes);
        Self { _root: Some(root), ..world }
    }

    /// [`World::ready`] in an existing directory.
    pub(crate) fn ready_at(path: &Path, wishes: &Wishes) -> Self {
        let path = path.to_owned();
        let clock = Arc::new(TestClock(AtomicU64::new(START)));
        let home = Home::open_or_create_with(&path.join("home"), clock.clone()).unwrap();
        let world = Self { _root: None, path, clock, home, settings: settings() };
        world.create_room(wishes);
        world.add_tables();
        world.add_notebook(wishes);
        world
    }

    /// A world that another process made.
    pub(crate) fn at(path: &Path) -> Self {
        let clock = Arc::new(TestClock(AtomicU64::new(START)));
        let home = Home::open_with(&path.join("home"), clock.clone()).unwrap();
        Self { _root: None, path: path.to_owned(), clock, home, settings: settings() }
    }

    /// The room as a newly started process sees it.
    pub(crate) fn room(&self) -> Room {
        Home::open_with(&self.path.join("home"), self.clock.clone()).unwrap().room("lab").unwrap()
    }

    /// The home as a newly started process sees it.
    pub(crate) fn room_home(&self) -> Home {
        Home::open_with(&self.path.join("home"), self.clock.clone()).unwrap()
    }

    pub(crate) fn try_room(&self) -> Result<Room, RoomError> {
        Home::open_with(&self.path.join("home"), self.clock.clone())?.room("lab")
    }

    pub(crate) fn room_directory(&self) -> PathBuf {
        let mut rooms = fs::read_dir(self.path.join("home/rooms")).unwrap();
        rooms.next().unwrap().unwrap().path()
    }

    pub(crate) fn document(&self, wishes: &Wishes) -> RoomDocument {
        let mut limits = Limits {
            batch_bytes: 1 << 20,
            collaborators: 10,
            component_bytes: 1 << 20,
            cpu_seconds: 20,
            log_bytes: 256,
            memory_bytes: 1 << 32,
            open_files: 256,
            output_bytes: 4096,
            output_rows: 100,
            scratch_bytes: 1 << 20,
            threads: 64,
            wall_seconds: 20,
        };
        (wishes.limits)(&mut limits);
        let collaborators = ["airline", "weather"].map(|alias| Collaborator {
            alias: alias.parse().unwrap(),
            organisation: alias.to_uppercase(),
            public_key: key(alias).public(),
        });
        RoomDocument {
            billing: None,
            collaborators: collaborators.into(),
            created: START,
            creator: "airline".parse().unwrap(),
            host_key: self.home.host_key(),
            limits,
            log_readers: wishes.log_readers,
            name: "lab".parse().unwrap(),
            nonce: "00112233445566778899aabbccddeeff".into(),
            outputs: OutputSettings { readers: wishes.output_readers, time_to_live_days: 30 },
            package_provider: None,
            region: "local".into(),
        }
    }

    fn create_room(&self, wishes: &Wishes) {
        let statement = Statement {
            body: Body::Room(self.document(wishes)),
            issued_at: START,
            party: "airline".parse().unwrap(),
            room: None,
            sequence: 1,
        };
        let envelope = Envelope::sign(&statement, &key("airline")).unwrap();
        let mut room = self.home.create_room(&envelope).unwrap();
        let accept = sign(&room, "weather", Body::Accept);
        room.submit(&accept).unwrap();
    }

    fn add_tables(&self) {
        for (name, content) in [("airline.flights", "origin,delay\n"), ("weather.hourly", "wind\n")]
        {
            let directory = self.path.join(name);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("a.csv"), content).unwrap();
            fs::write(directory.join("b.csv"), content).unwrap();
            self.add_table(name).unwrap();
        }
    }

    /// Adds, or adds again, the table in the directory of its name.
    pub(crate) fn add_table(&self, name: &str) -> Result<(), RoomError> {
        let mut room = self.room();
        let name: glovebox_contract::name::TableName = name.parse().unwrap();
        let described =
            DescribedTable::read(&self.settings, &name, &self.path.join(name.as_str()), None)?;
        let table = TableAsset {
            columns: described.columns().to_vec(),
            description: String::new(),
            join_keys: std::collections::BTreeMap::new(),
            name: name.clone(),
            output: None,
            view: None,
        };
        let envelope = sign(&room, name.schema(), Body::Asset(AssetStatement::Table(table)));
        room.add_table(&envelope, &described).map(drop)
    }

    fn add_notebook(&self, wishes: &Wishes) {
        let component = FakeComponent::new(NOTEBOOK).to_bytes();
        let mut room = self.room();
        let envelope = sign(&room, "airline", notebook_asset(&component, wishes.runners));
        room.add_notebook(&self.settings, &envelope, &component).unwrap();
        let approve = Review {
            comment: String::new(),
            decision: Decision::Approve,
            notebook: NOTEBOOK.parse().unwrap(),
            revision: revision(&room),
        };
        let envelope = sign(&room, "weather", Body::Review(approve));
        room.submit(&envelope).unwrap();
    }

    /// Runs the notebook for `weather` with the fake worker behaving so.
    pub(crate) fn run(&self, behaviour: &str) -> Result<EndedRun, RoomError> {
        self.run_watched(behaviour, &mut ())
    }

    pub(crate) fn run_watched(
        &self,
        behaviour: &str,
        observer: &mut dyn RunObserver,
    ) -> Result<EndedRun, RoomError> {
        let mut room = self.room();
        let request = request(&room, "weather", behaviour);
        room.run(&self.settings, &request, observer)
    }
}

pub(crate) fn notebook_asset(component: &[u8], runners: &[&str]) -> Body {
    let fake = FakeComponent::from_bytes(component).unwrap();
    Body::Asset(AssetStatement::Notebook(Box::new(NotebookAsset {
        bindings: std::collections::BTreeMap::new(),
        component: ContentDigest::of(component),
        component_bytes: component.len() as u64,
        cutover: None,
        hidden: false,
        interfaces: fake.imports,
        manifest: fake.manifest,
        runners: runners.iter().map(|alias| alias.parse().unwrap()).collect(),
    })))
}

pub(crate) fn revision(room: &Room) -> Blake3Digest {
    let notebook = room.state().notebook(&NOTEBOOK.parse().unwrap()).unwrap();
    *notebook.latest().unwrap().revision_digest().unwrap()
}

/// The next statement of a party, signed.
pub(crate) fn sign(room: &Room, alias: &str, body: Body) -> Envelope {
    let statement = room.next_statement(&key(alias).public(), body).unwrap();
    Envelope::sign(&statement, &key(alias)).unwrap()
}

pub(crate) fn request(room: &Room, alias: &str, behaviour: &str) -> Envelope {
    let parameters =
        BTreeMap::from([("behaviour".parse().unwrap(), ParameterValue::Utf8(behaviour.into()))]);
    let notebook = NOTEBOOK.parse().unwrap();
    sign(
        room,
        alias,
        Body::RunRequest(RunRequest { notebook, parameters, revision: revision(room) }),
    )
}

pub(crate) fn read(room: &mut Room, alias: &str, run: &RunId) -> Result<OpenedOutput, RoomError> {
    let body = Body::OutputRead(OutputRead { output: "summary".parse().unwrap(), run: *run });
    let envelope = sign(room, alias, body);
    room.read_output(&envelope)
}

/// The outcome in one word.
pub(crate) fn outcome(ended: &Result<EndedRun, RoomError>) -> String {
    match ended {
        Err(error) => format!("refused {}", error.reason()),
        Ok(ended) => match &ended.receipt.outcome {
            Outcome::Succeeded { .. } => "succeeded".into(),
            Outcome::Failed { reason } => format!("failed {reason}"),
        },
    }
}

/// Kinds and words of the last entries of the log.
pub(crate) fn last_entries(room: &Room, count: usize) -> Vec<String> {
    let entries = room.entries().unwrap();
    let last = &entries[entries.len() - count..];
    last.iter().map(|entry| entry.statement.body.kind().to_string()).collect()
}

pub(crate) fn last_refusal(room: &Room) -> (ReasonCode, Option<String>) {
    match room.entries().unwrap().pop().unwrap().statement.body {
        Body::Refused(refused) => (refused.reason, refused.party.map(|party| party.to_string())),
        body => panic!("the last entry is `{}`", body.kind()),
    }
}
