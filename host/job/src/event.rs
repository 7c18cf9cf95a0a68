//! What a worker tells its host.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::column::Column;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::manifest::Manifest;
use glovebox_contract::media::MediaType;
use glovebox_contract::name::Identifier;
use glovebox_contract::reason::ReasonCode;
use serde::{Deserialize, Serialize};

/// One message of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The jail stands and the worker waits for its job. [`crate::process::Worker::send`] takes
    /// this one; nobody else sees it.
    Ready {},
    /// How far the notebook is, in its own unit.
    Progress {
        /// Units done.
        done: u64,
        /// Units in all, if the notebook knows.
        total: Option<u64>,
    },
    /// A line of the notebook's log. Only the component's owner may read it.
    Log {
        /// How important it is.
        level: LogLevel,
        /// The line: no control characters, at most [`crate::text::MAX_LOG_LINE_BYTES`].
        text: String,
    },
    /// An output of a cell. Only those who may read the log may see it.
    Display {
        /// What it is.
        media_type: MediaType,
        /// Its bytes, at most [`glovebox_contract::media::MAX_DISPLAY_BYTES`]; a text has no
        /// control characters but line ends.
        #[serde(with = "as_base64")]
        data: Vec<u8>,
    },
    /// The run succeeded and every output file is complete. A last event.
    Finished {
        /// What was written.
        outputs: BTreeMap<Identifier, OutputSummary>,
        /// What it took.
        usage: ResourceUsage,
    },
    /// The component was admitted and compiled. A last event.
    Compiled(Box<Compiled>),
    /// The columns of the files. A last event.
    Described {
        /// All columns, in file order.
        columns: Vec<Column>,
        /// What it took.
        usage: ResourceUsage,
    },
    /// The job failed. A last event.
    Failed {
        /// What everyone may know.
        reason: ReasonCode,
        /// What only the component's owner may know; it can be empty.
        detail: String,
        /// What it took.
        usage: ResourceUsage,
    },
}

/// Importance of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the usual levels")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// The level's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What was written to one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSummary {
    /// Bytes of the file.
    pub bytes: u64,
    /// Digest of the table, however it is encoded.
    pub content: Blake3Digest,
    /// Rows of the table.
    pub rows: u64,
}

/// What a job took, as its own process measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceUsage {
    /// Processor time of all threads, in milliseconds.
    pub cpu_ms: u64,
    /// Largest resident memory, in bytes.
    pub memory_bytes: u64,
}

/// What a component is, and its machine code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compiled {
    /// Digest of the engine's version and settings; machine code fits only the engine that made it.
    pub engine: Blake3Digest,
    /// Names that it exports.
    pub exports: BTreeSet<String>,
    /// Interfaces that it imports, for example `glovebox:guest/tables@0.1.0`.
    pub imports: BTreeSet<String>,
    /// Size of the machine code.
    pub machine_code_bytes: u64,
    /// Digest of the machine code.
    pub machine_code_digest: Blake3Digest,
    /// What it says about itself.
    pub manifest: Manifest,
    /// Paths of its embedded source; empty when it is hidden.
    pub source_paths: BTreeSet<String>,
    /// What it took.
    pub usage: ResourceUsage,
    /// The world it fits, for example `notebook`.
    pub world: Option<String>,
}

impl Event {
    /// Whether nothing may follow.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Ready {} | Self::Progress { .. } | Self::Log { .. } | Self::Display { .. } => {
                false
            }
            Self::Finished { .. }
            | Self::Compiled(_)
            | Self::Described { .. }
            | Self::Failed { .. } => true,
        }
    }

    /// The event's name, as in its encoding.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready {} => "ready",
            Self::Progress { .. } => "progress",
            Self::Log { .. } => "log",
            Self::Display { .. } => "display",
            Self::Finished { .. } => "finished",
            Self::Compiled(_) => "compiled",
            Self::Described { .. } => "described",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Bytes as base64: an array of numbers would be three times as long.
mod as_base64 {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(data: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(data))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
