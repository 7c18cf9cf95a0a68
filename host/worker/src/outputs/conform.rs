//! Batches as the declaration wants them, or not at all.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use glovebox_sandbox::arrow_types::arrow_to_column_type;

use super::canonical::canonical;

/// `batch` with exactly `schema`.
///
/// Names and their order must be those of the schema and every type must be the declared one but
/// for its encoding (views, dictionaries, offsets). A column without nulls stays without. The
/// error completes the sentence "the output …" and quotes no value.
pub(super) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let found = batch.schema();
    let declared = schema.fields();
    let names = || found.fields().iter().map(|field| field.name());
    if !names().eq(declared.iter().map(|field| field.name())) {
        return Err("has other columns than declared".into());
    }
    let mut columns = Vec::with_capacity(declared.len());
    for (field, column) in declared.iter().zip(batch.columns()) {
        let column = encode(column, field.data_type()).ok_or_else(|| {
            format!("has another type than declared in column `{}`", field.name())
        })?;
        if !field.is_nullable() && column.logical_null_count() > 0 {
            return Err(format!("has a null in column `{}`, declared without", field.name()));
        }
        columns.push(canonical(&column));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|_| "has other columns than declared".into())
}

/// `column` in the declared encoding; `None` when it holds values of another type.
fn encode(column: &ArrayRef, declared: &DataType) -> Option<ArrayRef> {
    if column.data_type() == declared {
        return Some(Arc::clone(column));
    }
    let found = arrow_to_column_type(column.data_type()).ok()?;
    let wanted = arrow_to_column_type(declared).ok()?;
    if found.logical() != wanted.logical() {
        return None;
    }
    let exact = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, declared, &exact).ok()
}
