//! Checkpoints: the host's signature on the size and the root of a room's log.
//!
//! The text is a C2SP tlog-checkpoint (<https://c2sp.org/tlog-checkpoint>) in a signed note
//! (<https://c2sp.org/signed-note>):
//!
//! ```text
//! glovebox/room/<64 hex digits of the room's id>
//! <entries>
//! <base64 of the root>
//!
//! — glovebox/room/<64 hex digits> <base64 of 4 bytes of key hash and the Ed25519 signature>
//! ```
//!
//! Here a checkpoint has exactly these lines. Cosignatures of witnesses will be separate texts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::digest::Sha256Digest;
use crate::key::{PrivateKey, PublicKey};
use crate::log::{Hash, Log, to_base64};
use crate::name::RoomId;

/// Most bytes of a checkpoint.
pub const MAX_CHECKPOINT_BYTES: usize = 1024;

/// Signature type byte of Ed25519 in a note's key hash.
const ED25519: u8 = 1;

/// Why a text is not a checkpoint of this room and key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("checkpoint: {0}")]
pub struct CheckpointError(&'static str);

/// Size and root of a room's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    room: RoomId,
    size: u64,
    root: Hash,
}

/// The origin line of a room's checkpoints, which is the name of the note's key too.
pub fn origin(room: &RoomId) -> String {
    format!("glovebox/room/{}", room.0.to_hex())
}

/// The note's key hash: the first four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key).
fn key_hash(name: &str, key: &PublicKey) -> [u8; 4] {
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend_from_slice(&[b'\n', ED25519]);
    bytes.extend_from_slice(key.as_bytes());
    let [a, b, c, d, ..] = *Sha256Digest::of(&bytes).as_bytes();
    [a, b, c, d]
}

impl Checkpoint {
    /// The checkpoint of `log` as it is.
    pub fn of(room: &RoomId, log: &Log) -> Self {
        Self { room: *room, size: log.size(), root: log.root() }
    }

    /// The room.
    pub fn room(&self) -> &RoomId {
        &self.room
    }

    /// Entries in the log.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root over the entries.
    pub fn root(&self) -> &Hash {
        &self.root
    }

    fn body(&self) -> String {
        format!("{}\n{}\n{}\n", origin(&self.room), self.size, to_base64(&self.root))
    }

    /// The signed note.
    pub fn sign(&self, host: &PrivateKey) -> String {
        let body = self.body();
        let name = origin(&self.room);
        let mut signature = key_hash(&name, &host.public()).to_vec();
        signature.extend_from_slice(&host.sign(body.as_bytes()));
        format!("{body}\n\u{2014} {name} {}\n", BASE64.encode(signature))
    }

    /// Reads a signed note of the host of `room`.
    ///
    /// # Errors
    /// When it is not in the one form above, for another room, or not signed by `host`.
    pub fn verify(note: &str, room: &RoomId, host: &PublicKey) -> Result<Self, CheckpointError> {
        if note.len() > MAX_CHECKPOINT_BYTES {
            return Err(CheckpointError("the text is too long"));
        }
        let (checkpoint, signature) = Self::parse(note, room)?;
        let (hash, signature) = signature
            .split_first_chunk::<4>()
            .and_then(|(hash, rest)| Some((hash, <&[u8; 64]>::try_from(rest).ok()?)))
            .ok_or(CheckpointError("the signature has the wrong length"))?;
        if *hash != key_hash(&origin(room), host) {
            return Err(CheckpointError("it is signed with another key than the host's"));
        }
        host.verify(checkpoint.body().as_bytes(), signature)
            .map_err(|_| CheckpointError("the signature does not verify with the host's key"))?;
        Ok(checkpoint)
    }

    /// Reads the parts and compares the text with the one that these parts give.
    fn parse(note: &str, room: &RoomId) -> Result<(Self, Vec<u8>), CheckpointError> {
        let malformed = CheckpointError("the text is not a checkpoint");
        let lines: Vec<&str> = note.split('\n').collect();
        let [first, size, root, "", signature, ""] = lines.as_slice() else {
            return Err(malformed);
        };
        let name = origin(room);
        if *first != name {
            return Err(CheckpointError("it is for another room"));
        }
        let root = BASE64.decode(root).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let (Ok(size), Some(root)) = (size.parse(), root) else { return Err(malformed) };
        let checkpoint = Self { room: *room, size, root: Hash::from_bytes(root) };
        let encoded = signature.rsplit(' ').next().unwrap_or_default();
        let bytes = BASE64.decode(encoded).map_err(|_| malformed.clone())?;
        let again = format!("{}\n\u{2014} {name} {}\n", checkpoint.body(), BASE64.encode(&bytes));
        if again == note { Ok((checkpoint, bytes)) } else { Err(malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Go's `golang.org/x/mod/sumdb/note`.
    #[test]
    fn key_hash_and_signature_are_those_of_a_signed_note() {
        let encoded = "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let bytes = BASE64.decode(encoded).unwrap();
        assert_eq!(bytes[0], ED25519);
        let key = PublicKey::from_bytes(bytes[1..].try_into().unwrap()).unwrap();
        let hash = key_hash("PeterNeumann", &key);
        assert_eq!(hash, [0xc7, 0x4f, 0x20, 0xa3]);
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg\
                         KvqfqdngotpRZb6KE6RyyBwJnAM=";
        let signature = BASE64.decode(signature).unwrap();
        assert_eq!(signature[..4], hash);
        assert!(key.verify(text.as_bytes(), signature[4..].try_into().unwrap()).is_ok());
    }
}
