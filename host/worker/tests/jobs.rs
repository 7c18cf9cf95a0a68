//! Whole jobs in real jails: describe files, compile a component, run it.
//!
//! Like `jail.rs` a whole program, with the real worker.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::writer::StreamWriter;
use glovebox_contract::column::Column;
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::grants::Grants;
use glovebox_contract::limits::Limits;
use glovebox_contract::name::Identifier;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::broker::{self, BrokerAnswer, BrokerRequest};
use glovebox_job::descriptors::DescriptorList;
use glovebox_job::event::{Compiled, Event, OutputSummary};
use glovebox_job::job::{
    BrokeredFile, BrokeredFiles, CompileJob, DescribeBrokeredJob, DescribeJob, DescribeViewJob,
    FileFormat, ForeignTable, InputFile, InputTable, Job, MachineCode, OutputFile, RunJob,
    TableFiles, TableRows, ViewDefinition,
};
use glovebox_job::limits::{JailMode, ProcessLimits};
use glovebox_job::process::{Worker, WorkerError, WorkerProgram};
use glovebox_worker::content;
use serde_json::json;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("jail") => return glovebox_worker::launcher_main(),
        Some("worker") => return glovebox_worker::worker_main(),
        Some("--list") => return ExitCode::SUCCESS,
        _ => {}
    }
    let filter = arguments.into_iter().skip(1).find(|argument| !argument.starts_with('-'));
    let filter = filter.unwrap_or_default();
    let tests: &[(&str, fn())] = &[
        ("columns of files", columns_of_files),
        ("files that are no tables", files_that_are_no_tables),
        ("columns of views", columns_of_views),
        ("a component is compiled", a_component_is_compiled),
        ("components that are refused", components_that_are_refused),
        ("a notebook runs", a_notebook_runs),
        ("a notebook runs without a jail", a_notebook_runs_without_a_jail),
        ("runs that fail", runs_that_fail),
        ("a query spills", a_query_spills),
        ("rows through a broker", rows_through_a_broker),
        ("columns through a broker", columns_through_a_broker),
        ("brokers that fail", brokers_that_fail),
        ("swapped machine code", swapped_machine_code),
        ("latency", latency),
    ];
    for (name, test) in tests.iter().filter(|(name, _)| name.contains(&filter)) {
        print!("test {name} ... ");
        let _ = std::io::stdout().flush();
        test();
        println!("ok");
    }
    ExitCode::SUCCESS
}

const PEOPLE: &str = "name,band,age\nann,low,31\nbob,high,45\ncid,low,29\ndora,mid,60\n";

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "reach"
version = "1.0.0"
description = "People in each band."

[inputs."agency.people"]
columns = { band = "utf8", age = "int64" }

[parameters.min_age]
type = "int64"
default = "0"

[outputs.reach]
max_rows = 3
columns = [ { name = "band", type = "utf8" }, { name = "people", type = "int64", nullable = false }, { name = "mean_age", type = "float64" } ]
*/
CREATE TABLE output.reach AS
SELECT band, count(*) AS people, avg(age) AS mean_age
FROM agency.people WHERE age >= :min_age GROUP BY band ORDER BY band;
"#;

fn limits() -> Limits {
    serde_json::from_value(json!({
        "batch_bytes": 1 << 20, "collaborators": 2, "component_bytes": 1 << 20, "cpu_seconds": 60,
        "log_bytes": 4096, "memory_bytes": 512 << 20, "open_files": 64, "output_bytes": 1 << 20,
        "output_rows": 1000, "scratch_bytes": 16 << 20, "threads": 32, "wall_seconds": 60,
    }))
    .expect("limits")
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(content).expect("write");
    file
}

fn answer(
    job: &Job,
    descriptors: DescriptorList,
    mode: JailMode,
    limits: ProcessLimits,
) -> Result<Event, WorkerError> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut worker = Worker::spawn(&WorkerProgram::this_program(), mode, limits)?;
    worker.send(job, descriptors, deadline)?;
    worker.wait(deadline, |_| {})
}

