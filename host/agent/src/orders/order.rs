//! One order: what to run, when, and what to do when it fails.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{FixedOffset, Offset as _, Utc};
use glovebox_contract::name::{AssetName, Identifier};
use serde::Deserialize;

use super::values::Template;
use super::{Timing, at_order};
use crate::error::{AgentError, Result};

/// What to run, and when.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its name.
    pub name: AssetName,
    /// The room, by name or id.
    pub room: String,
    /// The notebook; its newest approved revision runs.
    pub notebook: AssetName,
    /// The orders that have to succeed anew before this one runs; none when it goes by the clock.
    pub after: BTreeSet<AssetName>,
    /// What becomes of a time that comes while an earlier run goes on.
    pub overlap: Overlap,
    /// What becomes of times that passed while the agent was away.
    pub catch_up: CatchUp,
    /// How often a run is asked for again after a failure for a reason that may pass.
    pub retries: u32,
    /// Seconds before the first of them.
    pub pause_seconds: u64,
    /// Seconds after which a run that could not be asked for is given up.
    pub give_up_seconds: u64,
    /// By the clock, when it goes by it.
    pub(crate) timing: Option<Timing>,
    /// The parameters of the run.
    pub(crate) parameters: BTreeMap<Identifier, Template>,
}

/// What becomes of a time that comes while an earlier run of the order goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// It waits for its turn.
    Queue,
}

/// What becomes of times that passed while the agent was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// Nothing.
    #[default]
    None,
    /// The last of them is made up for.
    Last,
}

impl Order {
    /// The next times after `after` at which it falls due; none for an order that does not go by
    /// the clock.
    pub fn next(&self, after: u64, count: usize) -> Vec<u64> {
        let Some(timing) = &self.timing else { return Vec::new() };
        std::iter::successors(timing.next(after), |at| timing.next(*at)).take(count).collect()
    }

    /// Its zone.
    pub(crate) fn zone(&self) -> FixedOffset {
        self.timing.as_ref().map_or_else(|| Utc.fix(), Timing::zone)
    }

    /// Seconds to wait before the next attempt, after this many have failed.
    pub(crate) fn pause_after(&self, attempts: u32) -> u64 {
        const MOST: u64 = 3600;
        let doubled = 1_u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(u64::MAX);
        self.pause_seconds.saturating_mul(doubled).min(MOST.max(self.pause_seconds))
    }
}

/// Orders that wait for each other would wait for ever.
pub(super) fn check_no_cycle(orders: &BTreeMap<AssetName, Order>) -> Result<()> {
    let mut done: BTreeSet<&AssetName> = BTreeSet::new();
    loop {
        let open = || orders.iter().filter(|(name, _)| !done.contains(name));
        let ready: Vec<_> = open()
            .filter(|(_, order)| order.after.iter().all(|before| done.contains(before)))
            .map(|(name, _)| name)
            .collect();
        if let (Some((name, _)), true) = (open().next(), ready.is_empty()) {
            return Err(AgentError::orders(at_order(name), "it waits for orders that wait for it"));
        }
        if ready.is_empty() {
            return Ok(());
        }
        done.extend(ready);
    }
}
