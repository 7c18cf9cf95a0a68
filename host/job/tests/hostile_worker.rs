//! Workers that break the job protocol, each in its own way, and what their host makes of it.
//!
//! This file is a whole program. Without a subcommand it is the host; as `worker` it is one of
//! the hostile workers below, chosen by its limit on threads.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use glovebox_contract::reason::ReasonCode;
use glovebox_job::channel::WorkerChannel;
use glovebox_job::descriptors::DescriptorList;
use glovebox_job::event::{Event, ResourceUsage};
use glovebox_job::job::{DescribeJob, FileFormat, InputFile, Job, MachineCode, OutputFile, RunJob};
use glovebox_job::limits::{JailMode, ProcessLimits};
use glovebox_job::process::{Worker, WorkerError, WorkerProgram};

/// A worker: what it does with its socket, and how its job ends.
struct Case {
    name: &'static str,
    worker: fn(UnixStream),
    expect: Expect,
}

enum Expect {
    /// The job is answered.
    Answer,
    /// The job fails with this reason, and the operator reads this.
    Failure(ReasonCode, &'static str),
}

use Expect::{Answer, Failure};
use ReasonCode::{CpuLimit, Deadline, MemoryLimit, PolicyLimit, WorkerDied, WorkerProtocol};

const CASES: &[Case] = &[
    Case { name: "honest", worker: honest, expect: Answer },
    Case { name: "silent", worker: |_| sleep(), expect: Failure(Deadline, "the deadline passed") },
    Case {
        name: "gone at once",
        worker: |_| {},
        expect: Failure(WorkerDied, "the worker ended with exit code 0"),
    },
    Case {
        name: "gone with a word",
        worker: |_| {
            eprintln!("\u{1b}[31mlast words");
            std::process::exit(7);
        },
        expect: Failure(WorkerDied, "ended with exit code 7: \u{fffd}[31mlast words"),
    },
    Case {
        name: "aborted for lack of memory",
        worker: |_| {
            eprintln!("memory allocation of 1048576 bytes failed");
            std::process::abort();
        },
        expect: Failure(MemoryLimit, "SIGABRT"),
    },
    Case {
        name: "ended by SIGXCPU",
        worker: |_| {
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGXCPU).expect("raise");
        },
        expect: Failure(CpuLimit, "SIGXCPU"),
    },
    Case {
        name: "socket closed but alive",
        worker: |socket| {
            drop(socket);
            nix::unistd::close(0).expect("close standard input");
            sleep();
        },
        expect: Failure(WorkerDied, "SIGKILL"),
    },
    Case {
        name: "garbage",
        worker: |mut socket| send(&mut socket, &[0xff; 64]),
        expect: Failure(WorkerProtocol, "a message of 4294967295 bytes"),
    },
    Case {
        name: "a message of no bytes",
        worker: |mut socket| send(&mut socket, &[0; 4]),
        expect: Failure(WorkerProtocol, "a message of 0 bytes"),
    },
    Case {
        name: "half a header",
        worker: |mut socket| send(&mut socket, &[0; 3]),
        expect: Failure(WorkerDied, "exit code 0"),
    },
    Case {
        name: "half a message",
        worker: |mut socket| send(&mut socket, b"\0\0\x01\0{"),
        expect: Failure(WorkerDied, "exit code 0"),
    },
    Case {
        name: "a message that drips",
        worker: |mut socket| loop {
            send(&mut socket, &[0]);
            std::thread::sleep(Duration::from_millis(400));
        },
        expect: Failure(WorkerProtocol, "a message of 0 bytes"),
    },
    Case {
        name: "not JSON",
        worker: |mut socket| send_text(&mut socket, "ready"),
        expect: Failure(WorkerProtocol, "not well-formed"),
    },
    Case {
        name: "an unknown event",
        worker: |mut socket| send_text(&mut socket, r#"{"kind":"prepared"}"#),
        expect: Failure(WorkerProtocol, "not well-formed"),
    },
    Case {
        name: "an unknown field",
        worker: |mut socket| send_text(&mut socket, r#"{"kind":"ready","more":1}"#),
        expect: Failure(WorkerProtocol, "not well-formed"),
    },
    Case {
        name: "deep nesting",
        worker: |mut socket| send_text(&mut socket, &"[".repeat(100_000)),
        expect: Failure(WorkerProtocol, "not well-formed"),
    },
    Case {
        name: "an answer before the job",
        worker: |mut socket| send_text(&mut socket, DESCRIBED),
        expect: Failure(WorkerProtocol, "`described` came before `ready`"),
    },
    Case {
        name: "a jail that fails",
        worker: |mut socket| {
            let event = Event::Failed {
                reason: ReasonCode::JailUnavailable,
                detail: "cannot make namespaces\u{7}".into(),
                usage: ResourceUsage::default(),
            };
            send_text(&mut socket, &serde_json::to_string(&event).expect("encode"));
        },
        expect: Failure(ReasonCode::JailUnavailable, "cannot make namespaces\u{fffd}"),
    },
    Case {
        name: "ready twice",
        worker: |mut socket| {
            send_text(&mut socket, READY);
            send_text(&mut socket, READY);
            sleep();
        },
        expect: Failure(WorkerProtocol, "`ready` does not belong here"),
    },
    Case {
        name: "the answer to another job",
        worker: |mut socket| {
            send_text(&mut socket, READY);
            send_text(
                &mut socket,
                r#"{"kind":"finished","outputs":{},"usage":{"cpu_ms":0,"memory_bytes":0}}"#,
            );
            sleep();
        },
        expect: Failure(WorkerProtocol, "`finished` does not belong here"),
    },
    Case {
        name: "log lines from a job without a notebook",
        worker: |mut socket| {
            send_text(&mut socket, READY);
            send_text(&mut socket, r#"{"kind":"log","level":"info","text":"x"}"#);
            sleep();
        },
        expect: Failure(WorkerProtocol, "`log` does not belong here"),
    },
    Case {
        name: "the job is never read",
        worker: |mut socket| {
            send_text(&mut socket, READY);
            sleep();
        },
        expect: Failure(Deadline, "the deadline passed"),
    },
    Case {
        name: "an answer, then more",
        worker: |mut socket| {
            send_text(&mut socket, READY);
            send_text(&mut socket, DESCRIBED);
            send_text(&mut socket, DESCRIBED);
            sleep();
        },
        expect: Failure(WorkerProtocol, "after its last event"),
    },
    Case {
        name: "an answer, then life goes on",
        worker: |mut socket| {
            send_text(&mut socket, READY);
            send_text(&mut socket, DESCRIBED);
            sleep();
        },
        expect: Failure(Deadline, "the deadline passed"),
    },
    Case {
        name: "run: a display that is no PNG",
        worker: |socket| display(socket, "image/png", "PGh0bWw+"),
        expect: Failure(WorkerProtocol, "a display that is no image/png"),
    },
    Case {
        name: "run: a display that is no text",
        worker: |socket| display(socket, "text/html", "/////w=="),
        expect: Failure(WorkerProtocol, "a display that is no text/html"),
    },
    Case {
        name: "run: a display of an unknown type",
        worker: |socket| display(socket, "application/javascript", "YQ=="),
        expect: Failure(WorkerProtocol, "unknown variant `application/javascript`"),
    },
    Case {
        name: "run: a display that is not base64",
        worker: |socket| display(socket, "text/plain", "\\u001b[31m"),
        expect: Failure(WorkerProtocol, "not well-formed"),
    },
    Case {
        name: "run: a display that is too large",
        worker: |socket| display(socket, "text/plain", &"YWFh".repeat(400_000)),
        expect: Failure(WorkerProtocol, "a display that is no text/plain"),
    },
    Case {
        name: "run: a display that steers a terminal",
        worker: |socket| {
            let mut socket = take_job(socket);
            send_display(&mut socket, "text/csv", "YRtbMm0K");
            send_text(&mut socket, &finished("overlap", 10));
        },
        expect: Answer,
    },
    Case {
        name: "run: displays without end",
        worker: |socket| {
            let socket = &mut take_job(socket);
            let data = "YWFh".repeat(300_000);
            for _ in 0..100 {
                send_display(socket, "text/plain", &data);
            }
        },
        expect: Failure(WorkerProtocol, "too many events"),
    },
    Case {
        name: "a display of a job that reads columns",
        worker: |socket| display(socket, "text/plain", "YQ=="),
        expect: Failure(WorkerProtocol, "`display` does not belong here"),
    },
    Case {
        name: "run: finished as told",
        worker: |socket| {
            let mut socket = take_job(socket);
            send_text(&mut socket, r#"{"kind":"log","level":"info","text":"a\u001bb"}"#);
            send_text(&mut socket, r#"{"kind":"progress","done":1,"total":null}"#);
            send_text(&mut socket, &finished("overlap", 10));
        },
        expect: Answer,
    },
    Case {
        name: "run: another output",
        worker: |mut socket| {
            send_text(&mut socket, READY);
            send_text(&mut socket, &finished("secrets", 10));
            sleep();
        },
        expect: Failure(WorkerProtocol, "other outputs"),
    },
    Case {
        name: "run: one row too many",
        worker: |mut socket| {
            send_text(&mut socket, READY);
            send_text(&mut socket, &finished("overlap", 11));
            sleep();
        },
        expect: Failure(WorkerProtocol, "more rows than allowed"),
    },
    Case {
        name: "run: a flood of progress",
        worker: |mut socket| {
            send_text(&mut socket, READY);
            for _ in 0..200_000 {
                send_text(&mut socket, r#"{"kind":"progress","done":1,"total":1}"#);
            }
            sleep();
        },
        expect: Failure(WorkerProtocol, "too many events"),
    },
    Case {
        name: "run: a flood of text",
        worker: |mut socket| {
            send_text(&mut socket, READY);
            let text = "x".repeat(1 << 20);
            loop {
                send_text(
                    &mut socket,
                    &format!(r#"{{"kind":"log","level":"info","text":"{text}"}}"#),
                );
            }
        },
        expect: Failure(WorkerProtocol, "too many events"),
    },
];

fn finished(output: &str, rows: u64) -> String {
    format!(
        r#"{{"kind":"finished","outputs":{{"{output}":{{"bytes":1,"content":"{BLAKE3}","rows":{rows}}}}},"usage":{{"cpu_ms":0,"memory_bytes":0}}}}"#
    )
}

const READY: &str = r#"{"kind":"ready"}"#;
const DESCRIBED: &str =
    r#"{"kind":"described","columns":[],"usage":{"cpu_ms":0,"memory_bytes":0}}"#;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("worker") => be_a_worker(&arguments),
        Some("--list") => {}
        filter => {
            let filter = filter.filter(|filter| !filter.starts_with('-')).unwrap_or_default();
            for (index, case) in CASES.iter().enumerate() {
                if case.name.contains(filter) {
                    println!("test {}", case.name);
                    case.check(index);
                }
            }
            println!("test many descriptors");
            many_descriptors();
            println!("test too many descriptors");
            too_many_descriptors();
            println!("test no such program");
            no_such_program();
        }
    }
    ExitCode::SUCCESS
}

fn be_a_worker(arguments: &[String]) {
    let limits = arguments.iter().skip(4).map(String::as_str);
    let limits = ProcessLimits::from_arguments(limits).expect("limits");
    let socket = std::io::stdin().as_fd().try_clone_to_owned().expect("the job socket");
    let case = &CASES[usize::try_from(limits.threads).expect("a small number")];
    (case.worker)(UnixStream::from(socket));
}

fn limits(index: usize) -> ProcessLimits {
    ProcessLimits {
        cpu_seconds: 10,
        file_bytes: 1,
        memory_bytes: 1 << 30,
        open_files: 1_000,
        scratch_bytes: 1,
        threads: index as u64,
    }
}

fn spawn(index: usize) -> Worker {
    Worker::spawn(&WorkerProgram::this_program(), JailMode::Off, limits(index)).expect("spawn")
}

/// A job over `count` files; file number n holds n as text.
fn job(count: usize) -> (Job, DescriptorList) {
    let mut descriptors = DescriptorList::new();
    let files = (0..count).map(|number| {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        write!(writer, "{number}").expect("write");
        InputFile { bytes: 0, descriptor: descriptors.push(reader) }
    });
    let files = files.collect();
    (Job::Describe(DescribeJob { files, format: FileFormat::Csv }), descriptors)
}

/// A run with one output, `overlap`, of at most ten rows.
fn run_job() -> (Job, DescriptorList) {
    let grants = serde_json::json!({
        "component": {"blake3": BLAKE3, "sha256": format!("sha256:{ZEROS}")},
        "interfaces": [],
        "limits": {
            "batch_bytes": 1, "collaborators": 1, "component_bytes": 1, "cpu_seconds": 1,
            "log_bytes": 1, "memory_bytes": 1, "open_files": 1, "output_bytes": 1,
            "output_rows": 1, "scratch_bytes": 1, "threads": 1, "wall_seconds": 1,
        },
        "notebook": "n",
        "outputs": {"overlap": {"columns": [{"name": "a", "type": "int64"}], "max_rows": 10}},
        "parameters": {},
        "revision": BLAKE3,
        "room": BLAKE3,
        "run": "00000000000000000000000000000000",
        "started_at": 0,
        "tables": {},
    });
    let mut descriptors = DescriptorList::new();
    let (code, _) = std::io::pipe().expect("a pipe");
    let (output, _) = std::io::pipe().expect("a pipe");
    let digest = BLAKE3.parse().expect("a digest");
    let job = Job::Run(Box::new(RunJob {
        broker: Vec::new(),
        computation: digest,
        functions: Default::default(),
        grants: serde_json::from_value(grants).expect("grants"),
        inputs: Vec::new(),
        machine_code: MachineCode { bytes: 1, descriptor: descriptors.push(code), digest },
        outputs: vec![OutputFile {
            descriptor: descriptors.push(output),
            name: "overlap".parse().expect("a name"),
        }],
        partitions: 1,
        volumes: Vec::new(),
    }));
    (job, descriptors)
}

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const BLAKE3: &str = "blake3:0000000000000000000000000000000000000000000000000000000000000000";

fn answer(index: usize, files: usize, patience: Duration) -> Result<Event, WorkerError> {
    let deadline = Instant::now() + patience;
    let mut worker = spawn(index);
    let run = CASES[index].name.starts_with("run: ");
    let (job, descriptors) = if run { run_job() } else { job(files) };
    worker.send(&job, descriptors, deadline)?;
    worker.wait(deadline, |event| {
        if let Event::Log { text, .. } = event {
            assert!(text.len() <= 4096 && !text.contains('\u{1b}'), "{text}");
        }
        if let Event::Display { data, .. } = event {
            assert!(data.len() <= 1 << 20 && !data.contains(&0x1b), "{} bytes", data.len());
        }
    })
}

impl Case {
    fn check(&self, index: usize) {
        let started = Instant::now();
        let patience = match self.expect {
            Failure(Deadline, _) => Duration::from_millis(500),
            _ => Duration::from_secs(20),
        };
        let result = answer(index, 1, patience);
        match (&self.expect, &result) {
            (Answer, Ok(Event::Described { .. } | Event::Finished { .. })) => {}
            (Failure(reason, detail), Err(error)) => {
                assert_eq!(error.reason(), *reason, "{}: {error}", self.name);
                assert!(error.detail().contains(detail), "{}: {error}", self.name);
            }
            _ => panic!("{}: {result:?}", self.name),
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{}: too slow", self.name);
    }
}

fn many_descriptors() {
    let answered = answer(0, 600, Duration::from_secs(20)).expect("an answer");
    assert!(matches!(answered, Event::Described { .. }));
}

fn too_many_descriptors() {
    let error = answer(0, 990, Duration::from_secs(20)).expect_err("too many");
    assert_eq!(error.reason(), PolicyLimit);
}

fn no_such_program() {
    let program = WorkerProgram::new("/does/not/exist");
    let error = Worker::spawn(&program, JailMode::Off, limits(0)).expect_err("no program");
    assert_eq!(error.reason(), ReasonCode::Internal);
}

/// Checks that every descriptor arrived in its place.
fn honest(socket: UnixStream) {
    let channel = WorkerChannel::from_stream(socket);
    channel.send(&Event::Ready {}).expect("ready");
    let (job, mut descriptors) = channel.receive().expect("a job");
    let Job::Describe(job) = job else { panic!("another job") };
    for (number, file) in job.files.iter().enumerate() {
        let mut text = String::new();
        let mut pipe = descriptors.take(file.descriptor).expect("its descriptor");
        pipe.read_to_string(&mut text).expect("read");
        assert_eq!(text, number.to_string());
        assert!(descriptors.take(file.descriptor).is_err(), "taken twice");
    }
    let event = Event::Described { columns: Vec::new(), usage: ResourceUsage::default() };
    channel.send(&event).expect("answer");
}

fn take_job(mut socket: UnixStream) -> UnixStream {
    send_text(&mut socket, READY);
    let channel = WorkerChannel::from_stream(socket.try_clone().expect("a copy"));
    channel.receive().expect("a job");
    socket
}

fn send(socket: &mut UnixStream, bytes: &[u8]) {
    // The host may have had enough.
    let _ = socket.write_all(bytes);
}

fn send_text(socket: &mut UnixStream, text: &str) {
    let length = u32::try_from(text.len()).expect("a short text");
    send(socket, &length.to_be_bytes());
    send(socket, text.as_bytes());
}

/// Takes the job and displays what `data` is the base64 of.
fn display(socket: UnixStream, media_type: &str, data: &str) {
    send_display(&mut take_job(socket), media_type, data);
}

fn send_display(socket: &mut UnixStream, media_type: &str, data: &str) {
    let text = format!(r#"{{"kind":"display","media_type":"{media_type}","data":"{data}"}}"#);
    send_text(socket, &text);
}

fn sleep() {
    std::thread::sleep(Duration::from_secs(60));
}
