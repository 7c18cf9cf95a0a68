//! What an attacker inside of the worker tries.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use glovebox_contract::reason::ReasonCode;
use glovebox_job::event::{Event, ResourceUsage};
use glovebox_job::job::Job;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit};

/// The worker: the real jail, then one probe instead of a job.
pub(crate) fn worker_main() -> ExitCode {
    let started = match glovebox_worker::start() {
        Ok(started) => started,
        Err(code) => return code,
    };
    let Ok((Job::Describe(job), mut descriptors)) = started.channel.receive() else {
        return ExitCode::FAILURE;
    };
    let mut probe = String::new();
    descriptors
        .take(job.files[0].descriptor)
        .expect("the probe's file")
        .read_to_string(&mut probe)
        .expect("the probe");
    let detail = run(&probe);
    let usage = ResourceUsage::default();
    let event = Event::Failed { reason: ReasonCode::Internal, detail, usage };
    started.channel.send(&event).expect("answer");
    ExitCode::SUCCESS
}

fn run(probe: &str) -> String {
    let (name, argument) = probe.split_once(' ').unwrap_or((probe, ""));
    match name {
        "read" => tell(fs::read(argument).map(|bytes| bytes.len())),
        "write" => tell(fs::write(argument, "x").map(|()| "written")),
        "list" => tell(list(argument)),
        "variables" => std::env::vars_os().count().to_string(),
        "process" => std::process::id().to_string(),
        "core" => limit(Resource::RLIMIT_CORE),
        "call" => call(argument),
        "execute" => tell(std::process::Command::new(argument).status().map(|_| "executed")),
        "connect" => tell(std::net::TcpStream::connect(argument).map(|_| "connected")),
        "listen" => tell(std::os::unix::net::UnixListener::bind(argument).map(|_| "listens")),
        "thread" => std::thread::spawn(|| 42).join().expect("join").to_string(),
        "files" => files(),
        "fill" => fill(argument),
        "threads" => threads(),
        "memory" => memory(),
        "spin" => spin(),
        "sleep" => {
            std::thread::sleep(Duration::from_millis(argument.parse().expect("milliseconds")));
            "slept".into()
        }
        "panic" => panic!("{argument}"),
        other => format!("there is no probe `{other}`"),
    }
}

fn tell<T: ToString>(result: std::io::Result<T>) -> String {
    match result {
        Ok(value) => value.to_string(),
        Err(error) => error.kind().to_string(),
    }
}

fn list(directory: &str) -> std::io::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join(" "))
}

fn limit(resource: Resource) -> String {
    let (soft, hard) = getrlimit(resource).expect("a limit");
    format!("{soft} {hard}")
}

fn files() -> String {
    let work = || -> std::io::Result<String> {
        fs::create_dir("/scratch/directory")?;
        let mut file = fs::File::create_new("/scratch/directory/a")?;
        file.write_all(b"text")?;
        file.set_len(2)?;
        fs::write("/scratch/directory/c", "x")?;
        fs::rename("/scratch/directory/c", "/scratch/directory/b")?;
        let names = list("/scratch/directory")?;
        fs::remove_dir_all("/scratch/directory")?;
        Ok(names)
    };
    tell(work())
}

fn fill(path: &str) -> String {
    let mut file = fs::File::create(path).expect("create");
    let block = [1; 4096];
    let mut bytes = 0;
    loop {
        match file.write(&block) {
            Ok(written) => bytes += written,
            Err(error) => return format!("{bytes} {}", error.kind()),
        }
    }
}

fn threads() -> String {
    let mut threads = 0;
    while threads < 1000 {
        let forever = || std::thread::sleep(Duration::from_secs(1000));
        match std::thread::Builder::new().stack_size(64 << 10).spawn(forever) {
            Ok(_) => threads += 1,
            Err(_) => break,
        }
    }
    threads.to_string()
}

fn memory() -> String {
    let mut blocks = Vec::new();
    loop {
        blocks.push(vec![1_u8; 16 << 20]);
        std::hint::black_box(&blocks);
    }
}

fn spin() -> String {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
    }
}

/// A system call that must end the worker.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    number: libc::c_long,
    arguments: [libc::c_long; 3],
}

const fn forbidden(name: &'static str, number: libc::c_long, arguments: [libc::c_long; 3]) -> Call {
    Call { name, number, arguments }
}

const STREAM: libc::c_long = libc::SOCK_STREAM as libc::c_long;
const UNIX: libc::c_long = libc::AF_UNIX as libc::c_long;
const INTERNET: libc::c_long = libc::AF_INET as libc::c_long;

