//! From a guest's buffers to host arrays.

use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, DecimalType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use glovebox_contract::reason::ReasonCode;

use super::encode::Encoder;
use super::{Columns, FieldNode, MAX_GUEST_ROWS, MAX_GUEST_VALUES, assemble, buffer_width};
use crate::services::{ErrorCode, HostError};

/// A batch of `rows` rows from buffers that a guest sent.
///
/// `schema` is in boundary types. Lengths, counts and contents are checked in full: whatever the
/// buffers hold, this returns a valid batch with zeroed null slots, or an error, and never panics.
pub fn decode(columns: Columns, schema: &SchemaRef, rows: u64) -> Result<RecordBatch, HostError> {
    let mut reader =
        Reader { nodes: columns.nodes.into_iter(), buffers: columns.buffers.into_iter() };
    let row_count =
        usize::try_from(rows).ok().filter(|_| rows <= MAX_GUEST_ROWS).ok_or_else(|| {
            invalid(format!("a batch of {rows} rows; at most {MAX_GUEST_ROWS} are allowed"))
        })?;
    let mut arrays = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let array = reader
            .array(field, Some(rows))
            .map_err(|why| invalid(format!("column `{}`: {why}", field.name().escape_debug())))?;
        arrays.push(canonical(array)?);
    }
    if reader.nodes.next().is_some() {
        return Err(invalid("there are more field nodes than the schema has fields"));
    }
    if reader.buffers.next().is_some() {
        return Err(invalid("there are more buffers than the schema has"));
    }
    assemble(schema, arrays, row_count)
}

fn invalid(detail: impl Into<String>) -> HostError {
    HostError::new(ErrorCode::InvalidArgument, ReasonCode::InvalidArgument, detail)
}

/// The same values with zeroed null slots, offsets from zero and nothing unreferenced.
fn canonical(array: ArrayRef) -> Result<ArrayRef, HostError> {
    let mut encoder = Encoder::default();
    encoder.array(&array, None)?;
    if !encoder.rewritten {
        return Ok(array);
    }
    let mut reader = Reader {
        nodes: encoder.columns.nodes.into_iter(),
        buffers: encoder.columns.buffers.into_iter(),
    };
    let field = Field::new("", array.data_type().clone(), true);
    reader.array(&field, None).map_err(|why| {
        HostError::new(ErrorCode::Internal, ReasonCode::Internal, format!("canonical form: {why}"))
    })
}

/// Takes nodes and buffers depth first.
struct Reader {
    nodes: std::vec::IntoIter<FieldNode>,
    buffers: std::vec::IntoIter<Bytes>,
}

impl Reader {
    /// The next array. `expected` is its length where a parent or the batch fixes it.
    fn array(&mut self, field: &Field, expected: Option<u64>) -> Result<ArrayRef, String> {
        let node = self.nodes.next().ok_or("its field node is missing")?;
        if expected.is_some_and(|expected| expected != node.length) {
            return Err(format!(
                "{} values where {} are expected",
                node.length,
                expected.unwrap_or_default()
            ));
        }
        let length = usize::try_from(node.length)
            .ok()
            .filter(|_| node.length <= MAX_GUEST_VALUES)
            .ok_or_else(|| {
                format!("{} values; at most {MAX_GUEST_VALUES} are allowed", node.length)
            })?;
        let data_type = field.data_type();
        let mut builder = ArrayData::builder(data_type.clone()).len(length);
        if data_type != &DataType::Null {
            builder = builder.nulls(self.validity(node, length)?);
        }
        let builder = match data_type {
            DataType::Null => builder,
            DataType::Boolean => builder.add_buffer(self.exact(length.div_ceil(8), "values")?),
            DataType::Utf8 | DataType::Binary => {
                builder.add_buffer(self.offsets(length)?).add_buffer(self.buffer("bytes")?)
            }
            DataType::List(item) => {
                let offsets = self.offsets(length)?;
                let items = self.array(item, None)?;
                builder.add_buffer(offsets).add_child_data(items.to_data())
            }
            DataType::Struct(fields) => fields.iter().try_fold(builder, |builder, field| {
                let child = self.array(field, Some(node.length))?;
                Ok::<_, String>(builder.add_child_data(child.to_data()))
            })?,
            other => {
                let width =
                    buffer_width(other).ok_or_else(|| format!("type {other} does not cross"))?;
                let bytes = length.checked_mul(width).ok_or("its length overflows")?;
                builder.add_buffer(self.exact(bytes, "values")?)
            }
        };
        // Arrow validates offsets, UTF-8 and children. Its message may quote offsets and bytes,
        // which a guest can derive from another party's rows, so it is dropped.
        let data = builder
            .align_buffers(true)
            .build()
            .map_err(|_| format!("the buffers do not hold a valid array of type {data_type}"))?;
        let array = make_array(data);
        check_decimals(&array)?;
        Ok(array)
    }

