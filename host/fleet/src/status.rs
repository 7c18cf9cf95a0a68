//! How far each room is, as its own log says.

use std::collections::BTreeSet;

use glovebox_client::RemoteRoom;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{Alias, AssetName, RoomId, RunId};
use glovebox_contract::receipt::Outcome;
use glovebox_contract::state::{Notebook, RevisionStatus, RoomState, Run, RunStatus, Version};
use glovebox_contract::statement::HOST_ALIAS;
use serde::Serialize;

use crate::error::Result;
use crate::hosts::Hosts;
use crate::parallel::each;
use crate::registry::Customer;

const SECONDS_PER_DAY: u64 = 86_400;

/// A customer's room, or why it cannot be seen.
#[derive(Debug)]
pub struct CustomerStatus {
    /// The customer.
    pub customer: AssetName,
    /// Its room.
    pub room: Result<RoomStatus>,
}

/// How a room stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoomStatus {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: AssetName,
    /// Who has not accepted it.
    pub not_accepted: BTreeSet<Alias>,
    /// Whether it is paused.
    pub paused: bool,
    /// The notebooks of the fleet's owner.
    pub notebooks: Vec<NotebookStatus>,
    /// The last run that was asked for.
    pub last_run: Option<LastRun>,
    /// How many runs ended badly or were refused, of those asked for in the days that count.
    pub failures: usize,
    /// When a customer last did something: a party that is not the fleet's owner, or anybody who
    /// asked for a run. In seconds since 1970-01-01T00:00:00Z, as the party says.
    pub active_at: Option<u64>,
    /// Whole days since then, or since the room was created.
    pub idle_days: u64,
}

/// A notebook and its newest version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotebookStatus {
    /// Its name.
    pub name: AssetName,
    /// The newest version.
    pub version: String,
    /// What an approval of it covers.
    pub revision: Option<Blake3Digest>,
    /// How it stands.
    pub standing: Standing,
    /// Who has not approved it, or is against it.
    pub missing: BTreeSet<Alias>,
    /// The newest version that may run now, when that is another one.
    pub running: Option<String>,
    /// Whether it is paused.
    pub paused: bool,
}

/// How a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It may run.
    Approved,
    /// Somebody has yet to approve it.
    Waiting,
    /// Somebody is against it.
    Rejected,
    /// A later one took its place.
    Superseded,
    /// It does not fit the room's tables.
    DoesNotFit,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastRun {
    /// The run.
    pub run: RunId,
    /// Its notebook.
    pub notebook: AssetName,
    /// Who asked for it.
    pub runner: Alias,
    /// When, as the runner says, in seconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// `queued`, `running`, `succeeded`, `failed` or `refused`.
    pub outcome: &'static str,
    /// Why it failed or was refused.
    pub reason: Option<&'static str>,
}

impl Standing {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Waiting => "waiting",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
            Self::DoesNotFit => "does not fit",
        }
    }
}

/// Looks at the rooms of `customers`, `at_once` at a time. Failures count for `days`.
pub fn status(
    hosts: &Hosts,
    customers: &[&Customer],
    days: u64,
    at_once: usize,
) -> Vec<CustomerStatus> {
    each(customers, at_once, |customer| CustomerStatus {
        customer: customer.name.clone(),
        room: hosts.with_room(customer, |room| room_status(room, days)),
    })
}

fn room_status(room: &RemoteRoom, days: u64) -> Result<RoomStatus> {
    let (state, me, now) = (room.state(), room.party()?, room.now());
    let active_at = active_at(room, me, now);
    let since = now.saturating_sub(days.saturating_mul(SECONDS_PER_DAY));
    let began = active_at.unwrap_or(state.document().created.min(now));
    let waiting = state.members().filter(|member| !member.has_accepted());
    let mine = state.notebooks().filter(|notebook| notebook.author() == me);
    Ok(RoomStatus {
        id: *state.id(),
        name: room.name().clone(),
        not_accepted: waiting.map(|member| member.alias().clone()).collect(),
        paused: state.pause().is_some(),
        notebooks: mine.filter_map(|notebook| notebook_status(state, notebook, now)).collect(),
        last_run: state.runs().next_back().map(last_run),
        failures: state.runs().filter(|run| run.requested_at() >= since && has_failed(run)).count(),
        active_at,
        idle_days: now.saturating_sub(began) / SECONDS_PER_DAY,
    })
}

fn notebook_status(state: &RoomState, notebook: &Notebook, now: u64) -> Option<NotebookStatus> {
    let statuses = state.statuses(notebook.name(), now).ok()?;
    let latest = notebook.latest()?;
    let runs = |(version, status): (&Version, &RevisionStatus)| {
        (*status == RevisionStatus::Approved).then(|| version.asset().manifest.version.clone())
    };
    let running = notebook.versions().iter().zip(&statuses).rev().find_map(runs);
    let (standing, missing) = match statuses.last()? {
        RevisionStatus::Approved => (Standing::Approved, BTreeSet::new()),
        RevisionStatus::Waiting { missing } => (Standing::Waiting, missing.clone()),
        RevisionStatus::Rejected { by } => (Standing::Rejected, by.clone()),
        RevisionStatus::Superseded { .. } => (Standing::Superseded, BTreeSet::new()),
        RevisionStatus::Unbound { .. } => (Standing::DoesNotFit, BTreeSet::new()),
    };
    Some(NotebookStatus {
        name: notebook.name().clone(),
        version: latest.asset().manifest.version.clone(),
        revision: latest.revision_digest().copied(),
        running: running.filter(|_| standing != Standing::Approved),
        standing,
        missing,
        paused: notebook.pause().is_some(),
    })
}

fn last_run(run: &Run) -> LastRun {
    let (outcome, reason) = match run.status() {
        RunStatus::Requested => ("queued", None),
        RunStatus::Started => ("running", None),
        RunStatus::Refused { reason } => ("refused", Some(reason.as_str())),
        RunStatus::Ended { receipt, .. } => match &receipt.outcome {
            Outcome::Succeeded { .. } => ("succeeded", None),
            Outcome::Failed { reason } => ("failed", Some(reason.as_str())),
        },
    };
    LastRun {
        run: *run.id(),
        notebook: run.notebook().clone(),
        runner: run.runner().clone(),
        at: run.requested_at(),
        outcome,
        reason,
    }
}

fn has_failed(run: &Run) -> bool {
    match run.status() {
        RunStatus::Refused { .. } => true,
        RunStatus::Ended { receipt, .. } => receipt.outputs().is_none(),
        RunStatus::Requested | RunStatus::Started => false,
    }
}

/// When somebody last did something that the fleet's owner did not do to keep the fleet. A party
/// that is ahead of its time has done it now.
fn active_at(room: &RemoteRoom, me: &Alias, now: u64) -> Option<u64> {
    let others = room.entries().iter().filter_map(|envelope| {
        let statement = envelope.unverified().ok()?;
        let counts = statement.party.as_str() != HOST_ALIAS && statement.party != *me;
        counts.then_some(statement.issued_at)
    });
    let runs = room.state().runs().map(Run::requested_at);
    others.chain(runs).max().map(|at| at.min(now))
}
