//! A log that holds up: folded from its first entry, with the root that the host signed.

use std::collections::HashMap;

use glovebox_contract::checkpoint::Checkpoint;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PublicKey;
use glovebox_contract::log::Log;
use glovebox_contract::name::RoomId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Refusal, RoomState};
use glovebox_contract::statement::Kind;

/// All entries of a log, what they make of the room, and the host's signature on them.
#[derive(Debug, Clone)]
pub(crate) struct VerifiedLog {
    state: RoomState,
    tree: Log,
    entries: Vec<Envelope>,
    positions: HashMap<Blake3Digest, u64>,
    checkpoint: String,
}

impl VerifiedLog {
    pub(crate) fn state(&self) -> &RoomState {
        &self.state
    }

    pub(crate) fn entries(&self) -> &[Envelope] {
        &self.entries
    }

    /// The signed note over all entries.
    pub(crate) fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// Where the envelope with this digest stands.
    pub(crate) fn position(&self, digest: &Blake3Digest) -> Option<u64> {
        self.positions.get(digest).copied()
    }

    /// Takes entries that were folded from here on and were found signed by `checkpoint`.
    pub(crate) fn extend(&mut self, extension: Extension, checkpoint: String) {
        if let Some(state) = extension.state {
            self.state = state;
            self.tree = extension.tree;
            self.entries.extend(extension.entries);
            self.positions.extend(extension.positions);
        }
        self.checkpoint = checkpoint;
    }
}

/// Entries behind a verified log, folded, but not yet found signed.
#[derive(Debug, Clone)]
pub(crate) struct Extension {
    room: RoomId,
    host: PublicKey,
    state: Option<RoomState>,
    tree: Log,
    entries: Vec<Envelope>,
    positions: Vec<(Blake3Digest, u64)>,
}

impl Extension {
    /// Begins behind `log`, or at the first entry of the log of `room`.
    pub(crate) fn behind(log: Option<&VerifiedLog>, room: &RoomId, host: &PublicKey) -> Self {
        Self {
            room: *room,
            host: *host,
            state: log.map(|log| log.state.clone()),
            tree: log.map(|log| log.tree.clone()).unwrap_or_default(),
            entries: Vec::new(),
            positions: Vec::new(),
        }
    }

    /// Folds the next entry.
    pub(crate) fn push(&mut self, envelope: Envelope) -> Result<(), Refusal> {
        let (digest, kind) = match &mut self.state {
            Some(state) => {
                let applied = state.apply(&envelope)?;
                (applied.digest, applied.statement.body.kind())
            }
            None => {
                self.state = Some(open(&envelope, &self.room, &self.host)?);
                (self.room.0, Kind::Room)
            }
        };
        self.positions.push((digest, self.tree.size()));
        self.tree.append(kind, &envelope);
        self.entries.push(envelope);
        Ok(())
    }

    /// Entries of the whole log.
    pub(crate) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The entries behind the log where it began.
    pub(crate) fn entries(&self) -> &[Envelope] {
        &self.entries
    }

    /// Whether the log begins with what this checkpoint signs.
    pub(crate) fn contains(&self, signed: &Checkpoint) -> bool {
        self.tree.root_at(signed.size()).is_ok_and(|root| root == *signed.root())
    }

    /// As a log of its own, when it began at the first entry; none when it has none.
    pub(crate) fn into_log(self, checkpoint: String) -> Option<VerifiedLog> {
        Some(VerifiedLog {
            state: self.state?,
            tree: self.tree,
            entries: self.entries,
            positions: self.positions.into_iter().collect(),
            checkpoint,
        })
    }
}

/// Opens the room whose id was asked for, on the host that was asked.
fn open(first: &Envelope, room: &RoomId, host: &PublicKey) -> Result<RoomState, Refusal> {
    let state = RoomState::open(first)?;
    if state.id() != room {
        return Err(Refusal::new(ReasonCode::WrongRoom, "the first entry creates another room"));
    }
    if state.document().host_key != *host {
        return Err(Refusal::new(ReasonCode::UnknownSigner, "the room is on another host"));
    }
    Ok(state)
}
