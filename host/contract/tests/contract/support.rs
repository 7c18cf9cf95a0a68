//! A room to try things in: parties with fixed keys, a fixed clock, and a short way to speak.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::bundle::Bundle;
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::limits::Limits;
use glovebox_contract::manifest::{
    ComponentKind, InputDeclaration, Manifest, OutputDeclaration, OutputMode,
};
use glovebox_contract::name::{Alias, AssetName, RunId, TableName};
use glovebox_contract::parameter::{ParameterDeclaration, ParameterType, ParameterValue};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::{Computation, EvidenceClass, Outcome, OutputFile, Receipt, Usage};
use glovebox_contract::state::{Applied, Refusal, RoomState};
use glovebox_contract::statement::{
    AssetStatement, Body, Collaborator, Decision, FileDigest, JailMode, LogReaders, NotebookAsset,
    OutputReaders, OutputSettings, Pin, Review, RoomDocument, RunRequest, RunStart, Snapshot,
    Statement, TableAsset,
};

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: u64 = 1_767_225_600;

/// Reads a name, a digest or a key that the test knows to be right.
pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// The private key of a party, the same in every test.
pub(crate) fn key(of: &str) -> PrivateKey {
    PrivateKey::from_seed(Blake3Digest::of(of.as_bytes()).as_bytes())
}

pub(crate) fn collaborator(alias: &str) -> Collaborator {
    Collaborator {
        alias: parse(alias),
        organisation: format!("{alias} Ltd"),
        public_key: key(alias).public(),
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        batch_bytes: 64 << 20,
        collaborators: 10,
        component_bytes: 64 << 20,
        cpu_seconds: 600,
        log_bytes: 1 << 20,
        memory_bytes: 1 << 30,
        open_files: 256,
        output_bytes: 1 << 30,
        output_rows: 1_000_000,
        scratch_bytes: 1 << 30,
        threads: 8,
        wall_seconds: 300,
    }
}

pub(crate) fn document(parties: &[&str]) -> RoomDocument {
    RoomDocument {
        billing: None,
        collaborators: parties.iter().map(|alias| collaborator(alias)).collect(),
        created: NOW,
        creator: parse(parties[0]),
        host_key: key("host").public(),
        limits: limits(),
        log_readers: LogReaders::Author,
        name: parse("delays"),
        nonce: "00112233445566778899aabbccddeeff".into(),
        outputs: OutputSettings { readers: OutputReaders::Runner, time_to_live_days: 30 },
        package_provider: None,
        region: "eu-central".into(),
    }
}

pub(crate) fn table(name: &str, columns: &[(&str, &str)]) -> TableAsset {
    TableAsset {
        columns: columns
            .iter()
            .map(|(name, column_type)| glovebox_contract::column::Column {
                name: (*name).into(),
                nullable: true,
                column_type: parse(column_type),
            })
            .collect(),
        description: String::new(),
        join_keys: BTreeMap::new(),
        name: parse(name),
        output: None,
        view: None,
    }
}

pub(crate) fn flights() -> TableAsset {
    table("airline.flights", &[("origin", "utf8"), ("dep_delay", "float64"), ("tailnum", "utf8")])
}

pub(crate) fn hourly() -> TableAsset {
    table("weather.hourly", &[("origin", "utf8"), ("wind", "float64")])
}

fn input(columns: &[(&str, &str)]) -> InputDeclaration {
    InputDeclaration {
        columns: columns.iter().map(|(name, of)| ((*name).to_owned(), parse(of))).collect(),
        description: String::new(),
    }
}

