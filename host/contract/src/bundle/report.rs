//! What a verification found, in fixed words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Serialize, Serializer};

use super::ShareReport;
use crate::digest::{Blake3Digest, ContentDigest, Sha256Digest};
use crate::name::{Alias, AssetName, Identifier, RoomId, RunId};
use crate::reason::ReasonCode;
use crate::receipt::{EvidenceClass, OutputFile};
use crate::state::{RevisionStatus, RoomState, Version};

/// The last word. There are only two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every check that was made holds.
    Verified,
    /// At least one does not.
    NotVerified,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckResult {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// There was nothing to compare with: the bundle's own word was taken.
    NotPinned,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked: `statements`, `room`, `host key`, `party key`, `checkpoint`,
    /// `earlier checkpoint`, `runs`.
    pub what: &'static str,
    /// How it ended.
    pub result: CheckResult,
    /// What was found.
    pub detail: String,
}

/// What the log says of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunReport {
    /// The component that was approved for it.
    pub component: ContentDigest,
    /// The notebook.
    pub notebook: AssetName,
    /// The output files, when it succeeded.
    pub outputs: BTreeMap<Identifier, OutputFile>,
    /// Digest of the receipt's envelope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Blake3Digest>,
    /// How it ended, with the evidence class if it did.
    pub result: RunResult,
    /// Digest of the revision that all parties approved.
    pub revision: Blake3Digest,
    /// The rules by which parties approved it, of those that had signed no decision.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<Alias, BTreeSet<AssetName>>,
    /// The run.
    pub run: RunId,
    /// Who asked for it.
    pub runner: Alias,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunResult {
    /// It has a receipt of success; the class says how strong the evidence is.
    Succeeded(EvidenceClass),
    /// It has a receipt of failure.
    Failed(ReasonCode),
    /// It was started and has no receipt. Nothing of it may be believed.
    NoReceipt,
    /// It was refused before it started.
    Refused(ReasonCode),
    /// Its runner took the request back before it started.
    Cancelled,
    /// It was asked for, no more.
    Waiting,
}

/// A receipt that names a file as its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedOutput {
    /// Content digest of the table, as the receipt says.
    pub content: Blake3Digest,
    /// How strong the evidence is.
    #[serde(serialize_with = "as_text")]
    pub evidence: EvidenceClass,
    /// The output table.
    pub output: Identifier,
    /// Digest of the receipt's envelope.
    pub receipt: Blake3Digest,
    /// The run.
    pub run: RunId,
}

/// A notebook version that is a certain component, or uses it as a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentUse {
    /// Whether every party approves it, at the end of the log.
    pub approved: bool,
    /// The parties that approve it by a rule of theirs and not by a review, each with the rule.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub by_rule: BTreeMap<Alias, AssetName>,
    /// The library that the component is to the notebook, directly or through another; absent when
    /// it is the notebook itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<AssetName>,
    /// The notebook.
    pub notebook: AssetName,
    /// Digest of the revision; absent when it does not fit the room's tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Blake3Digest>,
    /// Its version, from the manifest.
    pub version: String,
}

/// What a verification found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `verified` or `not verified`.
    pub(super) verdict: Verdict,
    pub(super) checks: Vec<Check>,
    /// Entries in the log.
    pub(super) entries: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<AssetName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) room: Option<RoomId>,
    /// Root over the entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) root: Option<Sha256Digest>,
    pub(super) runs: Vec<RunReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) shares: Vec<ShareReport>,
    #[serde(skip)]
    pub(super) state: Option<RoomState>,
}

impl Report {
    /// The last word.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The checks, in the order they were made.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Entries in the bundle's log.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The room's name, when the statements hold.
    pub fn name(&self) -> Option<&AssetName> {
        self.name.as_ref()
    }

    /// The room's id, when the statements hold.
    pub fn room(&self) -> Option<&RoomId> {
        self.room.as_ref()
    }

    /// The root over the entries, when the statements hold.
    pub fn root(&self) -> Option<&Sha256Digest> {
        self.root.as_ref()
    }

