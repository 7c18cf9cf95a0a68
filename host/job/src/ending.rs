//! How a worker process ended, and what that says to everyone.

use glovebox_contract::reason::ReasonCode;
use serde::{Deserialize, Serialize};

use crate::event::ResourceUsage;
use crate::limits::ProcessLimits;

/// The end of a worker process, as its launcher saw it.
///
/// The launcher writes it as one JSON line to its standard output, which the worker does not
/// have. The host makes it itself when there is no launcher.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// Exit code; none when a signal ended the process.
    pub code: Option<i32>,
    /// What the process wrote to standard error, at most [`MAX_MESSAGE_BYTES`].
    pub message: String,
    /// Number of the signal that ended it.
    pub signal: Option<i32>,
    /// What the process took.
    pub usage: ResourceUsage,
}

/// Longest message of a process that died, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4096;

/// How the Rust runtime says that an allocation failed.
const OUT_OF_MEMORY: &str = "memory allocation of ";

impl Ending {
    /// The reason to publish for a worker that ended without a last event.
    pub fn reason(&self, limits: &ProcessLimits) -> ReasonCode {
        use nix::sys::signal::Signal;
        let signal = self.signal.and_then(|number| Signal::try_from(number).ok());
        let cpu_spent = self.usage.cpu_ms >= limits.cpu_seconds.saturating_mul(1000);
        match signal {
            Some(Signal::SIGXCPU) => ReasonCode::CpuLimit,
            // The first process of a namespace ignores SIGXCPU; SIGKILL comes a second later.
            Some(Signal::SIGKILL) if cpu_spent => ReasonCode::CpuLimit,
            Some(Signal::SIGXFSZ) => ReasonCode::ScratchLimit,
            _ if self.message.contains(OUT_OF_MEMORY) => ReasonCode::MemoryLimit,
            // Nobody here sent it, so the kernel did: the machine ran out of memory.
            Some(Signal::SIGKILL) if self.usage.memory_bytes >= limits.memory_bytes / 2 => {
                ReasonCode::MemoryLimit
            }
            _ => ReasonCode::WorkerDied,
        }
    }

    /// The end in words, for the operator.
    pub fn describe(&self) -> String {
        let how = match (self.code, self.signal) {
            (_, Some(number)) => match nix::sys::signal::Signal::try_from(number) {
                Ok(signal) => format!("the worker was ended by {signal}"),
                Err(_) => format!("the worker was ended by signal {number}"),
            },
            (Some(code), None) => format!("the worker ended with exit code {code}"),
            (None, None) => "the worker ended".to_owned(),
        };
        let message = crate::text::clean_lines(self.message.trim(), MAX_MESSAGE_BYTES);
        if message.is_empty() { how } else { format!("{how}: {message}") }
    }
}
