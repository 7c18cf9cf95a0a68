//! Conversions from and to the arrays of arrow-rs, for notebooks that compute with its kernels.
//!
//! Each conversion copies the buffers once.

use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, BooleanBufferBuilder, UInt64Array, make_array};
use arrow::buffer::Buffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{self as theirs, Schema};
use arrow::record_batch::RecordBatch;

use crate::column::{Column, Layout, mismatch};
use crate::error::{Context as _, Result};
use crate::layout::{Decoder, Encoded, Node};
use crate::room::{Batch, Output};
use crate::types::{DataType, Field, TimeUnit};

impl Column {
    /// The column as an array.
    ///
    /// # Errors
    /// When arrow-rs does not take it, for example a decimal of too many digits.
    pub fn to_arrow(&self) -> Result<ArrayRef> {
        let Encoded { nodes, buffers } = Encoded::of(std::slice::from_ref(self));
        let (mut nodes, mut buffers) = (nodes.into_iter(), buffers.into_iter());
        Ok(make_array(array_data(&arrow_type(&self.data_type), &mut nodes, &mut buffers)?))
    }

    /// An array as a column. Dictionaries, views and large offsets become plain.
    ///
    /// # Errors
    /// When a notebook has no such type, for example a map.
    pub fn from_arrow(array: &dyn Array) -> Result<Self> {
        let data_type = data_type(array.data_type())?;
        let array = cast(array, &arrow_type(&data_type))?;
        // `take` gives an array of its own, without the offset of a slice.
        let rows: UInt64Array = (0..array.len() as u64).collect();
        let (mut nodes, mut buffers) = (Vec::new(), Vec::new());
        flatten(&take(&array, &rows, None)?.to_data(), &data_type, &mut nodes, &mut buffers)?;
        Decoder { nodes: nodes.into_iter(), buffers: buffers.into_iter() }.column(&data_type)
    }
}

impl Batch {
    /// All columns as one batch of arrow-rs.
    ///
    /// # Errors
    /// When the host cannot send the columns, or arrow-rs does not take them.
    pub fn to_arrow(&self) -> Result<RecordBatch> {
        let fields: Vec<_> = self.fields().iter().map(arrow_field).collect();
        let columns = self.columns()?.iter().map(Column::to_arrow).collect::<Result<_>>()?;
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

impl Output {
    /// Writes a batch of arrow-rs that has the declared columns, in any order.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_arrow(&mut self, batch: &RecordBatch) -> Result<()> {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
            Ok((field.name().clone(), Column::from_arrow(array).context(field.name())?))
        });
        self.write(columns.collect::<Result<Vec<_>>>()?)
    }
}

fn array_data<'a>(
    data_type: &theirs::DataType,
    nodes: &mut impl Iterator<Item = Node>,
    buffers: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<ArrayData> {
    let (length, null_count) = nodes.next().context("a node is missing")?;
    let mut builder = ArrayData::builder(data_type.clone()).len(length as usize);
    if *data_type == theirs::DataType::Null {
        return Ok(builder.build()?);
    }
    let mut buffer = || buffers.next().map(Buffer::from).context("a buffer is missing");
    let validity = buffer()?;
    builder = builder.null_bit_buffer((null_count > 0).then_some(validity));
    match data_type {
        theirs::DataType::Struct(fields) => {
            for field in fields {
                builder = builder.add_child_data(array_data(field.data_type(), nodes, buffers)?);
            }
        }
        theirs::DataType::List(item) => {
            builder = builder.add_buffer(buffer()?);
            builder = builder.add_child_data(array_data(item.data_type(), nodes, buffers)?);
        }
        theirs::DataType::Utf8 | theirs::DataType::Binary => {
            builder = builder.add_buffer(buffer()?).add_buffer(buffer()?);
        }
        _ => builder = builder.add_buffer(buffer()?),
    }
    Ok(builder.build()?)
}

/// The nodes and buffers of an array without an offset.
fn flatten(
    data: &ArrayData,
    data_type: &DataType,
    nodes: &mut Vec<Node>,
    buffers: &mut Vec<Vec<u8>>,
) -> Result<()> {
    let length = data.len();
    if *data_type == DataType::Null {
        nodes.push((length as u64, length as u64));
        return Ok(());
    }
    nodes.push((length as u64, data.null_count() as u64));
    let mut validity = BooleanBufferBuilder::new(0);
    if let Some(nulls) = data.nulls() {
        nulls.iter().for_each(|present| validity.append(present));
    }
    buffers.push(validity.finish().values().to_vec());
    let width = match Layout::of(data_type) {
        Layout::Struct => 0,
        Layout::Boolean => length.div_ceil(8),
        Layout::Utf8 | Layout::Binary | Layout::List => (length + 1) * 4,
        Layout::I8 | Layout::U8 => length,
        Layout::I16 | Layout::U16 => length * 2,
        Layout::I32 | Layout::U32 | Layout::F32 => length * 4,
        Layout::I64 | Layout::U64 | Layout::F64 => length * 8,
        Layout::I128 => length * 16,
        Layout::Fixed(width) => length * width,
        Layout::Null => return Err(mismatch("a null column has no buffers")),
    };
    for (index, buffer) in data.buffers().iter().enumerate() {
        let end = if index == 0 { width.min(buffer.len()) } else { buffer.len() };
        buffers.push(buffer.as_slice()[..end].to_vec());
    }
    match data_type {
        DataType::List(item) => flatten(&data.child_data()[0], item, nodes, buffers),
        DataType::Struct(fields) => fields
            .iter()
            .zip(data.child_data())
            .try_for_each(|((_, field), child)| flatten(child, field, nodes, buffers)),
        _ => Ok(()),
    }
}