    /// The runs, in the order they were asked for; none when the statements do not hold.
    pub fn runs(&self) -> &[RunReport] {
        &self.runs
    }

    /// What the parties share with people outside the room; none when the statements do not hold.
    pub fn shares(&self) -> &[ShareReport] {
        &self.shares
    }

    /// The receipts that name a file of this length and content as their output. None when the
    /// bundle is not verified, for then its receipts mean nothing.
    pub fn receipts_naming(&self, bytes: u64, digest: &ContentDigest) -> Vec<NamedOutput> {
        if self.verdict != Verdict::Verified {
            return Vec::new();
        }
        let mut named = Vec::new();
        for run in &self.runs {
            let (RunResult::Succeeded(evidence), Some(receipt)) = (run.result, run.receipt) else {
                continue;
            };
            for (output, file) in &run.outputs {
                if file.bytes == bytes && file.digest == *digest {
                    let output = output.clone();
                    let content = file.content;
                    named.push(NamedOutput { content, evidence, output, receipt, run: run.run });
                }
            }
        }
        named
    }

    /// The notebook versions whose component, or one of whose libraries, has this content, approved
    /// or not. None when the bundle is not verified.
    pub fn uses_of_component(&self, digest: &ContentDigest) -> Vec<ComponentUse> {
        let Some(state) = self.state.as_ref().filter(|_| self.verdict == Verdict::Verified) else {
            return Vec::new();
        };
        let mut uses = Vec::new();
        for notebook in state.notebooks() {
            let statuses = state.statuses_ever(notebook.name()).unwrap_or_default();
            for (version, status) in notebook.versions().iter().zip(statuses) {
                for library in roles(version, digest) {
                    uses.push(ComponentUse {
                        approved: status == RevisionStatus::Approved,
                        by_rule: approvals_by_rule(state, notebook.name(), version),
                        library,
                        notebook: notebook.name().clone(),
                        revision: version.revision_digest().copied(),
                        version: version.asset().manifest.version.clone(),
                    });
                }
            }
        }
        uses
    }

    /// The room's state at the end of the log, when the bundle is verified.
    pub fn state(&self) -> Option<&RoomState> {
        self.state.as_ref().filter(|_| self.verdict == Verdict::Verified)
    }
}

fn approvals_by_rule(
    state: &RoomState,
    notebook: &AssetName,
    version: &Version,
) -> BTreeMap<Alias, AssetName> {
    let digest = version.revision_digest();
    let reviews = digest.and_then(|digest| state.reviews_ever(notebook, digest).ok());
    let by_rule = reviews.into_iter().flatten();
    by_rule.filter_map(|review| Some((review.party, review.auto_approved?))).collect()
}

/// What a component is to a version: the notebook itself (`None`), or a library of that name.
fn roles(version: &Version, digest: &ContentDigest) -> Vec<Option<AssetName>> {
    let itself = (version.asset().component == *digest).then_some(None);
    let libraries = version.revision().into_iter().flat_map(|bound| &bound.revision().libraries);
    let named = libraries.filter(|(_, library)| library.component == *digest);
    itself.into_iter().chain(named.map(|(name, _)| Some(name.clone()))).collect()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Verified => "verified",
            Self::NotVerified => "not verified",
        })
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::Fails => "FAILS",
            Self::NotPinned => "not pinned",
        })
    }
}

impl fmt::Display for RunResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded(evidence) => write!(f, "succeeded, {evidence}"),
            Self::Failed(reason) => write!(f, "failed, {reason}"),
            Self::NoReceipt => f.write_str("no receipt"),
            Self::Refused(reason) => write!(f, "refused, {reason}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Waiting => f.write_str("waiting"),
        }
    }
}

fn as_text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

macro_rules! serialize_as_text {
    ($($name:ident),*) => {
        $(impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                as_text(self, serializer)
            }
        })*
    };
}

serialize_as_text!(Verdict, CheckResult, RunResult);
