//! From host arrays to exact buffers.

use std::sync::Arc;

use arrow::array::types::{ByteArrayType, ByteViewType};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, GenericByteArray, GenericByteViewArray, ListArray,
    OffsetSizeTrait, StructArray, UInt32Array,
};
use arrow::buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{BinaryType, DataType, Schema, Utf8Type};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use glovebox_contract::reason::ReasonCode;

use super::{Columns, FieldNode, buffer_width, recode};
use crate::services::{ErrorCode, HostError};

/// The columns at `indices` as exact buffers in the types of `boundary`, the batch's
/// [`boundary_schema`](crate::arrow_types::boundary_schema). Fails with
/// [`ErrorCode::LimitExceeded`] when they have more than `max_bytes`.
pub fn encode(
    batch: &RecordBatch,
    boundary: &Schema,
    indices: &[u32],
    max_bytes: u64,
) -> Result<Columns, HostError> {
    let mut encoder = Encoder::default();
    let mut bytes = 0;
    for &index in indices {
        let position = usize::try_from(index).unwrap_or(usize::MAX);
        let (Some(column), Some(field)) =
            (batch.columns().get(position), boundary.fields().get(position))
        else {
            return Err(HostError::new(
                ErrorCode::InvalidArgument,
                ReasonCode::InvalidArgument,
                format!("column {index} of a batch with {} columns", batch.num_columns()),
            ));
        };
        // Before any work: a guest may name a column many times.
        bytes += boundary_bytes(column.as_ref());
        if bytes > max_bytes {
            return Err(HostError::new(
                ErrorCode::LimitExceeded,
                ReasonCode::InvalidArgument,
                format!(
                    "the columns have more than {max_bytes} bytes; read fewer columns or a slice"
                ),
            ));
        }
        encoder.array(&recode(column, field.data_type())?, None)?;
    }
    Ok(encoder.columns)
}

/// Writes arrays depth first.
#[derive(Default)]
pub(super) struct Encoder {
    pub(super) columns: Columns,
    /// Whether a buffer had to be made anew because the array was not exact.
    pub(super) rewritten: bool,
}

/// Lets guest memory be filled straight from an Arrow buffer.
struct Shared(Buffer);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Encoder {
    /// Appends `array`; where `parent` is null the array counts as null too.
    pub(super) fn array(
        &mut self,
        array: &ArrayRef,
        parent: Option<&NullBuffer>,
    ) -> Result<(), HostError> {
        if array.data_type() == &DataType::Null {
            let length = array.len() as u64;
            self.columns.nodes.push(FieldNode { length, null_count: length });
            return Ok(());
        }
        let nulls = NullBuffer::union(array.nulls(), parent).filter(|n| n.null_count() > 0);
        if nulls.as_ref().map(NullBuffer::null_count).unwrap_or(0) != array.null_count() {
            self.rewritten = true;
        }
        self.columns.nodes.push(FieldNode {
            length: array.len() as u64,
            null_count: nulls.as_ref().map_or(0, |nulls| nulls.null_count() as u64),
        });
        match &nulls {
            Some(nulls) => self.bitmap(nulls.inner()),
            None => self.push(Buffer::from_vec(Vec::<u8>::new())),
        }
        match array.data_type() {
            DataType::Boolean => self.boolean(array.as_boolean(), nulls.as_ref()),
            DataType::Utf8 => self.bytes(array.as_bytes::<Utf8Type>(), nulls.as_ref()),
            DataType::Binary => self.bytes(array.as_bytes::<BinaryType>(), nulls.as_ref()),
            DataType::List(_) => self.list(array.as_list(), nulls.as_ref()),
            DataType::Struct(_) => self.fields(array.as_struct(), nulls.as_ref()),
            other => match buffer_width(other) {
                Some(width) => self.fixed(array.as_ref(), width, nulls.as_ref()),
                None => Err(HostError::new(
                    ErrorCode::Internal,
                    ReasonCode::Internal,
                    format!("columns of type {other} do not cross"),
                )),
            },
        }
    }

    fn push(&mut self, buffer: Buffer) {
        self.columns.buffers.push(Bytes::from_owner(Shared(buffer)));
    }

    /// A bitmap from its first bit on, with nothing behind its last.
    fn bitmap(&mut self, bits: &BooleanBuffer) {
        let bytes = bits.sliced();
        let used = bits.len() % 8;
        let unused = if used == 0 { 0 } else { 0xff_u8 << used };
        let stale = bytes.last().is_some_and(|last| last & unused != 0);
        if stale {
            self.rewritten = true;
            let mut exact = bytes.to_vec();
            if let Some(last) = exact.last_mut() {
                *last &= !unused;
            }
            self.push(Buffer::from_vec(exact));
        } else {
            self.push(bytes);
        }
    }

