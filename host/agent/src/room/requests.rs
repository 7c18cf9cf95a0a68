//! One run: asked for, followed, asked for again.

use std::time::Duration;

use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;

use super::{RoomWorker, Stop};
use crate::book::{Book, Occurrence, Outcome, Stage};
use crate::desk::{Desk, Problem, Standing};
use crate::error::Result;
use crate::event::{Event, EventKind};
use crate::orders::{Order, fill};

/// One occurrence of an order of this room.
pub(super) struct Case<'a> {
    pub(super) order: &'a Order,
    pub(super) id: u64,
    pub(super) occurrence: Occurrence,
}

impl RoomWorker<'_> {
    pub(super) fn advance(&self, desk: &mut dyn Desk, case: &Case<'_>) -> Result<(), Stop> {
        match &case.occurrence.stage {
            Stage::Waiting { not_before } if *not_before > self.clock.now() => Ok(()),
            Stage::Waiting { .. } => self.ask(desk, case),
            Stage::Asked { envelope, run } => self.follow(desk, case, envelope, run),
            Stage::Done { .. } => Ok(()),
        }
    }

    /// Signs a request, writes it down, sends it.
    fn ask(&self, desk: &mut dyn Desk, case: &Case<'_>) -> Result<(), Stop> {
        let Occurrence { due, given, .. } = &case.occurrence;
        let parameters = fill(&case.order.parameters, given, *due, case.order.zone());
        let (envelope, run) = match desk.draw_up(case.order, &parameters) {
            Ok(drawn_up) => drawn_up,
            Err(Problem::Refused { reason, what }) => {
                tracing::warn!(order = %case.order.name, "{what}");
                return Ok(self.failed(case, reason, None)?);
            }
            Err(other) => return Err(other.into()),
        };
        let stage = Stage::Asked { envelope: envelope.clone(), run };
        self.set(case, stage)?;
        tracing::info!(order = %case.order.name, run = %run, due, "asks for a run");
        self.send(desk, case, &envelope, &run)
    }

    /// Sees what became of a request.
    fn follow(
        &self,
        desk: &mut dyn Desk,
        case: &Case<'_>,
        envelope: &Envelope,
        run: &RunId,
    ) -> Result<(), Stop> {
        if !desk.is_for(envelope) {
            // The order went to another room meanwhile. What was asked for there goes on there.
            return Ok(self.give_up(case, ReasonCode::WrongRoom, Some(*run))?);
        }
        match desk.standing(run) {
            Standing::Going => Ok(()),
            Standing::Succeeded => {
                tracing::info!(order = %case.order.name, run = %run, "the run succeeded");
                Ok(self.set(case, self.done(Outcome::Succeeded, Some(*run)))?)
            }
            Standing::Failed(reason) => Ok(self.failed(case, reason, Some(*run))?),
            Standing::Unknown if desk.may_come(envelope) => self.send(desk, case, envelope, run),
            Standing::Unknown => self.overtaken(case),
        }
    }

    fn send(
        &self,
        desk: &mut dyn Desk,
        case: &Case<'_>,
        envelope: &Envelope,
        run: &RunId,
    ) -> Result<(), Stop> {
        let (reason, what) = match desk.send(envelope) {
            Ok(()) => return Ok(()),
            Err(Problem::Away(why)) => {
                let waited = self.clock.now().saturating_sub(case.occurrence.noted);
                if waited < case.order.give_up_seconds {
                    return Err(Problem::Away(why).into());
                }
                return Ok(self.give_up(case, ReasonCode::Unavailable, None)?);
            }
            Err(Problem::Refused { reason, what }) => (reason, what),
            Err(other) => return Err(other.into()),
        };
        // The log has the last word: an earlier try may have come to it, or another statement.
        desk.wait(Duration::ZERO)?;
        let out_of_step = [ReasonCode::Replayed, ReasonCode::OutOfSequence];
        match desk.standing(run) {
            Standing::Unknown if !desk.may_come(envelope) => self.overtaken(case),
            Standing::Unknown if out_of_step.contains(&reason) => Err(Problem::Away(what).into()),
            Standing::Unknown => {
                tracing::warn!(order = %case.order.name, "{what}");
                Ok(self.failed(case, reason, None)?)
            }
            _ => Ok(()),
        }
    }

    /// Another statement of the party has the number of the request, which can never come any more:
    /// so another one is no second one.
    fn overtaken(&self, case: &Case<'_>) -> Result<(), Stop> {
        Ok(self.set(case, Stage::Waiting { not_before: self.clock.now() })?)
    }

    /// Asks again later, if that may help.
    fn failed(&self, case: &Case<'_>, reason: ReasonCode, run: Option<RunId>) -> Result<()> {
        let failures = case.occurrence.failures.saturating_add(1);
        if !may_pass(reason) || failures > case.order.retries {
            return self.give_up(case, reason, run);
        }
        let not_before = self.clock.now().saturating_add(case.order.pause_after(failures));
        tracing::warn!(order = %case.order.name, %reason, failures, "asks again later");
        self.store.change(|book| {
            if let Some(occurrence) = book.occurrences.get_mut(&case.id) {
                occurrence.failures = failures;
                occurrence.last_failure = Some(reason);
                occurrence.stage = Stage::Waiting { not_before };
            }
            ((), Vec::new())
        })
    }

    pub(super) fn give_up(
        &self,
        case: &Case<'_>,
        reason: ReasonCode,
        run: Option<RunId>,
    ) -> Result<()> {
        let Case { order, id, occurrence } = case;
        let (now, failures) = (self.clock.now(), occurrence.failures.saturating_add(1));
        tracing::error!(order = %order.name, %reason, "is given up");
        let mark = format!("{} {id} {}", order.name, occurrence.due);
        let event = Event::new(EventKind::OrderFailed, self.name, mark, now)
            .with("order", &order.name)
            .with("notebook", &order.notebook)
            .with("due", occurrence.due)
            .with("attempts", failures)
            .with("run", run)
            .with("reason", reason);
        let stage = self.done(Outcome::Failed { reason }, run);
        self.store.change(|book| {
            if let Some(occurrence) = book.occurrences.get_mut(id) {
                occurrence.failures = failures;
                occurrence.last_failure = Some(reason);
                occurrence.stage = stage;
            }
            ((), vec![event])
        })
    }

    fn done(&self, outcome: Outcome, run: Option<RunId>) -> Stage {
        Stage::Done { at: self.clock.now(), outcome, run }
    }

    fn set(&self, case: &Case<'_>, stage: Stage) -> Result<()> {
        let set = |book: &mut Book| {
            if let Some(occurrence) = book.occurrences.get_mut(&case.id) {
                occurrence.stage = stage;
            }
            ((), Vec::new())
        };
        self.store.change(set)
    }
}

/// Whether a run that failed for this reason may succeed when it is asked for again. Nothing of a
/// failed run was published, so asking again doubles nothing; but where the reason lies in the
/// notebook or in the data, it only costs.
fn may_pass(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::HomeBusy
            | ReasonCode::HostRestarted
            | ReasonCode::InputChanged
            | ReasonCode::RateLimited
            | ReasonCode::SourceUnavailable
            | ReasonCode::StorageFull
            | ReasonCode::Unavailable
            | ReasonCode::WorkerDied
    )
}
