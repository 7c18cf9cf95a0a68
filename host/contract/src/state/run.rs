//! A run: requested, started, ended.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::{Blake3Digest, ContentDigest};
use crate::grants::Grants;
use crate::name::{Alias, AssetName, Identifier, RunId};
use crate::parameter::ParameterValue;
use crate::reason::ReasonCode;
use crate::state::Refusal;
use crate::statement::{Receipt, RunStart};

/// A run, from its request on.
#[derive(Debug, Clone)]
pub struct Run {
    pub(super) cancelled_at: Option<u64>,
    pub(super) component: ContentDigest,
    /// Where its end stands in the log.
    pub(super) ended_position: Option<u64>,
    pub(super) id: RunId,
    pub(super) notebook: AssetName,
    pub(super) outputs_deleted: bool,
    pub(super) parameters: BTreeMap<Identifier, ParameterValue>,
    pub(super) request: Blake3Digest,
    pub(super) requested_at: u64,
    /// Where its request stands in the log.
    pub(super) requested_position: u64,
    pub(super) revision: Blake3Digest,
    pub(super) runner: Alias,
    pub(super) start: Option<StartRecord>,
    pub(super) status: RunStatus,
    /// What the run may touch; kept between start and receipt.
    pub(super) grants: Option<Grants>,
}

#[derive(Debug, Clone)]
pub(super) struct StartRecord {
    pub(super) statement: RunStart,
    pub(super) digest: Blake3Digest,
    pub(super) at: u64,
    /// The rules that approved the run, whether the statement names them or not.
    pub(super) rules: BTreeMap<Alias, BTreeSet<AssetName>>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub enum RunStatus {
    /// Asked for; not started.
    Requested,
    /// Turned down by the host before it started.
    Refused {
        /// Why.
        reason: ReasonCode,
    },
    /// Started; no receipt yet.
    Started,
    /// Ended, well or not.
    Ended {
        /// The host's receipt.
        receipt: Box<Receipt>,
        /// Digest of the envelope of the receipt.
        digest: Blake3Digest,
    },
}

impl Run {
    /// Its id.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The component of the approved revision.
    pub fn component(&self) -> &ContentDigest {
        &self.component
    }

    /// The notebook.
    pub fn notebook(&self) -> &AssetName {
        &self.notebook
    }

    /// Digest of the revision.
    pub fn revision(&self) -> &Blake3Digest {
        &self.revision
    }

    /// Who asked for it.
    pub fn runner(&self) -> &Alias {
        &self.runner
    }

    /// The values of all parameters, defaults included.
    pub fn parameters(&self) -> &BTreeMap<Identifier, ParameterValue> {
        &self.parameters
    }

    /// Digest of the envelope of the request.
    pub fn request(&self) -> &Blake3Digest {
        &self.request
    }

    /// When the runner says it asked, in seconds since 1970-01-01T00:00:00Z.
    pub fn requested_at(&self) -> u64 {
        self.requested_at
    }

    /// The run-start, when there is one.
    pub fn start(&self) -> Option<&RunStart> {
        self.start.as_ref().map(|start| &start.statement)
    }

    /// Digest of the envelope of the run-start.
    pub fn start_digest(&self) -> Option<&Blake3Digest> {
        self.start.as_ref().map(|start| &start.digest)
    }

    /// When the host says it started, in seconds since 1970-01-01T00:00:00Z.
    pub fn started_at(&self) -> Option<u64> {
        self.start.as_ref().map(|start| start.at)
    }

    /// The rules by which parties approved it when it started, by party. None of those that had
    /// signed a decision, and none before it starts.
    pub fn rules(&self) -> &BTreeMap<Alias, BTreeSet<AssetName>> {
        static NONE: BTreeMap<Alias, BTreeSet<AssetName>> = BTreeMap::new();
        self.start.as_ref().map_or(&NONE, |start| &start.rules)
    }

    /// Whether its runner took the request back. The run may have ended since, or not yet.
    pub fn cancelled(&self) -> bool {
        self.cancelled_at.is_some()
    }

    /// When the runner says it took the request back, in seconds since 1970-01-01T00:00:00Z.
    pub fn cancelled_at(&self) -> Option<u64> {
        self.cancelled_at
    }

    /// How far it is.
    pub fn status(&self) -> &RunStatus {
        &self.status
    }

    /// The receipt, when it has ended.
    pub fn receipt(&self) -> Option<&Receipt> {
        match &self.status {
            RunStatus::Ended { receipt, .. } => Some(receipt),
            _ => None,
        }
    }

    /// Digest of the envelope of the receipt: the receipt's id.
    pub fn receipt_digest(&self) -> Option<&Blake3Digest> {
        match &self.status {
            RunStatus::Ended { digest, .. } => Some(digest),
            _ => None,
        }
    }

    /// Whether it has ended: with a receipt, or refused.
    pub fn has_ended(&self) -> bool {
        matches!(self.status, RunStatus::Refused { .. } | RunStatus::Ended { .. })
    }

    /// What the run may touch, between its start and its receipt.
    pub fn grants(&self) -> Option<&Grants> {
        self.grants.as_ref()
    }

    /// Whether its outputs were deleted.
    pub fn outputs_deleted(&self) -> bool {
        self.outputs_deleted
    }

    pub(super) fn require_not_cancelled(&self) -> Result<(), Refusal> {
        if !self.cancelled() {
            return Ok(());
        }
        Err(Refusal::new(
            ReasonCode::Cancelled,
            format!("run {} was cancelled by {}", self.id, self.runner),
        ))
    }
}
