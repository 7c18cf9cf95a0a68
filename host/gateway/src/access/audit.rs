//! The record of denied acts and failed authentications.

use serde::Serialize;

/// One denied act or failed authentication. Never holds a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Counts up; later entries have higher numbers.
    pub id: u64,
    /// When it happened first, in seconds since 1970.
    pub time: u64,
    /// When the same happened last, within a minute of the time before.
    pub last: u64,
    /// How often.
    pub times: u64,
    /// Who tried; nobody known when the authentication failed.
    pub principal: Option<String>,
    /// The address it came from.
    pub peer: Option<String>,
    /// What was tried.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Why it was refused.
    pub reason: String,
}

/// Which entries to read.
#[derive(Debug, Clone)]
pub struct AuditFilter {
    /// Those whose last time is not before this one.
    pub since: Option<u64>,
    /// Those of this principal.
    pub principal: Option<String>,
    /// At most so many, the newest first.
    pub limit: usize,
}

impl Default for AuditFilter {
    fn default() -> Self {
        Self { since: None, principal: None, limit: 100 }
    }
}

/// What to record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Denial<'a> {
    pub(super) principal: Option<&'a str>,
    pub(super) peer: Option<&'a str>,
    pub(super) action: &'a str,
    pub(super) resource: &'a str,
    pub(super) reason: &'a str,
}