fn failure(event: Event) -> (ReasonCode, String) {
    match event {
        Event::Failed { reason, detail, .. } => (reason, detail),
        other => panic!("expected a failure, got {other:?}"),
    }
}

fn describe(format: FileFormat, contents: &[&[u8]]) -> Event {
    let mut descriptors = DescriptorList::new();
    let files = contents.iter().map(|content| InputFile {
        bytes: content.len() as u64,
        descriptor: descriptors.push(file(content)),
    });
    let job = Job::Describe(DescribeJob { files: files.collect(), format });
    let limits = ProcessLimits::of_description(contents.len());
    answer(&job, descriptors, JailMode::Full, limits).expect("an answer")
}

fn people_columns() -> Vec<Column> {
    match describe(FileFormat::Csv, &[PEOPLE.as_bytes()]) {
        Event::Described { columns, .. } => columns,
        other => panic!("{other:?}"),
    }
}

fn columns_of_files() {
    let shown = serde_json::to_value(people_columns()).expect("JSON");
    assert_eq!(
        shown,
        json!([
            {"name": "name", "type": "utf8"},
            {"name": "band", "type": "utf8"},
            {"name": "age", "type": "int64"},
        ])
    );
    let Event::Described { columns, usage } =
        describe(FileFormat::Ndjson, &[b"{\"a\":1}\n", b"{\"a\":2.5}\n"])
    else {
        panic!("not described");
    };
    assert_eq!(
        serde_json::to_value(columns).expect("JSON"),
        json!([{"name": "a", "type": "float64"}])
    );
    assert!(usage.memory_bytes > 1 << 20, "{usage:?}");
}

/// What a jailed child says of a view over the people.
fn describe_view(sql: &str) -> Event {
    let mut descriptors = DescriptorList::new();
    let people = TableFiles {
        file_columns: people_columns(),
        files: vec![InputFile {
            bytes: PEOPLE.len() as u64,
            descriptor: descriptors.push(file(PEOPLE.as_bytes())),
        }],
        format: FileFormat::Csv,
    };
    let tables = [("people".parse().expect("a name"), people)].into();
    let definition = ViewDefinition { sql: sql.into(), tables };
    let view = "agency.grown".parse().expect("a name");
    let job = Job::DescribeView(DescribeViewJob { definition, view });
    let limits = ProcessLimits::of_description(1);
    answer(&job, descriptors, JailMode::Full, limits).expect("an answer")
}

fn columns_of_views() {
    let sql = "SELECT band, avg(age) AS mean, count(*) AS n FROM people GROUP BY band";
    let Event::Described { columns, .. } = describe_view(sql) else { panic!("not described") };
    assert_eq!(
        serde_json::to_value(columns).expect("JSON"),
        json!([
            {"name": "band", "type": "utf8"},
            {"name": "mean", "type": "float64"},
            {"name": "n", "nullable": false, "type": "int64"},
        ])
    );
    let check = |sql: &str, reason| assert_eq!(failure(describe_view(sql)).0, reason, "{sql}");
    check("SELECT * FROM agency.people", ReasonCode::TableNotGranted);
    check("SELECT * FROM '/etc/passwd'", ReasonCode::TableNotGranted);
    check("SELECT uuid() AS u FROM people", ReasonCode::SqlRefused);
    check("COPY people TO '/tmp/x'", ReasonCode::SqlRefused);
    check(&format!("SELECT {} AS x FROM people", "(".repeat(5_000)), ReasonCode::SqlTooComplex);
}

fn files_that_are_no_tables() {
    for format in [FileFormat::Parquet, FileFormat::ArrowIpc, FileFormat::Ndjson] {
        let (reason, _) = failure(describe(format, &[b"PAR1 this is not a table"]));
        assert_eq!(reason, ReasonCode::InputCorrupt, "{format:?}");
    }
}

fn component() -> Vec<u8> {
    component_of(NOTEBOOK)
}

fn component_of(notebook: &str) -> Vec<u8> {
    glovebox_build::build_sql(notebook).expect("a component").into_bytes()
}

