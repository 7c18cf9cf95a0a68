//! Looks which tables there are.
#![cfg(target_arch = "wasm32")]

use glovebox_guest::library;

/// The library to SQL.
#[library]
pub mod functions {
    use glovebox_guest::raw::tables;

    /// How many tables the room has.
    #[scalar_function]
    pub fn peek() -> i64 {
        tables::list_tables().len() as i64
    }
}
