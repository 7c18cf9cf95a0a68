//! Bodies of requests and answers.

mod assets;
mod rooms;
mod runs;
mod secrets;

pub use assets::{
    AddAsset, AddTable, CredentialReplaced, Described, PartitionChoice, RemotePlace,
    ReplaceCredential, TableFiles, UploadedFile, ViewFiles,
};
pub use rooms::{CreatedRoom, LogPage, LogQuery, RoomList, RoomSummary, RoomsQuery, Taken};
pub use runs::{DisplayedCell, LogLevel, LogLine, RunProgress, RunStage, RunText, StartedRun};
pub use secrets::Secrets;

use glovebox_contract::key::PublicKey;
use serde::{Deserialize, Serialize};

/// What a host says about itself, to anyone: `GET /v1/host`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostInfo {
    /// What a run may reach outside of its inputs.
    pub egress: Egress,
    /// The key of the host: rooms name it, requests are bound to it.
    pub host_key: PublicKey,
    /// Most bytes of the body of a request.
    pub max_request_bytes: u64,
    /// The host's clock, in seconds since 1970-01-01T00:00:00Z.
    pub time: u64,
    /// Most bytes of a chunk of an upload.
    pub upload_chunk_bytes: u64,
    /// The version of its program.
    pub version: String,
}

/// What a run may reach outside of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// Nothing.
    None,
}

#[cfg(test)]
mod tests;
