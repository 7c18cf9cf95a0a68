//! Attacks on the jail, from inside and from outside.
//!
//! The program under test starts itself again as launcher and as worker, so this file is a whole
//! program: with a subcommand it is one of those, without one it runs the tests. Its worker runs
//! a *probe* (an attack) that comes as the content of the job's only file, and answers with what
//! happened.

#[path = "jail/probes.rs"]
mod probes;

use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use glovebox_contract::reason::ReasonCode;
use glovebox_job::descriptors::DescriptorList;
use glovebox_job::event::Event;
use glovebox_job::job::{DescribeJob, FileFormat, InputFile, Job};
use glovebox_job::limits::{JailMode, ProcessLimits};
use glovebox_job::process::{Worker, WorkerError, WorkerProgram};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("jail") => glovebox_worker::launcher_main(),
        Some("worker") => probes::worker_main(),
        Some("host-that-hangs") => host_that_hangs(&arguments[2]),
        Some("host-without-namespaces") => host_without_namespaces(),
        Some("ordinary-user") => run_tests("ordinary user: ", ORDINARY),
        Some("--list") => ExitCode::SUCCESS,
        _ => {
            let all = run_tests("", ALL);
            if all == ExitCode::SUCCESS { as_ordinary_user() } else { all }
        }
    }
}

