//! The process of one run: a jail, the job protocol, the sandbox and the query engine together.
//!
//! The program that links this crate becomes a launcher or a worker when its first argument says
//! so ([`launcher_main`], [`worker_main`]); `glovebox-room` starts it through `glovebox-job`. The
//! process that holds keys is never this one, and this one never holds a key.

pub mod content;
pub mod jail;
pub mod outputs;

mod broker;
mod compile;
mod describe;
mod entry;
mod inputs;
mod launcher;
mod libraries;
mod log;
mod panic;
mod run;
mod usage;
mod volumes;
mod work;

pub use entry::{Started, launcher_main, start, worker_main};
