//! The gateway's own bearer tokens: `gbx_` and 32 random bytes. Only their SHA-256 is kept.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::principal::PrincipalName;

/// What every token begins with.
pub(super) const PREFIX: &str = "gbx_";
const SECRET_BYTES: usize = 32;

/// The SHA-256 of a token's text.
pub(super) type TokenHash = [u8; 32];

/// Why a text is not a token's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token's id is 16 hexadecimal digits")]
pub struct ParseTokenIdError;

/// A token's public id, to name it in a list and to revoke it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(String);

impl TokenId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn from_random(bytes: [u8; 8]) -> Self {
        Self(format!("{:016x}", u64::from_be_bytes(bytes)))
    }
}

impl FromStr for TokenId {
    type Err = ParseTokenIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 16 && text.bytes().all(hex) {
            Ok(Self(text.into()))
        } else {
            Err(ParseTokenIdError)
        }
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for TokenId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A token as the store lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenInfo {
    /// Its public id.
    pub id: TokenId,
    /// Whom it stands for.
    pub principal: PrincipalName,
    /// What its maker called it.
    pub label: String,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// When it ends.
    pub expires: u64,
    /// When it was last shown, to the minute.
    pub last_used: Option<u64>,
    /// When it was revoked.
    pub revoked: Option<u64>,
}

/// A token just made. Its text is told once, here, and kept nowhere.
pub struct NewToken {
    pub(super) text: String,
    pub(super) info: TokenInfo,
}

impl NewToken {
    /// The token's text, for the person it is for.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// All but the text.
    pub fn info(&self) -> &TokenInfo {
        &self.info
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken").field("info", &self.info).finish_non_exhaustive()
    }
}

pub(super) fn text_of(secret: &[u8; SECRET_BYTES]) -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret))
}

/// The hash to look up, or nothing when the text cannot be a token.
pub(super) fn hash_of(text: &str) -> Option<TokenHash> {
    let secret = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?.try_into().ok()?;
    // One text for each token: no padding, no spare bits.
    (text_of(&secret) == text).then(|| Sha256::digest(text.as_bytes()).into())
}
