//! One room: its orders are carried out, its log is watched.

use std::time::Duration;

use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;

use crate::book::{Book, Occurrence, Outcome, RoomRecord, Stage, Store};
use crate::clock::Clock;
use crate::desk::{Desk, Problem, Standing};
use crate::error::{AgentError, Result};
use crate::event::{Event, EventKind};
use crate::orders::{Order, Orders, fill};

/// How long to wait for the log while something goes on, and while nothing does.
const BUSY: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(10);

/// Carries out the orders of one room.
pub(crate) struct RoomWorker<'a> {
    /// The room as the orders call it.
    pub(crate) name: &'a str,
    pub(crate) orders: &'a Orders,
    pub(crate) store: &'a Store,
    pub(crate) clock: &'a dyn Clock,
}

/// Why a step broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error(transparent)]
    Room(#[from] Problem),
    #[error(transparent)]
    Agent(#[from] AgentError),
}

/// One occurrence of an order of this room.
struct Case<'a> {
    order: &'a Order,
    id: u64,
    occurrence: Occurrence,
}

impl RoomWorker<'_> {
    /// What is remembered of the room.
    pub(crate) fn record(&self) -> Option<RoomRecord> {
        self.store.look(|book| book.rooms.get(self.name).cloned())
    }

    /// Looks at what came to the log, and does what is to be done now.
    pub(crate) fn step(&self, desk: &mut dyn Desk) -> Result<(), Stop> {
        self.watch(desk)?;
        for order in self.orders() {
            let open = self.store.look(|book| {
                book.open(&order.name).map(|(id, occurrence)| (id, occurrence.clone()))
            });
            if let Some((id, occurrence)) = open {
                self.advance(desk, &Case { order, id, occurrence })?;
            }
        }
        // What was just sent may have ended already.
        self.watch(desk)
    }

    /// How long to wait for the log before the next step.
    pub(crate) fn pause(&self) -> Duration {
        let is_busy = |order: &Order| self.store.look(|book| book.open(&order.name).is_some());
        let now = self.clock.now();
        let mut pause = IDLE;
        for order in self.orders() {
            let triggered = || {
                self.orders.triggers.values().any(|trigger| trigger.order == order.name)
                    || !order.after.is_empty()
            };
            if is_busy(order) || triggered() {
                return BUSY;
            }
            if let Some(next) = order.next(now, 1).first() {
                pause = pause.min(Duration::from_secs(next.saturating_sub(now)));
            }
        }
        pause.max(BUSY)
    }

    /// Tells that the host shows another log, once for each state of it that was believed.
    pub(crate) fn forked(&self, why: &str) -> Result<()> {
        let (name, now) = (self.name, self.clock.now());
        self.store.change(|book| {
            let seen = book.rooms.get_mut(name).map_or(0, |record| {
                record.forked = true;
                record.entries
            });
            let event = Event::new(EventKind::LogForked, name, format!("behind {seen}"), now)
                .with("entries_seen", seen)
                .with("why", why);
            ((), vec![event])
        })
    }

    /// Tells those who want to know that nothing happens in the room.
    pub(crate) fn silence(&self) -> Result<()> {
        let Some(record) = self.record() else { return Ok(()) };
        let now = self.clock.now();
        let silent = self.orders.alerts.values().filter(|alert| {
            let most = alert.silence_seconds.unwrap_or(u64::MAX);
            now.saturating_sub(record.active) >= most
        });
        let events: Vec<_> = silent
            .map(|alert| {
                let mark = format!("{} {}", record.entries, record.active);
                let event = Event::new(EventKind::RoomSilent, self.name, mark, now)
                    .with("room_id", record.id)
                    .with("last_activity", record.active)
                    .with("entries", record.entries);
                Event { only: Some(alert.name.clone()), ..event }
            })
            .collect();
        self.store.tell(&events)
    }

    /// Gives up what waits for a room that cannot be opened for too long.
    pub(crate) fn expire(&self) -> Result<()> {
        let now = self.clock.now();
        for order in self.orders() {
            let waiting = self.store.look(|book| {
                let (id, occurrence) = book.open(&order.name)?;
                let late = now.saturating_sub(occurrence.noted) >= order.give_up_seconds;
                let waits = matches!(occurrence.stage, Stage::Waiting { .. });
                (late && waits).then(|| (id, occurrence.clone()))
            });
            if let Some((id, occurrence)) = waiting {
                self.give_up(&Case { order, id, occurrence }, ReasonCode::Unavailable, None)?;
            }
        }
        Ok(())
    }

    fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.orders.values().filter(|order| order.room == self.name)
    }

    fn watch(&self, desk: &dyn Desk) -> Result<(), Stop> {
        let record = self.record();
        let news = desk.news(self.name, record.as_ref(), self.clock.now())?;
        if record.as_ref() != Some(&news.record) || !news.events.is_empty() {
            let room = self.name.to_owned();
            self.store.change(|book| {
                book.rooms.insert(room, news.record);
                ((), news.events)
            })?;
        }
        Ok(())
    }

    fn advance(&self, desk: &mut dyn Desk, case: &Case<'_>) -> Result<(), Stop> {
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

    fn give_up(&self, case: &Case<'_>, reason: ReasonCode, run: Option<RunId>) -> Result<()> {
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

#[cfg(test)]
mod tests;
