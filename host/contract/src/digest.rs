//! Content digests: BLAKE3 names a thing, SHA-256 stands beside it.
//!
//! Registries and sigstore speak SHA-256, our ids are BLAKE3. in-toto calls two
//! digest sets equal when *any* digest matches; here *all* must match.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a digest: expected `{algorithm}:` and 64 lower-case hex digits")]
pub struct ParseDigestError {
    text: String,
    algorithm: &'static str,
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|nibble| DIGITS.get(usize::from(nibble)))
        .collect()
}

pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks_exact(2);
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident, $algorithm:literal, $of:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The digest of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self($of(bytes))
            }

            /// Wraps 32 digest bytes computed elsewhere.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// 64 lower-case hex digits, as `b3sum` and `sha256sum` print them.
            pub fn to_hex(&self) -> String {
                to_hex(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($algorithm, ":{}"), self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.strip_prefix(concat!($algorithm, ":"))
                    .and_then(from_hex)
                    .map(Self)
                    .ok_or_else(|| ParseDigestError { text: text.into(), algorithm: $algorithm })
            }
        }

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

digest_type!(
    /// A BLAKE3 digest, written `blake3:<64 hex digits>`.
    Blake3Digest,
    "blake3",
    |bytes| *blake3::hash(bytes).as_bytes()
);
digest_type!(
    /// A SHA-256 digest, written `sha256:<64 hex digits>`.
    Sha256Digest,
    "sha256",
    |bytes| sha2::Sha256::digest(bytes).into()
);

/// Both digests of one content. Equal only when both are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentDigest {
    /// The digest that names the content.
    pub blake3: Blake3Digest,
    /// The digest that registries know it by.
    pub sha256: Sha256Digest,
}

impl ContentDigest {
    /// Both digests of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { blake3: Blake3Digest::of(bytes), sha256: Sha256Digest::of(bytes) }
    }

    /// Whether `bytes` has both digests.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        *self == Self::of(bytes)
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.blake3.fmt(f)
    }
}

/// Computes a [`ContentDigest`] piece by piece.
#[derive(Clone, Default)]
pub struct ContentHasher {
    blake3: blake3::Hasher,
    sha256: sha2::Sha256,
}

impl ContentHasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.blake3.update(bytes);
        self.sha256.update(bytes);
    }

    /// The digests of all pieces in order.
    pub fn finish(self) -> ContentDigest {
        ContentDigest {
            blake3: Blake3Digest::from_bytes(*self.blake3.finalize().as_bytes()),
            sha256: Sha256Digest::from_bytes(self.sha256.finalize().into()),
        }
    }
}
