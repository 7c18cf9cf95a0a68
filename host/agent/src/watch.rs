//! What happened in a room, read from its log.

use std::collections::BTreeSet;

use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::{Alias, AssetName};
use glovebox_contract::receipt::Outcome;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{Body, Refused, Statement};

use crate::book::RoomRecord;
use crate::event::{Event, EventKind};

/// What happened since the log was looked at last, and what is to be remembered of that.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct News {
    pub(crate) events: Vec<Event>,
    pub(crate) record: RoomRecord,
}

/// Reads what came to the log. In a room that was never looked at, nothing is news.
pub(crate) fn news(
    room: &str,
    party: &Alias,
    state: &RoomState,
    entries: &[Envelope],
    record: Option<&RoomRecord>,
    now: u64,
) -> News {
    let size = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    let approvals = approvals(party, state, now);
    let Some(record) = record else {
        let last = entries.last().and_then(|envelope| envelope.unverified().ok());
        let active = last.map_or(now, |statement: Statement| statement.issued_at.min(now));
        let approvals = approvals.iter().map(Approval::mark).collect();
        let record =
            RoomRecord { id: *state.id(), entries: size, active, forked: false, approvals };
        return News { events: Vec::new(), record };
    };
    let from = usize::try_from(record.entries).unwrap_or(usize::MAX);
    let fresh = entries.get(from..).unwrap_or_default();
    let mut events = Vec::new();
    for (envelope, position) in fresh.iter().zip(record.entries..) {
        if let Ok(statement) = envelope.unverified() {
            events.extend(event(room, state, position, &statement));
        }
    }
    let mut known = BTreeSet::new();
    for approval in &approvals {
        let mark = approval.mark();
        if !record.approvals.contains(&mark) {
            // The same rule may come back: then it is told again.
            events.push(approval.event(room, &format!("{mark} {}", record.entries), now));
        }
        known.insert(mark);
    }
    let active = if fresh.is_empty() { record.active } else { now };
    let record = RoomRecord {
        id: record.id,
        entries: size.max(record.entries),
        active,
        forked: false,
        approvals: known,
    };
    News { events, record }
}

/// What one statement means to those who are told.
fn event(room: &str, state: &RoomState, position: u64, statement: &Statement) -> Option<Event> {
    let new = |kind| {
        Event::new(kind, room, position.to_string(), statement.issued_at)
            .with("room_id", state.id())
            .with("position", position)
    };
    match &statement.body {
        Body::RunReceipt(receipt) => {
            let Outcome::Failed { reason } = &receipt.outcome else { return None };
            let runner = state.run(&receipt.run).ok().map(|run| run.runner());
            Some(
                new(EventKind::RunFailed)
                    .with("run", receipt.run)
                    .with("notebook", &receipt.notebook)
                    .with("revision", receipt.revision)
                    .with("runner", runner)
                    .with("reason", reason),
            )
        }
        Body::Refused(Refused { party, reason, run, what, .. }) => Some(
            new(EventKind::StatementRefused)
                .with("party", party)
                .with("what", what)
                .with("run", run)
                .with("reason", reason),
        ),
        _ => None,
    }
}

/// A revision that a rule of this party approves.
struct Approval {
    notebook: AssetName,
    revision: String,
    rule: AssetName,
}

impl Approval {
    fn mark(&self) -> String {
        format!("{} {}", self.revision, self.rule)
    }

    fn event(&self, room: &str, mark: &str, now: u64) -> Event {
        let event = Event::new(EventKind::ApprovalAutomatic, room, mark, now)
            .with("notebook", &self.notebook)
            .with("revision", &self.revision)
            .with("rule", &self.rule);
        Event { rule: Some(self.rule.clone()), ..event }
    }
}

/// All revisions that stand approved by rules of this party now.
fn approvals(party: &Alias, state: &RoomState, now: u64) -> Vec<Approval> {
    let mut found = Vec::new();
    for notebook in state.notebooks().filter(|notebook| notebook.author() != party) {
        for version in notebook.versions() {
            let Some(revision) = version.revision_digest() else { continue };
            let reviews = state.reviews(notebook.name(), revision, now).unwrap_or_default();
            let rules = reviews.into_iter().filter(|review| review.party == *party);
            found.extend(rules.filter_map(|review| review.auto_approved).map(|rule| Approval {
                notebook: notebook.name().clone(),
                revision: revision.to_string(),
                rule,
            }));
        }
    }
    found
}
