//! Outputs of runs as versioned Delta tables.
//!
//! A table is a directory that is *derived*: from the events of a room's log ([`Event`]) and the
//! Parquet files that they are about. [`sync`] commits what is missing, in the order of the log,
//! and each event makes the same version whenever it is committed; so the directory can be
//! deleted, and comes back with the same versions. A crash at any step leaves whole versions and
//! at most a file that no version names.
//!
//! The files in a table are the published files themselves, byte for byte, so whoever reads one can
//! compare it with its receipt: hard links, or copies where the file system has none or the file is
//! a party's own.
//!
//! | Arrow type of a column | Delta type |
//! |---|---|
//! | `boolean`, `float32`, `float64`, `date32` | `boolean`, `float`, `double`, `date` |
//! | `int8`, `int16`, `int32`, `int64` | `byte`, `short`, `integer`, `long` |
//! | `uint8`, `uint16`, `uint32`, `uint64` | `short`, `integer`, `long`, `decimal(20,0)`, as Spark reads them |
//! | `utf8`, `large_utf8`, `utf8_view` | `string` |
//! | `binary`, `large_binary`, `binary_view`, `fixed_size_binary(n)` | `binary` |
//! | `decimal(p, s)`, `decimal256(p, s)` with p ≤ 38 and s ≥ 0 | `decimal(p,s)` |
//! | `timestamp(ms\|us, ZONE)` | `timestamp` |
//! | `timestamp(ms\|us)` | `timestamp_ntz`, a table feature that readers have to know |
//! | `dictionary(k, v)` | as `v` |
//! | `list(t)`, `large_list(t)`, `struct(…)` | `array`, `struct` |
//! | `null`, `float16`, `date64`, `time32`, `time64`, `duration`, `timestamp(s\|ns)` | none: refused, with the type to cast to |
//!
//! Polars 1 does not read the `decimal(20,0)` of a `uint64`; `deltalake` does.
//!
//! [`read`] goes the other way: tables that others wrote, for runs that read them.
//!
//! This is the only crate that names `deltalake`.
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

mod commit;
pub mod error;
pub mod event;
mod files;
pub mod history;
mod present;
pub mod read;
mod schema;
mod stats;
mod table;

pub use error::{DeltaError, ReadError};
pub use event::{Event, Mode, Removal, Write};
pub use history::{Change, Commit, DataFile, History, Metadata, Protocol, Snapshot};
pub use present::Present;
pub use table::sync;

#[cfg(test)]
mod tests;
