//! Where things are. Ids of rooms and digests stand in paths as 64 hex digits, ids of runs as 32,
//! so that no path needs an escape.

use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::name::{RoomId, RunId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// What the host says about itself.
pub const HOST: &str = "/v1/host";

/// Whether the host is alive.
pub const HEALTH: &str = "/healthz";

/// Figures for Prometheus.
pub const METRICS: &str = "/metrics";

/// This API as an OpenAPI document.
pub const OPENAPI: &str = "/openapi.json";

/// The rooms: to list and to create.
pub const ROOMS: &str = "/v1/rooms";

/// Part of a room, the last part of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomPart {
    /// The log.
    Log,
    /// The log and its checkpoint as one file.
    Bundle,
    /// Takes statements that need nothing but themselves.
    Statements,
    /// Reads the columns of uploaded files.
    Describe,
    /// Takes tables and views.
    Tables,
    /// Takes new credentials of tables that are elsewhere.
    Credentials,
    /// Takes volumes.
    Volumes,
    /// Takes notebooks.
    Notebooks,
    /// Takes libraries.
    Libraries,
    /// Takes requests for runs.
    Runs,
    /// Reads outputs.
    Outputs,
}

impl RoomPart {
    /// The last part of the path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Bundle => "bundle",
            Self::Statements => "statements",
            Self::Describe => "describe",
            Self::Tables => "tables",
            Self::Credentials => "credentials",
            Self::Volumes => "volumes",
            Self::Notebooks => "notebooks",
            Self::Libraries => "libraries",
            Self::Runs => "runs",
            Self::Outputs => "outputs",
        }
    }
}

/// `/v1/rooms/{id}/{part}`
pub fn room(id: &RoomId, part: RoomPart) -> String {
    format!("{ROOMS}/{}/{}", id.0.to_hex(), part.as_str())
}

/// `/v1/rooms/{id}/runs/{run}`
pub fn run(id: &RoomId, run: &RunId) -> String {
    format!("{}/{run}", room(id, RoomPart::Runs))
}

/// `/v1/rooms/{id}/runs/{run}/text`
pub fn run_text(id: &RoomId, run_id: &RunId) -> String {
    format!("{}/text", run(id, run_id))
}

/// `/v1/rooms/{id}/components/{digest}`
pub fn component(id: &RoomId, digest: &ContentDigest) -> String {
    format!("{ROOMS}/{}/components/{}", id.0.to_hex(), digest.blake3.to_hex())
}

/// `/v1/uploads/{digest}`
pub fn upload(digest: &ContentDigest) -> String {
    format!("/v1/uploads/{}", digest.blake3.to_hex())
}

/// Reads the id of a room from a path.
pub fn parse_room(segment: &str) -> Option<RoomId> {
    parse_digest(segment).map(RoomId)
}

/// Reads a BLAKE3 digest from a path: 64 lower-case hex digits.
pub fn parse_digest(segment: &str) -> Option<Blake3Digest> {
    format!("blake3:{segment}").parse().ok()
}

/// A query without its `?`: each name with its value, escaped.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| {
        format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
    };
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_are_written() {
        let digest = ContentDigest::of(b"a");
        let id = RoomId(digest.blake3);
        let hex = "17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f";
        assert_eq!(room(&id, RoomPart::Log), format!("/v1/rooms/{hex}/log"));
        assert_eq!(upload(&digest), format!("/v1/uploads/{hex}"));
        assert_eq!(component(&id, &digest), format!("/v1/rooms/{hex}/components/{hex}"));
        let run_id = RunId::of_request(&digest.blake3);
        assert_eq!(run_text(&id, &run_id), format!("/v1/rooms/{hex}/runs/{}/text", &hex[..32]));
        assert_eq!(parse_room(hex), Some(id));
        for other in ["", "..", &hex[1..], &hex.to_uppercase(), &format!("blake3:{hex}")] {
            assert_eq!(parse_room(other), None, "{other}");
        }
    }

    #[test]
    fn queries_are_escaped() {
        assert_eq!(query(&[]), "");
        assert_eq!(query(&[("a", "1"), ("b", "&=ä +%")]), "a=1&b=%26%3D%C3%A4%20%2B%25");
    }
}
