//! The launcher: makes the namespaces, starts the worker in them, reports how it ended.
//!
//! It stays outside of the worker's process namespace and knows nothing of the job. Its standard
//! input is the job socket, which it only watches: when the host is gone, the worker goes too.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use glovebox_job::ending::{Ending, MAX_MESSAGE_BYTES};
use glovebox_job::limits::ProcessLimits;
use glovebox_job::process::WORKER_COMMAND;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, UsageWho, getrlimit, setrlimit};

use crate::jail;
use crate::usage;

/// Stack of the worker's main thread, on which the whole job runs: deep queries recurse.
const STACK_BYTES: u64 = 64 << 20;

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    #[error(transparent)]
    Jail(#[from] jail::JailError),
    #[error("cannot start the worker: {0}")]
    Start(#[source] io::Error),
}

/// Runs a worker with `limits` in a jail until it ends.
pub(crate) fn launch(limits: &ProcessLimits) -> Result<Ending, LaunchError> {
    jail::enter_namespaces()?;
    raise_stack_limit();
    let mut child = Command::new("/proc/self/exe")
        .arg0("glovebox")
        .arg(WORKER_COMMAND)
        .arg("jail=full")
        .args(limits.to_arguments())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::inherit())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(LaunchError::Start)?;
    let message = child.stderr.take().map(|pipe| watch(&mut child, pipe)).unwrap_or_default();
    let status = child.wait().map_err(LaunchError::Start)?;
    Ok(ending(status, message))
}

/// Writes the report for the host.
pub(crate) fn report(ending: &Ending) {
    if let Ok(mut line) = serde_json::to_vec(ending) {
        line.push(b'\n');
        // A host that is gone reads no report.
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// Waits until the worker closes its standard error, which it does when it ends, or until the
/// host closes the job socket. In both cases nothing of the worker may live on.
fn watch(child: &mut Child, mut pipe: ChildStderr) -> String {
    let socket = io::stdin();
    let mut message = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let mut sources = [
            PollFd::new(socket.as_fd(), PollFlags::empty()),
            PollFd::new(pipe.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut sources, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            Err(_) => break,
            Ok(_) => {}
        }
        let [host, worker] = sources.map(|source| source.any().unwrap_or(true));
        if worker {
            match pipe.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => {
                    let room = MAX_MESSAGE_BYTES - message.len();
                    message.extend(piece.iter().take(read.min(room)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        } else if host {
            break;
        }
    }
    // Does nothing to a worker that has ended.
    let _ = child.kill();
    String::from_utf8_lossy(&message).into_owned()
}

fn ending(status: ExitStatus, message: String) -> Ending {
    Ending {
        code: status.code(),
        message,
        signal: status.signal(),
        usage: usage::measure(UsageWho::RUSAGE_CHILDREN),
    }
}

fn raise_stack_limit() {
    // A lower hard limit is the operator's choice; queries that need more are refused or die.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_STACK) {
        let stack = STACK_BYTES.min(hard);
        let _ = setrlimit(Resource::RLIMIT_STACK, stack, stack);
    }
}
