//! One notebook for many rooms: publishing, and how far each room is.
//!
//! A *fleet* is what a vendor, a measurement provider or a central office has: the same notebook in
//! a room with each customer. The rooms stay what they are, each with a log, parties and approvals
//! of its own; nothing here gives anybody a right. What is new is on the side of the one party that
//! is in all of them:
//!
//! - [`Registry`]: a file in TOML that says which customer has which room on which host, who runs
//!   there and which tables stand for the notebook's inputs.
//! - [`create()`]: makes the rooms that are missing, from one template.
//! - [`publish()`]: brings a version of a notebook to every room. What a room has already it is not
//!   sent again, because the room's log says so; so a roll-out that was interrupted goes on with the
//!   same command, and none is doubled.
//! - [`status()`]: what each room's log says about versions, approvals, runs and silence.
//!
//! A room that cannot be reached, or refuses, holds up no other one. Rooms are worked on side by
//! side, on a few threads; everything blocks.
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
#![forbid(unsafe_code)]

mod create;
mod error;
mod files;
mod hosts;
mod journal;
mod parallel;
mod publish;
mod registry;
mod status;

pub use create::{Created, Founding, Sign, create};
pub use error::{FleetError, Result};
pub use hosts::Hosts;
pub use journal::{Cutover, Journal, Offered, RollOut};
pub use publish::{Offer, Outcome, Published, publish};
pub use registry::{Customer, NewCustomer, Registry, TEMPLATE};
pub use status::{CustomerStatus, LastRun, NotebookStatus, RoomStatus, Standing, status};

/// How many rooms are worked on at a time, when nobody says otherwise.
pub const AT_ONCE: usize = 8;

/// This machine's time, in seconds since 1970-01-01T00:00:00Z.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
