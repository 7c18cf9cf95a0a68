//! Notebooks for Glovebox in Rust.
//!
//! A notebook reads the tables of a room and writes the outputs that its manifest declares. It can
//! do nothing else: no files, no network, no clock.
//!
//! ```
//! use glovebox_guest::{Result, Room, columns, notebook};
//!
//! #[notebook]
//! fn run(room: &Room) -> Result<()> {
//!     let least: i64 = room.parameter("min_flights")?;
//!     let (mut flights, mut late) = (0_i64, 0_i64);
//!     for batch in room.table("airline.flights")?.scan().columns(["dep_delay"]).batches()? {
//!         for delay in batch?.column("dep_delay")?.float64()?.iter().flatten() {
//!             flights += 1;
//!             late += i64::from(delay > 15.0);
//!         }
//!     }
//!     if flights < least {
//!         glovebox_guest::bail!("fewer than {least} flights");
//!     }
//!     let mut output = room.output("punctuality")?;
//!     output.write(columns! { "flights" => vec![flights], "late" => vec![late] })?;
//!     output.finish()?;
//!     Ok(())
//! }
//!
//! // Natively the same function runs in a room made of test data.
//! use glovebox_guest::mock::MockRoom;
//!
//! let run = MockRoom::new()
//!     .parameter("min_flights", 2)
//!     .table("airline.flights", columns! { "dep_delay" => vec![Some(30.0), None, Some(-2.0)] })
//!     .output("punctuality", &[("flights", "int64"), ("late", "int64")])
//!     .run(run)?;
//! assert_eq!(run.output("punctuality").column("late").int64()?.values(), [1]);
//! # Ok::<(), glovebox_guest::Error>(())
//! ```
//!
//! A *library* works for notebooks. [`library`](macro@library) makes functions of a module callable
//! from SQL:
//!
//! ```
//! use glovebox_guest::library;
//!
//! #[library]
//! mod functions {
//!     /// How likely a customer is to buy again.
//!     #[scalar_function]
//!     pub fn score(recency: i64, spend: f64) -> f64 {
//!         spend.sqrt() / (1.0 + recency as f64 / 30.0)
//!     }
//! }
//!
//! assert_eq!(functions::score(30, 16.0), 2.0);
//! ```
//!
//! The manifest stands in the package's `Cargo.toml` under `[package.metadata.glovebox]`, and
//! `glovebox build` makes the component.

extern crate self as glovebox_guest;

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
#[cfg(feature = "arrow")]
mod arrow;
#[cfg(target_arch = "wasm32")]
#[path = "backend/wasm.rs"]
mod backend;
#[cfg(not(target_arch = "wasm32"))]
#[path = "backend/mock.rs"]
mod backend;
// Generated from the WIT package; tests/bindings.rs keeps it so.
#[cfg(target_arch = "wasm32")]
#[rustfmt::skip]
#[doc(hidden)]
#[expect(unreachable_pub, reason = "generated")]
pub mod bindings;
#[cfg(target_arch = "wasm32")]
#[rustfmt::skip]
#[doc(hidden)]
#[path = "bindings/aggregate.rs"]
#[expect(unreachable_pub, reason = "generated")]
pub mod bindings_aggregate;
#[cfg(target_arch = "wasm32")]
#[rustfmt::skip]
#[doc(hidden)]
#[path = "bindings/scalar.rs"]
#[expect(unreachable_pub, reason = "generated")]
pub mod bindings_scalar;
#[cfg(target_arch = "wasm32")]
#[rustfmt::skip]
#[doc(hidden)]
#[path = "bindings/table.rs"]
#[expect(unreachable_pub, reason = "generated")]
pub mod bindings_table;
mod buffer;
mod builder;
mod column;
#[cfg(target_arch = "wasm32")]
mod entry;
mod error;
pub mod functions;
mod gather;

mod layout;
#[cfg(not(target_arch = "wasm32"))]
pub mod mock;
mod room;
mod row;
mod scalar;
mod types;
mod volume;
#[doc(hidden)]
pub mod wit;

pub use builder::{
    BinaryBuilder, BooleanBuilder, Decimal128Builder, Float32Builder, Float64Builder, Int32Builder,
    Int64Builder, Number, NumberBuilder, UInt64Builder, Utf8Builder,
};
pub use column::{
    BinaryColumn, BooleanColumn, Column, FixedSizeBinaryColumn, Float32Column, Float64Column,
    Int8Column, Int16Column, Int32Column, Int64Column, ListColumn, NumberColumn, StructColumn,
    UInt8Column, UInt16Column, UInt32Column, UInt64Column, Utf8Column,
};
pub use error::{Context, Error, ErrorCode, Result};
pub use glovebox_guest_macros::{
    Row, State, aggregate_function, library, notebook, scalar_function, table_function,
};
#[cfg(feature = "wit")]
pub use glovebox_guest_macros::{export, import};

pub use room::{
    Batch, Batches, Level, Output, OutputSummary, Room, RunInfo, Scan, ScanOptions, Table, log,
};
pub use row::{Cell, Row};
pub use scalar::{Date, FromScalar, Scalar};
pub use types::{DataType, Field, TimeUnit};
pub use volume::{File, FileInfo, Volume};

pub use buffer::Native;

/// The generated bindings, for tests that misuse the interface on purpose.
#[cfg(all(target_arch = "wasm32", feature = "raw"))]
#[doc(hidden)]
pub use bindings::glovebox::guest as raw;

/// What the macros expand to.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod __private {
    pub use wit_bindgen::rt;

    pub use crate::bindings;
    pub use crate::bindings::export_notebook;
    pub use crate::bindings::exports::glovebox::guest::run::Guest;
    pub use crate::bindings::glovebox::guest::types::Error;
    pub use crate::bindings_aggregate::{self as aggregate, export_aggregate_functions};
    pub use crate::bindings_scalar::{self as scalar, export_scalar_functions};
    pub use crate::bindings_table::{self as table, export_table_functions};
    pub use crate::entry::run;
}

/// What bindings of interfaces need where there is no host.
#[cfg(all(not(target_arch = "wasm32"), feature = "wit"))]
#[doc(hidden)]
pub mod __private {
    pub use wit_bindgen::rt;
}
