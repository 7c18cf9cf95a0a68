//! The side of a party: a host over the network, trusted no further than its proofs.
//!
//! # The calls
//!
//! [`Client::connect`] finds a host and holds it to the key that it had the first time.
//! [`Client::party`] speaks for the party with one private key, which never leaves this process.
//! [`Session::room`] opens a room: a [`RemoteRoom`], which has the calls of a room at home.
//!
//! What a host says is checked before it counts:
//!
//! - The log is folded here, statement by statement, with every signature.
//! - Its checkpoint must be signed by the key that the room's document names, and have the root of
//!   these very entries.
//! - It must go on where the log that was mirrored here before ended. Otherwise the host shows
//!   different parties different logs or has set its own back: [`ClientError::Fork`], and both
//!   checkpoints are kept as evidence.
//! - An output must be what the receipt in that log says, a component what a statement says.
//!
//! Requests that may be sent twice are sent again while the host is away, for
//! [`Options::patience`]. A statement is sent again only after the log was asked for it.
//!
//! Everything blocks, and must not be called from async code; a server calls it on a thread that
//! may block. It prints nothing and reads neither arguments nor environment.
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

mod client;
mod error;
mod files;
mod http;
mod mirror;
mod patience;
mod pin;
mod room;
mod session;
mod upload;
mod verified;

pub use client::{Client, Options};
pub use error::{ClientError, Result};
pub use room::RemoteRoom;
pub use session::Session;

/// This machine's time, in seconds since 1970-01-01T00:00:00Z.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
