//! An answer, of which nothing is believed.

use std::io::{Read as _, Write};
use std::time::{Duration, Instant};

use glovebox_api::ErrorBody;
use glovebox_api::headers;
use glovebox_api::limits::MAX_ANSWER_BYTES;
use glovebox_contract::digest::{ContentDigest, ContentHasher};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::text::printable;
use reqwest::blocking::Response;
use serde::de::DeserializeOwned;

use crate::error::{ClientError, Result};

/// Most bytes of the body of an error.
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// Longest pause that a host can ask for.
const LONGEST_RETRY_AFTER: u64 = 60;

/// A host sends at least so many bytes a second, on the whole.
const SLOWEST_BYTES: u64 = 1024;

/// An answer whose body was not read yet.
pub(crate) struct Answer {
    pub(super) at: String,
    pub(super) response: Response,
    pub(super) timeout: Duration,
}

impl Answer {
    /// The answer if it is a success, else the error that it is.
    pub(super) fn checked(self, is_bare: bool) -> Result<Self> {
        let status = self.response.status();
        if status.is_success() {
            return Ok(self);
        }
        let code = status.as_u16();
        if status.is_redirection() {
            let why = format!("the host answers with status {code}: elsewhere; it is not followed");
            return Err(ClientError::answer(self.at, why));
        }
        let retry_after = self
            .header(headers::RETRY_AFTER)
            .map(|seconds| Duration::from_secs(seconds.min(LONGEST_RETRY_AFTER)));
        let at = self.at.clone();
        let refused = |reason, message| {
            Err(ClientError::Refused { reason, message, at: at.clone(), status: code, retry_after })
        };
        let body = if is_bare { Vec::new() } else { self.bytes(MAX_ERROR_BYTES)? };
        if let Ok(ErrorBody { error }) = serde_json::from_slice(&body) {
            return refused(error.reason, printable(&error.message));
        }
        match bare_reason(code, is_bare) {
            Some(reason) => refused(reason, format!("the host answers with status {code}")),
            None => Err(ClientError::answer(
                at,
                format!("the host answers with status {code} and no reason that is known"),
            )),
        }
    }

    /// A header that is a number.
    pub(crate) fn header(&self, name: &str) -> Option<u64> {
        self.response.headers().get(name)?.to_str().ok()?.parse().ok()
    }

    /// What was asked.
    pub(crate) fn at(&self) -> &str {
        &self.at
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T> {
        let at = self.at.clone();
        let body = self.bytes(u64::try_from(MAX_ANSWER_BYTES).unwrap_or(u64::MAX))?;
        serde_json::from_slice(&body).map_err(|error| {
            let why = format!("the answer cannot be read: {}", printable(&error.to_string()));
            ClientError::answer(at, why)
        })
    }

    /// The body, of at most `limit` bytes.
    pub(crate) fn bytes(self, limit: u64) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        self.each(limit, |piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(body)
    }

    /// Writes the body, of at most `limit` bytes, and gives its length and its digests.
    pub(crate) fn copy(self, limit: u64, out: &mut dyn Write) -> Result<(u64, ContentDigest)> {
        let mut hasher = ContentHasher::new();
        let length = self.each(limit, |piece| {
            hasher.update(piece);
            out.write_all(piece)
        })?;
        Ok((length, hasher.finish()))
    }

    /// Hands on the body piece by piece, and gives its length.
    fn each(
        mut self,
        limit: u64,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<u64> {
        let started = Instant::now();
        let mut buffer = vec![0; 64 << 10];
        let mut length: u64 = 0;
        loop {
            let broken = |error: std::io::Error| ClientError::Unreachable {
                at: self.at.clone(),
                why: format!("the answer broke off: {}", super::words(&error)),
                passing: true,
            };
            let count = match self.response.read(&mut buffer) {
                Ok(0) => return Ok(length),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(error)),
            };
            length = length.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            if length > limit {
                let why = format!("the answer is longer than {limit} bytes");
                return Err(ClientError::answer(self.at, why));
            }
            let fair = self.timeout.saturating_add(Duration::from_secs(length / SLOWEST_BYTES));
            if started.elapsed() > fair {
                return Err(ClientError::answer(self.at, "the answer comes too slowly"));
            }
            let piece = buffer.get(..count).unwrap_or_default();
            take(piece).map_err(|source| ClientError::Local {
                what: "keep what the host sends".into(),
                source,
            })?;
        }
    }
}

/// The reason of an answer without one: to HEAD, which has no body, or from something in front of
/// the host.
fn bare_reason(status: u16, is_bare: bool) -> Option<ReasonCode> {
    match status {
        429 => Some(ReasonCode::RateLimited),
        502..=504 => Some(ReasonCode::Unavailable),
        401 if is_bare => Some(ReasonCode::Unauthenticated),
        403 if is_bare => Some(ReasonCode::NotPermitted),
        404 if is_bare => Some(ReasonCode::NotFound),
        409 if is_bare => Some(ReasonCode::UploadIncomplete),
        500 if is_bare => Some(ReasonCode::Internal),
        _ => None,
    }
}