pub(crate) fn manifest() -> Manifest {
    Manifest {
        description: "Mean delay by wind".into(),
        functions: BTreeMap::new(),
        inputs: BTreeMap::from([
            (parse("airline.flights"), input(&[("origin", "utf8"), ("dep_delay", "float64")])),
            (parse("weather.hourly"), input(&[("origin", "utf8"), ("wind", "float64")])),
        ]),
        kind: ComponentKind::Notebook,
        language: "sql".into(),
        libraries: BTreeMap::new(),
        name: parse("delay-by-wind"),
        outputs: BTreeMap::from([(
            parse("delay_by_wind"),
            OutputDeclaration {
                columns: table("x.y", &[("wind", "float64"), ("delay", "float64")]).columns,
                description: String::new(),
                max_bytes: None,
                max_rows: Some(1000),
                mode: OutputMode::Replace,
            },
        )]),
        parameters: BTreeMap::from([(
            parse("min_group"),
            ParameterDeclaration {
                choices: vec![],
                default: Some("50".into()),
                description: String::new(),
                maximum: None,
                minimum: Some("20".into()),
                parameter_type: ParameterType::Int64,
            },
        )]),
        toolchain: String::new(),
        version: "1.0.0".into(),
        volumes: BTreeMap::new(),
    }
}

/// The bytes that stand for the component of a version.
pub(crate) fn component(version: &str) -> Vec<u8> {
    format!("component {version}").into_bytes()
}

pub(crate) fn notebook(version: &str) -> NotebookAsset {
    NotebookAsset {
        bindings: BTreeMap::new(),
        component: ContentDigest::of(&component(version)),
        component_bytes: 15,
        cutover: None,
        hidden: false,
        interfaces: BTreeSet::from(["glovebox:guest/script@0.1.0".into()]),
        manifest: Manifest { version: version.into(), ..manifest() },
        runners: BTreeSet::from([parse("weather")]),
    }
}

pub(crate) fn add_notebook(notebook: NotebookAsset) -> Body {
    Body::Asset(AssetStatement::Notebook(Box::new(notebook)))
}

pub(crate) fn add_table(table: TableAsset) -> Body {
    Body::Asset(AssetStatement::Table(table))
}

pub(crate) fn name() -> AssetName {
    parse("delay-by-wind")
}

/// Files of the input tables as they are today.
pub(crate) fn inputs() -> BTreeMap<TableName, Snapshot> {
    let snapshot = |content: &[u8]| Snapshot {
        files: vec![FileDigest { bytes: content.len() as u64, digest: ContentDigest::of(content) }],
        pin: Pin::Content,
        tables: Vec::new(),
    };
    BTreeMap::from([
        (parse("airline.flights"), snapshot(b"flights.parquet")),
        (parse("weather.hourly"), snapshot(b"hourly.parquet")),
    ])
}

/// The bytes that stand for the output file.
pub(crate) const OUTPUT: &[u8] = b"delay_by_wind.parquet";

pub(crate) fn output_file() -> OutputFile {
    OutputFile {
        bytes: OUTPUT.len() as u64,
        content: Blake3Digest::of(b"the table"),
        digest: ContentDigest::of(OUTPUT),
        rows: 7,
    }
}

/// A room, its log and the keys of its parties.
#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) state: RoomState,
    pub(crate) entries: Vec<Envelope>,
    pub(crate) now: u64,
}

impl Room {
    /// A room that its creator has signed and nobody else has accepted.
    pub(crate) fn create(document: RoomDocument) -> Result<Self, Refusal> {
        let party = document.creator.clone();
        let key = key(party.as_str());
        let body = Body::Room(document);
        let statement = Statement { body, issued_at: NOW, party, room: None, sequence: 1 };
        let envelope = Envelope::sign(&statement, &key)?;
        Ok(Self { state: RoomState::open(&envelope)?, entries: vec![envelope], now: NOW })
    }

    /// A room of an airline, a weather agency and a partner, accepted by all.
    pub(crate) fn accepted() -> Self {
        let mut room = Self::create(document(&["airline", "weather", "partner"])).unwrap();
        room.says("weather", Body::Accept);
        room.says("partner", Body::Accept);
        room
    }

    /// An accepted room with both tables and version 1.0.0 of the notebook, by the partner.
    pub(crate) fn with_notebook() -> Self {
        let mut room = Self::accepted();
        room.says("airline", add_table(flights()));
        room.says("weather", add_table(hourly()));
        room.says("partner", add_notebook(notebook("1.0.0")));
        room
    }

    /// The same, with the notebook approved by both owners.
    pub(crate) fn approved() -> Self {
        let mut room = Self::with_notebook();
        room.review("airline", Decision::Approve);
        room.review("weather", Decision::Approve);
        room
    }

