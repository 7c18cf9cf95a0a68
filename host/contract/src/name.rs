//! Names of parties and things: short, plain ASCII, the same on every screen.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::{Blake3Digest, ParseDigestError, from_hex, to_hex};

/// Why a text is not a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {kind}: {rule}")]
pub struct ParseNameError {
    text: String,
    kind: &'static str,
    rule: &'static str,
}

/// Longest name in bytes.
pub const MAX_NAME_BYTES: usize = 63;

fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= MAX_NAME_BYTES
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_label(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= MAX_NAME_BYTES
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.')
        })
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $accepts:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if $accepts(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(ParseNameError { text: text.escape_debug().to_string(), kind: $kind, rule: $rule })
                }
            }
        }

        impl_text!($name);
    };
}

macro_rules! impl_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
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

name_type!(
    /// A collaborator's name in a room, for example `airline`. `host` is the host's own.
    Alias,
    "an alias",
    is_identifier,
    "use 1 to 63 characters from a-z, 0-9 and `_`, the first a letter"
);
name_type!(
    /// A name of a parameter or an output table, for example `min_group`.
    Identifier,
    "an identifier",
    is_identifier,
    "use 1 to 63 characters from a-z, 0-9 and `_`, the first a letter"
);
name_type!(
    /// A name of a room, notebook or library, for example `delay-by-weather`.
    AssetName,
    "a name",
    is_label,
    "use 1 to 63 characters from a-z, 0-9, `_`, `-` and `.`, the first a letter"
);

/// A table's name in a room: its owner's alias, a dot, an identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName(String);

impl TableName {
    /// The owner's alias and the table's own name.
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once('.').unwrap_or((&self.0, ""))
    }

    /// The alias in front of the dot, which is the owner's.
    pub fn schema(&self) -> &str {
        self.parts().0
    }

    /// The name behind the dot.
    pub fn table(&self) -> &str {
        self.parts().1
    }

    /// The whole name, `schema.table`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TableName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some((schema, table)) if is_identifier(schema) && is_identifier(table) => {
                Ok(Self(text.into()))
            }
            _ => Err(ParseNameError {
                text: text.escape_debug().to_string(),
                kind: "a table name",
                rule: "write `alias.table`, each part 1 to 63 characters from a-z, 0-9 and `_`",
            }),
        }
    }
}

impl_text!(TableName);

/// A room's id: the BLAKE3 digest of the statement that created it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoomId(pub Blake3Digest);

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RoomId {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A run's id: the first 16 bytes of the BLAKE3 digest of its request, in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId([u8; 16]);

impl RunId {
    /// The id of the run that the signed request with this digest asks for.
    pub fn of_request(request: &Blake3Digest) -> Self {
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(request.as_bytes()) {
            *to = *from;
        }
        Self(id)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&to_hex(&self.0))
    }
}

impl FromStr for RunId {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text).map(Self).ok_or_else(|| ParseNameError {
            text: text.escape_debug().to_string(),
            kind: "a run id",
            rule: "expected 32 lower-case hex digits",
        })
    }
}

impl Serialize for RunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
