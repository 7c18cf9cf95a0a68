//! Runs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use glovebox_contract::media::MediaType;
use glovebox_contract::name::RunId;
use serde::{Deserialize, Serialize};

/// A run was asked for: the answer to `POST /v1/rooms/{id}/runs`, whose body is the envelope of the
/// request. The log tells how it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartedRun {
    /// The run. It follows from the request, so the same request has the same run.
    pub run: RunId,
}

/// How far a run is, for its runner: `GET /v1/rooms/{id}/runs/{run}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunProgress {
    /// While it is queued: how many runs of the room were asked for before it and wait, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u64>,
    /// How much of the stage is done, in the units of `total`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<u64>,
    /// What it is doing; absent while it waits and when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<RunStage>,
    /// How much there is to do, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStage {
    /// Opens its inputs and checks their digests.
    ReadingInputs,
    /// Compiles its component.
    Compiling,
    /// Runs.
    Running,
    /// Makes its outputs known.
    Publishing,
}

/// What a run said, for those who may know: `GET /v1/rooms/{id}/runs/{run}/text`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunText {
    /// Why it failed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What its cells displayed, oldest first.
    pub displays: Vec<DisplayedCell>,
    /// The lines that the notebook logged, oldest first.
    pub log: Vec<LogLine>,
}

/// A line that a notebook logged. Hostile text: escape it before it reaches a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLine {
    /// How grave.
    pub level: LogLevel,
    /// The notebook's words.
    pub message: String,
}

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// What a cell displayed: hostile bytes. Whoever shows them switches scripts and network off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisplayedCell {
    /// Its bytes, in base64.
    pub data_base64: String,
    /// What it is.
    pub media_type: MediaType,
}

impl DisplayedCell {
    /// A cell with these bytes.
    pub fn new(media_type: MediaType, data: &[u8]) -> Self {
        Self { data_base64: BASE64.encode(data), media_type }
    }

    /// Its bytes; none when they are not in base64.
    pub fn data(&self) -> Option<Vec<u8>> {
        BASE64.decode(&self.data_base64).ok()
    }
}
