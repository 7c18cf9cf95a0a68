//! Verifies a bundle, offline.

use std::collections::BTreeMap;

use super::report::{Check, CheckResult, Report, RunReport, RunResult, Verdict};
use super::shares::report_shares;
use super::{Bundle, BundleError, Replayed, claimed_room, replay};
use crate::checkpoint::Checkpoint;
use crate::key::PublicKey;
use crate::log::Log;
use crate::name::{Alias, RoomId};
use crate::receipt::Outcome;
use crate::state::{RoomState, Run, RunStatus};

/// What the verifier knows from elsewhere. Without it the bundle's own word is taken, and the
/// report says so: anyone can make a room of their own and sign it flawlessly.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    /// The room.
    pub room: Option<RoomId>,
    /// The host's key.
    pub host_key: Option<PublicKey>,
    /// Parties' keys: the one in the room's first statement, or a later one of the party.
    pub parties: BTreeMap<Alias, PublicKey>,
    /// A checkpoint of this room that the verifier saw before: the log must start with what it
    /// covers. Two signed checkpoints of which neither continues the other prove that the host
    /// showed two histories.
    pub earlier_checkpoint: Option<String>,
}

/// Verifies a bundle against what the verifier knows.
///
/// # Errors
/// When the bytes are not a bundle at all. Anything that does not hold up is in the report.
pub fn verify(bytes: &[u8], expectations: &Expectations) -> Result<Report, BundleError> {
    let bundle = Bundle::from_bytes(bytes)?;
    let mut checks = Vec::new();
    let replayed = match replay(bundle.entries()) {
        Ok(replayed) => replayed,
        Err((position, refusal)) => {
            checks.push(fails("statements", format!("entry {position}: {refusal}")));
            return Ok(unverified(&bundle, checks));
        }
    };
    let Replayed { state, log, applied } = &replayed;
    checks.push(holds(
        "statements",
        format!("{}, each signed by its party, in sequence, within the rules", log.size()),
    ));
    checks.push(check_room(&bundle, expectations));
    checks.push(check_host_key(state, expectations));
    checks.extend(check_parties(state, expectations));
    checks.push(check_checkpoint(&bundle, state, log));
    checks.extend(check_earlier(state, log, expectations));
    let runs: Vec<RunReport> = state.runs().map(report_run).collect();
    checks.push(check_runs(&runs));
    let failed = checks.iter().any(|check| check.result == CheckResult::Fails);
    Ok(Report {
        verdict: if failed { Verdict::NotVerified } else { Verdict::Verified },
        checks,
        entries: log.size(),
        name: Some(state.document().name.clone()),
        room: Some(*state.id()),
        root: Some(log.root()),
        runs,
        shares: report_shares(state, applied),
        state: Some(replayed.state),
    })
}

fn unverified(bundle: &Bundle, checks: Vec<Check>) -> Report {
    Report {
        verdict: Verdict::NotVerified,
        checks,
        entries: u64::try_from(bundle.entries().len()).unwrap_or(u64::MAX),
        name: None,
        room: None,
        root: None,
        runs: Vec::new(),
        shares: Vec::new(),
        state: None,
    }
}

fn holds(what: &'static str, detail: impl Into<String>) -> Check {
    Check { what, result: CheckResult::Holds, detail: detail.into() }
}

fn fails(what: &'static str, detail: impl Into<String>) -> Check {
    Check { what, result: CheckResult::Fails, detail: detail.into() }
}

fn not_pinned(what: &'static str, detail: impl Into<String>) -> Check {
    Check { what, result: CheckResult::NotPinned, detail: detail.into() }
}

fn check_room(bundle: &Bundle, expectations: &Expectations) -> Check {
    let room = claimed_room(bundle.entries());
    let shown = room.map(|room| room.to_string()).unwrap_or_default();
    match expectations.room {
        None => not_pinned("room", shown),
        expected if expected == room => holds("room", shown),
        Some(expected) => fails("room", format!("it is {shown}, not {expected}")),
    }
}

fn check_host_key(state: &RoomState, expectations: &Expectations) -> Check {
    let key = state.document().host_key;
    match expectations.host_key {
        None => not_pinned("host key", key.to_string()),
        Some(expected) if expected == key => holds("host key", key.to_string()),
        Some(expected) => fails("host key", format!("it is {key}, not {expected}")),
    }
}