    fn validity(&mut self, node: FieldNode, length: usize) -> Result<Option<NullBuffer>, String> {
        let bitmap = self.buffer("validity")?;
        if bitmap.is_empty() {
            return if node.null_count == 0 {
                Ok(None)
            } else {
                Err(format!("a null count of {} without a validity bitmap", node.null_count))
            };
        }
        // Arrow panics on a short bitmap, so this comes first.
        let needed = length.div_ceil(8);
        if bitmap.len() < needed {
            return Err(format!(
                "a validity bitmap of {} bytes; {needed} are needed",
                bitmap.len()
            ));
        }
        let nulls = NullBuffer::new(BooleanBuffer::new(bitmap, 0, length));
        if nulls.null_count() as u64 != node.null_count {
            return Err(format!(
                "a null count of {}, but the bitmap has {} nulls",
                node.null_count,
                nulls.null_count()
            ));
        }
        Ok((nulls.null_count() > 0).then_some(nulls))
    }

    fn buffer(&mut self, what: &str) -> Result<Buffer, String> {
        let bytes = self.buffers.next().ok_or_else(|| format!("its {what} buffer is missing"))?;
        Ok(Buffer::from(bytes))
    }

    /// The first `bytes` bytes of the next buffer; padding behind them is dropped because Arrow
    /// panics on a buffer whose length is no multiple of its values' width.
    fn exact(&mut self, bytes: usize, what: &str) -> Result<Buffer, String> {
        let buffer = self.buffer(what)?;
        if buffer.len() < bytes {
            return Err(format!("a {what} buffer of {} bytes; {bytes} are needed", buffer.len()));
        }
        Ok(buffer.slice_with_length(0, bytes))
    }

    fn offsets(&mut self, length: usize) -> Result<Buffer, String> {
        if length == 0 {
            // Empty, or one offset that does not matter.
            self.buffer("offsets")?;
            return Ok(Buffer::from_vec(vec![0_i32]));
        }
        let bytes = length.checked_add(1).and_then(|count| count.checked_mul(4));
        self.exact(bytes.ok_or("its length overflows")?, "offsets")
    }
}

/// Arrow does not check that decimals keep their precision.
fn check_decimals(array: &ArrayRef) -> Result<(), String> {
    let array: Arc<dyn Array> = Arc::clone(array);
    let fits = match array.data_type() {
        DataType::Decimal128(precision, _) => array
            .as_primitive::<Decimal128Type>()
            .iter()
            .flatten()
            .all(|value| Decimal128Type::is_valid_decimal_precision(value, *precision)),
        DataType::Decimal256(precision, _) => array
            .as_primitive::<Decimal256Type>()
            .iter()
            .flatten()
            .all(|value| Decimal256Type::is_valid_decimal_precision(value, *precision)),
        _ => true,
    };
    if fits { Ok(()) } else { Err("a value has more digits than its type allows".into()) }
}
