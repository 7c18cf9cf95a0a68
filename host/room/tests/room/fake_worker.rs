//! A worker process without engines: it does what the run's parameter `behaviour` says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use glovebox_contract::column::{Column, ColumnType};
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::manifest::Manifest;
use glovebox_contract::media::MediaType;
use glovebox_contract::name::Identifier;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::broker::{BrokerAnswer, BrokerRequest, MAX_REQUEST_BYTES, encode};
use glovebox_job::channel::WorkerChannel;
use glovebox_job::descriptors::{DescriptorIndex, ReceivedDescriptors};
use glovebox_job::event::{Compiled, Event, LogLevel, OutputSummary, ResourceUsage};
use glovebox_job::job::{
    BrokeredFiles, CompileJob, DescribeBrokeredJob, DescribeJob, InputFile, Job, RunJob, TableRows,
};
use serde::{Deserialize, Serialize};

/// What stands in for a component: what the compiler would find in one.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct FakeComponent {
    pub(crate) imports: BTreeSet<String>,
    pub(crate) manifest: Manifest,
    pub(crate) source_paths: BTreeSet<String>,
}

impl FakeComponent {
    pub(crate) fn new(name: &str) -> Self {
        let manifest = serde_json::json!({
            "inputs": {
                "airline.flights": { "columns": { "delay": "int64" } },
                "weather.hourly": { "columns": { "wind": "int64" } },
            },
            "kind": "notebook",
            "language": "sql",
            "name": name,
            "outputs": {
                "summary": { "columns": [{ "name": "rows", "type": "int64" }], "max_rows": 10 },
            },
            "parameters": { "behaviour": { "type": "utf8", "default": "succeed" } },
            "version": "1.0.0",
        });
        Self {
            imports: BTreeSet::from(["glovebox:guest/script@0.1.0".into()]),
            manifest: serde_json::from_value(manifest).unwrap(),
            source_paths: BTreeSet::from(["notebook.sql".into()]),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }
}

pub(crate) fn engine() -> Blake3Digest {
    Blake3Digest::of(b"fake engine")
}

fn machine_code(component: &ContentDigest) -> Vec<u8> {
    format!("machine code of {component}").into_bytes()
}

/// The host starts this very test program again with `worker` as its first argument, which the
/// test harness takes for a filter and so runs this test alone, with the job socket as its input.
#[test]
fn worker() {
    if std::env::args().any(|argument| argument == "jail=off") {
        let channel = WorkerChannel::from_standard_input().unwrap();
        channel.send(&Event::Ready {}).unwrap();
        let (job, descriptors) = channel.receive().unwrap();
        let last = match job {
            Job::Describe(job) => describe(&job, descriptors),
            // A view of all columns.
            Job::DescribeView(job) => Event::Described {
                columns: job.definition.tables.into_values().flat_map(|t| t.file_columns).collect(),
                usage: ResourceUsage::default(),
            },
            Job::DescribeBrokered(job) => describe_brokered(job, descriptors),
            Job::Compile(job) => compile(&job, descriptors),
            Job::Run(job) => run(&channel, &job, descriptors),
        };
        channel.send(&last).unwrap();
        // The harness itself would go on to report; a worker just ends.
        std::process::exit(0);
    }
}

fn failed(reason: ReasonCode, detail: &str) -> Event {
    Event::Failed { reason, detail: detail.into(), usage: ResourceUsage::default() }
}

fn read_all(descriptors: &mut ReceivedDescriptors, file: &InputFile) -> Vec<u8> {
    let mut bytes = Vec::new();
    descriptors.take(file.descriptor).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, file.bytes);
    bytes
}