fn compile(component: &[u8], digest: ContentDigest) -> (Event, File) {
    let code = file(b"");
    let mut descriptors = DescriptorList::new();
    let job = Job::Compile(CompileJob {
        component: InputFile {
            bytes: component.len() as u64,
            descriptor: descriptors.push(file(component)),
        },
        digest,
        libraries: Default::default(),
        limits: limits(),
        machine_code: descriptors.push(code.try_clone().expect("a copy")),
    });
    let limits = ProcessLimits::of_compilation(&limits());
    (answer(&job, descriptors, JailMode::Full, limits).expect("an answer"), code)
}

fn compiled(component: &[u8]) -> (Compiled, File) {
    match compile(component, ContentDigest::of(component)) {
        (Event::Compiled(compiled), code) => (*compiled, code),
        (other, _) => panic!("{other:?}"),
    }
}

fn a_component_is_compiled() {
    let (compiled, mut code) = compiled(&component());
    let mut bytes = Vec::new();
    code.rewind().expect("rewind");
    code.read_to_end(&mut bytes).expect("read");
    assert_eq!(bytes.len() as u64, compiled.machine_code_bytes);
    assert_eq!(Blake3Digest::of(&bytes), compiled.machine_code_digest);
    assert_eq!(compiled.manifest.name.as_str(), "reach");
    assert_eq!(compiled.source_paths.into_iter().collect::<Vec<_>>(), ["notebook.sql"]);
}

fn components_that_are_refused() {
    let good = component();
    let check = |bytes: &[u8], digest: ContentDigest, reason: ReasonCode| {
        let (event, code) = compile(bytes, digest);
        assert_eq!(failure(event).0, reason);
        assert_eq!(code.metadata().expect("metadata").len(), 0);
    };
    check(&good, ContentDigest::of(b"other"), ReasonCode::ComponentMismatch);
    let garbage = b"\0asm garbage";
    check(garbage, ContentDigest::of(garbage), ReasonCode::ComponentRefused);
    let truncated = &good[..good.len() / 2];
    check(truncated, ContentDigest::of(truncated), ReasonCode::ComponentRefused);
    let large = vec![0; (1 << 20) + 1];
    check(&large, ContentDigest::of(&large), ReasonCode::ComponentRefused);
}

/// Where rows are that are in no file, and sockets to who has them.
type Elsewhere = fn(&[u8]) -> (TableRows, Vec<UnixStream>);

/// A run of the notebook; a test changes what it wants to break.
struct Run {
    code: File,
    columns: Vec<Column>,
    compiled: Compiled,
    grants: serde_json::Value,
    input: Vec<u8>,
    limits: ProcessLimits,
    mode: JailMode,
    /// Where the input is, when it is not in a file: its rows, and sockets to who has them.
    elsewhere: Option<Elsewhere>,
}

impl Run {
    fn new() -> Self {
        Self::of(&component(), PEOPLE.as_bytes().to_vec())
    }

    /// A run of `component` over one file of `agency.people`.
    fn of(component: &[u8], input: Vec<u8>) -> Self {
        let (compiled, code) = compiled(component);
        let outputs = serde_json::to_value(&compiled.manifest.outputs).expect("JSON");
        let zeros = "0".repeat(64);
        let grants = json!({
            "component": ContentDigest::of(component),
            "interfaces": compiled.imports,
            "limits": limits(),
            "notebook": "reach",
            "outputs": outputs,
            "parameters": {"min_age": {"type": "int64", "value": "30"}},
            "revision": format!("blake3:{zeros}"),
            "room": format!("blake3:{zeros}"),
            "run": "0".repeat(32),
            "started_at": 0,
            "tables": {"agency.people": [
                {"name": "band", "type": "utf8"}, {"name": "age", "type": "int64"},
            ]},
        });
        Self {
            code,
            columns: people_columns(),
            compiled,
            grants,
            input,
            limits: ProcessLimits::of_run(&limits()),
            mode: JailMode::Full,
            elsewhere: None,
        }
    }

