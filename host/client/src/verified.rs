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
    pub(crate) fn extend(&mut self, folded: Folded, checkpoint: String) {
        self.state = folded.state;
        self.tree = folded.tree;
        self.entries.extend(folded.entries);
        self.positions.extend(folded.positions);
        self.checkpoint = checkpoint;
    }
}

/// Entries, folded, behind a log or from the first on.
#[derive(Debug)]
pub(crate) struct Folded {
    state: RoomState,
    tree: Log,
    entries: Vec<Envelope>,
    positions: Vec<(Blake3Digest, u64)>,
}

impl Folded {
    fn push(&mut self, envelope: Envelope) -> Result<(), Refusal> {
        let applied = self.state.apply(&envelope)?;
        self.append(applied.digest, applied.statement.body.kind(), envelope);
        Ok(())
    }

    fn append(&mut self, digest: Blake3Digest, kind: Kind, envelope: Envelope) {
        self.positions.push((digest, self.tree.size()));
        self.tree.append(kind, &envelope);
        self.entries.push(envelope);
    }

    /// The entries.
    pub(crate) fn entries(&self) -> &[Envelope] {
        &self.entries
    }

    /// Entries of the whole log.
    pub(crate) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// As a log of its own, when it began at the first entry.
    pub(crate) fn into_log(self, checkpoint: String) -> VerifiedLog {
        VerifiedLog {
            state: self.state,
            tree: self.tree,
            entries: self.entries,
            positions: self.positions.into_iter().collect(),
            checkpoint,
        }
    }
}

/// Entries as they come, not yet found signed. Copies nothing of the log before them until one
/// comes: who waits for news asks often.
#[derive(Debug)]
pub(crate) struct Extension<'a> {
    room: &'a RoomId,
    host: &'a PublicKey,
    log: Option<&'a VerifiedLog>,
    folded: Option<Folded>,
}

impl<'a> Extension<'a> {
    /// Begins behind `log`, or at the first entry of the log of `room`.
    pub(crate) fn behind(
        log: Option<&'a VerifiedLog>,
        room: &'a RoomId,
        host: &'a PublicKey,
    ) -> Self {
        Self { room, host, log, folded: None }
    }

    /// Folds the next entry.
    pub(crate) fn push(&mut self, envelope: Envelope) -> Result<(), Refusal> {
        let Some(folded) = &mut self.folded else {
            return self.push_first(envelope);
        };
        folded.push(envelope)
    }

    fn push_first(&mut self, envelope: Envelope) -> Result<(), Refusal> {
        let (entries, positions) = (Vec::new(), Vec::new());
        self.folded = Some(match self.log {
            Some(VerifiedLog { state, tree, .. }) => {
                let (state, tree) = (state.clone(), tree.clone());
                let mut folded = Folded { state, tree, entries, positions };
                folded.push(envelope)?;
                folded
            }
            None => {
                let state = open(&envelope, self.room, self.host)?;
                let mut folded = Folded { state, tree: Log::new(), entries, positions };
                folded.append(self.room.0, Kind::Room, envelope);
                folded
            }
        });
        Ok(())
    }

    fn tree(&self) -> Option<&Log> {
        let folded = self.folded.as_ref().map(|folded| &folded.tree);
        folded.or(self.log.map(|log| &log.tree))
    }

    /// Entries of the whole log.
    pub(crate) fn size(&self) -> u64 {
        self.tree().map_or(0, Log::size)
    }

    /// The entries that came.
    pub(crate) fn entries(&self) -> &[Envelope] {
        self.folded.as_ref().map_or(&[], Folded::entries)
    }

    /// Whether the log begins with what this checkpoint signs.
    pub(crate) fn contains(&self, signed: &Checkpoint) -> bool {
        let root = self.tree().map(|tree| tree.root_at(signed.size()));
        matches!(root, Some(Ok(root)) if root == *signed.root())
    }

    /// What came; none when nothing did.
    pub(crate) fn into_folded(self) -> Option<Folded> {
        self.folded
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
