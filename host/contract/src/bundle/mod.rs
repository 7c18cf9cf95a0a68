//! A bundle: all that is needed to verify a room, in one file.
//!
//! It holds every signed statement and the host's checkpoint over them, in canonical JSON. It holds
//! no rows and no components; those are compared with it by digest.

mod report;
mod shares;
mod verify;

pub use report::{
    Check, CheckResult, ComponentUse, NamedOutput, Report, RunReport, RunResult, Verdict,
};
use serde::{Deserialize, Serialize};
pub use shares::ShareReport;
pub use verify::{Expectations, verify};

use crate::canonical::{self, CanonicalError};
use crate::checkpoint::Checkpoint;
use crate::envelope::Envelope;
use crate::key::PrivateKey;
use crate::log::Log;
use crate::name::RoomId;
use crate::state::{Applied, Refusal, RoomState};

/// Most bytes of a bundle: 256 MiB, some hundred thousand statements.
pub const MAX_BUNDLE_BYTES: usize = 256 << 20;

const FORMAT: &str = "glovebox-bundle-v1";

/// Why bytes are not a bundle. A bundle that can be read but does not hold up is not an error but
/// a [`Report`] with the verdict `not verified`.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The bytes are not canonical JSON of a bundle.
    #[error("not a bundle: {0}")]
    Encoding(#[from] CanonicalError),
    /// The bundle says that it has another format.
    #[error("not a bundle of the format {FORMAT}")]
    Format,
}

/// The statements of a room and the checkpoint over them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    checkpoint: String,
    entries: Vec<Envelope>,
    format: String,
}

impl Bundle {
    /// A bundle of all `entries` of a log, in order, and the signed note over them.
    pub fn new(checkpoint: String, entries: Vec<Envelope>) -> Self {
        Self { checkpoint, entries, format: FORMAT.into() }
    }

    /// Replays `entries` and signs a checkpoint over them.
    ///
    /// # Errors
    /// The position (from 0) of the first entry that is refused, and why.
    pub fn sign(entries: Vec<Envelope>, host: &PrivateKey) -> Result<Self, (u64, Refusal)> {
        let replayed = replay(&entries)?;
        let note = Checkpoint::of(replayed.state.id(), &replayed.log).sign(host);
        Ok(Self::new(note, entries))
    }

    /// Reads a bundle. Nothing is verified yet.
    ///
    /// # Errors
    /// When the bytes are too many, not a bundle, or not in the canonical encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        let bundle: Self = canonical::decode(bytes, MAX_BUNDLE_BYTES)?;
        if bundle.format == FORMAT { Ok(bundle) } else { Err(BundleError::Format) }
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// Never for a bundle that was read or made; the type says so for callers that must not panic.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        Ok(canonical::encode(self)?)
    }

    /// The signed note.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// The envelopes, in the order of the log.
    pub fn entries(&self) -> &[Envelope] {
        &self.entries
    }
}

/// State and log after the last entry.
pub struct Replayed {
    /// What the statements make of the room.
    pub state: RoomState,
    /// The tree over them.
    pub log: Log,
    /// What each entry says, and its digest.
    pub applied: Vec<Applied>,
}

/// Replays a log from its first entry.
///
/// # Errors
/// The position (from 0) of the first entry that is refused, and why.
pub fn replay(entries: &[Envelope]) -> Result<Replayed, (u64, Refusal)> {
    let empty = || {
        let reason = crate::reason::ReasonCode::Malformed;
        (0, Refusal::new(reason, "the log is empty"))
    };
    let (first, rest) = entries.split_first().ok_or_else(empty)?;
    let mut state = RoomState::open(first).map_err(|refusal| (0, refusal))?;
    let mut log = Log::new();
    let opened = first.unverified().map_err(|error| (0, error.into()))?;
    log.append(opened.body.kind(), first);
    let mut applied = vec![Applied { digest: first.digest(), statement: opened }];
    for envelope in rest {
        let entry = state.apply(envelope).map_err(|refusal| (state.statements(), refusal))?;
        log.append(entry.statement.body.kind(), envelope);
        applied.push(entry);
    }
    Ok(Replayed { state, log, applied })
}

/// The room that the first entry of a bundle creates, whatever the rest of it says.
pub(crate) fn claimed_room(entries: &[Envelope]) -> Option<RoomId> {
    entries.first().map(|first| RoomId(first.digest()))
}