    fn start(&self) -> (Result<Event, WorkerError>, File) {
        let output = file(b"");
        let mut descriptors = DescriptorList::new();
        let grants: Grants = serde_json::from_value(self.grants.clone()).expect("grants");
        let copy = |file: &File| file.try_clone().expect("a copy");
        let (rows, sockets) = match self.elsewhere {
            Some(elsewhere) => elsewhere(&self.input),
            None => (self.files(&mut descriptors), Vec::new()),
        };
        let job = Job::Run(Box::new(RunJob {
            broker: sockets.into_iter().map(|socket| descriptors.push(socket)).collect(),
            computation: Blake3Digest::of(b"computation"),
            functions: Default::default(),
            grants,
            inputs: vec![InputTable {
                renamed: BTreeMap::new(),
                rows,
                table: "agency.people".parse().expect("a name"),
            }],
            machine_code: MachineCode {
                bytes: self.compiled.machine_code_bytes,
                descriptor: descriptors.push(copy(&self.code)),
                digest: self.compiled.machine_code_digest,
            },
            outputs: vec![OutputFile {
                descriptor: descriptors.push(copy(&output)),
                name: "reach".parse().expect("a name"),
            }],
            partitions: 2,
            volumes: Vec::new(),
        }));
        (answer(&job, descriptors, self.mode, self.limits), output)
    }

    fn files(&self, descriptors: &mut DescriptorList) -> TableRows {
        TableRows::Files(TableFiles {
            file_columns: self.columns.clone(),
            files: vec![InputFile {
                bytes: self.input.len() as u64,
                descriptor: descriptors.push(file(&self.input)),
            }],
            format: FileFormat::Csv,
        })
    }

    fn finish(&self) -> (BTreeMap<Identifier, OutputSummary>, Vec<u8>) {
        let (event, mut output) = self.start();
        let mut bytes = Vec::new();
        output.rewind().expect("rewind");
        output.read_to_end(&mut bytes).expect("read");
        match event.expect("an answer") {
            Event::Finished { outputs, .. } => (outputs, bytes),
            other => panic!("{other:?}"),
        }
    }
}

fn a_notebook_runs() {
    let run = Run::new();
    let (outputs, bytes) = run.finish();
    let summary = outputs[&"reach".parse::<Identifier>().expect("a name")];
    let content = summary.content;
    assert_eq!(summary, OutputSummary { bytes: bytes.len() as u64, content, rows: 3 });
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&bytes).expect("write");
    assert_eq!(content::of_parquet(file).expect("a table"), content, "the file has another table");
    assert!(bytes.starts_with(b"PAR1"));
    assert_eq!(run.finish(), (outputs, bytes), "a second run differs");
}

fn a_notebook_runs_without_a_jail() {
    let jailed = Run::new();
    let free = Run { mode: JailMode::Off, ..Run::new() };
    assert_eq!(jailed.finish(), free.finish());
}

fn runs_that_fail() {
    let check = |change: fn(&mut Run), reason: ReasonCode| {
        let mut run = Run::new();
        change(&mut run);
        let found = match run.start().0 {
            Ok(event) => failure(event).0,
            Err(error) => error.reason(),
        };
        assert_eq!(found, reason);
    };
    check(|run| run.grants["outputs"]["reach"]["max_rows"] = 2.into(), ReasonCode::OutputRows);
    check(
        |run| run.grants["outputs"]["reach"]["columns"][1]["type"] = "utf8".into(),
        ReasonCode::OutputSchema,
    );
    check(|run| run.grants["outputs"]["reach"]["max_bytes"] = 100.into(), ReasonCode::OutputBytes);
    check(|run| run.grants["interfaces"] = json!([]), ReasonCode::ImportNotGranted);
    check(
        |run| {
            let columns = run.grants["tables"]["agency.people"].as_array_mut().expect("columns");
            columns.pop();
        },
        ReasonCode::ColumnNotGranted,
    );
    check(
        |run| run.input = b"name,band,age\nann,low,not a number\n".to_vec(),
        ReasonCode::InputCorrupt,
    );
}

