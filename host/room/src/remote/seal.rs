//! Credentials at rest: sealed with XChaCha20-Poly1305, each for one table of one room at one
//! place, so a sealed credential is worth nothing beside another table, or where somebody with
//! access to the database says that the table is elsewhere.
//!
//! ```text
//! 1 byte     version, 1
//! 8 bytes    which key: a digest of it
//! 24 bytes   nonce, random
//! rest       ciphertext and tag
//! ```

use std::fmt;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use glovebox_contract::name::{RoomId, TableName};
use glovebox_contract::reason::ReasonCode;

use super::{Credential, MAX_CREDENTIAL_BYTES};
use crate::error::{Result, RoomError};

const VERSION: u8 = 1;
const ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;

/// What the id of a key is derived for. Never changes.
const ID_CONTEXT: &str = "glovebox id of a sealing key";

/// What the key is derived for with which credentials are sealed. Never changes.
const CIPHER_CONTEXT: &str = "glovebox credentials";

/// A sealed credential, as the database has it.
pub(crate) type Sealed = Vec<u8>;

/// A key that seals credentials. Shows in no text.
#[derive(Clone)]
pub struct SealingKey([u8; 32]);

/// A text is no sealing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealing key is 64 hex digits")]
pub struct SealingKeyError(());

impl SealingKey {
    /// A key of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a key file: 64 hex digits and perhaps the end of a line.
    ///
    /// # Errors
    /// When it holds anything else.
    pub fn from_file(text: &str) -> Result<Self, SealingKeyError> {
        let digits = text.trim_ascii();
        let hash = blake3::Hash::from_hex(digits).map_err(|_| SealingKeyError(()))?;
        Ok(Self(*hash.as_bytes()))
    }

    /// Tells keys apart, and nothing else.
    pub(crate) fn id(&self) -> [u8; ID_BYTES] {
        let digest = blake3::derive_key(ID_CONTEXT, &self.0);
        let mut id = [0; ID_BYTES];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        id
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(blake3::derive_key(CIPHER_CONTEXT, &self.0)))
    }

    /// Seals the credential of a table.
    pub(crate) fn seal(&self, of: &SealedFor<'_>, credential: &Credential) -> Result<Sealed> {
        let sealing = || RoomError::internal(format!("cannot seal the credential of {}", of.table));
        let text = credential.to_json().map_err(|error| sealing().because(error))?;
        if text.len() > MAX_CREDENTIAL_BYTES {
            return Err(RoomError::new(
                ReasonCode::InvalidArgument,
                format!("a credential has at most {MAX_CREDENTIAL_BYTES} bytes"),
            ));
        }
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| sealing().because(error))?;
        let payload = Payload { msg: &text, aad: &of.associated() };
        // An error of the cipher says nothing.
        let hidden = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| sealing())?;
        Ok([&[VERSION][..], &self.id(), &nonce, &hidden].concat())
    }

    /// Opens what was sealed for the same table with this key. None when it was not.
    fn open(
        &self,
        of: &SealedFor<'_>,
        nonce: [u8; NONCE_BYTES],
        hidden: &[u8],
    ) -> Option<Credential> {
        let payload = Payload { msg: hidden, aad: &of.associated() };
        let text = self.cipher().decrypt(&XNonce::from(nonce), payload).ok()?;
        Credential::from_json(&text).ok()
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey")
    }
}

/// What a credential is sealed for.
pub(crate) struct SealedFor<'a> {
    pub(crate) room: &'a RoomId,
    pub(crate) table: &'a TableName,
    /// Where the table is, as it is written down.
    pub(crate) definition: &'a str,
}

impl SealedFor<'_> {
    /// No two have the same bytes: neither an id nor a name holds the end of a line.
    fn associated(&self) -> Vec<u8> {
        format!("{}\n{}\n{}", self.room, self.table, self.definition).into_bytes()
    }
}

