//! The host's control plane: the home directory, the log of every room, components, the files of
//! parties, runs, publishing and recovery.
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

pub mod clock;
mod components;
pub mod crash;
pub mod error;
mod files;
pub mod home;
mod private;
mod sources;
mod staging;
mod store;
pub mod worker;
