//! The Merkle tree of a room's log and the host's signature on it.

use glovebox_contract::bundle::Bundle;
use glovebox_contract::checkpoint::Checkpoint;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::{PrivateKey, PublicKey};
use glovebox_contract::log::Log;
use glovebox_contract::name::RoomId;
use glovebox_contract::statement::Kind;

use crate::error::{Result, RoomError};
use crate::store::{StoredCheckpoint, tampered};

/// A log's tree with its newest signed checkpoint.
#[derive(Clone, Default)]
pub(crate) struct SignedTree {
    log: Log,
    checkpoint: String,
}

impl SignedTree {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn push(&mut self, kind: Kind, envelope: &Envelope) {
        self.log.append(kind, envelope);
    }

    /// Signs the tree as it is.
    pub(crate) fn sign(&mut self, room: &RoomId, key: &PrivateKey) {
        self.checkpoint = Checkpoint::of(room, &self.log).sign(key);
    }

    /// The newest signed checkpoint.
    pub(crate) fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// Takes the stored checkpoint if it is the host's own signature on this very tree.
    pub(crate) fn confirm(
        &mut self,
        stored: Option<StoredCheckpoint>,
        host: &PublicKey,
        room: &RoomId,
    ) -> Result<()> {
        let StoredCheckpoint { size, note } =
            stored.ok_or_else(|| tampered("it has no checkpoint"))?;
        let signed =
            Checkpoint::verify(&note, room, host).map_err(|error| tampered(error.to_string()))?;
        let entries = self.log.size();
        if signed.size() != entries || size != entries {
            return Err(tampered(format!(
                "it has {entries} entries, the last checkpoint signs {}",
                signed.size()
            )));
        }
        if *signed.root() != self.log.root() {
            return Err(tampered("its entries are not those that the last checkpoint signs"));
        }
        self.checkpoint = note;
        Ok(())
    }

    /// Fails when the host has signed a checkpoint, found outside the log store, that this log does
    /// not contain: then the store was set back to an older one, or another log put in its place.
    pub(crate) fn check_contains(&self, note: &str, host: &PublicKey, room: &RoomId) -> Result<()> {
        // A note that is cut short or not the host's is what a power cut or a vandal leaves.
        let Ok(signed) = Checkpoint::verify(note, room, host) else { return Ok(()) };
        match self.log.root_at(signed.size()) {
            Ok(root) if root == *signed.root() => Ok(()),
            Ok(_) => Err(tampered("the host signed another log than this")),
            Err(_) => Err(tampered(format!(
                "it has {} entries, the host has signed {}",
                self.log.size(),
                signed.size()
            ))),
        }
    }

    /// The bytes of a bundle of these entries, which must be all of the tree.
    pub(crate) fn bundle(&self, entries: Vec<Envelope>) -> Result<Vec<u8>> {
        Bundle::new(self.checkpoint.clone(), entries)
            .to_bytes()
            .map_err(|error| RoomError::internal("cannot write the bundle").because(error))
    }
}