/// One check for each party that was pinned, and for each party of the room that was not.
fn check_parties(state: &RoomState, expectations: &Expectations) -> Vec<Check> {
    let mut checks: Vec<Check> = state
        .members()
        .map(|member| {
            let alias = member.alias();
            let key = member.public_key();
            match expectations.parties.get(alias) {
                None => not_pinned("party key", format!("{alias} {key}")),
                Some(expected) if expected == key || member.former_keys().contains(expected) => {
                    holds("party key", format!("{alias} {expected}"))
                }
                Some(expected) => fails("party key", format!("{alias} has {key}, not {expected}")),
            }
        })
        .collect();
    let strangers = expectations.parties.keys().filter(|alias| state.member(alias).is_err());
    checks.extend(
        strangers.map(|alias| fails("party key", format!("the room has no collaborator {alias}"))),
    );
    checks
}

fn check_checkpoint(bundle: &Bundle, state: &RoomState, log: &Log) -> Check {
    const WHAT: &str = "checkpoint";
    let host = &state.document().host_key;
    match Checkpoint::verify(bundle.checkpoint(), state.id(), host) {
        Err(error) => fails(WHAT, error.to_string()),
        Ok(checkpoint) if checkpoint.size() != log.size() => fails(
            WHAT,
            format!("it covers {} entries, the bundle has {}", checkpoint.size(), log.size()),
        ),
        Ok(checkpoint) if *checkpoint.root() != log.root() => {
            fails(WHAT, "its root is not the root of these entries")
        }
        Ok(_) => {
            holds(WHAT, format!("the host signed {} entries, root {}", log.size(), log.root()))
        }
    }
}

fn check_earlier(state: &RoomState, log: &Log, expectations: &Expectations) -> Option<Check> {
    const WHAT: &str = "earlier checkpoint";
    let note = expectations.earlier_checkpoint.as_deref()?;
    let host = &state.document().host_key;
    Some(match Checkpoint::verify(note, state.id(), host) {
        Err(error) => fails(WHAT, error.to_string()),
        Ok(earlier) => match log.root_at(earlier.size()) {
            Err(_) => fails(
                WHAT,
                format!(
                    "the log was rolled back: it had {} entries, now it has {}",
                    earlier.size(),
                    log.size()
                ),
            ),
            Ok(root) if root != *earlier.root() => fails(
                WHAT,
                format!("the log was forked: its first {} entries are others", earlier.size()),
            ),
            Ok(_) => holds(WHAT, format!("the log continues its {} entries", earlier.size())),
        },
    })
}

/// The fold refuses a run of anything that is not approved, so here the runs are only counted.
fn check_runs(runs: &[RunReport]) -> Check {
    let count =
        |wanted: fn(&RunResult) -> bool| runs.iter().filter(|run| wanted(&run.result)).count();
    let mut detail = format!(
        "{} of approved revisions: {} succeeded, {} failed, {} refused, {} waiting, {} without receipt",
        runs.len(),
        count(|result| matches!(result, RunResult::Succeeded(_))),
        count(|result| matches!(result, RunResult::Failed(_))),
        count(|result| matches!(result, RunResult::Refused(_))),
        count(|result| matches!(result, RunResult::Waiting)),
        count(|result| matches!(result, RunResult::NoReceipt)),
    );
    match count(|result| matches!(result, RunResult::Cancelled)) {
        0 => {}
        cancelled => detail.push_str(&format!(", {cancelled} cancelled")),
    }
    holds("runs", detail)
}

fn report_run(run: &Run) -> RunReport {
    let result = match run.status() {
        RunStatus::Requested if run.cancelled() => RunResult::Cancelled,
        RunStatus::Requested => RunResult::Waiting,
        RunStatus::Refused { reason } => RunResult::Refused(*reason),
        RunStatus::Started => RunResult::NoReceipt,
        RunStatus::Ended { receipt, .. } => match &receipt.outcome {
            Outcome::Succeeded { .. } => RunResult::Succeeded(receipt.evidence),
            Outcome::Failed { reason } => RunResult::Failed(*reason),
        },
    };
    RunReport {
        component: *run.component(),
        notebook: run.notebook().clone(),
        outputs: run.receipt().and_then(|receipt| receipt.outputs()).cloned().unwrap_or_default(),
        receipt: run.receipt_digest().copied(),
        result,
        revision: *run.revision(),
        rules: run.rules().clone(),
        run: *run.id(),
        runner: run.runner().clone(),
    }
}