/// Sockets to a broker that has `input` as the one file of table 0, and as table 1 of a database.
fn broker(input: &[u8], serve: fn(&[u8], BrokerRequest, &mut UnixStream)) -> Vec<UnixStream> {
    let lines = (0..4).map(|_| {
        let (mut host, worker) = UnixStream::pair().expect("a socket");
        let input = input.to_vec();
        std::thread::spawn(move || {
            let mut length = [0; 4];
            while host.read_exact(&mut length).is_ok() {
                let mut text = vec![0; u32::from_be_bytes(length) as usize];
                host.read_exact(&mut text).expect("a request");
                serve(&input, serde_json::from_slice(&text).expect("a request"), &mut host);
            }
        });
        worker
    });
    lines.collect()
}

fn say(host: &mut UnixStream, answer: &BrokerAnswer, bytes: &[u8]) {
    let head = broker::encode(answer, broker::MAX_ANSWER_BYTES).expect("a head");
    // A worker that is done is none of this one's business.
    let _ = host.write_all(&head).and_then(|()| host.write_all(bytes));
}

fn serve(input: &[u8], request: BrokerRequest, host: &mut UnixStream) {
    match request {
        BrokerRequest::Ranges { table: 0, file: 0, ranges } => {
            let lengths = ranges.iter().map(|(from, to)| to - from).collect();
            let pieces = ranges.iter().map(|(from, to)| &input[*from as usize..*to as usize]);
            say(host, &BrokerAnswer::Bytes { lengths }, &pieces.collect::<Vec<_>>().concat());
        }
        BrokerRequest::Rows { table: 1, columns, .. } => {
            let reader = ReaderBuilder::new(Arc::new(people_schema())).with_header(true);
            let places = columns.iter().map(|column| *column as usize).collect();
            for batch in reader.with_projection(places).build(input).expect("a reader") {
                let batch = batch.expect("a batch");
                let mut writer =
                    StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
                writer.write(&batch).expect("write");
                let bytes = writer.into_inner().expect("a stream");
                say(host, &BrokerAnswer::Batch { bytes: bytes.len() as u64 }, &bytes);
            }
            say(host, &BrokerAnswer::End, &[]);
        }
        other => panic!("{other:?}"),
    }
}

fn people_schema() -> Schema {
    let fields = [("name", DataType::Utf8), ("band", DataType::Utf8), ("age", DataType::Int64)];
    Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec())
}

fn brokered(input: &[u8], columns: Vec<Column>) -> BrokeredFiles {
    BrokeredFiles {
        evolving: false,
        file_columns: columns,
        files: vec![BrokeredFile {
            bytes: input.len() as u64,
            has_deleted_rows: false,
            partition: Vec::new(),
        }],
        format: FileFormat::Csv,
        partition_columns: Vec::new(),
        table: 0,
    }
}

fn as_files(input: &[u8]) -> (TableRows, Vec<UnixStream>) {
    (TableRows::Brokered(brokered(input, people_columns())), broker(input, serve))
}

fn as_rows(input: &[u8]) -> (TableRows, Vec<UnixStream>) {
    let table = ForeignTable { columns: people_columns(), table: 1 };
    (TableRows::Foreign(table), broker(input, serve))
}

fn rows_through_a_broker() {
    let direct = Run::new().finish();
    assert_eq!(Run { elsewhere: Some(as_files), ..Run::new() }.finish(), direct);
    assert_eq!(Run { elsewhere: Some(as_rows), ..Run::new() }.finish(), direct);
}

fn columns_through_a_broker() {
    let describe = |input: &[u8], sockets: Vec<UnixStream>| {
        let mut descriptors = DescriptorList::new();
        let sockets = sockets.into_iter().map(|socket| descriptors.push(socket)).collect();
        let files = brokered(input, Vec::new());
        let job = Job::DescribeBrokered(DescribeBrokeredJob { broker: sockets, files });
        let limits = ProcessLimits::of_description(1);
        answer(&job, descriptors, JailMode::Full, limits).expect("an answer")
    };
    let input = PEOPLE.as_bytes();
    match describe(input, broker(input, serve)) {
        Event::Described { columns, .. } => assert_eq!(columns, people_columns()),
        other => panic!("{other:?}"),
    }
    assert_eq!(failure(describe(input, Vec::new())).0, ReasonCode::Internal, "no socket");
    let denied = broker(input, |_, _, host| {
        say(host, &BrokerAnswer::Failed { reason: ReasonCode::SourceDenied }, &[]);
    });
    assert_eq!(failure(describe(input, denied)).0, ReasonCode::SourceDenied);
}

