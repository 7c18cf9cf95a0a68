//! The wire between a Glovebox host and the process of one run.
//!
//! The host (`glovebox-room`) starts a worker process with [`process::Worker`], hands it one
//! [`job::Job`] with the descriptors it may use, and reads [`event::Event`]s until the last one.
//! The worker (`glovebox-worker`) is the other end. Both link this crate, so the host needs
//! neither engine.
//!
//! The host takes every byte from a worker for hostile: frames are capped, unknown fields are
//! errors, events in the wrong order are errors, and nothing is waited for past the deadline.

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

pub mod broker;
pub mod channel;
pub mod descriptors;
pub mod ending;
pub mod event;
pub mod frame;
pub mod job;
pub mod limits;
pub mod process;
mod report;
pub mod text;
