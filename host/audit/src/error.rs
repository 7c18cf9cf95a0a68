//! What can go wrong when a log becomes a table.

use arrow::error::ArrowError;
use glovebox_contract::canonical::CanonicalError;
use glovebox_contract::envelope::EnvelopeError;
use glovebox_contract::state::Refusal;
use parquet::errors::ParquetError;

/// A log could not be made a table.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The log has an entry that does not hold up.
    #[error("entry {position} of the log does not hold up: {refusal}")]
    Log {
        /// Its position, from 0.
        position: u64,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// An entry is no statement.
    #[error("an entry of the log is no statement: {0}")]
    Statement(#[from] EnvelopeError),
    /// Something of a statement cannot be encoded.
    #[error("a statement cannot be encoded: {0}")]
    Encoding(#[from] CanonicalError),
    /// The log is empty.
    #[error("the log is empty")]
    Empty,
    /// Rows do not fit the columns of their table, which is a fault of this program.
    #[error("rows do not fit their table: {0}")]
    Rows(#[from] ArrowError),
    /// A row is no JSON, which is a fault of this program.
    #[error("a row cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// A type of a column is none that tables here have, which is a fault of this program.
    #[error("a column has the type {0}, which no table here has")]
    Type(String),
    /// A table cannot be written.
    #[error("a table cannot be written as Parquet: {0}")]
    Parquet(#[from] ParquetError),
}
