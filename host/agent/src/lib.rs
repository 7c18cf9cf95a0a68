//! A party's agent: it holds the party's key and does what the party's standing orders say.
//!
//! # What it does
//!
//! - *Orders* run a notebook in a room: at times (`cron`), after other orders (`after`), or when
//!   somebody asks (a *trigger*, `POST /triggers/NAME`).
//! - *Alerts* tell of what happens in rooms: a webhook for each event, signed.
//!
//! The orders stand in a TOML file, see [`Orders`]. What the agent has done and has to do is in its
//! directory, written down before it is done:
//!
//! ```text
//! book.json     each time an order fell due, with the signed request that was or will be sent
//! outbox/       webhooks that wait to be delivered
//! sent/         names of those that were delivered
//! undelivered/  those that nobody took in time
//! lock          held while the agent runs
//! ```
//!
//! # Nothing lost, nothing doubled
//!
//! A time that an order falls due is one entry of the book, and one run. The request is signed and in
//! the book before it is sent; an agent that was killed sends the very same request again, which is
//! the same run for the host. Another request for the same time is signed only when the log shows
//! that the first one did not come and never can (its number is used), or that its run failed for a
//! reason that may pass. An event has an id that is computed from the log, so it is told once however
//! often its entry is read.
//!
//! What the host says is believed as far as its log holds up, as everywhere on a party's side: a fork
//! stops the orders in that room and is told.
//!
//! It prints nothing and reads neither arguments nor environment.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable
    )
)]

mod alerts;
mod book;
mod clock;
mod desk;
mod error;
mod event;
mod files;
mod orders;
mod outbox;
mod planner;
mod room;
mod secret;
mod serve;
mod stopper;
mod triggers;
mod watch;

pub use alerts::try_alerts;
pub use book::{Book, Cause, Occurrence, OrderRecord, Outcome, RoomRecord, Stage};
pub use clock::{Clock, SystemClock};
pub use error::{AgentError, Result};
pub use event::EventKind;
pub use orders::{Alert, CatchUp, Order, Orders, Overlap, TEMPLATE, Trigger};
pub use secret::{new_token, new_webhook_secret};
pub use serve::{Bound, Config, read_book, serve};
