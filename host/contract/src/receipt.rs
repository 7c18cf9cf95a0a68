//! What the host says about a run that has ended.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::canonical::{self, CanonicalError};
use crate::digest::{Blake3Digest, ContentDigest};
use crate::name::{AssetName, Identifier, RunId, TableName};
use crate::parameter::ParameterValue;
use crate::reason::ReasonCode;
use crate::statement::{Snapshot, StatementError};

/// Key of the Parquet file metadata under which an output carries the digest of its
/// [`Computation`].
pub const PARQUET_METADATA_KEY: &str = "glovebox.receipt";

/// The end of a run: what went in, what came out, and who vouches for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Digest of the [`Computation`].
    pub computation: Blake3Digest,
    /// How strong the proof is that this component made these outputs from these inputs.
    pub evidence: EvidenceClass,
    /// When it ended, in seconds since 1970-01-01T00:00:00Z.
    pub finished_at: u64,
    /// The exact files of every input table, as in the run-start.
    pub inputs: BTreeMap<TableName, Snapshot>,
    /// The notebook.
    pub notebook: AssetName,
    /// How it ended.
    pub outcome: Outcome,
    /// Digest of the revision that ran.
    pub revision: Blake3Digest,
    /// The run.
    pub run: RunId,
    /// Digest of the envelope of the run-start.
    pub start: Blake3Digest,
    /// What it used.
    pub usage: Usage,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "result")]
pub enum Outcome {
    /// All declared outputs were written.
    Succeeded {
        /// Every output file by the name of its table.
        outputs: BTreeMap<Identifier, OutputFile>,
    },
    /// Nothing was published.
    Failed {
        /// Why, as far as everyone may know.
        reason: ReasonCode,
    },
}

/// An output file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputFile {
    /// Length in bytes.
    pub bytes: u64,
    /// Digest of the table in the file: columns and values, however they are encoded. Equal for
    /// equal tables of different computations. The worker that wrote the file computed it, and
    /// whoever has the file can compute it again; `glovebox-worker` defines it (`content`).
    pub content: Blake3Digest,
    /// Digests of the file.
    pub digest: ContentDigest,
    /// Rows of the table.
    pub rows: u64,
}

/// How strong the evidence of a receipt is. Classes are never merged into one score.
///
/// Stronger classes (replayed by someone who has the inputs, run by two operators, attested by
/// hardware) will be statements of those who vouch; a receipt alone is the host's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EvidenceClass {
    /// The host's word.
    Asserted,
}

/// What a run used, rounded up to powers of two: exact times and sizes would tell about the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Processor time of all threads, in milliseconds.
    pub cpu_ms: u64,
    /// Most memory at one time, in bytes.
    pub memory_bytes: u64,
    /// Time from start to end, in milliseconds.
    pub wall_ms: u64,
}

/// What determines the outputs. Two runs of the same computation write the same bytes, so its
/// digest can stand inside the files without telling them apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Computation {
    /// The component.
    pub component: ContentDigest,
    /// The exact files of every input table.
    pub inputs: BTreeMap<TableName, Snapshot>,
    /// All parameters, defaults included.
    pub parameters: BTreeMap<Identifier, ParameterValue>,
    /// Digest of the revision.
    pub revision: Blake3Digest,
}

impl Computation {
    /// Its digest.
    ///
    /// # Errors
    /// When a length does not fit 53 bits.
    pub fn digest(&self) -> Result<Blake3Digest, CanonicalError> {
        canonical::digest(self)
    }
}

impl EvidenceClass {
    /// What a reader may conclude.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Asserted => {
                "the host's word that this component made these outputs from these inputs"
            }
        }
    }
}

impl Usage {
    /// Rounds exact figures up to powers of two.
    pub fn rounded(cpu_ms: u64, memory_bytes: u64, wall_ms: u64) -> Self {
        let coarse = |figure: u64| match figure {
            0 => 0,
            figure => figure.checked_next_power_of_two().unwrap_or(MOST).min(MOST),
        };
        Self {
            cpu_ms: coarse(cpu_ms),
            memory_bytes: coarse(memory_bytes),
            wall_ms: coarse(wall_ms),
        }
    }

    fn is_rounded(&self) -> bool {
        *self == Self::rounded(self.cpu_ms, self.memory_bytes, self.wall_ms)
    }
}

/// The largest power of two that canonical JSON carries.
const MOST: u64 = 1 << 52;

impl Receipt {
    /// The output files, when the run succeeded.
    pub fn outputs(&self) -> Option<&BTreeMap<Identifier, OutputFile>> {
        match &self.outcome {
            Outcome::Succeeded { outputs } => Some(outputs),
            Outcome::Failed { .. } => None,
        }
    }

    /// Bytes of the files of all input tables, as the run-start gives them.
    pub fn bytes_in(&self) -> u64 {
        let files = self.inputs.values().flat_map(|snapshot| &snapshot.files);
        files.fold(0, |sum: u64, file| sum.saturating_add(file.bytes))
    }

    /// Bytes of all output files.
    pub fn bytes_out(&self) -> u64 {
        let files = self.outputs().into_iter().flat_map(BTreeMap::values);
        files.fold(0, |sum: u64, file| sum.saturating_add(file.bytes))
    }

    pub(crate) fn validate(&self) -> Result<(), StatementError> {
        if self.usage.is_rounded() {
            Ok(())
        } else {
            Err(StatementError::new("usage", "the figures are not rounded to powers of two"))
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded { .. } => f.pad("succeeded"),
            Self::Failed { reason } => write!(f, "failed: {reason}"),
        }
    }
}

impl fmt::Display for EvidenceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Asserted => "asserted",
        })
    }
}
