//! The two entry points of the program.

use std::path::PathBuf;
use std::process::ExitCode;

use glovebox_contract::reason::ReasonCode;
use glovebox_job::channel::WorkerChannel;
use glovebox_job::event::{Event, ResourceUsage};
use glovebox_job::limits::{JailMode, ProcessLimits};

use crate::jail::{self, Confined, confine};
use crate::{launcher, panic, work};

/// Exit code when there is not even a job socket to tell why.
const MISUSED: u8 = 2;

/// A worker that is confined and has told its host that it waits for a job.
#[derive(Debug)]
pub struct Started {
    /// The job socket.
    pub channel: WorkerChannel,
    /// What is left to this process.
    pub confined: Confined,
    /// Its limits.
    pub limits: ProcessLimits,
}

/// `<program> jail <limits>`: makes a jail, runs a worker in it, reports how it ended.
pub fn launcher_main() -> ExitCode {
    // First of all, because everything that this process opens itself must stay open.
    let closed = jail::close_unexpected();
    let Ok(channel) = WorkerChannel::from_standard_input() else { return MISUSED.into() };
    let arguments: Vec<String> = std::env::args().skip(2).collect();
    let limits = ProcessLimits::from_arguments(arguments.iter().map(String::as_str));
    let result = match (closed, limits) {
        (Err(error), _) => Err((ReasonCode::JailUnavailable, error.to_string())),
        (_, Err(error)) => Err((ReasonCode::Internal, error.to_string())),
        (Ok(()), Ok(limits)) => launcher::launch(&limits)
            .map_err(|error| (ReasonCode::JailUnavailable, error.to_string())),
    };
    match result {
        Ok(ending) => launcher::report(&ending),
        Err((reason, detail)) => tell_failure(&channel, reason, detail),
    }
    ExitCode::SUCCESS
}

/// `<program> worker jail=<mode> <limits>`: confines itself, does one job.
pub fn worker_main() -> ExitCode {
    match start().map(work::work) {
        // At once: the kernel takes everything back faster than destructors do.
        Ok(Ok(())) => std::process::exit(0),
        Ok(Err(_)) => ExitCode::FAILURE,
        Err(code) => code,
    }
}

/// Confines this process as its arguments say and tells the host that it is ready.
///
/// On failure the host knows why already, and the process should end with the code.
pub fn start() -> Result<Started, ExitCode> {
    panic::hide_messages();
    let Some((mode, scratch, limits)) = parse_arguments() else {
        return Err(ExitCode::from(MISUSED));
    };
    // The channel copies a descriptor, so it comes after the jail looked for inherited ones.
    let confined = confine(mode, &limits, scratch);
    let channel = WorkerChannel::from_standard_input().map_err(|_| ExitCode::from(MISUSED))?;
    match confined {
        Err(error) => {
            tell_failure(&channel, ReasonCode::JailUnavailable, error.to_string());
            Err(ExitCode::FAILURE)
        }
        Ok(confined) => match channel.send(&Event::Ready {}) {
            Ok(()) => Ok(Started { channel, confined, limits }),
            Err(_) => Err(ExitCode::FAILURE),
        },
    }
}

fn parse_arguments() -> Option<(JailMode, Option<PathBuf>, ProcessLimits)> {
    let mut arguments = std::env::args().skip(2).peekable();
    let mode = match arguments.next()?.as_str() {
        "jail=full" => JailMode::Full,
        "jail=off" => JailMode::Off,
        _ => return None,
    };
    let scratch = arguments
        .next_if(|argument| argument.starts_with("scratch="))
        .map(|argument| PathBuf::from(argument.trim_start_matches("scratch=")));
    let rest: Vec<String> = arguments.collect();
    let limits = ProcessLimits::from_arguments(rest.iter().map(String::as_str)).ok()?;
    Some((mode, scratch, limits))
}

fn tell_failure(channel: &WorkerChannel, reason: ReasonCode, detail: String) {
    // A host that is gone needs no reason.
    let _ = channel.send(&Event::Failed { reason, detail, usage: ResourceUsage::default() });
}