    fn boolean(
        &mut self,
        array: &BooleanArray,
        nulls: Option<&NullBuffer>,
    ) -> Result<(), HostError> {
        match nulls {
            Some(nulls) => {
                let exact = array.values() & nulls.inner();
                self.rewritten |= exact != *array.values();
                self.bitmap(&exact);
            }
            None => self.bitmap(array.values()),
        }
        Ok(())
    }

    fn fixed(
        &mut self,
        array: &dyn Array,
        width: usize,
        nulls: Option<&NullBuffer>,
    ) -> Result<(), HostError> {
        let data = array.to_data();
        let values = data
            .buffers()
            .first()
            .map(|values| values.slice_with_length(data.offset() * width, data.len() * width))
            .ok_or_else(damaged)?;
        match nulls {
            Some(nulls) if !null_slots_are_zero(&values, width, nulls) => {
                self.rewritten = true;
                self.push(with_zeroed_null_slots(&values, width, nulls));
            }
            _ => self.push(values),
        }
        Ok(())
    }

    fn bytes<T: ByteArrayType<Offset = i32>>(
        &mut self,
        array: &GenericByteArray<T>,
        nulls: Option<&NullBuffer>,
    ) -> Result<(), HostError> {
        let offsets = array.offsets();
        if null_slots_are_empty(offsets, nulls) {
            let (first, last) = ends(offsets);
            self.rewritten |= last != array.values().len();
            self.offsets(offsets);
            self.push(array.values().slice_with_length(first, last - first));
            return Ok(());
        }
        self.rewritten = true;
        let lengths = kept_lengths(offsets, nulls);
        let mut kept = Vec::with_capacity(array.values().len());
        for (start, length) in lengths.iter().copied() {
            let value = array.values().as_slice().get(start..start + length).ok_or_else(damaged)?;
            kept.extend_from_slice(value);
        }
        self.offsets(&OffsetBuffer::from_lengths(lengths.into_iter().map(|(_, length)| length)));
        self.push(Buffer::from_vec(kept));
        Ok(())
    }

    fn list(&mut self, array: &ListArray, nulls: Option<&NullBuffer>) -> Result<(), HostError> {
        let offsets = array.offsets();
        if null_slots_are_empty(offsets, nulls) {
            let (first, last) = ends(offsets);
            self.rewritten |= last != array.values().len();
            self.offsets(offsets);
            return self.array(&array.values().slice(first, last - first), None);
        }
        self.rewritten = true;
        let lengths = kept_lengths(offsets, nulls);
        let kept: UInt32Array = lengths
            .iter()
            .flat_map(|&(start, length)| start..start + length)
            .map(|index| u32::try_from(index).unwrap_or(u32::MAX))
            .collect::<Vec<_>>()
            .into();
        let items = take(array.values(), &kept, None).map_err(|_| damaged())?;
        self.offsets(&OffsetBuffer::from_lengths(lengths.into_iter().map(|(_, length)| length)));
        self.array(&items, None)
    }

    fn fields(&mut self, array: &StructArray, nulls: Option<&NullBuffer>) -> Result<(), HostError> {
        array.columns().iter().try_for_each(|column| self.array(column, nulls))
    }

    /// Offsets that begin at zero.
    fn offsets(&mut self, offsets: &OffsetBuffer<i32>) {
        match offsets.first() {
            Some(0) => self.push(offsets.inner().inner().clone()),
            Some(&first) => {
                self.rewritten = true;
                // Offsets rise, so the difference is never negative.
                let shifted: Vec<i32> = offsets.iter().map(|offset| offset - first).collect();
                self.push(Buffer::from_vec(shifted));
            }
            None => self.push(Buffer::from_vec(vec![0_i32])),
        }
    }
}

fn damaged() -> HostError {
    HostError::new(ErrorCode::Internal, ReasonCode::Internal, "an array of the host is damaged")
}

/// First and last offset.
fn ends(offsets: &OffsetBuffer<i32>) -> (usize, usize) {
    let end = |offset: Option<&i32>| offset.and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
    (end(offsets.first()), end(offsets.last()))
}

/// Start and length of each value, with length zero for nulls.
fn kept_lengths(offsets: &OffsetBuffer<i32>, nulls: Option<&NullBuffer>) -> Vec<(usize, usize)> {
    offsets
        .windows(2)
        .enumerate()
        .map(|(row, pair)| match pair {
            [start, end] if nulls.is_none_or(|nulls| nulls.is_valid(row)) => {
                let start = usize::try_from(*start).unwrap_or(0);
                let end = usize::try_from(*end).unwrap_or(0);
                (start, end.saturating_sub(start))
            }
            _ => (0, 0),
        })
        .collect()
}

