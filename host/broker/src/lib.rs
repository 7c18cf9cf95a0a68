//! Rows from where they live, for runs that have no network.
//!
//! A table may be in an object store, a Delta table there or on this machine, behind Delta Sharing
//! or in PostgreSQL. [`SourceBroker`] opens it with the owner's credential, tells the control plane
//! which version it is, and serves its rows to the worker of one run over sockets. It stands outside
//! the jail: the worker names tables and files by number, and learns no place, no name and no
//! credential.
//!
//! ```text
//!   worker ──socket──► server ──► FileReader ──► objects | sharing
//!   (jail)              │    └──► RowSource  ──► postgres
//!                       └ checks every number of a request first
//! ```
//!
//! What a source answers is as little trusted as what a worker asks: lists, logs and answers are
//! bounded, a piece has the length that was asked for and the version that was pinned, or it is a
//! failure with a reason.
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

mod broker;
mod error;
mod http;
mod net;
mod objects;
mod pinned;
mod postgres;
mod request;
mod runtime;
mod server;
mod sharing;
mod source;
mod table;

pub use broker::SourceBroker;
pub use net::{AllowedSource, ParseAllowedError, SourcePolicy};
