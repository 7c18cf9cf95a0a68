//! Resource limits of the process (`man 2 setrlimit`).

use glovebox_job::limits::{JailMode, ProcessLimits};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{JailError, Step as _};

/// Memory that a worker needs before its job allocates anything: the program's own data, the
/// main stack, what the allocator keeps in reserve.
///
/// The guest's memory and the query engine's pool are counted exactly and refused softly by the
/// sandbox and the query engine. This limit stands behind them and ends the process.
const OWN_MEMORY_BYTES: u64 = 512 << 20;

/// Memory of a thread before it does anything: its stack, which counts as a whole.
const THREAD_BYTES: u64 = 16 << 20;

/// Threads besides those of the limits: the main one and the launcher, which has the same user.
const OWN_THREADS: u64 = 2;

/// Applies `limits` to this process.
pub(super) fn limit(mode: JailMode, limits: &ProcessLimits) -> Result<(), JailError> {
    let ProcessLimits { cpu_seconds, file_bytes, memory_bytes, open_files, threads, .. } = *limits;
    set(Resource::RLIMIT_CORE, 0, 0)?;
    // Outside a jail SIGXCPU ends the process. The first process of a namespace ignores it and is
    // killed a second later.
    set(Resource::RLIMIT_CPU, cpu_seconds, cpu_seconds.saturating_add(1))?;
    let own_bytes = THREAD_BYTES.saturating_mul(threads).saturating_add(OWN_MEMORY_BYTES);
    set_both(Resource::RLIMIT_DATA, memory_bytes.saturating_add(own_bytes))?;
    set_both(Resource::RLIMIT_FSIZE, file_bytes)?;
    set_both(Resource::RLIMIT_NOFILE, open_files)?;
    set_both(Resource::RLIMIT_MEMLOCK, 0)?;
    set_both(Resource::RLIMIT_MSGQUEUE, 0)?;
    if mode == JailMode::Full {
        // Counted for each user in each user namespace; without one it would count every process
        // of the operator.
        set_both(Resource::RLIMIT_NPROC, threads.saturating_add(OWN_THREADS))?;
    }
    Ok(())
}

fn set_both(resource: Resource, value: u64) -> Result<(), JailError> {
    set(resource, value, value)
}

/// Sets soft and hard limit, neither above the hard limit that is in force.
fn set(resource: Resource, soft: u64, hard: u64) -> Result<(), JailError> {
    const STEP: &str = "set a resource limit";
    let (_, highest) = getrlimit(resource).step(STEP)?;
    setrlimit(resource, soft.min(highest), hard.min(highest)).step(STEP)
}
