//! Delivering: one thread for each endpoint.

use std::time::Duration;

use glovebox_contract::name::AssetName;
use reqwest::StatusCode;
use reqwest::blocking::Client;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;

use super::{Message, Outbox};
use crate::clock::Clock;
use crate::error::{AgentError, Result};
use crate::orders::Alert;

/// How long an endpoint may take for everything.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Seconds before a message is tried again: twice as long each time.
const FIRST_PAUSE: u64 = 5;
const LONGEST_PAUSE: u64 = 3600;

/// Seconds after which a message that nobody takes is put aside.
const GIVE_UP: u64 = 3 * 86_400;

/// Answers that say that the endpoint is gone.
const GONE: StatusCode = StatusCode::GONE;

/// An endpoint, and what it takes.
#[derive(Debug)]
pub(crate) struct Endpoint {
    alert: Alert,
    http: Client,
}

/// What became of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Taken,
    /// Not now; the endpoint may have said how many seconds to wait.
    Later(Option<u64>),
    /// Never.
    Refused,
}

impl Endpoint {
    /// Follows no redirect: the event is for the address that the party wrote down.
    pub(crate) fn new(alert: Alert) -> Result<Self> {
        let http = Client::builder()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .no_proxy()
            .user_agent(concat!("glovebox-agent/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| AgentError::State(format!("cannot make webhooks: {error}")))?;
        Ok(Self { alert, http })
    }

    pub(crate) fn name(&self) -> &AssetName {
        &self.alert.name
    }

    /// Sends what is due.
    pub(crate) fn deliver(&self, outbox: &Outbox, clock: &dyn Clock) -> Result<()> {
        for mut message in outbox.waiting(self.name())? {
            let now = clock.now();
            if message.not_before > now {
                continue;
            }
            let first = *message.first.get_or_insert(now);
            let delivery = self.send(&message, now);
            let now = clock.now();
            match delivery {
                Delivery::Taken => outbox.delivered(self.name(), &message.id)?,
                Delivery::Refused => {
                    tracing::error!(alert = %self.name(), id = message.id, "the endpoint is gone");
                    outbox.given_up(self.name(), &message.id)?;
                }
                Delivery::Later(_) if now.saturating_sub(first) >= GIVE_UP => {
                    tracing::error!(alert = %self.name(), id = message.id, "nobody takes it");
                    outbox.given_up(self.name(), &message.id)?;
                }
                Delivery::Later(asked) => {
                    let pause = pause_after(message.tries).max(asked.unwrap_or(0));
                    message.tries = message.tries.saturating_add(1);
                    message.not_before = now.saturating_add(pause.min(LONGEST_PAUSE));
                    outbox.write(self.name(), &message)?;
                }
            }
        }
        Ok(())
    }

    /// Tries once.
    pub(crate) fn send(&self, message: &Message, now: u64) -> Delivery {
        let body = message.body.to_string().into_bytes();
        let signature = self.alert.secret.sign(&message.id, now, &body);
        let sent = self
            .http
            .post(self.alert.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", signature)
            .body(body)
            .send();
        let alert = self.name().as_str();
        match sent {
            Ok(answer) if answer.status().is_success() => Delivery::Taken,
            Ok(answer) if answer.status() == GONE => Delivery::Refused,
            Ok(answer) => {
                let status = answer.status().as_u16();
                tracing::warn!(alert, status, id = message.id, "the webhook was not taken");
                let seconds =
                    answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                Delivery::Later(seconds.and_then(|seconds| seconds.parse().ok()))
            }
            Err(error) => {
                // The address may hold a secret in its path.
                let why = error.without_url();
                tracing::warn!(alert, id = message.id, "the webhook was not taken: {why}");
                Delivery::Later(None)
            }
        }
    }
}

fn pause_after(tries: u32) -> u64 {
    let doubled = 1_u64.checked_shl(tries).unwrap_or(u64::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

/// Delivers until `stop`, which waits for so long, says so.
pub(crate) fn run(
    endpoint: &Endpoint,
    outbox: &Outbox,
    clock: &dyn Clock,
    mut stop: impl FnMut(Duration) -> bool,
) {
    const LOOK: Duration = Duration::from_millis(500);
    const AFTER_ERROR: Duration = Duration::from_secs(5);
    loop {
        let pause = match endpoint.deliver(outbox, clock) {
            Ok(()) => LOOK,
            Err(error) => {
                tracing::error!(alert = %endpoint.name(), "webhooks wait: {error}");
                AFTER_ERROR
            }
        };
        if stop(pause) {
            return;
        }
    }
}
