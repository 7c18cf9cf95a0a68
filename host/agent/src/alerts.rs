//! From an event to the webhooks that tell of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use glovebox_contract::name::AssetName;

use crate::clock::Clock;
use crate::error::Result;
use crate::event::{Event, EventKind};
use crate::orders::{Alert, Orders};
use crate::outbox::{Delivery, Endpoint, Message, Outbox};

/// Puts events into the outbox of every endpoint that is to be told.
#[derive(Debug, Clone)]
pub(crate) struct Alerts {
    orders: Arc<Orders>,
    outbox: Arc<Outbox>,
}

impl Alerts {
    pub(crate) fn new(orders: Arc<Orders>, outbox: Arc<Outbox>) -> Self {
        Self { orders, outbox }
    }

    /// Has these events told. They are on the disk when this returns, so what made them may be
    /// written down as done; and they have the same ids when they come again.
    pub(crate) fn tell(&self, events: &[Event]) -> Result<()> {
        for event in events {
            for alert in self.orders.alerts.values().filter(|alert| concerns(alert, event)) {
                let id = event.id_for(&alert.name);
                if self.outbox.put(&alert.name, &id, &event.body())? {
                    tracing::info!(alert = %alert.name, event = %event.kind, room = event.room, id);
                }
            }
        }
        Ok(())
    }
}

fn concerns(alert: &Alert, event: &Event) -> bool {
    let expected = event.rule.as_ref().is_some_and(|rule| alert.expected_rules.contains(rule));
    let meant = event.only.as_ref().is_none_or(|only| *only == alert.name);
    let wanted = alert.wants(event.kind, &event.room) || event.kind == EventKind::Test;
    wanted && meant && !expected
}

/// Sends a test event to every endpoint, and says which took it.
///
/// # Errors
/// When no webhooks can be made.
pub fn try_alerts(orders: &Orders, clock: &dyn Clock) -> Result<BTreeMap<AssetName, bool>> {
    let now = clock.now();
    let event = Event::new(EventKind::Test, "", now.to_string(), now);
    let tries = orders.alerts.values().cloned().map(|alert| {
        let endpoint = Endpoint::new(alert)?;
        let message = Message::new(event.id_for(endpoint.name()), event.body());
        let taken = endpoint.send(&message, now) == Delivery::Taken;
        Ok((endpoint.name().clone(), taken))
    });
    tries.collect()
}