/// Opens a sealed credential with the one of the keys that it was sealed with.
///
/// # Errors
/// `source-denied`: the credential has to be given again, or the key.
pub(crate) fn open(keys: &[SealingKey], of: &SealedFor<'_>, sealed: &[u8]) -> Result<Credential> {
    // Others may read this: it says nothing but that the host has a credential.
    let denied = |why: &str| {
        let what = format!("table {}: this host cannot open its credential: {why}", of.table);
        RoomError::new(ReasonCode::SourceDenied, what)
    };
    let damaged = || denied("it is damaged, and has to be given again");
    let (version, rest) = sealed.split_first().ok_or_else(damaged)?;
    let (id, rest) = rest.split_first_chunk::<ID_BYTES>().ok_or_else(damaged)?;
    let (nonce, hidden) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
    if *version != VERSION {
        return Err(denied("another version of this program sealed it"));
    }
    let key = keys.iter().find(|key| key.id() == *id).ok_or_else(|| {
        denied("it was sealed with another key, which the host needs as `--sealing-key`")
    })?;
    key.open(of, *nonce, hidden).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use glovebox_contract::digest::Blake3Digest;

    use super::*;

    const SECRET: &str = "correct horse battery staple";

    fn credential() -> Credential {
        Credential::new([("password".to_owned(), SECRET.to_owned())].into())
    }

    fn opened(
        keys: &[SealingKey],
        room: u8,
        table: &str,
        at: &str,
        sealed: &[u8],
    ) -> Result<Credential> {
        let room = RoomId(Blake3Digest::of(&[room]));
        let table = table.parse().unwrap();
        open(keys, &SealedFor { room: &room, table: &table, definition: at }, sealed)
    }

    #[test]
    fn a_credential_opens_for_its_table_with_its_key_alone() {
        let keys = [SealingKey::from_bytes([1; 32]), SealingKey::from_bytes([2; 32])];
        let room = RoomId(Blake3Digest::of(&[7]));
        let table: TableName = "a.t".parse().unwrap();
        let of = SealedFor { room: &room, table: &table, definition: "s3" };
        let sealed = keys[1].seal(&of, &credential()).unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"correct"), "it is hidden");
        assert_ne!(sealed, keys[1].seal(&of, &credential()).unwrap(), "no nonce comes twice");
        assert_eq!(opened(&keys, 7, "a.t", "s3", &sealed).unwrap(), credential());

        let refused = |keys: &[SealingKey], room, table, at, sealed: &[u8], why: &str| {
            let error = opened(keys, room, table, at, sealed).unwrap_err();
            assert_eq!(error.reason(), ReasonCode::SourceDenied);
            let text = error.to_string();
            let beginning = format!("table {table}: this host cannot open its credential: it ");
            assert!(text.starts_with(&beginning) && text.contains(why), "{text}");
            assert!(!text.contains("horse"), "{text}");
        };
        refused(&keys, 8, "a.t", "s3", &sealed, "damaged");
        refused(&keys, 7, "a.u", "s3", &sealed, "damaged");
        refused(&keys, 7, "a.t", "s3 of a thief", &sealed, "damaged");
        refused(&keys[..1], 7, "a.t", "s3", &sealed, "sealed with another key");
        for length in 0..sealed.len() {
            refused(&keys, 7, "a.t", "s3", &sealed[..length], "damaged");
        }
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert!(opened(&keys, 7, "a.t", "s3", &other).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_key_file_is_hex_and_a_key_shows_nowhere() {
        let digits = "0f".repeat(32);
        let key = SealingKey::from_file(&format!("{digits}\n")).unwrap();
        assert_eq!(key.0, [15; 32]);
        assert_eq!(format!("{key:?}"), "SealingKey");
        for wrong in ["", "0f", &digits[1..], &format!("{digits}0f"), &"zz".repeat(32)] {
            assert!(SealingKey::from_file(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_credential_has_a_longest_length() {
        let room = RoomId(Blake3Digest::of(&[7]));
        let table: TableName = "a.t".parse().unwrap();
        let of = SealedFor { room: &room, table: &table, definition: "s3" };
        let long = Credential::new([("a".into(), "x".repeat(MAX_CREDENTIAL_BYTES))].into());
        let error = SealingKey::from_bytes([1; 32]).seal(&of, &long).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::InvalidArgument);
    }
}
