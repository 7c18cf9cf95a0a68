//! The secret that the parties of a room share, and the host never sees.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::hash::to_hex;

/// A secret of 32 bytes from which keyed hashes are made. Its bytes are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RoomKey([u8; 32]);

/// A text that is no room key file. The text is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseRoomKeyError(());

const PREFIX: &str = "glovebox-room-key hmac-sha256:";

impl RoomKey {
    /// The key with these bytes. Take them from the system's generator.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The content of a key file: one line, `glovebox-room-key hmac-sha256:<64 hex digits>`.
    pub fn to_file(&self) -> String {
        format!("{PREFIX}{}\n", to_hex(&self.0))
    }
}

impl FromStr for RoomKey {
    type Err = ParseRoomKeyError;

    /// Reads the content of a key file.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_suffix('\n')
            .unwrap_or(text)
            .strip_prefix(PREFIX)
            .and_then(from_hex)
            .map(Self)
            .ok_or(ParseRoomKeyError(()))
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut digits = text.bytes().map(|byte| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    });
    let mut bytes = [0; 32];
    for byte in &mut bytes {
        *byte = (digits.next()?? << 4) | digits.next()??;
    }
    digits.next().is_none().then_some(bytes)
}

impl fmt::Debug for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomKey(…)")
    }
}

impl fmt::Display for ParseRoomKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a room key: expected one line as `glovebox keys new` writes it")
    }
}

impl core::error::Error for ParseRoomKeyError {}
