//! What happens to batches where they leave the engine.
//!
//! They get the wanted schema: encodings and widths are cast without loss, or it is an error.
//! NaN becomes the one canonical NaN and `-0.0` becomes `0.0`, so that equal values have equal
//! bytes. Batches of wide rows are cut.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, StructArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float16Type, Float32Type, Float64Type, Schema, SchemaRef,
};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use glovebox_contract::reason::ReasonCode;

use crate::error::{Result, error, execution};

/// Bytes of a batch above which it is cut, one row at least.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// The schema that batches get on their way out.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    schema: SchemaRef,
    most_rows: usize,
    /// Reason when a column that may have no null has one.
    null_reason: ReasonCode,
}

impl Edge {
    /// Batches get `schema` and at most `most_rows` rows.
    pub(crate) fn new(schema: SchemaRef, most_rows: usize, null_reason: ReasonCode) -> Self {
        Self { schema, most_rows: most_rows.max(1), null_reason }
    }

    /// Schema of the batches that leave.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// `batch` with the schema of the edge, in pieces.
    pub(crate) fn pass(&self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        let columns = self
            .schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| self.column(field, column))
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let whole = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(failed)?;
        Ok(self.cut(&whole))
    }

    fn column(&self, field: &Field, column: &ArrayRef) -> Result<ArrayRef> {
        let mut column = Arc::clone(column);
        if column.data_type() != field.data_type() {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            column = cast_with_options(&column, field.data_type(), &strict).map_err(failed)?;
        }
        if !field.is_nullable() && column.logical_null_count() > 0 {
            return Err(error(
                self.null_reason,
                format!(
                    "column `{}` has a null, declared as never null",
                    field.name().escape_debug()
                ),
            ));
        }
        canonical(&column).map_err(failed)
    }

    fn cut(&self, batch: &RecordBatch) -> Vec<RecordBatch> {
        let rows = batch.num_rows();
        let bytes: usize = batch
            .columns()
            .iter()
            .map(|column| {
                let whole = column.get_array_memory_size();
                column.to_data().get_slice_memory_size().map_or(whole, |part| part.min(whole))
            })
            .sum();
        let by_bytes = rows.saturating_mul(BATCH_BYTES).checked_div(bytes).unwrap_or(rows);
        let step = by_bytes.clamp(1, self.most_rows);
        if rows <= step {
            return vec![batch.clone()];
        }
        (0..rows).step_by(step).map(|from| batch.slice(from, step.min(rows - from))).collect()
    }
}

fn failed(failure: ArrowError) -> glovebox_sandbox::services::HostError {
    execution(&failure.into())
}

/// The schema that a guest sees for the plan's `schema`: texts and binaries in their plain
/// encoding, no metadata.
pub(crate) fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), plain_type(field.data_type()), field.is_nullable()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) => DataType::List(Arc::new(plain_field(item))),
        DataType::LargeList(item) => DataType::LargeList(Arc::new(plain_field(item))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| plain_field(field)).collect())
        }
        other => other.clone(),
    }
}

fn plain_field(field: &Field) -> Field {
    Field::new(field.name(), plain_type(field.data_type()), field.is_nullable())
}

/// `array` with one NaN and one zero.
pub(crate) fn canonical(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Float64 => Ok(canonical_floats::<Float64Type>(
            array,
            |value| {
                value.to_bits() == (1 << 63)
                    || (value.is_nan() && value.to_bits() != f64::NAN.to_bits())
            },
            |value| if value.is_nan() { f64::NAN } else { value + 0.0 },
        )),
        DataType::Float32 => Ok(canonical_floats::<Float32Type>(
            array,
            |value| {
                value.to_bits() == (1 << 31)
                    || (value.is_nan() && value.to_bits() != f32::NAN.to_bits())
            },
            |value| if value.is_nan() { f32::NAN } else { value + 0.0 },
        )),
        DataType::Float16 => {
            type Half = <Float16Type as ArrowPrimitiveType>::Native;
            Ok(canonical_floats::<Float16Type>(
                array,
                |value| value == Half::NEG_ZERO || value.is_nan(),
                |value| if value.is_nan() { Half::NAN } else { Half::ZERO },
            ))
        }
        DataType::List(_) => canonical_list::<i32>(array),
        DataType::LargeList(_) => canonical_list::<i64>(array),
        DataType::Struct(fields) => {
            let parts = array.as_struct();
            let columns = parts.columns().iter().map(canonical).collect::<Result<Vec<_>, _>>()?;
            let nulls = parts.nulls().cloned();
            Ok(Arc::new(StructArray::try_new_with_length(
                fields.clone(),
                columns,
                nulls,
                parts.len(),
            )?))
        }
        _ => Ok(Arc::clone(array)),
    }
}

fn canonical_floats<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    is_odd: impl Fn(T::Native) -> bool,
    fix: impl Fn(T::Native) -> T::Native,
) -> ArrayRef {
    let floats = array.as_primitive::<T>();
    // Almost always nothing has to be copied.
    if floats.values().iter().any(|value| is_odd(*value)) {
        Arc::new(floats.unary::<_, T>(|value| if is_odd(value) { fix(value) } else { value }))
    } else {
        Arc::clone(array)
    }
}

fn canonical_list<O: OffsetSizeTrait>(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let (field, offsets, values, nulls) = array.as_list::<O>().clone().into_parts();
    Ok(Arc::new(GenericListArray::<O>::try_new(field, offsets, canonical(&values)?, nulls)?))
}
