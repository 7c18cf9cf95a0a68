//! The jail: everything that a worker process gives up before it reads its job.
//!
//! Two processes build it. The launcher ([`crate::launcher_main`]) makes the namespaces and starts
//! the worker as the first process in them. The worker then confines itself with [`confine`]: limits,
//! an empty file system, no privileges, Landlock, seccomp. A step that fails ends the process;
//! there is no weaker jail, only [`JailMode::Off`], which the operator asks for and receipts show.

mod descriptors;
mod filesystem;
mod namespaces;
mod privileges;
mod resources;
mod rules;
mod syscalls;

use std::fmt;
use std::path::{Path, PathBuf};

use glovebox_job::limits::{JailMode, ProcessLimits};

pub(crate) use descriptors::close_unexpected;
pub(crate) use namespaces::enter_namespaces;

/// The only directory of a jailed worker.
pub const SCRATCH: &str = "/scratch";

/// A step of the jail that failed. The machine cannot confine a worker, or something is wrong.
#[derive(Debug)]
pub struct JailError {
    step: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl JailError {
    fn new(
        step: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { step, source: source.into() }
    }

    /// The step, for example `unshare the namespaces`.
    pub fn step(&self) -> &'static str {
        self.step
    }
}

impl fmt::Display for JailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.step, self.source)
    }
}

impl std::error::Error for JailError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// Names the step that a result belongs to.
trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, JailError>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, JailError> {
        self.map_err(|error| JailError::new(step, error))
    }
}

/// Where a worker may put temporary files, once it is confined.
#[derive(Debug, Clone)]
pub struct Confined {
    scratch: PathBuf,
}

impl Confined {
    /// The directory for temporary files.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }
}

/// Confines the calling process for good. It must have one thread.
///
/// `scratch` is the directory for temporary files without a jail; a full jail makes its own.
pub fn confine(
    mode: JailMode,
    limits: &ProcessLimits,
    scratch: Option<PathBuf>,
) -> Result<Confined, JailError> {
    privileges::die_with_parent()?;
    if std::env::vars_os().next().is_some() {
        return Err(JailError::new("start", "the environment is not empty"));
    }
    match mode {
        JailMode::Full => {
            descriptors::expect_only_standard()?;
            filesystem::enter_empty_root(limits.scratch_bytes)?;
            resources::limit(mode, limits)?;
            privileges::drop_all()?;
            rules::restrict_files_and_ports(Path::new(SCRATCH))?;
            syscalls::filter()?;
            Ok(Confined { scratch: SCRATCH.into() })
        }
        JailMode::Off => {
            resources::limit(mode, limits)?;
            let scratch =
                scratch.ok_or_else(|| JailError::new("start", "there is no scratch directory"))?;
            Ok(Confined { scratch })
        }
    }
}
