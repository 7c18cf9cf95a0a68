//! What is told: facts that every party of a room can read in its log, never a value or a parameter.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::AssetName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum EventKind {
            $(#[doc = $word] $(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [EventKind] = &[$(Self::$name),*];

            /// The word in orders and webhooks.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

kinds! {
    /// — a run of the room started and failed, whoever asked for it.
    RunFailed = "run.failed",
    /// — the host refused a statement, or to start a run.
    StatementRefused = "statement.refused",
    /// — a revision is approved by a rule of this party that is not among those expected.
    ApprovalAutomatic = "approval.automatic",
    /// — nothing came to the log for long.
    RoomSilent = "room.silent",
    /// — the host shows another log than it showed before, or has another key.
    LogForked = "log.forked",
    /// — an order of this agent was given up.
    OrderFailed = "order.failed",
    /// — an order of this agent fell due while its last run went on, and was left out.
    OrderSkipped = "order.skipped",
    /// — somebody tries out whether webhooks arrive.
    Test = "test",
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that happened once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    /// The room as the orders call it; empty for none.
    pub(crate) room: String,
    /// What tells it from every other event of its kind in its room.
    pub(crate) mark: String,
    /// When it happened, in Unix seconds.
    pub(crate) at: u64,
    /// The rule behind an approval.
    pub(crate) rule: Option<AssetName>,
    /// The one alert that it is for, when it is for one only.
    pub(crate) only: Option<AssetName>,
    /// Its details.
    pub(crate) data: Map<String, Value>,
}

impl Event {
    pub(crate) fn new(kind: EventKind, room: &str, mark: impl Into<String>, at: u64) -> Self {
        let (room, mark, data) = (room.to_owned(), mark.into(), Map::new());
        Self { kind, room, mark, at, rule: None, only: None, data }
    }

    /// The same, with a detail.
    pub(crate) fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.data.insert(name.to_owned(), value);
        }
        self
    }

    /// Its id at one endpoint: the same whenever the event is found again.
    pub(crate) fn id_for(&self, alert: &AssetName) -> String {
        let Self { kind, room, mark, .. } = self;
        let named = json!([kind.as_str(), room, mark, alert]).to_string();
        let digest = Blake3Digest::of(named.as_bytes()).to_hex();
        format!("msg_{}", digest.get(..32).unwrap_or(&digest))
    }

    /// The body of a webhook, in the layout of Standard Webhooks.
    pub(crate) fn body(&self) -> Value {
        let at = i64::try_from(self.at).ok().and_then(|at| DateTime::from_timestamp(at, 0));
        let mut data = self.data.clone();
        if !self.room.is_empty() {
            data.insert("room".into(), Value::String(self.room.clone()));
        }
        json!({
            "type": self.kind.as_str(),
            "timestamp": at.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true),
            "data": data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_one_id_at_each_endpoint() {
        let event = |room: &str, mark: &str| Event::new(EventKind::RunFailed, room, mark, 0);
        let (one, two): (AssetName, AssetName) = ("one".parse().unwrap(), "two".parse().unwrap());
        let id = event("delays", "7").id_for(&one);
        assert_eq!(id.len(), 36);
        assert_eq!(id, event("delays", "7").with("run", 3).id_for(&one));
        assert_ne!(id, event("delays", "7").id_for(&two));
        assert_ne!(id, event("delays", "8").id_for(&one));
        assert_ne!(id, event("delay", "s7").id_for(&one));
    }

    #[test]
    fn a_body_says_what_and_when() {
        let event = Event::new(EventKind::RoomSilent, "delays", "", 1_357_862_400);
        let expect = json!({
            "type": "room.silent",
            "timestamp": "2013-01-11T00:00:00Z",
            "data": { "room": "delays", "since": "2013-01-08" },
        });
        assert_eq!(event.with("since", "2013-01-08").body(), expect);
    }
}