/// The files of a table that the broker reads, or why it does not.
fn read_brokered(socket: &mut UnixStream, files: &BrokeredFiles) -> Result<Vec<Vec<u8>>, Event> {
    let numbered = (0..).zip(&files.files);
    let read = numbered.map(|(number, file)| {
        let ranges = vec![(0, file.bytes)];
        let request = BrokerRequest::Ranges { table: files.table, file: number, ranges };
        socket.write_all(&encode(&request, MAX_REQUEST_BYTES).unwrap()).unwrap();
        let mut length = [0; 4];
        socket.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        socket.read_exact(&mut answer).unwrap();
        match serde_json::from_slice(&answer).unwrap() {
            BrokerAnswer::Bytes { lengths } => {
                assert_eq!(lengths, [file.bytes]);
                let mut bytes = vec![0; file.bytes as usize];
                socket.read_exact(&mut bytes).unwrap();
                Ok(bytes)
            }
            BrokerAnswer::Failed { reason } => Err(failed(reason, "the broker failed")),
            other => panic!("{other:?}"),
        }
    });
    read.collect()
}

/// Takes a socket to the broker, which comes as the real worker needs it.
fn broker(descriptors: &mut ReceivedDescriptors, index: DescriptorIndex) -> UnixStream {
    let socket = UnixStream::from(std::os::fd::OwnedFd::from(descriptors.take(index).unwrap()));
    let flags = nix::fcntl::fcntl(&socket, nix::fcntl::FcntlArg::F_GETFL).unwrap();
    assert!(nix::fcntl::OFlag::from_bits_retain(flags).contains(nix::fcntl::OFlag::O_NONBLOCK));
    socket.set_nonblocking(false).unwrap();
    socket
}

fn describe_brokered(job: DescribeBrokeredJob, mut descriptors: ReceivedDescriptors) -> Event {
    let mut socket = broker(&mut descriptors, job.broker[0]);
    match read_brokered(&mut socket, &job.files) {
        Err(event) => event,
        Ok(files) => described(files),
    }
}

/// The first line of a file names its columns, all of them integers.
fn describe(job: &DescribeJob, mut descriptors: ReceivedDescriptors) -> Event {
    described(job.files.iter().map(|file| read_all(&mut descriptors, file)).collect())
}

fn described(texts: Vec<Vec<u8>>) -> Event {
    let headers: BTreeSet<_> = texts
        .into_iter()
        .map(|text| String::from_utf8(text).unwrap().lines().next().unwrap_or_default().to_owned())
        .collect();
    let Some(header) = headers.first().filter(|header| headers.len() == 1 && !header.is_empty())
    else {
        return failed(ReasonCode::InputCorrupt, "no common header");
    };
    let column =
        |name: &str| Column { name: name.into(), nullable: true, column_type: ColumnType::Int64 };
    Event::Described {
        columns: header.split(',').map(column).collect(),
        usage: ResourceUsage::default(),
    }
}

fn compile(job: &CompileJob, mut descriptors: ReceivedDescriptors) -> Event {
    let bytes = read_all(&mut descriptors, &job.component);
    if !job.digest.matches(&bytes) {
        return failed(ReasonCode::ComponentMismatch, "");
    }
    let Ok(component) = FakeComponent::from_bytes(&bytes) else {
        return failed(ReasonCode::ComponentRefused, "not a component");
    };
    let code = machine_code(&job.digest);
    descriptors.take(job.machine_code).unwrap().write_all(&code).unwrap();
    Event::Compiled(Box::new(Compiled {
        engine: engine(),
        exports: BTreeSet::new(),
        imports: component.imports,
        machine_code_bytes: code.len() as u64,
        machine_code_digest: Blake3Digest::of(&code),
        manifest: component.manifest,
        source_paths: component.source_paths,
        usage: ResourceUsage::default(),
        world: Some("notebook".into()),
    }))
}

