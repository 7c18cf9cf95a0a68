//! A recipient: someone outside the room to whom a party gives tables to read.

use std::collections::BTreeMap;

use crate::digest::Sha256Digest;
use crate::name::{Alias, AssetName, TableName};
use crate::statement::{Grant, Recipient, Shared};

/// A recipient of a party, with all that it was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharingRecipient {
    owner: Alias,
    said: Recipient,
    added_at: u64,
    previous: Option<(Sha256Digest, u64)>,
    grants: BTreeMap<(AssetName, Shared), Grant>,
}

impl SharingRecipient {
    pub(super) fn new(owner: &Alias, said: &Recipient, added_at: u64) -> Self {
        Self {
            owner: owner.clone(),
            said: said.clone(),
            added_at,
            previous: None,
            grants: BTreeMap::new(),
        }
    }

    /// The same with another token. The one before never lives longer than it would have.
    pub(super) fn rotated(&self, said: &Recipient) -> Self {
        let until = |until: u64| (self.said.token, until.min(self.said.expires));
        Self { previous: said.previous_until.map(until), said: said.clone(), ..self.clone() }
    }

    /// The party it belongs to.
    pub fn owner(&self) -> &Alias {
        &self.owner
    }

    /// The owner's name for it.
    pub fn name(&self) -> &AssetName {
        &self.said.name
    }

    /// When the owner says it added it, in seconds since 1970-01-01T00:00:00Z.
    pub fn added_at(&self) -> u64 {
        self.added_at
    }

    /// SHA-256 of its token.
    pub fn token(&self) -> &Sha256Digest {
        &self.said.token
    }

    /// When the token ends, in seconds since 1970-01-01T00:00:00Z.
    pub fn expires(&self) -> u64 {
        self.said.expires
    }

    /// SHA-256 of the token before, and when that one ends.
    pub fn previous(&self) -> Option<(&Sha256Digest, u64)> {
        self.previous.as_ref().map(|(token, until)| (token, *until))
    }

    /// Everything it was granted, by share. Some may have ended, see [`Grant::until`].
    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.values()
    }

    /// The grants that hold at `now` (seconds since 1970-01-01), by share.
    pub fn grants_at(&self, now: u64) -> impl Iterator<Item = &Grant> {
        self.grants().filter(move |grant| grant.until.is_none_or(|until| now < until))
    }

    /// Whether this is the digest of a token that is good at `now`.
    pub fn has_token(&self, token: &Sha256Digest, now: u64) -> bool {
        self.tokens_at(now).any(|good| good == token)
    }

    pub(super) fn tokens_at(&self, now: u64) -> impl Iterator<Item = &Sha256Digest> {
        let present = (now < self.said.expires).then_some(&self.said.token);
        let previous = self.previous().filter(|(_, until)| now < *until).map(|(token, _)| token);
        present.into_iter().chain(previous)
    }

    pub(super) fn grant(&self, share: &AssetName, what: &Shared) -> Option<&Grant> {
        self.grants().find(|grant| grant.share == *share && grant.what == *what)
    }

    pub(super) fn has_share(&self, share: &AssetName) -> bool {
        self.grants().any(|grant| grant.share == *share)
    }

    pub(super) fn take(&mut self, grant: Grant) {
        self.grants.insert((grant.share.clone(), grant.what.clone()), grant);
    }

    pub(super) fn revoke(&mut self, share: &AssetName) {
        self.grants.retain(|(of, _), _| of != share);
    }

    pub(super) fn forget_table(&mut self, gone: &TableName) {
        self.grants
            .retain(|(_, what), _| !matches!(what, Shared::Table { table } if table == gone));
    }
}
