//! A notebook of a room: its versions and what the parties think of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::rules::{Asked, Rules};
use super::{Deprecation, PauseState, Refusal};
use crate::digest::Blake3Digest;
use crate::manifest::Manifest;
use crate::name::{Alias, AssetName};
use crate::revision::BoundRevision;
use crate::statement::{Decision, NotebookAsset};

/// A notebook with all its versions.
#[derive(Debug, Clone)]
pub struct Notebook {
    name: AssetName,
    author: Alias,
    pub(super) versions: Vec<Version>,
    reviews: BTreeMap<Blake3Digest, Vec<ReviewRecord>>,
    /// What each party has approved with its own signature and not taken back, oldest first.
    by_hand: BTreeMap<Alias, Vec<Arc<ByHand>>>,
    pub(super) pause: Option<PauseState>,
}

/// A version as its author added it.
#[derive(Debug, Clone)]
pub struct Version {
    pub(super) asset: NotebookAsset,
    pub(super) added_at: u64,
    pub(super) deprecation: Option<Deprecation>,
    /// Its place in the log.
    pub(super) position: u64,
    pub(super) revision: Result<BoundRevision, Refusal>,
    pub(super) statement: Blake3Digest,
}

/// A revision as it was when a party reviewed it.
#[derive(Debug, Clone)]
pub(super) struct ByHand {
    pub(super) manifest: Manifest,
    /// Place of the review in the log.
    pub(super) position: u64,
    pub(super) revision: BoundRevision,
}

/// One review: as signed, or what a rule says in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewRecord {
    /// When the party says it decided, in seconds since 1970-01-01T00:00:00Z. For an approval by
    /// rule, when the author says it added the version.
    pub at: u64,
    /// The party's rule that approves, when nobody signed this review.
    pub auto_approved: Option<AssetName>,
    /// Why, in its words.
    pub comment: String,
    /// What it decided.
    pub decision: Decision,
    /// The party.
    pub party: Alias,
}

/// Where a version stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevisionStatus {
    /// It may run.
    Approved,
    /// Some parties have not approved it.
    Waiting {
        /// Who has not.
        missing: BTreeSet<Alias>,
    },
    /// At least one party is against it.
    Rejected {
        /// Who is.
        by: BTreeSet<Alias>,
    },
    /// It was approved; a later approved version took its place, or its author ended it.
    Superseded {
        /// The cutover date or the end, in seconds since 1970-01-01T00:00:00Z.
        since: u64,
    },
    /// It does not fit the room's tables as they are now.
    Unbound {
        /// What does not fit.
        refusal: Refusal,
    },
}

/// All collaborators, and the rules by which some of them approve.
pub(super) struct Reviewers<'a> {
    pub(super) asked: Asked<'a>,
    pub(super) parties: BTreeSet<&'a Alias>,
    pub(super) rules: &'a Rules,
}

impl Version {
    /// What the author's statement says.
    pub fn asset(&self) -> &NotebookAsset {
        &self.asset
    }

    /// When the author says it was added, in seconds since 1970-01-01T00:00:00Z.
    pub fn added_at(&self) -> u64 {
        self.added_at
    }

    /// What its author says, if it gives the version up.
    pub fn deprecation(&self) -> Option<&Deprecation> {
        self.deprecation.as_ref()
    }

    /// What an approval of it would cover, given the room's tables now.
    ///
    /// # Errors
    /// When a table is missing or has other columns than the notebook expects.
    pub fn revision(&self) -> Result<&BoundRevision, &Refusal> {
        self.revision.as_ref()
    }

    /// The digest to approve, if the version fits the room's tables.
    pub fn revision_digest(&self) -> Option<&Blake3Digest> {
        self.revision().ok().map(BoundRevision::digest)
    }

    /// Digest of the envelope that added it.
    pub fn statement(&self) -> &Blake3Digest {
        &self.statement
    }
}

impl Notebook {
    pub(super) fn new(name: AssetName, author: Alias) -> Self {
        Self {
            name,
            author,
            versions: Vec::new(),
            reviews: BTreeMap::new(),
            by_hand: BTreeMap::new(),
            pause: None,
        }
    }

    pub(super) fn review(&mut self, record: ReviewRecord, reviewed: ByHand) {
        let digest = *reviewed.revision.digest();
        if record.decision != Decision::Comment {
            let approved = self.by_hand.entry(record.party.clone()).or_default();
            approved.retain(|before| *before.revision.digest() != digest);
            if record.decision == Decision::Approve {
                approved.push(Arc::new(reviewed));
            }
        }
        self.reviews.entry(digest).or_default().push(record);
    }

