//! What a run may use at most. Part of what is approved.

use serde::{Deserialize, Serialize};

/// Limits of a room, in every revision digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one record batch that crosses the interface.
    pub batch_bytes: u64,
    /// Collaborators in the room.
    pub collaborators: u64,
    /// Bytes of a component.
    pub component_bytes: u64,
    /// Processor seconds, all threads together.
    pub cpu_seconds: u64,
    /// Bytes of log text of one run; the rest is dropped and counted.
    pub log_bytes: u64,
    /// Bytes of memory: the guest's, the query engine's and the batches' together.
    pub memory_bytes: u64,
    /// Open files.
    pub open_files: u64,
    /// Bytes of all output files of a run.
    pub output_bytes: u64,
    /// Rows of one output table.
    pub output_rows: u64,
    /// Bytes of temporary files.
    pub scratch_bytes: u64,
    /// Threads and processes.
    pub threads: u64,
    /// Seconds from start to deadline.
    pub wall_seconds: u64,
}
