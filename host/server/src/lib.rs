//! The host over HTTP: rooms for parties, outputs for Delta Sharing clients.
//!
//! The host holds no power over a room: every change arrives as a statement that a party signed on
//! its side, and this crate hands it to `glovebox-room`, which checks and logs it. There are no
//! accounts and no passwords: a request is signed with the key of a party, and the key says what
//! its holder may see. There is no call for an administrator.
//!
//! | module | is |
//! |---|---|
//! | [`serve()`] | listeners, TLS, start and end of the service |
//! | `routes` | which path is answered by whom; what holds for all of them |
//! | `auth` | who asks, and in which room |
//! | `catalog`, `slot` | the rooms of the home: what is known of each without the disk |
//! | `rooms`, `log`, `statements`, `assets`, `runs`, `outputs`, `uploads`, `host` | the calls |
//! | `error`, `metrics`, `watch` | what an operator and a caller learn |
//! | `sharing` | Delta Sharing |
//!
//! It prints nothing and reads neither arguments nor environment; what happens goes to `tracing`.
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

mod app;
mod assets;
mod auth;
mod body;
mod catalog;
mod chores;
mod config;
mod connection;
mod error;
mod host;
mod log;
mod metrics;
mod nonces;
mod openapi;
mod outputs;
mod page;
mod quota;
mod remote;
mod rooms;
mod routes;
mod runs;
mod serve;
mod sharing;
mod slot;
mod statements;
mod tls;
mod uploads;
mod watch;

pub use config::{Bound, Config, Limits, PartyLimits, Tls};
pub use serve::{ServerError, serve};
