//! Rows on their way into a table.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::json::ReaderBuilder;
use serde_json::Value;

use crate::columns::{self, Named};
use crate::error::AuditError;

/// So many rows are kept as text before they become a batch.
const ROWS: usize = 4096;

/// A table: its columns and rows.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
}

/// Rows that are added one by one.
#[derive(Debug)]
pub struct Rows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    /// JSON objects, one a line.
    pending: Vec<u8>,
    count: usize,
}

impl Rows {
    /// No rows of a table with these columns.
    ///
    /// # Errors
    /// When a type is none, which is a fault of this program.
    pub fn new(columns: &[Named]) -> Result<Self, AuditError> {
        let schema = columns::schema(columns)?;
        Ok(Self { schema, batches: Vec::new(), pending: Vec::new(), count: 0 })
    }

    /// Adds a row: an object whose members are columns. Columns that it lacks are null.
    ///
    /// # Errors
    /// When it does not fit, which is a fault of this program.
    pub fn push(&mut self, row: &Value) -> Result<(), AuditError> {
        serde_json::to_writer(&mut self.pending, row)?;
        self.pending.push(b'\n');
        self.count = self.count.saturating_add(1);
        if self.count >= ROWS {
            self.batches.extend(self.pending_batch()?);
            self.pending.clear();
            self.count = 0;
        }
        Ok(())
    }

    /// The table with all rows so far.
    ///
    /// # Errors
    /// When a row does not fit, which is a fault of this program.
    pub fn table(&self) -> Result<Table, AuditError> {
        let batches = self.batches.iter().cloned().chain(self.pending_batch()?);
        Ok(Table { schema: self.schema.clone(), batches: batches.collect() })
    }

    fn pending_batch(&self) -> Result<Option<RecordBatch>, AuditError> {
        if self.count == 0 {
            return Ok(None);
        }
        // A member that is no column is a fault that tests shall find.
        let mut decoder = ReaderBuilder::new(self.schema.clone())
            .with_batch_size(self.count)
            .with_strict_mode(true)
            .build_decoder()?;
        let mut rest = self.pending.as_slice();
        let mut batches = Vec::new();
        while !rest.is_empty() {
            let read = decoder.decode(rest)?;
            batches.extend(decoder.flush()?);
            if read == 0 {
                break;
            }
            rest = rest.get(read..).unwrap_or_default();
        }
        match batches.as_slice() {
            [one] => Ok(Some(one.clone())),
            several => Ok(Some(concat_batches(&self.schema, several)?)),
        }
    }
}

impl Table {
    /// This table and the rows of another with the same columns.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.batches.extend(other.batches);
        self
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}
