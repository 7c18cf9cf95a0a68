//! The VM of Glovebox: the only crate that names wasmtime.
//!
//! A component passes [`admission`] first, is compiled by an [`engine::Engine`] in a jailed child,
//! and runs with [`run::run_notebook`] against the [`services::Services`] of its run, linked to
//! nothing but the interfaces it was granted. Arrow data crosses through [`transfer`] alone.
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

pub mod admission;
pub mod arrow_types;
pub mod compose;
pub mod engine;
pub mod functions;
pub mod inspect;
#[expect(
    unreachable_pub,
    reason = "the generated bindings re-export these types, which needs `pub`"
)]
mod interfaces;
mod memory;
mod outputs;
pub mod run;
pub mod services;
mod state;
#[cfg(test)]
mod testing;
mod text;
pub mod transfer;

pub use admission::{AdmissionError, admit, admit_run, served_interfaces};
pub use compose::compose;
pub use engine::{CompiledComponent, Engine, EngineError};
pub use functions::{FunctionLibrary, FunctionSettings};
pub use inspect::{Inspection, inspect};
pub use run::{RunError, run_notebook};
