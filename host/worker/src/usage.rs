//! What the process took so far.

use glovebox_job::event::ResourceUsage;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// Processor time and largest resident memory of `who`; zeros when the system does not tell.
pub(crate) fn measure(who: UsageWho) -> ResourceUsage {
    let Ok(usage) = getrusage(who) else { return ResourceUsage::default() };
    let cpu_ms = usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds();
    ResourceUsage {
        cpu_ms: u64::try_from(cpu_ms).unwrap_or_default(),
        // The kernel counts in KiB.
        memory_bytes: u64::try_from(usage.max_rss()).unwrap_or_default().saturating_mul(1024),
    }
}