type Test = (&'static str, fn());

const ORDINARY: &[Test] = &[
    ("nothing to see", nothing_to_see),
    ("forbidden system calls", forbidden_system_calls),
    ("scratch is limited", scratch_is_limited),
    ("threads are limited", threads_are_limited),
    ("memory is limited", memory_is_limited),
    ("deadline", deadline),
];

const ALL: &[Test] = &[
    ("nothing to see", nothing_to_see),
    ("as others see it", as_others_see_it),
    ("forbidden system calls", forbidden_system_calls),
    ("ordinary work goes on", ordinary_work_goes_on),
    ("scratch is limited", scratch_is_limited),
    ("threads are limited", threads_are_limited),
    ("memory is limited", memory_is_limited),
    ("processor time is limited", processor_time_is_limited),
    ("deadline", deadline),
    ("a panic tells nothing", a_panic_tells_nothing),
    ("inherited files are closed", inherited_files_are_closed),
    ("the worker dies with its launcher", the_worker_dies_with_its_launcher),
    ("the worker dies with its host", the_worker_dies_with_its_host),
    ("no namespaces, no run", no_namespaces_no_run),
    ("without a jail limits hold", without_a_jail_limits_hold),
    ("latency", latency),
];

fn run_tests(prefix: &str, tests: &[Test]) -> ExitCode {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let filter = filter.filter(|name| name != "ordinary-user").unwrap_or_default();
    let mut failed = 0;
    for (name, test) in tests.iter().filter(|(name, _)| name.contains(&filter)) {
        print!("test {prefix}{name} ... ");
        let _ = std::io::stdout().flush();
        let ok = std::panic::catch_unwind(test).is_ok();
        println!("{}", if ok { "ok" } else { "FAILED" });
        failed += usize::from(!ok);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the main tests again as a user without privileges, if this user has some.
fn as_ordinary_user() -> ExitCode {
    if !nix::unistd::geteuid().is_root() {
        return ExitCode::SUCCESS;
    }
    let status = Command::new("/proc/self/exe")
        .arg("ordinary-user")
        .current_dir("/")
        .uid(12_345)
        .gid(12_345)
        .status()
        .expect("start as an ordinary user");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn limits() -> ProcessLimits {
    ProcessLimits {
        cpu_seconds: 20,
        file_bytes: 64 << 20,
        memory_bytes: 256 << 20,
        open_files: 64,
        scratch_bytes: 4 << 20,
        threads: 8,
    }
}

struct Attack {
    worker: Worker,
    deadline: Instant,
}

fn start(probe: &str, mode: JailMode, limits: ProcessLimits, seconds: u64) -> Attack {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut file = tempfile::tempfile().expect("temporary file");
    file.write_all(probe.as_bytes()).expect("write probe");
    file.rewind().expect("rewind");
    let mut descriptors = DescriptorList::new();
    let input = InputFile { bytes: probe.len() as u64, descriptor: descriptors.push(file) };
    let job = Job::Describe(DescribeJob { files: vec![input], format: FileFormat::Csv });
    let mut worker =
        Worker::spawn(&WorkerProgram::this_program(), mode, limits).expect("spawn the worker");
    worker.send(&job, descriptors, deadline).expect("send the job");
    Attack { worker, deadline }
}

fn end(mut attack: Attack) -> Result<String, WorkerError> {
    match attack.worker.wait(attack.deadline, |_| {})? {
        Event::Failed { reason: ReasonCode::Internal, detail, .. } => Ok(detail),
        other => panic!("unexpected {other:?}"),
    }
}

fn probe_with(probe: &str, limits: ProcessLimits) -> Result<String, WorkerError> {
    end(start(probe, JailMode::Full, limits, 60))
}

fn check(probe: &str, expect: &str) {
    match probe_with(probe, limits()) {
        Ok(answer) => assert_eq!(answer, expect, "{probe}"),
        Err(error) => panic!("{probe}: {error}"),
    }
}

fn nothing_to_see() {
    check("read /etc/passwd", "entity not found");
    check("read /proc/self/environ", "entity not found");
    check("read /proc/1/status", "entity not found");
    check("read /dev/null", "entity not found");
    check("list /", "permission denied");
    check("list /scratch", "");
    check("write /file", "permission denied");
    check("write /scratch/../file", "permission denied");
    check("write /scratch/file", "written");
    check("variables", "0");
    check("process", "1");
    check("core", "0 0");
}

fn as_others_see_it() {
    let limits = ProcessLimits { cpu_seconds: 1_004, ..limits() };
    let _attack = start("sleep 60000", JailMode::Full, limits, 60);
    let worker = processes("cpu-seconds=1004")
        .into_iter()
        .find(|process| process.command.contains("jail=full"))
        .expect("the worker");
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id)).expect("status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim_start_matches(':').split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2");
    assert_eq!(field("Seccomp_filters"), "2");
    assert_eq!(field("Groups"), "");
    if nix::unistd::geteuid().is_root() {
        assert_eq!(field("Uid"), "65534 65534 65534 65534");
        assert_eq!(field("Gid"), "65534 65534 65534 65534");
    }
}

fn forbidden_system_calls() {
    for call in probes::FORBIDDEN {
        let error = probe_with(&format!("call {}", call.name), limits())
            .expect_err("the call must end the worker");
        assert_eq!(error.reason(), ReasonCode::WorkerDied, "{}", call.name);
        assert!(error.detail().contains("SIGSYS"), "{}: {error}", call.name);
    }
    for call in ["execute /bin/true", "connect 127.0.0.1:1", "listen /scratch/socket"] {
        let error = probe_with(call, limits()).expect_err("the call must end the worker");
        assert!(error.detail().contains("SIGSYS"), "{call}: {error}");
    }
}

fn ordinary_work_goes_on() {
    check("thread", "42");
    check("sleep 10", "slept");
    check("files", "a b");
}

fn scratch_is_limited() {
    // A few pages go to directories.
    let answer = probe_with("fill /scratch/full", limits()).expect("fill");
    let (bytes, error) = answer.split_once(' ').expect("two words");
    let bytes: u64 = bytes.parse().expect("a number");
    assert!((3 << 20..=4 << 20).contains(&bytes), "{answer}");
    assert_eq!(error, "no storage space");
    let small = ProcessLimits { file_bytes: 1 << 20, ..limits() };
    assert_eq!(
        probe_with("fill /scratch/full", small).expect("fill"),
        format!("{} file too large", 1 << 20)
    );
}

fn threads_are_limited() {
    let answer = probe_with("threads", limits()).expect("threads");
    let threads: u64 = answer.parse().expect("a number");
    assert!((8..=10).contains(&threads), "{threads}");
}

fn memory_is_limited() {
    let error = probe_with("memory", limits()).expect_err("memory must end the worker");
    assert_eq!(error.reason(), ReasonCode::MemoryLimit, "{error}");
}

fn processor_time_is_limited() {
    let limits = ProcessLimits { cpu_seconds: 1, ..limits() };
    let error = probe_with("spin", limits).expect_err("spinning must end the worker");
    assert_eq!(error.reason(), ReasonCode::CpuLimit, "{error}");
}

fn deadline() {
    let limits = ProcessLimits { cpu_seconds: 1_001, ..limits() };
    let started = Instant::now();
    let attack = start("sleep 60000", JailMode::Full, limits, 1);
    assert_eq!(count_processes("cpu-seconds=1001"), 2);
    let error = end(attack).expect_err("the deadline must end the worker");
    assert_eq!(error.reason(), ReasonCode::Deadline, "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(count_processes("cpu-seconds=1001"), 0);
}

fn a_panic_tells_nothing() {
    let error = probe_with("panic secret-value", limits()).expect_err("a panic ends the worker");
    assert_eq!(error.reason(), ReasonCode::WorkerDied);
    assert!(error.detail().contains("panic at"), "{error}");
    assert!(!error.detail().contains("secret-value"), "{error}");
}

fn inherited_files_are_closed() {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let secret = tempfile::tempfile().expect("temporary file");
    fcntl(&secret, FcntlArg::F_SETFD(FdFlag::empty())).expect("let it be inherited");
    check("process", "1");
}

fn the_worker_dies_with_its_launcher() {
    let limits = ProcessLimits { cpu_seconds: 1_002, ..limits() };
    let attack = start("sleep 60000", JailMode::Full, limits, 20);
    drop(attack);
    assert_eq!(count_processes("cpu-seconds=1002"), 0);
}

fn the_worker_dies_with_its_host() {
    let mut host = Command::new("/proc/self/exe")
        .args(["host-that-hangs", "1003"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("start a host");
    let mut line = [0; 8];
    let mut output = host.stdout.take().expect("its output");
    output.read_exact(&mut line).expect("the host has a worker");
    assert_eq!(count_processes("cpu-seconds=1003"), 2);
    host.kill().expect("kill the host");
    host.wait().expect("wait for the host");
    let patience = Instant::now() + Duration::from_secs(5);
    while count_processes("cpu-seconds=1003") > 0 {
        assert!(Instant::now() < patience, "the worker lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn host_that_hangs(cpu_seconds: &str) -> ExitCode {
    let cpu_seconds = cpu_seconds.parse().expect("a number");
    let limits = ProcessLimits { cpu_seconds, ..limits() };
    let _attack = start("sleep 60000", JailMode::Full, limits, 60);
    println!("started");
    std::thread::sleep(Duration::from_secs(60));
    ExitCode::SUCCESS
}

fn no_namespaces_no_run() {
    let status = Command::new("/proc/self/exe")
        .arg("host-without-namespaces")
        .status()
        .expect("start a host");
    assert!(status.success());
}

/// A host on a machine that forbids more user namespaces.
fn host_without_namespaces() -> ExitCode {
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).expect("a user namespace");
    std::fs::write("/proc/self/setgroups", "deny").expect("setgroups");
    std::fs::write("/proc/self/uid_map", format!("0 {user} 1")).expect("uid_map");
    std::fs::write("/proc/self/gid_map", format!("0 {group} 1")).expect("gid_map");
    std::fs::write("/proc/sys/user/max_user_namespaces", "0").expect("forbid more");
    let mut worker =
        Worker::spawn(&WorkerProgram::this_program(), JailMode::Full, limits()).expect("spawn");
    let job = Job::Describe(DescribeJob { files: Vec::new(), format: FileFormat::Csv });
    let deadline = Instant::now() + Duration::from_secs(20);
    let error = worker.send(&job, DescriptorList::new(), deadline).expect_err("no jail");
    assert_eq!(error.reason(), ReasonCode::JailUnavailable, "{error}");
    assert!(error.detail().contains("make namespaces"), "{error}");
    ExitCode::SUCCESS
}

fn without_a_jail_limits_hold() {
    let probe = |probe: &str, limits| end(start(probe, JailMode::Off, limits, 60));
    assert_eq!(probe("variables", limits()).expect("variables"), "0");
    assert_eq!(probe("core", limits()).expect("core"), "0 0");
    let brief = ProcessLimits { cpu_seconds: 1, ..limits() };
    let error = probe("spin", brief).expect_err("spinning must end the worker");
    assert_eq!(error.reason(), ReasonCode::CpuLimit, "{error}");
    let error = probe("memory", limits()).expect_err("memory must end the worker");
    assert_eq!(error.reason(), ReasonCode::MemoryLimit, "{error}");
}

fn latency() {
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let started = Instant::now();
            check("process", "1");
            started.elapsed()
        })
        .collect();
    times.sort();
    print!("[jail and back: median {:?}, longest {:?}] ", times[10], times[19]);
}

struct Process {
    command: String,
    id: String,
}

/// Launchers and workers of this machine with the argument `marker`.
fn processes(marker: &str) -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let command = std::fs::read_to_string(path.join("cmdline")).ok()?;
            let id = path.file_name()?.to_string_lossy().into_owned();
            Some(Process { command, id })
        })
        .filter(|process| process.command.starts_with("glovebox\0"))
        .filter(|process| process.command.split('\0').any(|word| word == marker))
        .collect()
}

fn count_processes(marker: &str) -> usize {
    processes(marker).len()
}