fn arrow_field(field: &Field) -> theirs::Field {
    theirs::Field::new(&field.name, arrow_type(&field.data_type), field.nullable)
}

fn arrow_unit(unit: TimeUnit) -> theirs::TimeUnit {
    match unit {
        TimeUnit::Second => theirs::TimeUnit::Second,
        TimeUnit::Millisecond => theirs::TimeUnit::Millisecond,
        TimeUnit::Microsecond => theirs::TimeUnit::Microsecond,
        TimeUnit::Nanosecond => theirs::TimeUnit::Nanosecond,
    }
}

fn unit(unit: theirs::TimeUnit) -> TimeUnit {
    match unit {
        theirs::TimeUnit::Second => TimeUnit::Second,
        theirs::TimeUnit::Millisecond => TimeUnit::Millisecond,
        theirs::TimeUnit::Microsecond => TimeUnit::Microsecond,
        theirs::TimeUnit::Nanosecond => TimeUnit::Nanosecond,
    }
}

fn arrow_type(data_type: &DataType) -> theirs::DataType {
    use theirs::DataType as Arrow;
    match data_type {
        DataType::Null => Arrow::Null,
        DataType::Boolean => Arrow::Boolean,
        DataType::Int8 => Arrow::Int8,
        DataType::Int16 => Arrow::Int16,
        DataType::Int32 => Arrow::Int32,
        DataType::Int64 => Arrow::Int64,
        DataType::UInt8 => Arrow::UInt8,
        DataType::UInt16 => Arrow::UInt16,
        DataType::UInt32 => Arrow::UInt32,
        DataType::UInt64 => Arrow::UInt64,
        DataType::Float16 => Arrow::Float16,
        DataType::Float32 => Arrow::Float32,
        DataType::Float64 => Arrow::Float64,
        DataType::Date32 => Arrow::Date32,
        DataType::Date64 => Arrow::Date64,
        DataType::Utf8 => Arrow::Utf8,
        DataType::Binary => Arrow::Binary,
        DataType::FixedSizeBinary(width) => {
            Arrow::FixedSizeBinary(i32::try_from(*width).unwrap_or(i32::MAX))
        }
        DataType::Decimal128(precision, scale) => Arrow::Decimal128(*precision, *scale),
        DataType::Decimal256(precision, scale) => Arrow::Decimal256(*precision, *scale),
        DataType::Time32(unit) => Arrow::Time32(arrow_unit(*unit)),
        DataType::Time64(unit) => Arrow::Time64(arrow_unit(*unit)),
        DataType::Timestamp(unit, zone) => {
            Arrow::Timestamp(arrow_unit(*unit), zone.as_deref().map(Into::into))
        }
        DataType::Duration(unit) => Arrow::Duration(arrow_unit(*unit)),
        DataType::List(item) => Arrow::new_list(arrow_type(item), true),
        DataType::Struct(fields) => Arrow::Struct(
            fields
                .iter()
                .map(|(name, field)| theirs::Field::new(name, arrow_type(field), true))
                .collect(),
        ),
    }
}

/// The type without its encoding.
fn data_type(arrow: &theirs::DataType) -> Result<DataType> {
    use theirs::DataType as Arrow;
    Ok(match arrow {
        Arrow::Null => DataType::Null,
        Arrow::Boolean => DataType::Boolean,
        Arrow::Int8 => DataType::Int8,
        Arrow::Int16 => DataType::Int16,
        Arrow::Int32 => DataType::Int32,
        Arrow::Int64 => DataType::Int64,
        Arrow::UInt8 => DataType::UInt8,
        Arrow::UInt16 => DataType::UInt16,
        Arrow::UInt32 => DataType::UInt32,
        Arrow::UInt64 => DataType::UInt64,
        Arrow::Float16 => DataType::Float16,
        Arrow::Float32 => DataType::Float32,
        Arrow::Float64 => DataType::Float64,
        Arrow::Date32 => DataType::Date32,
        Arrow::Date64 => DataType::Date64,
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View => DataType::Utf8,
        Arrow::Binary | Arrow::LargeBinary | Arrow::BinaryView => DataType::Binary,
        Arrow::FixedSizeBinary(width) => DataType::FixedSizeBinary(u32::try_from(*width)?),
        Arrow::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
        Arrow::Decimal256(precision, scale) => DataType::Decimal256(*precision, *scale),
        Arrow::Time32(of) => DataType::Time32(unit(*of)),
        Arrow::Time64(of) => DataType::Time64(unit(*of)),
        Arrow::Timestamp(of, zone) => {
            DataType::Timestamp(unit(*of), zone.as_deref().map(Into::into))
        }
        Arrow::Duration(of) => DataType::Duration(unit(*of)),
        Arrow::Dictionary(_, value) => data_type(value)?,
        Arrow::List(item) | Arrow::LargeList(item) => {
            DataType::List(Box::new(data_type(item.data_type())?))
        }
        Arrow::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| Ok((field.name().clone(), data_type(field.data_type())?)))
                .collect::<Result<_>>()?,
        ),
        other => return Err(mismatch(format_args!("a notebook has no columns of type {other}"))),
    })
}

#[cfg(test)]
mod tests;
