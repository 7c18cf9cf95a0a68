//! Decisions about notebooks and the room, and what the host turned down.

use serde::{Deserialize, Serialize};

use super::StatementError;
use crate::digest::{Blake3Digest, from_hex, to_hex};
use crate::key::{PrivateKey, PublicKey};
use crate::name::{Alias, AssetName, RoomId, RunId};
use crate::reason::ReasonCode;
use crate::text::{check_line, check_text, utc};

/// What a party thinks of one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Why, for the other parties; they all can read it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// What the party decides.
    pub decision: Decision,
    /// The notebook.
    pub notebook: AssetName,
    /// Digest of the revision, see [`crate::revision`].
    pub revision: Blake3Digest,
}

/// A decision about a revision. A party's latest decision counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It may run, as far as this party is concerned.
    Approve,
    /// It may not run.
    Reject,
    /// It may no longer run: takes an approval back.
    Revoke,
    /// No decision, only words.
    Comment,
}

/// The author warns that a revision is going to end, or ends it. The same version added again is not
/// deprecated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deprecate {
    /// The notebook.
    pub notebook: AssetName,
    /// Why, and what to use in its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Digest of the revision.
    pub revision: Blake3Digest,
    /// From when on it does not run any more, in seconds since 1970-01-01T00:00:00Z; while it is
    /// approved when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// Stops runs of one notebook or of the whole room, at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Why, for the other parties.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// The notebook; the whole room when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notebook: Option<AssetName>,
}

/// One vote to end a pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The notebook; the whole room when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notebook: Option<AssetName>,
}

/// Replaces the signer's key. Signed with the old key; the proof is made with the new one, so that
/// nobody can claim a key that is not theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// Signature of the new key over room, alias and key, 128 hex digits.
    pub proof: String,
    /// The new key.
    pub public_key: PublicKey,
}

/// The host turned something down: a statement, or a request that is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Who asked, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Alias>,
    /// Why.
    pub reason: ReasonCode,
    /// The run that ends here, when it was asked for in the log and has not started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Digest of the refused envelope, when there was one. Says nothing about a run: the envelope
    /// may be a replay of one that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Blake3Digest>,
    /// What was asked, in a few words without data: `run-request`, `table add`.
    pub what: String,
}

impl Decision {
    /// The verb in the third person.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Approve => "approves",
            Self::Reject => "rejects",
            Self::Revoke => "revokes its approval of",
            Self::Comment => "comments on",
        }
    }
}

impl Review {
    pub(super) fn validate(&self) -> Result<(), StatementError> {
        check_text("comment", &self.comment)?;
        if self.decision == Decision::Comment && self.comment.is_empty() {
            return Err(StatementError::new("comment", "it is empty"));
        }
        Ok(())
    }
}

impl Deprecate {
    /// One line for people: `deprecates delay-by-wind blake3:9f86…, which ends 2027-01-31T00:00:00Z`.
    pub(super) fn summary(&self) -> String {
        let ends = self.until.map(|until| format!(", which ends {}", utc(until)));
        format!("deprecates {} {}{}", self.notebook, self.revision, ends.unwrap_or_default())
    }

    pub(super) fn validate(&self) -> Result<(), StatementError> {
        Ok(check_text("note", &self.note)?)
    }
}

impl Pause {
    pub(super) fn validate(&self) -> Result<(), StatementError> {
        Ok(check_text("comment", &self.comment)?)
    }
}

impl Refused {
    pub(super) fn validate(&self) -> Result<(), StatementError> {
        Ok(check_line("what", &self.what)?)
    }
}

impl Rotate {
    /// A rotation of `party` in `room` to the key `new`.
    pub fn to(new: &PrivateKey, room: &RoomId, party: &Alias) -> Self {
        let public_key = new.public();
        let proof = to_hex(&new.sign(&Self::message(room, party, &public_key)));
        Self { proof, public_key }
    }

    /// Whether the new key agreed to stand for `party` in `room`.
    pub fn is_proven(&self, room: &RoomId, party: &Alias) -> bool {
        from_hex(&self.proof).is_some_and(|proof| {
            self.public_key.verify(&Self::message(room, party, &self.public_key), &proof).is_ok()
        })
    }

    fn message(room: &RoomId, party: &Alias, key: &PublicKey) -> Vec<u8> {
        format!("glovebox-rotate-v1\n{room}\n{party}\n{key}\n").into_bytes()
    }
}
