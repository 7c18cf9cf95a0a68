//! Ed25519 keys and signatures, strict in every respect.
//!
//! Ed25519 has encodings that some verifiers take and others refuse. Here a public key must be the
//! one canonical encoding of a point of the prime-order group, and a signature must pass
//! `verify_strict`; so a key or a signature never has a second form.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::digest::{Sha256Digest, from_hex, to_hex};

/// Why a text or bytes are not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not usable: {why}")]
pub struct KeyError {
    what: &'static str,
    why: &'static str,
}

/// The signature does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify with the key of id {key}")]
pub struct SignatureError {
    key: KeyId,
}

/// A public key, written `ed25519:<64 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// A private key. Its bytes are wiped when it is dropped and never printed.
#[derive(Clone)]
pub struct PrivateKey(SigningKey);

/// Which key made a signature: the SHA-256 digest of the public key, 64 hex digits.
///
/// A hint that spares trying every key. It must be right, but proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

const PUBLIC_PREFIX: &str = "ed25519:";
const PRIVATE_PREFIX: &str = "glovebox-private-key ed25519:";

impl PublicKey {
    /// The key with these 32 bytes.
    ///
    /// # Errors
    /// When they are no point, a second encoding of one, or a point outside the prime-order group
    /// (such a key verifies signatures that nobody made).
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let error = |why| KeyError { what: "the public key", why };
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| error("it is not a curve point"))?;
        let point = key.to_edwards();
        if point.compress().as_bytes() != bytes {
            return Err(error("its encoding is not canonical"));
        }
        if key.is_weak() || !point.is_torsion_free() {
            return Err(error("it is not in the prime-order group"));
        }
        Ok(Self(key))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The id that signatures of this key carry.
    pub fn id(&self) -> KeyId {
        KeyId(*Sha256Digest::of(self.as_bytes()).as_bytes())
    }

    /// Checks a signature of 64 bytes over `message`.
    ///
    /// # Errors
    /// When it does not verify, by the strict rules.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
        self.0
            .verify_strict(message, &Signature::from_bytes(signature))
            .map_err(|_| SignatureError { key: self.id() })
    }
}

impl PrivateKey {
    /// The key with this seed. Every 32 bytes are a seed; take them from the system's generator.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `message`. The same message has the same signature every time.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The content of a key file: one line, `glovebox-private-key ed25519:<64 hex digits>`.
    pub fn to_file(&self) -> String {
        format!("{PRIVATE_PREFIX}{}\n", to_hex(self.0.as_bytes()))
    }

    /// Reads the content of a key file.
    ///
    /// # Errors
    /// When it is anything but one line as [`PrivateKey::to_file`] writes it. The error does not
    /// show the content.
    pub fn from_file(text: &str) -> Result<Self, KeyError> {
        text.strip_suffix('\n')
            .unwrap_or(text)
            .strip_prefix(PRIVATE_PREFIX)
            .and_then(from_hex)
            .map(|seed| Self::from_seed(&seed))
            .ok_or(KeyError {
                what: "the private key",
                why: "expected one line, `glovebox-private-key ed25519:` and 64 hex digits",
            })
    }
}

impl KeyId {
    /// 64 lower-case hex digits.
    pub fn to_hex(&self) -> String {
        to_hex(&self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_hex())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{PUBLIC_PREFIX}{}", to_hex(self.as_bytes())))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.strip_prefix(PUBLIC_PREFIX).and_then(from_hex).ok_or(KeyError {
            what: "the public key",
            why: "expected `ed25519:` and 64 lower-case hex digits",
        })?;
        Self::from_bytes(&bytes)
    }
}

macro_rules! serde_by_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text)
            .map(Self)
            .ok_or(KeyError { what: "the key id", why: "expected 64 lower-case hex digits" })
    }
}

serde_by_text!(PublicKey);
serde_by_text!(KeyId);
