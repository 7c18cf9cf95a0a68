//! One room: its orders are carried out, its log is watched.

mod requests;

use std::time::Duration;

use glovebox_contract::reason::ReasonCode;
use requests::Case;

use crate::book::{RoomRecord, Stage, Store};
use crate::clock::Clock;
use crate::desk::{Desk, Problem};
use crate::error::{AgentError, Result};
use crate::event::{Event, EventKind};
use crate::orders::{Order, Orders};

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
}

#[cfg(test)]
mod tests;
