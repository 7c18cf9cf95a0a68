//! Whose rules, in which version, and for what kind of value.

use core::fmt;
use core::str::FromStr;

/// The published rules by which a key is made. A rule that its publisher changes is a new version
/// here, because keys by the old rule and keys by the new one do not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Unified ID 2.0: `uid2/1`.
    Uid2V1,
    /// Google as its Ads API samples have it, dots of Gmail addresses only: `google/1`.
    GoogleV1,
    /// Google as its Data Manager API has it, dots and `+suffix` of Gmail addresses: `google/2`.
    GoogleV2,
    /// Meta's Conversions API: `meta/1`.
    MetaV1,
}

/// What a key is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// An e-mail address.
    Email,
    /// A phone number with its country code.
    Phone,
    /// An advertising id of a device: IDFA, GAID, or another UUID.
    DeviceId,
}

/// A text that names no profile or no kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseNameError {
    what: &'static str,
    expected: &'static str,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 4] = [Self::Uid2V1, Self::GoogleV1, Self::GoogleV2, Self::MetaV1];

    /// Name and version, as `uid2/1`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uid2V1 => "uid2/1",
            Self::GoogleV1 => "google/1",
            Self::GoogleV2 => "google/2",
            Self::MetaV1 => "meta/1",
        }
    }

    /// The name alone, as `uid2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uid2V1 => "uid2",
            Self::GoogleV1 | Self::GoogleV2 => "google",
            Self::MetaV1 => "meta",
        }
    }

    /// The version alone.
    pub fn version(self) -> u8 {
        match self {
            Self::Uid2V1 | Self::GoogleV1 | Self::MetaV1 => 1,
            Self::GoogleV2 => 2,
        }
    }
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Email, Self::Phone, Self::DeviceId];

    /// The name, as `device-id`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::DeviceId => "device-id",
        }
    }
}

impl FromStr for Profile {
    type Err = ParseNameError;

    /// Takes `uid2/1`, or `uid2` for the newest version.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "uid2" => Ok(Self::Uid2V1),
            "google" => Ok(Self::GoogleV2),
            "meta" => Ok(Self::MetaV1),
            _ => Self::ALL.into_iter().find(|profile| profile.as_str() == text).ok_or(
                ParseNameError {
                    what: "a profile of join keys",
                    expected: "uid2, google or meta, with a version (`uid2/1`) or without",
                },
            ),
        }
    }
}

impl FromStr for KeyKind {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(ParseNameError {
            what: "a kind of join key",
            expected: "email, phone or device-id",
        })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ParseNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {}: expected {}", self.what, self.expected)
    }
}

impl core::error::Error for ParseNameError {}
