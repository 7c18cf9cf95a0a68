//! What one party may use of this host: runs at once, runs a day, processor time a day.
//!
//! What was used is what the rooms' logs say of the last 24 hours, so a host that starts again
//! forgets nothing. Only the runs that were let in and are not in a log as started are counted here.
//!
//! A party is its keys: who has the same key in several rooms has one quota for all of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glovebox_contract::key::PublicKey;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Member, RoomState, Run};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::config::PartyLimits;
use crate::slot::Slot;

const SECONDS_PER_DAY: u64 = 86_400;

/// The quotas of this host, and what is under way.
pub(crate) struct Quotas {
    limits: PartyLimits,
    /// Runs that were let in and have not ended.
    admitted: Mutex<HashMap<RunId, Keys>>,
    /// Places for runs at once, by the present key of the party.
    places: Mutex<HashMap<[u8; 32], Arc<Semaphore>>>,
}

/// All keys of a party in a room, those that it had before as well.
type Keys = BTreeSet<[u8; 32]>;

/// What a party has used in the last day.
#[derive(Debug, Default, PartialEq, Eq)]
struct Used {
    runs: u64,
    cpu_ms: u64,
    started: BTreeSet<RunId>,
}

/// A run that was let in, until this is dropped.
pub(crate) struct Admitted {
    app: Arc<App>,
    run: RunId,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.app.quotas.admitted().remove(&self.run);
    }
}

impl Quotas {
    pub(crate) fn new(limits: PartyLimits) -> Self {
        Self { limits, admitted: Mutex::default(), places: Mutex::default() }
    }

    fn admitted(&self) -> MutexGuard<'_, HashMap<RunId, Keys>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The places of the party that asked for `run`, if they are limited.
    pub(crate) fn places(&self, slot: &Slot, run: &RunId) -> Option<Arc<Semaphore>> {
        let at_once = self.limits.runs_at_once?;
        let key = *runner(&slot.view().state, run)?.public_key().as_bytes();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has a place or waits for one holds the semaphore.
        places.retain(|_, party| Arc::strong_count(party) > 1);
        Some(places.entry(key).or_insert_with(|| Arc::new(Semaphore::new(at_once))).clone())
    }

    /// Whether nothing is limited by the day.
    fn is_unlimited(&self) -> bool {
        self.limits.runs_per_day.is_none() && self.limits.cpu_seconds_per_day.is_none()
    }

    /// # Errors
    /// `policy-limit` when the party has used up what it may use.
    fn check(&self, used: &Used, under_way: u64) -> Result<(), ReasonCode> {
        let runs = used.runs.saturating_add(under_way);
        let full = self.limits.runs_per_day.is_some_and(|most| runs >= most);
        let most_ms = self.limits.cpu_seconds_per_day.map(|most| most.saturating_mul(1000));
        if full || most_ms.is_some_and(|most| used.cpu_ms >= most) {
            return Err(ReasonCode::PolicyLimit);
        }
        Ok(())
    }
}

/// Whether `run` may wait for its turn. Says early what [`admit`] would say.
///
/// # Errors
/// `policy-limit` when its party has used up what it may use.
pub(crate) fn check(app: &App, slot: &Slot, run: &RunId) -> Result<(), ReasonCode> {
    if app.quotas.is_unlimited() {
        return Ok(());
    }
    let Some(keys) = keys_of_runner(slot, run) else { return Ok(()) };
    app.quotas.check(&used(app, &keys), 0)
}

/// Lets `run` in, and counts it until what this returns is dropped.
///
/// # Errors
/// `policy-limit` when its party has used up what it may use.
pub(crate) fn admit(
    app: &Arc<App>,
    slot: &Slot,
    run: &RunId,
) -> Result<Option<Admitted>, ReasonCode> {
    if app.quotas.is_unlimited() {
        return Ok(None);
    }
    let Some(keys) = keys_of_runner(slot, run) else { return Ok(None) };
    // Held while the logs are looked at: two runs must not take the last place together.
    let mut admitted = app.quotas.admitted();
    let used = used(app, &keys);
    let others = admitted
        .iter()
        .filter(|(other, of)| !used.started.contains(*other) && !of.is_disjoint(&keys));
    let under_way = u64::try_from(others.count()).unwrap_or(u64::MAX);
    app.quotas.check(&used, under_way)?;
    admitted.insert(*run, keys);
    drop(admitted);
    Ok(Some(Admitted { app: app.clone(), run: *run }))
}

fn runner<'a>(state: &'a RoomState, run: &RunId) -> Option<&'a Member> {
    let runner = state.run(run).ok()?.runner();
    state.member(runner).ok()
}

fn keys_of_runner(slot: &Slot, run: &RunId) -> Option<Keys> {
    runner(&slot.view().state, run).map(keys)
}

fn keys(member: &Member) -> Keys {
    let all = member.former_keys().iter().chain([member.public_key()]);
    all.map(PublicKey::as_bytes).copied().collect()
}

/// What the party with these keys has used, in all rooms.
fn used(app: &App, party: &Keys) -> Used {
    let since = app.now().saturating_sub(SECONDS_PER_DAY);
    let mut used = Used::default();
    for slot in app.catalog.all() {
        count(&slot.view().state, party, since, &mut used);
    }
    used
}

/// Adds what the party has used in a room since then.
fn count(state: &RoomState, party: &Keys, since: u64, used: &mut Used) {
    let members = state.members().filter(|member| !keys(member).is_disjoint(party));
    let aliases: BTreeSet<_> = members.map(Member::alias).collect();
    if aliases.is_empty() {
        return;
    }
    let started = |run: &&Run| run.started_at().is_some_and(|at| at > since);
    for run in state.runs().filter(started).filter(|run| aliases.contains(run.runner())) {
        used.runs = used.runs.saturating_add(1);
        used.started.insert(*run.id());
        let cpu_ms = run.receipt().map_or(0, |receipt| receipt.usage.cpu_ms);
        used.cpu_ms = used.cpu_ms.saturating_add(cpu_ms);
    }
}
