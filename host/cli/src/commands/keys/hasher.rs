//! From a value to its key, counting. Values are never shown.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use glovebox_join_keys::{InvalidValue, KeyKind, Profile, RoomKey, Why, hash, keyed_hash};

pub(super) struct Hasher {
    profile: Profile,
    kind: KeyKind,
    key: Option<RoomKey>,
    counts: Counts,
}

/// What became of the values.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hashed: u64,
    pub(super) empty: u64,
    invalid: BTreeMap<Why, u64>,
}

impl Hasher {
    pub(super) fn new(profile: Profile, kind: KeyKind, key: Option<RoomKey>) -> Self {
        Self { profile, kind, key, counts: Counts::default() }
    }

    pub(super) fn key(&self) -> Option<&RoomKey> {
        self.key.as_ref()
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The key of a value; nothing for one that is missing or makes none.
    pub(super) fn hash(&mut self, value: Option<&str>) -> Option<String> {
        let Some(value) = value else {
            self.counts.empty += 1;
            return None;
        };
        match self.try_hash(value) {
            Ok(hashed) => {
                self.counts.hashed += 1;
                Some(hashed)
            }
            Err(error) if error.why() == Why::Empty => {
                self.counts.empty += 1;
                None
            }
            Err(error) => {
                *self.counts.invalid.entry(error.why()).or_default() += 1;
                None
            }
        }
    }

    fn try_hash(&self, value: &str) -> Result<String, InvalidValue> {
        match &self.key {
            Some(key) => keyed_hash(key, self.profile, self.kind, value),
            None => hash(self.profile, self.kind, value),
        }
    }

    /// Refuses a file of which nothing made a key: it would join with nothing.
    pub(super) fn check(&self) -> Result<()> {
        if self.counts.hashed > 0 || self.counts.invalid() == 0 {
            return Ok(());
        }
        let most = self.counts.invalid.iter().max_by_key(|(_, count)| **count);
        bail!(
            "none of {} values makes a key of kind {} by {} (most are {}): is it the right \
             column, and not hashed already?",
            self.counts.invalid(),
            self.kind,
            self.profile,
            most.map_or("", |(why, _)| why.as_str()),
        )
    }
}

impl Counts {
    pub(super) fn invalid(&self) -> u64 {
        self.invalid.values().sum()
    }

    /// The invalid ones by what is wrong.
    pub(super) fn because(&self) -> BTreeMap<&'static str, u64> {
        self.invalid.iter().map(|(why, count)| (why.as_str(), *count)).collect()
    }
}
