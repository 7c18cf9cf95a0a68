//! Which orders fall due. Looks at the clock and at the book, at nothing else.

use std::collections::BTreeMap;

use glovebox_contract::name::{AssetName, Identifier};

use crate::book::{Book, Cause, Occurrence, Outcome, Stage, Store};
use crate::error::Result as AgentResult;
use crate::event::{Event, EventKind};
use crate::orders::{CatchUp, Order, Orders, Overlap};

/// Most occurrences of one order that wait for their turn.
const MAX_QUEUE: usize = 100;

/// Writes down what fell due until `now`. Gives what is to be told, which must be in the outbox
/// before the book is on the disk.
pub(crate) fn plan(orders: &Orders, book: &mut Book, now: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for order in orders.orders.values() {
        by_the_clock(order, book, now, &mut events);
        after_others(order, book, now, &mut events);
    }
    events
}

fn by_the_clock(order: &Order, book: &mut Book, now: u64, events: &mut Vec<Event>) {
    let Some(timing) = &order.timing else { return };
    // An order that is new has missed nothing.
    let record = book.orders.entry(order.name.clone()).or_default();
    if record.until == 0 {
        record.until = now;
        return;
    }
    let due = timing.due(record.until, now);
    let Some(until) = due.now.last().copied().or(due.missed) else { return };
    record.until = record.until.max(until);
    let missed = due.missed.filter(|_| order.catch_up == CatchUp::Last && due.now.is_empty());
    for (at, cause) in
        missed.map(|at| (at, Cause::CatchUp)).into_iter().chain(due.now.into_iter().map(clock))
    {
        events.extend(
            note(order, book, Fallen { due: at, cause, given: BTreeMap::new() }, now)
                .err()
                .map(|event| *event),
        );
    }
}

fn clock(at: u64) -> (u64, Cause) {
    (at, Cause::Clock)
}

/// An order that comes after others falls due when each of them has succeeded anew.
fn after_others(order: &Order, book: &mut Book, now: u64, events: &mut Vec<Event>) {
    if order.after.is_empty() {
        return;
    }
    let known = book.orders.contains_key(&order.name);
    let mut latest = BTreeMap::new();
    let mut due = 0;
    for before in &order.after {
        let succeeded = book
            .of(before)
            .rfind(|(_, occurrence)| occurrence.outcome() == Some(Outcome::Succeeded));
        if let Some((id, occurrence)) = succeeded {
            latest.insert(before.clone(), id);
            due = due.max(occurrence.due);
        }
    }
    let record = book.orders.entry(order.name.clone()).or_default();
    // An order that is new does not answer what happened before it.
    if !known {
        record.answered = latest;
        return;
    }
    let is_new = |before: &AssetName| {
        latest.get(before).is_some_and(|id| record.answered.get(before) != Some(id))
    };
    if !order.after.iter().all(is_new) {
        return;
    }
    record.answered = latest;
    let fallen = Fallen { due, cause: Cause::After, given: BTreeMap::new() };
    events.extend(note(order, book, fallen, now).err().map(|event| *event));
}

/// Leaves out what waits for orders that are not there any more. What was asked for goes on.
pub(crate) fn forget(orders: &Orders, store: &Store, now: u64) -> AgentResult<()> {
    store.change(|book| {
        let gone = book.occurrences.values_mut().filter(|occurrence| {
            let waits = matches!(occurrence.stage, Stage::Waiting { .. });
            waits && !orders.orders.contains_key(&occurrence.order)
        });
        gone.for_each(|occurrence| {
            occurrence.stage = Stage::Done { at: now, outcome: Outcome::Skipped, run: None };
        });
        ((), Vec::new())
    })
}

/// An order that falls due.
pub(crate) struct Fallen {
    pub(crate) due: u64,
    pub(crate) cause: Cause,
    pub(crate) given: BTreeMap<Identifier, String>,
}

/// Writes an occurrence down.
///
/// # Errors
/// The event that it was left out, for the one before it goes on.
pub(crate) fn note(
    order: &Order,
    book: &mut Book,
    fallen: Fallen,
    now: u64,
) -> Result<u64, Box<Event>> {
    let Fallen { due, cause, given } = fallen;
    let open = book.of(&order.name).filter(|(_, occurrence)| !occurrence.is_done()).count();
    let has_place = match order.overlap {
        Overlap::Skip => open == 0,
        Overlap::Queue => open < MAX_QUEUE,
    };
    let stage = if has_place {
        Stage::Waiting { not_before: now }
    } else {
        Stage::Done { at: now, outcome: Outcome::Skipped, run: None }
    };
    let order_name = order.name.clone();
    let occurrence = Occurrence {
        cause,
        due,
        failures: 0,
        given,
        last_failure: None,
        noted: now,
        order: order_name,
        stage,
    };
    let id = book.note(occurrence);
    if has_place {
        return Ok(id);
    }
    let mark = format!("{} {id} {due}", order.name);
    let skipped = Event::new(EventKind::OrderSkipped, &order.room, mark, now)
        .with("order", &order.name)
        .with("notebook", &order.notebook)
        .with("due", due);
    Err(Box::new(skipped))
}

#[cfg(test)]
mod tests;