fn null_slots(nulls: &NullBuffer) -> BooleanBuffer {
    !nulls.inner()
}

fn null_slots_are_empty(offsets: &OffsetBuffer<i32>, nulls: Option<&NullBuffer>) -> bool {
    let Some(nulls) = nulls else { return true };
    null_slots(nulls)
        .set_slices()
        .all(|(start, end)| offsets.get(start).is_some() && offsets.get(start) == offsets.get(end))
}

fn null_slots_are_zero(values: &Buffer, width: usize, nulls: &NullBuffer) -> bool {
    null_slots(nulls).set_slices().all(|(start, end)| {
        values
            .as_slice()
            .get(start * width..end * width)
            .is_some_and(|slots| slots.iter().all(|byte| *byte == 0))
    })
}

fn with_zeroed_null_slots(values: &Buffer, width: usize, nulls: &NullBuffer) -> Buffer {
    // A `MutableBuffer` is aligned for every type, a `Vec<u8>` is not.
    let mut exact = MutableBuffer::with_capacity(values.len());
    exact.extend_from_slice(values.as_slice());
    for (start, end) in null_slots(nulls).set_slices() {
        if let Some(slots) = exact.as_slice_mut().get_mut(start * width..end * width) {
            slots.fill(0);
        }
    }
    exact.into()
}

/// Bytes that the buffers of `array` have once encoded, or a little more.
pub fn boundary_bytes(array: &dyn Array) -> u64 {
    let validity = if array.null_count() > 0 { array.len().div_ceil(8) } else { 0 };
    validity as u64 + value_bytes(array)
}

fn value_bytes(array: &dyn Array) -> u64 {
    let rows = array.len() as u64;
    match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => rows.div_ceil(8),
        DataType::Utf8 => span(array.as_string::<i32>().offsets()) + offset_bytes(rows),
        DataType::LargeUtf8 => span(array.as_string::<i64>().offsets()) + offset_bytes(rows),
        DataType::Binary => span(array.as_binary::<i32>().offsets()) + offset_bytes(rows),
        DataType::LargeBinary => span(array.as_binary::<i64>().offsets()) + offset_bytes(rows),
        DataType::Utf8View => view_bytes(array.as_string_view()) + offset_bytes(rows),
        DataType::BinaryView => view_bytes(array.as_binary_view()) + offset_bytes(rows),
        DataType::Dictionary(..) => dictionary_bytes(array),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            offset_bytes(rows) + items_bytes(list.values(), list.offsets())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            offset_bytes(rows) + items_bytes(list.values(), list.offsets())
        }
        // Every child may gain the nulls of the struct.
        DataType::Struct(_) => array
            .as_struct()
            .columns()
            .iter()
            .map(|column| rows.div_ceil(8) + boundary_bytes(column.as_ref()))
            .sum(),
        other => rows.saturating_mul(buffer_width(other).unwrap_or(0) as u64),
    }
}

fn offset_bytes(rows: u64) -> u64 {
    (rows + 1).saturating_mul(4)
}

fn span<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> u64 {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => last.as_usize().saturating_sub(first.as_usize()) as u64,
        _ => 0,
    }
}

fn items_bytes<O: OffsetSizeTrait>(items: &ArrayRef, offsets: &OffsetBuffer<O>) -> u64 {
    let first = offsets.first().map_or(0, |first| first.as_usize());
    let length = usize::try_from(span(offsets)).unwrap_or(0);
    boundary_bytes(items.slice(first, length).as_ref())
}

fn view_bytes<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> u64 {
    // The low 32 bits of a view are the length of its value.
    array.views().iter().map(|view| view & u128::from(u32::MAX)).sum::<u128>() as u64
}

fn dictionary_bytes(array: &dyn Array) -> u64 {
    let Some(dictionary) = array.as_any_dictionary_opt() else { return 0 };
    let values = Arc::clone(dictionary.values());
    if values.is_empty() {
        return offset_bytes(array.len() as u64);
    }
    if let Some(width) = buffer_width(values.data_type()) {
        return (array.len() as u64).saturating_mul(width as u64);
    }
    let sizes: Vec<u64> = (0..values.len())
        .map(|row| value_bytes(values.slice(row, 1).as_ref()).saturating_sub(offset_bytes(1)))
        .collect();
    let keys = dictionary.normalized_keys();
    keys.iter().filter_map(|key| sizes.get(*key)).sum::<u64>() + offset_bytes(array.len() as u64)
}