fn run(channel: &WorkerChannel, job: &RunJob, mut descriptors: ReceivedDescriptors) -> Event {
    let code = InputFile { bytes: job.machine_code.bytes, descriptor: job.machine_code.descriptor };
    if read_all(&mut descriptors, &code) != machine_code(job.grants.component()) {
        return failed(ReasonCode::Internal, "wrong machine code was loaded");
    }
    let mut sockets = job.broker.iter().map(|index| broker(&mut descriptors, *index));
    let mut socket = sockets.next();
    drop(sockets);
    for table in &job.inputs {
        assert!(job.grants.tables().contains_key(&table.table));
        let tables: Vec<_> = match &table.rows {
            TableRows::Files(files) => vec![files],
            TableRows::View(view) => view.tables.values().collect(),
            TableRows::Brokered(files) => {
                match read_brokered(socket.as_mut().unwrap(), files) {
                    Err(event) => return event,
                    Ok(read) => assert!(!read.is_empty()),
                }
                Vec::new()
            }
            TableRows::Foreign(_) => return failed(ReasonCode::SourceUnsupported, ""),
        };
        for file in tables.iter().flat_map(|table| &table.files) {
            read_all(&mut descriptors, file);
        }
    }
    let mut outputs: Vec<(Identifier, File)> = Vec::new();
    for output in &job.outputs {
        outputs.push((output.name.clone(), descriptors.take(output.descriptor).unwrap()));
    }
    let mut written: BTreeMap<Identifier, OutputSummary> = BTreeMap::new();
    let content = format!("output of {}", job.computation);
    for (name, file) in &mut outputs {
        file.write_all(content.as_bytes()).unwrap();
        let summary = OutputSummary {
            bytes: content.len() as u64,
            content: Blake3Digest::of(b"the table"),
            rows: 3,
        };
        written.insert(name.clone(), summary);
    }
    behave(channel, job, written, &mut outputs)
}

fn behave(
    channel: &WorkerChannel,
    job: &RunJob,
    mut outputs: BTreeMap<Identifier, OutputSummary>,
    files: &mut [(Identifier, File)],
) -> Event {
    let parameter = &job.grants.parameters()[&"behaviour".parse::<Identifier>().unwrap()];
    let behaviour = parameter.to_string();
    let summary = outputs.values_mut().next().unwrap();
    let mut cpu_ms = 5;
    match behaviour.as_str() {
        "succeed" => {}
        "busy" => cpu_ms = 900,
        // The test does something to the room or to the files when it hears of progress.
        "progress" => channel.send(&Event::Progress { done: 1, total: Some(2) }).unwrap(),
        "log" => {
            for line in ["first", "second"] {
                channel.send(&Event::Log { level: LogLevel::Info, text: line.into() }).unwrap();
            }
        }
        "display" => {
            for (media_type, data) in [(MediaType::Plain, "a table"), (MediaType::Html, "<b>")] {
                let data = data.into();
                channel.send(&Event::Display { media_type, data }).unwrap();
            }
        }
        "display-flood" => {
            for _ in 0..20 {
                let (media_type, data) = (MediaType::Plain, vec![b'x'; 63]);
                channel.send(&Event::Display { media_type, data }).unwrap();
            }
        }
        "log-flood" => {
            for _ in 0..20 {
                let text = "x".repeat(63);
                channel.send(&Event::Log { level: LogLevel::Info, text }).unwrap();
            }
        }
        "guest-error" => return failed(ReasonCode::GuestError, "no such month: 13"),
        "die" => std::process::exit(3),
        "die-talking" => {
            // The test harness would keep what `eprintln!` writes.
            std::io::stderr().write_all(b"panicked at row 7: JFK,1234\n").unwrap();
            std::process::abort()
        }
        "hang" => std::thread::sleep(std::time::Duration::from_secs(600)),
        "rows" => summary.rows = 11,
        "bytes" => summary.bytes += 1,
        "too-large" => {
            let more = vec![b'x'; 5000];
            files[0].1.write_all(&more).unwrap();
            summary.bytes += more.len() as u64;
        }
        "fill" => {
            let block = vec![b'x'; 1 << 16];
            while files[0].1.write_all(&block).is_ok() {}
            return failed(ReasonCode::StorageFull, "");
        }
        "undeclared" => {
            let summary = *summary;
            outputs.insert("secret".parse().unwrap(), summary);
        }
        "missing" => outputs.clear(),
        "nonsense" => {
            let input = std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned().unwrap();
            let _ = UnixStream::from(input).write_all(b"\0\0\0\x05hello");
        }
        other => return failed(ReasonCode::Internal, &format!("unknown behaviour `{other}`")),
    }
    Event::Finished { outputs, usage: ResourceUsage { cpu_ms, memory_bytes: 1000 } }
}
