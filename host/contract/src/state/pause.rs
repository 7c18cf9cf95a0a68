//! Pauses: one party makes them, all parties end them.

use std::collections::BTreeSet;

use crate::name::Alias;

/// A pause that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseState {
    by: Alias,
    comment: String,
    since: u64,
    resume_votes: BTreeSet<Alias>,
}

impl PauseState {
    pub(super) fn new(by: Alias, comment: String, since: u64) -> Self {
        Self { by, comment, since, resume_votes: BTreeSet::new() }
    }

    /// Who paused last.
    pub fn by(&self) -> &Alias {
        &self.by
    }

    /// Why, in their words.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// When, in seconds since 1970-01-01T00:00:00Z, as the party said.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// Who has agreed to resume since.
    pub fn resume_votes(&self) -> &BTreeSet<Alias> {
        &self.resume_votes
    }

    pub(super) fn vote(&mut self, party: Alias) {
        self.resume_votes.insert(party);
    }
}
