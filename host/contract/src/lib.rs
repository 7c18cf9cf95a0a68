//! Statements, room state, digests, signatures, log proofs and receipts of Glovebox.
//!
//! Everything here is pure: no I/O, no clock, no async. A verifier that links only this crate can
//! check a room from its first statement to its last receipt.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable
    )
)]

pub mod bundle;
pub mod canonical;
pub mod checkpoint;
pub mod column;
pub mod difference;
pub mod digest;
pub mod envelope;
pub mod grants;
pub mod join_key;
pub mod key;
pub mod library;
pub mod limits;
pub mod log;
pub mod manifest;
pub mod media;
pub mod name;
pub mod parameter;
pub mod reason;
pub mod receipt;
pub mod revision;
pub mod state;
pub mod statement;
pub mod text;
