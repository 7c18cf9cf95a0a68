//! The gloves: one file for each interface that a guest can import.
//!
//! Nothing is linked unless it was granted by name, so what a guest can do is its import list.

pub(crate) mod bindings;
mod context;
pub mod data;
pub(crate) mod fields;
mod logging;
pub(crate) mod outputs;
pub(crate) mod parameters;
pub(crate) mod reader;
mod script;
mod sql;
pub(crate) mod tables;
pub(crate) mod volumes;

use std::collections::BTreeSet;

use wasmtime::component::{HasSelf, Linker};

use crate::state::HostState;
use bindings::glovebox::guest;

/// Interfaces of the world `sql-notebook`.
pub(crate) const SQL_NOTEBOOK: &[&str] =
    &["glovebox:guest/script@0.1.0", "glovebox:guest/types@0.1.0"];

/// Interfaces of the world `notebook`.
pub(crate) const NOTEBOOK: &[&str] = &[
    "glovebox:guest/context@0.1.0",
    "glovebox:guest/data@0.1.0",
    "glovebox:guest/logging@0.1.0",
    "glovebox:guest/outputs@0.1.0",
    "glovebox:guest/parameters@0.1.0",
    "glovebox:guest/sql@0.1.0",
    "glovebox:guest/tables@0.1.0",
    "glovebox:guest/types@0.1.0",
    "glovebox:guest/volumes@0.1.0",
];

/// Every interface that this host serves.
pub(crate) const SERVED: &[&str] = &[
    "glovebox:guest/context@0.1.0",
    "glovebox:guest/data@0.1.0",
    "glovebox:guest/logging@0.1.0",
    "glovebox:guest/outputs@0.1.0",
    "glovebox:guest/parameters@0.1.0",
    "glovebox:guest/script@0.1.0",
    "glovebox:guest/sql@0.1.0",
    "glovebox:guest/tables@0.1.0",
    "glovebox:guest/types@0.1.0",
    "glovebox:guest/volumes@0.1.0",
];

/// A linker with the granted interfaces and nothing else.
///
/// # Errors
/// With the name of an interface that this host does not serve.
pub(crate) fn link(
    engine: &wasmtime::Engine,
    granted: &BTreeSet<String>,
) -> Result<Linker<HostState>, String> {
    let mut linker = Linker::new(engine);
    for name in granted {
        let linked = match name.as_str() {
            "glovebox:guest/types@0.1.0" => {
                guest::types::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)
            }
            "glovebox:guest/context@0.1.0" => {
                guest::context::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)
            }
            "glovebox:guest/parameters@0.1.0" => guest::parameters::add_to_linker::<
                _,
                HasSelf<HostState>,
            >(&mut linker, |state| state),
            "glovebox:guest/data@0.1.0" => data::add_to_linker(&mut linker),
            "glovebox:guest/tables@0.1.0" => {
                guest::tables::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)
            }
            "glovebox:guest/sql@0.1.0" => {
                guest::sql::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)
            }
            "glovebox:guest/script@0.1.0" => {
                guest::script::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)
            }
            "glovebox:guest/outputs@0.1.0" => {
                guest::outputs::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)
            }
            "glovebox:guest/volumes@0.1.0" => {
                guest::volumes::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)
            }
            "glovebox:guest/logging@0.1.0" => {
                guest::logging::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)
            }
            _ => return Err(name.clone()),
        };
        linked.map_err(|_| name.clone())?;
    }
    Ok(linker)
}
