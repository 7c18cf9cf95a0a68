//! What is asked: an act, and what it is done to.

use std::fmt;

use glovebox_contract::name::RoomId;

/// An act at the gateway. The names are those of the Cedar schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Create a room; on [`Resource::Gateway`].
    CreateRoom,
    /// See a room, its assets, reviews, runs.
    ReadRoom,
    /// Change a room: accept it, add and remove assets, pause and resume.
    ModifyRoom,
    /// Approve or reject a revision.
    ReviewNotebook,
    /// Start a run and cancel it.
    ExecuteTask,
    /// Read the rows of an output.
    ReadOutput,
    /// Auto-approval rules, shares, deletion, a new owner.
    ManageRoom,
}

impl Action {
    /// Every act.
    pub const ALL: [Self; 7] = [
        Self::CreateRoom,
        Self::ReadRoom,
        Self::ModifyRoom,
        Self::ReviewNotebook,
        Self::ExecuteTask,
        Self::ReadOutput,
        Self::ManageRoom,
    ];

    /// The name in the Cedar schema and in the audit.
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateRoom => "CreateRoom",
            Self::ReadRoom => "ReadRoom",
            Self::ModifyRoom => "ModifyRoom",
            Self::ReviewNotebook => "ReviewNotebook",
            Self::ExecuteTask => "ExecuteTask",
            Self::ReadOutput => "ReadOutput",
            Self::ManageRoom => "ManageRoom",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What an act is done to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// The gateway itself: the party's rooms as a whole.
    Gateway,
    /// One room.
    Room(RoomId),
    /// A room that was asked for by a name that is none. Only a privilege on the whole gateway
    /// reaches it, so nobody else learns from the answer whether the room exists.
    UnknownRoom(String),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str("gateway"),
            Self::Room(id) => write!(f, "room {id}"),
            Self::UnknownRoom(name) => write!(f, "unknown room {name}"),
        }
    }
}