    /// The same, with a run that the weather agency asked for.
    pub(crate) fn requested() -> (Self, RunId) {
        let mut room = Self::approved();
        let request = room.request();
        let run = RunId::of_request(&room.says("weather", request).digest);
        (room, run)
    }

    /// The same, with the run started.
    pub(crate) fn started() -> (Self, RunId) {
        let (mut room, run) = Self::requested();
        let start = room.start(&run);
        room.says("host", Body::RunStart(start));
        (room, run)
    }

    /// The same, with the run ended well.
    pub(crate) fn finished() -> (Self, RunId) {
        let (mut room, run) = Self::started();
        let receipt = room.receipt(&run);
        room.says("host", Body::RunReceipt(Box::new(receipt)));
        (room, run)
    }

    /// The statement that `party` would sign next.
    pub(crate) fn statement(&self, party: &str, body: Body) -> Statement {
        self.state.next_statement(&parse::<Alias>(party), body, self.now).unwrap()
    }

    pub(crate) fn try_apply(&mut self, envelope: Envelope) -> Result<Applied, Refusal> {
        let applied = self.state.apply(&envelope)?;
        self.entries.push(envelope);
        self.now += 1;
        Ok(applied)
    }

    /// `party` signs `body`, which may be refused.
    pub(crate) fn tries(&mut self, party: &str, body: Body) -> Result<Applied, Refusal> {
        let envelope = Envelope::sign(&self.statement(party, body), &key(party))?;
        self.try_apply(envelope)
    }

    /// `party` signs `body`, which must be taken.
    pub(crate) fn says(&mut self, party: &str, body: Body) -> Applied {
        self.tries(party, body).unwrap()
    }

    /// Digest of the revision of the newest version.
    pub(crate) fn revision(&self) -> Blake3Digest {
        *self.state.notebook(&name()).unwrap().latest().unwrap().revision_digest().unwrap()
    }

    pub(crate) fn review_body(&self, decision: Decision) -> Body {
        Body::Review(Review {
            comment: String::new(),
            decision,
            notebook: name(),
            revision: self.revision(),
        })
    }

    pub(crate) fn review(&mut self, party: &str, decision: Decision) {
        let body = self.review_body(decision);
        self.says(party, body);
    }

    pub(crate) fn request(&self) -> Body {
        Body::RunRequest(RunRequest {
            notebook: name(),
            parameters: BTreeMap::from([(parse("min_group"), ParameterValue::Int64(30))]),
            revision: self.revision(),
        })
    }

    /// The run-start of a host that does everything right.
    pub(crate) fn start(&self, run: &RunId) -> RunStart {
        let grants = self.state.grants_for(run, self.now).unwrap();
        RunStart {
            engine: Blake3Digest::of(b"engine"),
            grants_digest: grants.digest().unwrap(),
            host_binary: Blake3Digest::of(b"host"),
            inputs: inputs(),
            jail: JailMode::Full,
            request: *self.state.run(run).unwrap().request(),
            rules: self.state.approving_rules(run, self.now).unwrap(),
            run: *run,
        }
    }

    /// The receipt of a host that does everything right.
    pub(crate) fn receipt(&self, run: &RunId) -> Receipt {
        let record = self.state.run(run).unwrap();
        let computation = Computation {
            component: *record.component(),
            inputs: inputs(),
            parameters: record.parameters().clone(),
            revision: *record.revision(),
        };
        Receipt {
            computation: computation.digest().unwrap(),
            evidence: EvidenceClass::Asserted,
            finished_at: self.now,
            inputs: inputs(),
            notebook: name(),
            outcome: Outcome::Succeeded {
                outputs: BTreeMap::from([(parse("delay_by_wind"), output_file())]),
            },
            revision: *record.revision(),
            run: *run,
            start: *record.start_digest().unwrap(),
            usage: Usage::rounded(900, 50_000_000, 1100),
        }
    }

    pub(crate) fn bundle(&self) -> Bundle {
        Bundle::sign(self.entries.clone(), &key("host")).unwrap()
    }
}

/// The reason of a refusal, or `None` when the statement was taken.
pub(crate) fn reason<T>(result: Result<T, Refusal>) -> Option<ReasonCode> {
    result.err().map(|refusal| refusal.reason())
}
