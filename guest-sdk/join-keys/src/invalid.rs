//! Why a value makes no key. The value itself is never in it.

use core::fmt;

use crate::{KeyKind, Profile};

/// A value that makes no join key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidValue {
    profile: Profile,
    kind: KeyKind,
    why: Why,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Nothing but white space.
    Empty,
    /// Not `name@domain`, or with white space or control characters inside.
    NotAnAddress,
    /// A name before the `@` of which the profile's rule leaves nothing.
    NoName,
    /// Characters that no phone number has, or none that it must have.
    NotANumber,
    /// A number in its national form: it begins with a zero or with an area code in parentheses.
    NoCountryCode,
    /// Fewer or more digits than a number has.
    WrongLength,
    /// Not 8-4-4-4-12 hexadecimal digits.
    NotAnId,
    /// The id of all zeros, which devices report when their owner refuses tracking.
    Opaque,
    /// The profile publishes no rule for this kind.
    NoRule,
}

impl InvalidValue {
    pub(crate) fn new(profile: Profile, kind: KeyKind, why: Why) -> Self {
        Self { profile, kind, why }
    }

    /// What is wrong.
    pub fn why(&self) -> Why {
        self.why
    }
}

impl Why {
    /// A short name, for counts and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotAnAddress => "not-an-address",
            Self::NoName => "no-name",
            Self::NotANumber => "not-a-number",
            Self::NoCountryCode => "no-country-code",
            Self::WrongLength => "wrong-length",
            Self::NotAnId => "not-an-id",
            Self::Opaque => "opaque",
            Self::NoRule => "no-rule",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Empty => "it is empty",
            Self::NotAnAddress => "it is not of the form name@domain",
            Self::NoName => "nothing of the name before the `@` counts",
            Self::NotANumber => "it has characters that a phone number does not have",
            Self::NoCountryCode => "it does not begin with a country code",
            Self::WrongLength => "it has too few or too many digits",
            Self::NotAnId => "it is not 8-4-4-4-12 hexadecimal digits",
            Self::Opaque => "it is all zeros, as devices say whose owner refuses tracking",
            Self::NoRule => "the profile publishes no rule for this kind",
        }
    }
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value makes no {} key of {}: {}", self.kind, self.profile, self.why.sentence())
    }
}

impl core::error::Error for InvalidValue {}