pub(crate) const FORBIDDEN: &[Call] = &[
    forbidden("socket", libc::SYS_socket, [INTERNET, STREAM, 0]),
    forbidden("socketpair", libc::SYS_socketpair, [UNIX, STREAM, 0]),
    forbidden("connect", libc::SYS_connect, [0, 0, 0]),
    forbidden("bind", libc::SYS_bind, [0, 0, 0]),
    forbidden("listen", libc::SYS_listen, [0, 1, 0]),
    forbidden("accept4", libc::SYS_accept4, [0, 0, 0]),
    forbidden("execve", libc::SYS_execve, [0, 0, 0]),
    forbidden("execveat", libc::SYS_execveat, [0, 0, 0]),
    forbidden("clone without threads", libc::SYS_clone, [libc::SIGCHLD as libc::c_long, 0, 0]),
    forbidden(
        "clone with namespaces",
        libc::SYS_clone,
        [(libc::CLONE_THREAD | libc::CLONE_NEWNET) as libc::c_long, 0, 0],
    ),
    forbidden("unshare", libc::SYS_unshare, [libc::CLONE_NEWUSER as libc::c_long, 0, 0]),
    forbidden("setns", libc::SYS_setns, [0, 0, 0]),
    forbidden("mount", libc::SYS_mount, [0, 0, 0]),
    forbidden("umount2", libc::SYS_umount2, [0, 0, 0]),
    forbidden("pivot_root", libc::SYS_pivot_root, [0, 0, 0]),
    forbidden("chroot", libc::SYS_chroot, [0, 0, 0]),
    forbidden("open_by_handle_at", libc::SYS_open_by_handle_at, [0, 0, 0]),
    forbidden("ptrace", libc::SYS_ptrace, [0, 0, 0]),
    forbidden("process_vm_readv", libc::SYS_process_vm_readv, [1, 0, 0]),
    forbidden("process_vm_writev", libc::SYS_process_vm_writev, [1, 0, 0]),
    forbidden("pidfd_open", libc::SYS_pidfd_open, [1, 0, 0]),
    forbidden("pidfd_getfd", libc::SYS_pidfd_getfd, [0, 0, 0]),
    forbidden("kill", libc::SYS_kill, [1, 0, 0]),
    forbidden("tgkill of another", libc::SYS_tgkill, [2, 2, 0]),
    forbidden("keyctl", libc::SYS_keyctl, [0, 0, 0]),
    forbidden("add_key", libc::SYS_add_key, [0, 0, 0]),
    forbidden("bpf", libc::SYS_bpf, [0, 0, 0]),
    forbidden("perf_event_open", libc::SYS_perf_event_open, [0, 0, 0]),
    forbidden("io_uring_setup", libc::SYS_io_uring_setup, [1, 0, 0]),
    forbidden("userfaultfd", libc::SYS_userfaultfd, [0, 0, 0]),
    forbidden("seccomp", libc::SYS_seccomp, [0, 0, 0]),
    forbidden("prctl dumpable", libc::SYS_prctl, [libc::PR_SET_DUMPABLE as libc::c_long, 1, 0]),
    forbidden("setrlimit", libc::SYS_setrlimit, [0, 0, 0]),
    forbidden("prlimit64 that sets", libc::SYS_prlimit64, [0, 0, 1]),
    forbidden("setuid", libc::SYS_setuid, [0, 0, 0]),
    forbidden("capset", libc::SYS_capset, [0, 0, 0]),
    forbidden("symlinkat", libc::SYS_symlinkat, [0, 0, 0]),
    forbidden("linkat", libc::SYS_linkat, [0, 0, 0]),
    forbidden("mknodat", libc::SYS_mknodat, [0, 0, 0]),
    forbidden("shmget", libc::SYS_shmget, [0, 4096, 0]),
    forbidden("inotify_init1", libc::SYS_inotify_init1, [0, 0, 0]),
    forbidden("fanotify_init", libc::SYS_fanotify_init, [0, 0, 0]),
    forbidden("init_module", libc::SYS_init_module, [0, 0, 0]),
    forbidden("reboot", libc::SYS_reboot, [0, 0, 0]),
    forbidden("a number that is no call", 100_000, [0, 0, 0]),
];

fn call(name: &str) -> String {
    let call = FORBIDDEN.iter().find(|call| call.name == name).expect("a call of the list");
    let [first, second, third] = call.arguments;
    // SAFETY: the filter ends the process before the kernel looks at the arguments; if it does
    // not, they are null or refer to nothing, and the call fails.
    let result = unsafe { libc::syscall(call.number, first, second, third, 0, 0) };
    format!("returned {result}")
}
