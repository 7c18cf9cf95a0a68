//! Privileges, and where they hold.

use std::fmt;
use std::str::FromStr;

use glovebox_contract::name::RoomId;
use serde::{Serialize, Serializer};

use super::principal::PrincipalName;

/// Why a text is not a privilege.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a privilege: use CREATE, MODIFY, EXECUTE, BROWSE or MANAGE")]
pub struct ParsePrivilegeError {
    text: String,
}

/// What a principal may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Privilege {
    /// Create rooms; on the gateway only.
    Create,
    /// Change rooms and review notebooks.
    Modify,
    /// Run notebooks and read their outputs.
    Execute,
    /// See rooms.
    Browse,
    /// All of it, and rules, shares, deletion.
    Manage,
}

impl Privilege {
    /// Every privilege.
    pub const ALL: [Self; 5] =
        [Self::Create, Self::Modify, Self::Execute, Self::Browse, Self::Manage];

    /// The word for it, in capitals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Modify => "MODIFY",
            Self::Execute => "EXECUTE",
            Self::Browse => "BROWSE",
            Self::Manage => "MANAGE",
        }
    }

    pub(super) fn attribute(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Modify => "modify",
            Self::Execute => "execute",
            Self::Browse => "browse",
            Self::Manage => "manage",
        }
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Privilege {
    type Err = ParsePrivilegeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|privilege| privilege.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| ParsePrivilegeError {
                text: text.chars().take(40).flat_map(char::escape_debug).collect(),
            })
    }
}

/// Where a privilege holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The gateway and every room of the party.
    Gateway,
    /// One room.
    Room(RoomId),
}

impl Scope {
    /// The room's id, or nothing for the gateway: as the store writes it.
    pub(super) fn column(&self) -> String {
        match self {
            Self::Gateway => String::new(),
            Self::Room(id) => id.to_string(),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.pad("gateway"),
            Self::Room(id) => id.fmt(f),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A privilege that a principal has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Grant {
    /// Who has it.
    pub principal: PrincipalName,
    /// What.
    pub privilege: Privilege,
    /// Where.
    pub scope: Scope,
}