    pub(super) fn deprecate(&mut self, revision: &Blake3Digest, deprecation: &Deprecation) {
        for version in &mut self.versions {
            if version.revision_digest() == Some(revision) {
                version.deprecation = Some(deprecation.clone());
            }
        }
    }

    /// What `party` approved last with its own signature before this place in the log.
    pub(super) fn reviewed_before(&self, party: &Alias, position: u64) -> Option<&ByHand> {
        let approved = self.by_hand.get(party)?.iter().rev();
        approved.map(Arc::as_ref).find(|reviewed| reviewed.position < position)
    }

    /// Its name.
    pub fn name(&self) -> &AssetName {
        &self.name
    }

    /// The party that added it, and the only one that may add versions or delete it.
    pub fn author(&self) -> &Alias {
        &self.author
    }

    /// Its versions, oldest first.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The newest version.
    pub fn latest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The newest version whose revision now has this digest.
    pub fn version(&self, revision: &Blake3Digest) -> Option<&Version> {
        self.position(revision).and_then(|index| self.versions.get(index))
    }

    /// All signed reviews of a revision, in the order of the log. Approvals by rule are not among
    /// them, see [`super::RoomState::reviews`].
    pub fn reviews(&self, revision: &Blake3Digest) -> &[ReviewRecord] {
        self.reviews.get(revision).map(Vec::as_slice).unwrap_or_default()
    }

    /// The latest signed decision of each party about a revision.
    pub fn decisions(&self, revision: &Blake3Digest) -> BTreeMap<&Alias, Decision> {
        self.reviews(revision)
            .iter()
            .filter(|review| review.decision != Decision::Comment)
            .map(|review| (&review.party, review.decision))
            .collect()
    }

    /// The pause of this notebook, if there is one.
    pub fn pause(&self) -> Option<&PauseState> {
        self.pause.as_ref()
    }

    /// Whether it is in the room; a deleted notebook keeps only its name and author.
    pub(super) fn exists(&self) -> bool {
        !self.versions.is_empty()
    }

    pub(super) fn position(&self, revision: &Blake3Digest) -> Option<usize> {
        self.versions.iter().rposition(|version| version.revision_digest() == Some(revision))
    }

    /// Where the version at `index` stands.
    pub(super) fn status(&self, index: usize, reviewers: &Reviewers<'_>) -> Option<RevisionStatus> {
        let version = self.versions.get(index)?;
        let status = self.review_status(version, reviewers);
        if status != RevisionStatus::Approved {
            return Some(status);
        }
        let later = self.versions.iter().skip(index.saturating_add(1));
        let cutovers = later
            .filter_map(|later| Some((later, later.asset.cutover?)))
            .filter(|(later, _)| self.review_status(later, reviewers) == RevisionStatus::Approved)
            .map(|(_, cutover)| cutover);
        let end = version.deprecation.as_ref().and_then(|deprecation| deprecation.until);
        Some(match cutovers.chain(end).min() {
            Some(since) if since <= reviewers.asked.time() => RevisionStatus::Superseded { since },
            _ => RevisionStatus::Approved,
        })
    }

    /// What the parties decided, dates aside.
    pub(super) fn review_status(
        &self,
        version: &Version,
        reviewers: &Reviewers<'_>,
    ) -> RevisionStatus {
        let digest = match &version.revision {
            Ok(revision) => revision.digest(),
            Err(refusal) => return RevisionStatus::Unbound { refusal: refusal.clone() },
        };
        let decisions = self.decisions(digest);
        let against: BTreeSet<Alias> = decisions
            .iter()
            .filter(|(_, decision)| **decision != Decision::Approve)
            .map(|(party, _)| (*party).clone())
            .collect();
        if !against.is_empty() {
            return RevisionStatus::Rejected { by: against };
        }
        let missing: BTreeSet<Alias> = reviewers
            .parties
            .iter()
            .filter(|party| ***party != self.author && !decisions.contains_key(*party))
            .filter(|party| {
                reviewers.rules.approving(party, self, version, reviewers.asked).is_none()
            })
            .map(|party| (*party).clone())
            .collect();
        if missing.is_empty() {
            RevisionStatus::Approved
        } else {
            RevisionStatus::Waiting { missing }
        }
    }
}
