//! Columns as the nodes and buffers that cross between host and notebook, see `data.wit`.

use std::sync::Arc;

use crate::buffer::{Bitmap, Native, Validity, Values};
use crate::column::{
    BinaryColumn, BooleanColumn, Column, Data, FixedSizeBinaryColumn, Layout, ListColumn,
    NumberColumn, StructColumn, Utf8Column, mismatch,
};
use crate::error::Result;
use crate::types::DataType;

/// Length and null count of an array.
pub(crate) type Node = (u64, u64);

/// What crosses, in depth-first order.
#[derive(Debug, Default)]
pub(crate) struct Encoded<'a> {
    pub(crate) nodes: Vec<Node>,
    pub(crate) buffers: Vec<&'a [u8]>,
}

impl<'a> Encoded<'a> {
    pub(crate) fn of(columns: &'a [Column]) -> Self {
        let mut encoded = Self::default();
        columns.iter().for_each(|column| encoded.column(column));
        encoded
    }

    fn column(&mut self, column: &'a Column) {
        self.nodes.push((column.len() as u64, column.null_count() as u64));
        match &column.data {
            Data::Null(_) => {}
            Data::Boolean(view) => self.two(&view.validity, view.bits.as_bytes()),
            Data::I8(view) => self.numbers(view),
            Data::I16(view) => self.numbers(view),
            Data::I32(view) => self.numbers(view),
            Data::I64(view) => self.numbers(view),
            Data::I128(view) => self.numbers(view),
            Data::U8(view) => self.numbers(view),
            Data::U16(view) => self.numbers(view),
            Data::U32(view) => self.numbers(view),
            Data::U64(view) => self.numbers(view),
            Data::F32(view) => self.numbers(view),
            Data::F64(view) => self.numbers(view),
            Data::Fixed(view) => self.two(&view.validity, &view.bytes),
            Data::Utf8(view) => {
                self.two(&view.validity, view.offsets.as_bytes());
                self.buffers.push(view.text.as_bytes());
            }
            Data::Binary(view) => {
                self.two(&view.validity, view.offsets.as_bytes());
                self.buffers.push(&view.bytes);
            }
            Data::List(view) => {
                self.two(&view.validity, view.offsets.as_bytes());
                self.column(&view.items);
            }
            Data::Struct(view) => {
                self.buffers.push(view.validity.as_bytes());
                view.fields.iter().for_each(|(_, field)| self.column(field));
            }
        }
    }

    fn numbers<T: Native>(&mut self, view: &'a NumberColumn<T>) {
        self.two(&view.validity, view.values.as_bytes());
    }

    fn two(&mut self, validity: &'a Validity, values: &'a [u8]) {
        self.buffers.extend([validity.as_bytes(), values]);
    }
}

/// Makes columns of received nodes and buffers.
pub(crate) struct Decoder<N, B> {
    pub(crate) nodes: N,
    pub(crate) buffers: B,
}

impl<N: Iterator<Item = Node>, B: Iterator<Item = Vec<u8>>> Decoder<N, B> {
    /// The next column, of type `data_type`.
    ///
    /// # Errors
    /// When the buffers do not fit the type.
    pub(crate) fn column(&mut self, data_type: &DataType) -> Result<Column> {
        let data = self.data(data_type).ok_or_else(|| {
            mismatch(format_args!("the host sent a malformed column of type {data_type}"))
        })?;
        Ok(Column { data_type: data_type.clone(), data })
    }

    fn data(&mut self, data_type: &DataType) -> Option<Data> {
        let (len, nulls) = self.nodes.next()?;
        let (len, nulls) = (usize::try_from(len).ok()?, usize::try_from(nulls).ok()?);
        if *data_type == DataType::Null {
            return Some(Data::Null(len));
        }
        let validity = Validity::from_received(len, nulls, self.buffers.next()?)?;
        Some(match Layout::of(data_type) {
            Layout::Null => return None,
            Layout::Boolean => {
                let bytes = self.at_least(len.div_ceil(8))?;
                Data::Boolean(BooleanColumn { bits: Bitmap::from_received(bytes), validity })
            }
            Layout::I8 => Data::I8(self.numbers(validity)?),
            Layout::I16 => Data::I16(self.numbers(validity)?),
            Layout::I32 => Data::I32(self.numbers(validity)?),
            Layout::I64 => Data::I64(self.numbers(validity)?),
            Layout::I128 => Data::I128(self.numbers(validity)?),
            Layout::U8 => Data::U8(self.numbers(validity)?),
            Layout::U16 => Data::U16(self.numbers(validity)?),
            Layout::U32 => Data::U32(self.numbers(validity)?),
            Layout::U64 => Data::U64(self.numbers(validity)?),
            Layout::F32 => Data::F32(self.numbers(validity)?),
            Layout::F64 => Data::F64(self.numbers(validity)?),
            Layout::Fixed(width) => {
                let bytes = Arc::new(self.at_least(len.checked_mul(width)?)?);
                Data::Fixed(FixedSizeBinaryColumn { width, bytes, validity })
            }
            Layout::Utf8 => {
                let offsets = self.offsets(len)?;
                let text = String::from_utf8(self.at_least(last(&offsets))?).ok()?;
                Data::Utf8(Utf8Column { offsets, text: Arc::new(text), validity })
            }
            Layout::Binary => {
                let offsets = self.offsets(len)?;
                let bytes = Arc::new(self.at_least(last(&offsets))?);
                Data::Binary(BinaryColumn { offsets, bytes, validity })
            }
            Layout::List => {
                let DataType::List(item) = data_type else { return None };
                let offsets = self.offsets(len)?;
                let items = self.column(item).ok()?;
                if last(&offsets) > items.len() {
                    return None;
                }
                Data::List(ListColumn { offsets, items: Box::new(items), validity })
            }
            Layout::Struct => {
                let DataType::Struct(types) = data_type else { return None };
                let mut fields = Vec::with_capacity(types.len());
                for (name, data_type) in types {
                    let column = self.column(data_type).ok()?;
                    if column.len() != len {
                        return None;
                    }
                    fields.push((name.clone(), column));
                }
                Data::Struct(StructColumn { fields: Arc::new(fields), validity })
            }
        })
    }

    fn at_least(&mut self, bytes: usize) -> Option<Vec<u8>> {
        self.buffers.next().filter(|buffer| buffer.len() >= bytes)
    }

    fn numbers<T: Native>(&mut self, validity: Validity) -> Option<NumberColumn<T>> {
        let values = Values::from_received(self.buffers.next()?)?;
        (values.len() == validity.len()).then_some(NumberColumn { values, validity })
    }

    /// Offsets that only grow: one more than values.
    fn offsets(&mut self, len: usize) -> Option<Values<i32>> {
        let offsets: Values<i32> = Values::from_received(self.buffers.next()?)?;
        if len == 0 && offsets.is_empty() {
            return Some(Values::from(vec![0]));
        }
        let ordered = offsets.first() >= Some(&0) && offsets.is_sorted();
        (offsets.len() == len + 1 && ordered).then_some(offsets)
    }
}

fn last(offsets: &[i32]) -> usize {
    offsets.last().map_or(0, |last| *last as usize)
}

#[cfg(not(target_arch = "wasm32"))]
impl Column {
    /// A column without rows.
    pub(crate) fn empty(data_type: &DataType) -> Self {
        let nodes = std::iter::repeat((0, 0));
        let buffers = std::iter::repeat(Vec::new());
        let column = Decoder { nodes, buffers }.column(data_type);
        column.unwrap_or(Self { data_type: DataType::Null, data: Data::Null(0) })
    }
}

#[cfg(test)]
mod tests;
