//! Rooms and their logs.

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::{AssetName, RoomId};
use serde::{Deserialize, Serialize};

/// Query of `GET /v1/rooms`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomsQuery {
    /// Most rooms in the answer, from 1 to [`crate::limits::MAX_ROOMS_PAGE`];
    /// [`crate::limits::ROOMS_PAGE`] when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u64>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// The rooms that the caller's key is a member of: `GET /v1/rooms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomList {
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
    /// The rooms.
    pub rooms: Vec<RoomSummary>,
}

/// A room in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomSummary {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: AssetName,
    /// How many statements are in its log.
    pub statements: u64,
}

/// A room was created: the answer to `POST /v1/rooms`, whose body is the envelope of the
/// statement that creates it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatedRoom {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: AssetName,
}

/// Query of `GET /v1/rooms/{id}/log`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// The position of the first entry wanted; 0 when absent.
    #[serde(default)]
    pub from: u64,
    /// Most entries in the answer, from 1 to [`crate::limits::LOG_PAGE_ENTRIES`], which it is when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How many seconds to wait for an entry at `from` when there is none yet; 0 when absent, at
    /// most [`crate::limits::MAX_WAIT_SECONDS`]. When none comes, the answer has no entries.
    #[serde(default)]
    pub wait_seconds: u64,
}

/// A part of a log: `GET /v1/rooms/{id}/log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPage {
    /// The host's signature on the first `size` entries, see `glovebox_contract::checkpoint`.
    pub checkpoint: String,
    /// The entries at the positions from `from` on. When they end before `size`, ask again.
    pub entries: Vec<Envelope>,
    /// How many entries the log has.
    pub size: u64,
}

/// A statement was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// Digest of its envelope.
    pub digest: Blake3Digest,
    /// Its position in the log, from 0.
    pub position: u64,
}
