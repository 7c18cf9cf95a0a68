//! The one door for Arrow data between host and guest.
//!
//! Out: [`encode()`] makes exact buffers. They hold the rows of the batch and nothing else: a slice
//! leaves without its neighbours, a dictionary or view column leaves as the plain values of its
//! rows, null slots leave as zeros, and the bits behind the last row are 0. In the common case
//! (plain encoding, no nulls) a buffer is handed on as it lies, so the only copy is the one into
//! guest memory.
//!
//! In: [`decode()`] believes nothing. It knows the types from a schema that the host holds, takes
//! exactly the buffers that the layout needs, checks their lengths before Arrow looks at them,
//! has Arrow validate offsets and text, checks decimals, and zeroes null slots.
//!
//! The layout is the one that `data.columns` in `guest-sdk/wit` describes.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use glovebox_contract::reason::ReasonCode;

pub use decode::decode;
pub use encode::{boundary_bytes, encode};

use crate::services::{ErrorCode, HostError};

/// Most rows of a batch that a guest makes.
pub const MAX_GUEST_ROWS: u64 = 1 << 24;

/// Most values of a nested array that a guest makes.
pub const MAX_GUEST_VALUES: u64 = 1 << 26;

/// Length and null count of one array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldNode {
    /// Values.
    pub length: u64,
    /// Nulls among them.
    pub null_count: u64,
}

/// Columns on their way across, as `data.columns` in the WIT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// One for each array, depth first.
    pub nodes: Vec<FieldNode>,
    /// Their buffers in the same order.
    pub buffers: Vec<Bytes>,
}

impl Columns {
    /// Bytes of all buffers.
    pub fn byte_len(&self) -> u64 {
        self.buffers.iter().map(|buffer| buffer.len() as u64).sum()
    }
}

/// Bytes of one value of a fixed-width type that crosses.
fn buffer_width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::FixedSizeBinary(width) => usize::try_from(*width).ok().filter(|width| *width > 0),
        other => other.primitive_width(),
    }
}

/// `array` in the encoding `target`, which has the same logical type.
///
/// The kernel's error may quote a value, so its text is dropped.
fn recode(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, HostError> {
    if array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, target, &options).map_err(|_| {
        HostError::new(
            ErrorCode::SchemaMismatch,
            ReasonCode::SchemaMismatch,
            format!("a column of type {} cannot be held as {target}", array.data_type()),
        )
    })
}

/// `batch` in the encodings of `target`, whose columns have the same logical types.
pub fn recode_batch(batch: &RecordBatch, target: &SchemaRef) -> Result<RecordBatch, HostError> {
    let columns = batch
        .columns()
        .iter()
        .zip(target.fields())
        .map(|(column, field)| recode(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    assemble(target, columns, batch.num_rows())
}

fn assemble(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, HostError> {
    let nulls_where_none_may_be = schema
        .fields()
        .iter()
        .zip(&columns)
        .find(|(field, column)| !field.is_nullable() && column.null_count() > 0);
    if let Some((field, _)) = nulls_where_none_may_be {
        return Err(HostError::new(
            ErrorCode::SchemaMismatch,
            ReasonCode::SchemaMismatch,
            format!("column `{}`: it has nulls but may not", field.name().escape_debug()),
        ));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|_| {
        HostError::new(
            ErrorCode::SchemaMismatch,
            ReasonCode::SchemaMismatch,
            "the columns do not make a batch of this schema",
        )
    })
}
