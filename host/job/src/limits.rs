//! Limits of a process, and the command line that carries them.
//!
//! They must be known before the jail stands, and so before the job is read; that is why they
//! travel as arguments: `glovebox jail cpu-seconds=600 file-bytes=… …`. None is a secret.

use glovebox_contract::limits::Limits;
pub use glovebox_contract::statement::JailMode;

use crate::broker::MAX_BROKER_SOCKETS;

/// What one worker process may use. Bytes and whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Processor seconds, all threads together.
    pub cpu_seconds: u64,
    /// Bytes of one file that it writes.
    pub file_bytes: u64,
    /// Bytes of its private memory.
    pub memory_bytes: u64,
    /// Open files.
    pub open_files: u64,
    /// Bytes of its temporary files.
    pub scratch_bytes: u64,
    /// Threads.
    pub threads: u64,
}

/// Why arguments are not limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("worker arguments: {what}")]
pub struct ParseLimitsError {
    what: String,
}

/// Open files that a process has besides those of its job: the socket, three pipes, the engine's.
pub const OWN_FILES: u64 = 32;

impl ProcessLimits {
    /// Limits of a run in a room with these limits.
    pub fn of_run(limits: &Limits) -> Self {
        Self {
            cpu_seconds: limits.cpu_seconds,
            file_bytes: limits.output_bytes.max(limits.scratch_bytes),
            memory_bytes: limits.memory_bytes,
            // The room counts the files of inputs; sockets to the broker are no business of it.
            open_files: limits
                .open_files
                .saturating_add(OWN_FILES)
                .saturating_add(MAX_BROKER_SOCKETS as u64),
            scratch_bytes: limits.scratch_bytes,
            threads: limits.threads,
        }
    }

    /// Limits of a compile job. Machine code is some ten times its component. What compiling takes
    /// has nothing to do with what a room allows a run, so there is a least as well: an interpreter
    /// takes 15 seconds of processor time.
    pub fn of_compilation(limits: &Limits) -> Self {
        Self {
            cpu_seconds: limits.cpu_seconds.clamp(120, 300),
            file_bytes: limits.component_bytes.saturating_mul(32).max(64 << 20),
            memory_bytes: limits.memory_bytes,
            open_files: 256,
            scratch_bytes: 1 << 20,
            threads: limits.threads,
        }
    }

    /// Limits of a describe job over `files` files.
    pub fn of_description(files: usize) -> Self {
        Self {
            cpu_seconds: 120,
            file_bytes: 1 << 20,
            memory_bytes: 1 << 30,
            open_files: u64::try_from(files).unwrap_or(u64::MAX).saturating_add(256),
            scratch_bytes: 1 << 20,
            threads: 32,
        }
    }

    fn fields(&self) -> [(&'static str, u64); 6] {
        [
            ("cpu-seconds", self.cpu_seconds),
            ("file-bytes", self.file_bytes),
            ("memory-bytes", self.memory_bytes),
            ("open-files", self.open_files),
            ("scratch-bytes", self.scratch_bytes),
            ("threads", self.threads),
        ]
    }

    /// The arguments, one for every limit.
    pub fn to_arguments(&self) -> Vec<String> {
        self.fields().iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// Reads what [`Self::to_arguments`] wrote: every limit, once, in that order.
    pub fn from_arguments<'a>(
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ParseLimitsError> {
        let mut arguments = arguments.into_iter();
        let mut next = |name: &str| {
            let argument = arguments.next().unwrap_or_default();
            argument
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='))
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| ParseLimitsError {
                    what: format!("expected `{name}=<number>`, got `{}`", argument.escape_debug()),
                })
        };
        let limits = Self {
            cpu_seconds: next("cpu-seconds")?,
            file_bytes: next("file-bytes")?,
            memory_bytes: next("memory-bytes")?,
            open_files: next("open-files")?,
            scratch_bytes: next("scratch-bytes")?,
            threads: next("threads")?,
        };
        match arguments.next() {
            None => Ok(limits),
            Some(extra) => {
                Err(ParseLimitsError { what: format!("unexpected `{}`", extra.escape_debug()) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: ProcessLimits = ProcessLimits {
        cpu_seconds: 1,
        file_bytes: 2,
        memory_bytes: 3,
        open_files: 4,
        scratch_bytes: 5,
        threads: 6,
    };

    #[test]
    fn arguments_round_trip() {
        let arguments = SOME.to_arguments();
        assert_eq!(
            arguments.join(" "),
            "cpu-seconds=1 file-bytes=2 memory-bytes=3 open-files=4 scratch-bytes=5 threads=6"
        );
        assert_eq!(ProcessLimits::from_arguments(arguments.iter().map(String::as_str)), Ok(SOME));
    }

    #[test]
    fn wrong_arguments_are_errors() {
        let check = |change: fn(&mut Vec<String>), expect: &str| {
            let mut arguments = SOME.to_arguments();
            change(&mut arguments);
            let error = ProcessLimits::from_arguments(arguments.iter().map(String::as_str));
            assert_eq!(error.unwrap_err().to_string(), format!("worker arguments: {expect}"));
        };
        check(|list| list.clear(), "expected `cpu-seconds=<number>`, got ``");
        check(|list| list.swap(0, 1), "expected `cpu-seconds=<number>`, got `file-bytes=2`");
        check(
            |list| list[5] = "threads=-1".into(),
            "expected `threads=<number>`, got `threads=-1`",
        );
        check(|list| list.push("more=1".into()), "unexpected `more=1`");
    }
}