fn brokers_that_fail() {
    let check = |elsewhere, expect: ReasonCode| {
        let (reason, detail) =
            failure(Run { elsewhere: Some(elsewhere), ..Run::new() }.start().0.expect("an answer"));
        assert_eq!(reason, expect, "{detail}");
    };
    check(
        |input| {
            let sockets = broker(input, |_, _, host| {
                say(host, &BrokerAnswer::Failed { reason: ReasonCode::InputChanged }, &[]);
            });
            (as_files(input).0, sockets)
        },
        ReasonCode::InputChanged,
    );
    // Gone before it is asked; gone in the middle of an answer.
    check(
        |input| (as_files(input).0, vec![UnixStream::pair().expect("a socket").0]),
        ReasonCode::SourceUnavailable,
    );
    check(
        |input| {
            let sockets = broker(input, |_, _, host| {
                say(host, &BrokerAnswer::Batch { bytes: 1_000 }, &[1, 2, 3]);
                host.shutdown(Shutdown::Both).expect("shut down");
            });
            (as_rows(input).0, sockets)
        },
        ReasonCode::SourceUnavailable,
    );
    // Batches that are none.
    check(
        |input| {
            let sockets = broker(input, |_, _, host| {
                say(host, &BrokerAnswer::Batch { bytes: 64 }, &[0xff; 64]);
            });
            (as_rows(input).0, sockets)
        },
        ReasonCode::Internal,
    );
    // Another header than the room knows.
    check(
        |input| {
            let mut other = input.to_vec();
            other[..4].copy_from_slice(b"nome");
            (as_files(&other).0, broker(&other, serve))
        },
        ReasonCode::SchemaMismatch,
    );
    // No socket at all.
    check(|input| (as_files(input).0, Vec::new()), ReasonCode::Internal);
}

fn a_query_spills() {
    // Every person of 200,000 is alone in its group: more than 4 MiB of groups.
    let notebook = NOTEBOOK.split_once("*/").expect("a header").0.to_owned()
        + "*/
        CREATE TEMP VIEW alone AS SELECT DISTINCT band, age FROM agency.people WHERE age >= :min_age;
        CREATE TABLE output.reach AS
        SELECT 'all' AS band, count(*) AS people, CAST(NULL AS DOUBLE) AS mean_age FROM alone;";
    let mut input = String::from("name,band,age\n");
    for person in 0..200_000 {
        input += &format!("name,band number {person},{person}\n");
    }
    let mut run = Run::of(&component_of(&notebook), input.into_bytes());
    run.grants["parameters"]["min_age"]["value"] = "0".into();
    run.grants["limits"]["memory_bytes"] = (16 << 20).into();
    let (outputs, _) = run.finish();
    assert_eq!(outputs[&"reach".parse::<Identifier>().expect("a name")].rows, 1);
    run.limits.scratch_bytes = 2 << 20;
    run.grants["limits"]["scratch_bytes"] = (2 << 20).into();
    let (reason, detail) = failure(run.start().0.expect("an answer"));
    assert_eq!(reason, ReasonCode::ScratchLimit, "{detail}");
}

fn swapped_machine_code() {
    let run = Run::new();
    let mut code = run.code.try_clone().expect("a copy");
    code.seek(std::io::SeekFrom::Start(200)).expect("seek");
    code.write_all(b"x").expect("write");
    let (reason, detail) = failure(run.start().0.expect("an answer"));
    assert_eq!(reason, ReasonCode::Internal);
    assert_eq!(detail, "the machine code is not the one that this host made");
}

fn latency() {
    let run = Run::new();
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let started = Instant::now();
            run.finish();
            started.elapsed()
        })
        .collect();
    times.sort();
    print!("[a run in its jail: median {:?}, longest {:?}] ", times[10], times[19]);
}
