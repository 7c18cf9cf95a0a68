//! People, programs and groups.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::token::TokenId;

// Longest name in bytes.
const MAX_NAME_BYTES: usize = 128;
/// Longest subject in bytes.
pub(super) const MAX_SUBJECT_BYTES: usize = 255;

/// Why a text is not a principal's name or kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}")]
pub struct ParsePrincipalError {
    text: String,
    what: &'static str,
}

impl ParsePrincipalError {
    fn new(text: &str, what: &'static str) -> Self {
        Self { text: text.chars().take(80).flat_map(char::escape_debug).collect(), what }
    }
}

/// A principal's name, for example `alice@airline.example`. Upper and lower case are one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalName(String);

impl PrincipalName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PrincipalName {
    type Err = ParsePrincipalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = text.bytes();
        let fits = text.len() <= MAX_NAME_BYTES
            && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte));
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(ParsePrincipalError::new(
                text,
                "a principal's name: use 1 to 128 characters from letters, digits, `.`, `_`, \
                 `@`, `+` and `-`, the first a letter or digit",
            ))
        }
    }
}

impl fmt::Display for PrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for PrincipalName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A person.
    User,
    /// A program.
    ServicePrincipal,
    /// Several principals; groups may hold groups. A group has no token.
    Group,
}

impl Kind {
    /// The word for it: `user`, `service-principal` or `group`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::ServicePrincipal => "service-principal",
            Self::Group => "group",
        }
    }

    pub(super) fn entity_type(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::ServicePrincipal => "ServicePrincipal",
            Self::Group => "Group",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = ParsePrincipalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::User, Self::ServicePrincipal, Self::Group]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                ParsePrincipalError::new(
                    text,
                    "a kind of principal: use user, service-principal or group",
                )
            })
    }
}

/// A principal to add.
#[derive(Debug, Clone)]
pub struct NewPrincipal {
    /// Its name.
    pub name: PrincipalName,
    /// What it is.
    pub kind: Kind,
    /// What the OIDC issuer calls it: the value of the user claim, or for a group a value of the
    /// groups claim. Without it no JWT stands for this principal.
    pub subject: Option<String>,
}

/// A principal as the store lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrincipalInfo {
    /// Its name.
    pub name: PrincipalName,
    /// What it is.
    pub kind: Kind,
    /// What the OIDC issuer calls it.
    pub subject: Option<String>,
    /// When it was added, in seconds since 1970.
    pub created: u64,
    /// The principals directly in it, when it is a group.
    pub members: Vec<PrincipalName>,
}

/// Who a request comes from, as [`Access::authenticate`](super::Access::authenticate) found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub(super) id: i64,
    pub(super) name: PrincipalName,
    pub(super) kind: Kind,
    pub(super) credential: Credential,
}

/// What a principal showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// A token of this gateway.
    Token(TokenId),
    /// A JWT of the issuer, with the groups of this store that it names.
    Oidc { groups: Vec<i64> },
}

impl Principal {
    /// Its name.
    pub fn name(&self) -> &PrincipalName {
        &self.name
    }

    /// What it is: a user or a service principal.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}
