//! A broker that has one table in its memory.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use glovebox_contract::column::{Column, ColumnType};
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::broker::{BrokerAnswer, BrokerRequest, MAX_ANSWER_BYTES, encode};
use glovebox_job::job::{BrokeredFile, BrokeredFiles, FileFormat, TableRows};
use glovebox_room::RoomError;
use glovebox_room::remote::{Broker, BrokeredTable, OpenRemote, Pinned, Serving};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// What is elsewhere.
#[derive(Clone)]
pub(crate) struct Elsewhere {
    pub(crate) password: &'static str,
    pub(crate) version: u32,
    pub(crate) content: &'static str,
    /// None when somebody has to look into the files.
    pub(crate) columns: Option<&'static [&'static str]>,
    /// How the reading fails, if it does.
    pub(crate) fails: Option<ReasonCode>,
    pub(crate) opened: u32,
}

#[derive(Clone)]
pub(crate) struct FakeBroker(pub(crate) Arc<Mutex<Elsewhere>>);

struct FakeTable {
    broker: FakeBroker,
    seen: Elsewhere,
}

struct FakeServing {
    tables: Vec<Box<dyn BrokeredTable>>,
    failure: Arc<Mutex<Option<(ReasonCode, String)>>>,
}

impl FakeBroker {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Elsewhere {
            password: PASSWORD,
            version: 1,
            content: "origin,delay\n",
            columns: Some(&["origin", "delay"]),
            fails: None,
            opened: 0,
        })))
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Elsewhere)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl Broker for FakeBroker {
    fn open(&self, request: OpenRemote<'_>) -> Result<Box<dyn BrokeredTable>, RoomError> {
        let seen = {
            let mut now = self.0.lock().unwrap();
            now.opened += 1;
            now.clone()
        };
        let given = request.credential.and_then(|credential| credential.get("password"));
        if given != Some(seen.password) {
            // A source may well say what it was told.
            let why = format!("{}: no entry with {given:?}", request.remote.location);
            let what = format!("table {}: its credential is not accepted", request.table);
            return Err(RoomError::new(ReasonCode::SourceDenied, what).because(why));
        }
        Ok(Box::new(FakeTable { broker: self.clone(), seen }))
    }

    fn serve(
        &self,
        tables: Vec<Box<dyn BrokeredTable>>,
        sockets: Vec<UnixStream>,
    ) -> Result<Box<dyn Serving>, RoomError> {
        let failure = Arc::new(Mutex::new(None));
        for mut socket in sockets {
            let (broker, failure) = (self.clone(), failure.clone());
            std::thread::spawn(move || while answer(&mut socket, &broker, &failure).is_some() {});
        }
        Ok(Box::new(FakeServing { tables, failure }))
    }
}

/// Answers one request; none when the worker is gone.
fn answer(
    socket: &mut UnixStream,
    broker: &FakeBroker,
    failure: &Mutex<Option<(ReasonCode, String)>>,
) -> Option<()> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).ok()?;
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut request).ok()?;
    let Ok(BrokerRequest::Ranges { ranges, .. }) = serde_json::from_slice(&request) else {
        return None;
    };
    let now = broker.0.lock().unwrap().clone();
    let (answer, bytes) = match now.fails {
        Some(reason) => {
            let why = format!("s3://bucket/flights said no to {}", now.password);
            *failure.lock().unwrap() = Some((reason, why));
            (BrokerAnswer::Failed { reason }, "")
        }
        None => {
            let (from, to) = ranges[0];
            let piece = &now.content[from as usize..to as usize];
            (BrokerAnswer::Bytes { lengths: vec![piece.len() as u64] }, piece)
        }
    };
    socket.write_all(&encode(&answer, MAX_ANSWER_BYTES).unwrap()).ok()?;
    socket.write_all(bytes.as_bytes()).ok()
}

fn column(name: &&str) -> Column {
    Column { name: (*name).into(), nullable: true, column_type: ColumnType::Int64 }
}

impl BrokeredTable for FakeTable {
    fn columns(&self) -> Option<Vec<Column>> {
        self.seen.columns.map(|names| names.iter().map(column).collect())
    }

    fn names_in_files(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn rows(&self, number: u32, columns: &[Column]) -> TableRows {
        let bytes = self.seen.content.len() as u64;
        TableRows::Brokered(BrokeredFiles {
            evolving: false,
            file_columns: columns.to_vec(),
            files: vec![BrokeredFile { bytes, has_deleted_rows: false, partition: Vec::new() }],
            format: FileFormat::Csv,
            partition_columns: Vec::new(),
            table: number,
        })
    }

    fn pinned(&self) -> Vec<Pinned> {
        let bytes = self.seen.content.len() as u64;
        let record = format!("version {}", self.seen.version);
        vec![Pinned { bytes, digest: ContentDigest::of(record.as_bytes()) }]
    }

    fn files(&self) -> usize {
        1
    }

    fn bytes(&self) -> u64 {
        self.seen.content.len() as u64
    }

    fn check_unchanged(&self) -> Result<(), RoomError> {
        if self.broker.0.lock().unwrap().version == self.seen.version {
            return Ok(());
        }
        Err(RoomError::new(ReasonCode::InputChanged, "the table changed during the run"))
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

impl Serving for FakeServing {
    fn failure(&self) -> Option<(ReasonCode, String)> {
        self.failure.lock().unwrap().clone()
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn check_unchanged(&self) -> Result<(), RoomError> {
        self.tables.iter().try_for_each(|table| table.check_unchanged())
    }
}
