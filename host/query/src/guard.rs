//! Panics of the engine's code become errors.
//!
//! Readers of hostile files have panicked before. A panic is caught here, so that it ends one
//! query with an error; a process abort ends the jailed worker. Panic messages can quote data
//! and are dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};

use datafusion::common::DataFusionError;
use datafusion::parquet::errors::ParquetError;

/// Runs `read`, which parses a party's file; its panic means that the file is corrupt.
pub(crate) fn catching<T>(
    read: impl FnOnce() -> Result<T, DataFusionError>,
) -> Result<T, DataFusionError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(DataFusionError::ParquetError(Box::new(ParquetError::General("panic".into()))))
    })
}
