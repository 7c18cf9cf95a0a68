//! Columns and their typed views.

use std::ops::Range;
use std::sync::Arc;

use crate::buffer::{Bitmap, Native, Validity, Values};
use crate::error::{Error, ErrorCode, Result};
use crate::types::DataType;

/// Values of one type, some of which may be null. Cloning copies no value.
///
/// A typed view such as [`Column::float64`] gives access to the values:
///
/// ```
/// use glovebox_guest::Column;
///
/// let column = Column::from(vec![Some(1.5), None, Some(2.0)]);
/// let sum: f64 = column.float64()?.iter().flatten().sum();
/// assert_eq!(sum, 3.5);
/// # Ok::<(), glovebox_guest::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Column {
    pub(crate) data_type: DataType,
    pub(crate) data: Data,
}

/// Values by the way they lie in memory.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Null(usize),
    Boolean(BooleanColumn),
    I8(NumberColumn<i8>),
    I16(NumberColumn<i16>),
    I32(NumberColumn<i32>),
    I64(NumberColumn<i64>),
    I128(NumberColumn<i128>),
    U8(NumberColumn<u8>),
    U16(NumberColumn<u16>),
    U32(NumberColumn<u32>),
    U64(NumberColumn<u64>),
    F32(NumberColumn<f32>),
    F64(NumberColumn<f64>),
    Fixed(FixedSizeBinaryColumn),
    Utf8(Utf8Column),
    Binary(BinaryColumn),
    List(ListColumn),
    Struct(StructColumn),
}

/// Runs `$body` with the view of any column.
macro_rules! each_view {
    ($data:expr, $null:pat => $null_body:expr, $view:ident => $body:expr) => {
        match $data {
            $crate::column::Data::Null($null) => $null_body,
            $crate::column::Data::Boolean($view) => $body,
            $crate::column::Data::I8($view) => $body,
            $crate::column::Data::I16($view) => $body,
            $crate::column::Data::I32($view) => $body,
            $crate::column::Data::I64($view) => $body,
            $crate::column::Data::I128($view) => $body,
            $crate::column::Data::U8($view) => $body,
            $crate::column::Data::U16($view) => $body,
            $crate::column::Data::U32($view) => $body,
            $crate::column::Data::U64($view) => $body,
            $crate::column::Data::F32($view) => $body,
            $crate::column::Data::F64($view) => $body,
            $crate::column::Data::Fixed($view) => $body,
            $crate::column::Data::Utf8($view) => $body,
            $crate::column::Data::Binary($view) => $body,
            $crate::column::Data::List($view) => $body,
            $crate::column::Data::Struct($view) => $body,
        }
    };
}

/// Methods that every view has.
macro_rules! view_methods {
    ($($generics:tt)*) => {
        impl $($generics)* {
            /// Number of rows.
            pub fn len(&self) -> usize {
                self.validity.len()
            }

            /// Whether there is no row.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Number of rows without a value.
            pub fn null_count(&self) -> usize {
                self.validity.null_count()
            }

            /// Whether row `index` has no value.
            ///
            /// # Panics
            /// When there is no such row.
            pub fn is_null(&self, index: usize) -> bool {
                self.validity.is_null(index)
            }
        }
    };
}

/// Numbers: integers, floats, and what is counted in them, such as days or microseconds.
#[derive(Debug, Clone)]
pub struct NumberColumn<T: Native> {
    pub(crate) values: Values<T>,
    pub(crate) validity: Validity,
}
view_methods!(<T: Native> NumberColumn<T>);

impl<T: Native> NumberColumn<T> {
    /// All slots, without a copy. A null's slot holds zero.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The value of row `index`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, index: usize) -> Option<T> {
        (!self.is_null(index)).then(|| self.values[index])
    }

    /// The values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<T>> + '_ {
        let all = self.null_count() == 0;
        self.values
            .iter()
            .enumerate()
            .map(move |(index, value)| (all || !self.validity.is_null(index)).then_some(*value))
    }
}

/// True or false.
#[derive(Debug, Clone)]
pub struct BooleanColumn {
    pub(crate) bits: Bitmap,
    pub(crate) validity: Validity,
}
view_methods!(BooleanColumn);

impl BooleanColumn {
    /// The value of row `index`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, index: usize) -> Option<bool> {
        (!self.is_null(index)).then(|| self.bits.get(index))
    }

    /// The values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<bool>> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }
}

fn range(offsets: &[i32], index: usize) -> Range<usize> {
    offsets[index] as usize..offsets[index + 1] as usize
}

/// Texts.
#[derive(Debug, Clone)]
pub struct Utf8Column {
    pub(crate) offsets: Values<i32>,
    pub(crate) text: Arc<String>,
    pub(crate) validity: Validity,
}
view_methods!(Utf8Column);

impl Utf8Column {
    /// The text of row `index`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, index: usize) -> Option<&str> {
        (!self.is_null(index)).then(|| &self.text[range(&self.offsets, index)])
    }

    /// The texts in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&str>> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// Byte strings.
#[derive(Debug, Clone)]
pub struct BinaryColumn {
    pub(crate) offsets: Values<i32>,
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) validity: Validity,
}
view_methods!(BinaryColumn);

impl BinaryColumn {
    /// The bytes of row `index`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        (!self.is_null(index)).then(|| &self.bytes[range(&self.offsets, index)])
    }

    /// The byte strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// Byte strings of one length. Decimals of 256 bits lie like this too.
#[derive(Debug, Clone)]
pub struct FixedSizeBinaryColumn {
    pub(crate) width: usize,
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) validity: Validity,
}
view_methods!(FixedSizeBinaryColumn);

impl FixedSizeBinaryColumn {
    /// The bytes of row `index`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        (!self.is_null(index)).then(|| &self.bytes[index * self.width..][..self.width])
    }

    /// The byte strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>> + '_ {
        (0..self.len()).map(|index| self.get(index))
    }
}

/// Lists, one after the other in [`ListColumn::items`].
#[derive(Debug, Clone)]
pub struct ListColumn {
    pub(crate) offsets: Values<i32>,
    pub(crate) items: Box<Column>,
    pub(crate) validity: Validity,
}
view_methods!(ListColumn);

impl ListColumn {
    /// The items of all lists.
    pub fn items(&self) -> &Column {
        &self.items
    }

    /// Which of the items are those of row `index`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, index: usize) -> Option<Range<usize>> {
        (!self.is_null(index)).then(|| range(&self.offsets, index))
    }
}

/// Structs: columns side by side under one name.
#[derive(Debug, Clone)]
pub struct StructColumn {
    pub(crate) fields: Arc<Vec<(String, Column)>>,
    pub(crate) validity: Validity,
}
view_methods!(StructColumn);

impl StructColumn {
    /// Names and columns of the fields.
    pub fn fields(&self) -> &[(String, Column)] {
        &self.fields
    }

    /// The column of field `name`. It has a value, zero or empty, where the struct is null.
    pub fn field(&self, name: &str) -> Option<&Column> {
        self.fields.iter().find(|(listed, _)| listed == name).map(|(_, column)| column)
    }
}

/// A view of 8-bit integers.
pub type Int8Column = NumberColumn<i8>;
/// A view of 16-bit integers.
pub type Int16Column = NumberColumn<i16>;
/// A view of 32-bit integers.
pub type Int32Column = NumberColumn<i32>;
/// A view of 64-bit integers.
pub type Int64Column = NumberColumn<i64>;
/// A view of unsigned 8-bit integers.
pub type UInt8Column = NumberColumn<u8>;
/// A view of unsigned 16-bit integers.
pub type UInt16Column = NumberColumn<u16>;
/// A view of unsigned 32-bit integers.
pub type UInt32Column = NumberColumn<u32>;
/// A view of unsigned 64-bit integers.
pub type UInt64Column = NumberColumn<u64>;
/// A view of 32-bit floats.
pub type Float32Column = NumberColumn<f32>;
/// A view of 64-bit floats.
pub type Float64Column = NumberColumn<f64>;

macro_rules! views {
    ($($(#[$doc:meta])* $method:ident, $type:pat, $variant:ident, $view:ty;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// When the column has another type.
            pub fn $method(&self) -> Result<$view> {
                match (&self.data_type, &self.data) {
                    ($type, Data::$variant(view)) => Ok(view.clone()),
                    _ => Err(self.is_not(stringify!($method))),
                }
            }
        )*
    };
}

impl Column {
    /// Type of the values.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        each_view!(&self.data, len => *len, view => view.len())
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows without a value.
    pub fn null_count(&self) -> usize {
        each_view!(&self.data, len => *len, view => view.null_count())
    }

    /// Whether row `index` has no value.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn is_null(&self, index: usize) -> bool {
        each_view!(&self.data, len => { assert!(index < *len); true }, view => view.is_null(index))
    }

    /// The same values under another type of the same layout, for example 64-bit integers as
    /// timestamps.
    ///
    /// # Errors
    /// When values of that type lie in memory in another way.
    pub fn with_type(self, data_type: DataType) -> Result<Self> {
        if Layout::of(&self.data_type) != Layout::of(&data_type)
            || matches!(data_type, DataType::List(_) | DataType::Struct(_) | DataType::Utf8)
                && data_type != self.data_type
        {
            return Err(mismatch(format_args!(
                "a column of type {} cannot become {data_type} without converting its values",
                self.data_type
            )));
        }
        Ok(Self { data_type, data: self.data })
    }

    fn is_not(&self, wanted: &str) -> Error {
        mismatch(format_args!("a column of type {} is not {wanted}", self.data_type))
    }

    views! {
        /// The values as booleans.
        boolean, DataType::Boolean, Boolean, BooleanColumn;
        /// The values as 8-bit integers.
        int8, DataType::Int8, I8, Int8Column;
        /// The values as 16-bit integers.
        int16, DataType::Int16, I16, Int16Column;
        /// The values as 32-bit integers.
        int32, DataType::Int32, I32, Int32Column;
        /// The values as 64-bit integers.
        int64, DataType::Int64, I64, Int64Column;
        /// The values as unsigned 8-bit integers.
        uint8, DataType::UInt8, U8, UInt8Column;
        /// The values as unsigned 16-bit integers.
        uint16, DataType::UInt16, U16, UInt16Column;
        /// The values as unsigned 32-bit integers.
        uint32, DataType::UInt32, U32, UInt32Column;
        /// The values as unsigned 64-bit integers.
        uint64, DataType::UInt64, U64, UInt64Column;
        /// The bits of 16-bit floats.
        float16_bits, DataType::Float16, U16, UInt16Column;
        /// The values as 32-bit floats.
        float32, DataType::Float32, F32, Float32Column;
        /// The values as 64-bit floats.
        float64, DataType::Float64, F64, Float64Column;
        /// The values as days since 1970-01-01.
        date32, DataType::Date32, I32, Int32Column;
        /// The values as milliseconds since 1970-01-01.
        date64, DataType::Date64, I64, Int64Column;
        /// The values as times of day in seconds or milliseconds.
        time32, DataType::Time32(_), I32, Int32Column;
        /// The values as times of day in microseconds or nanoseconds.
        time64, DataType::Time64(_), I64, Int64Column;
        /// The values as counts of the type's unit since 1970-01-01T00:00:00Z.
        timestamp, DataType::Timestamp(..), I64, Int64Column;
        /// The values as counts of the type's unit.
        duration, DataType::Duration(_), I64, Int64Column;
        /// The values as unscaled decimals.
        decimal128, DataType::Decimal128(..), I128, NumberColumn<i128>;
        /// The values as unscaled decimals of 32 little-endian bytes.
        decimal256_bytes, DataType::Decimal256(..), Fixed, FixedSizeBinaryColumn;
        /// The values as byte strings of one length.
        fixed_size_binary, DataType::FixedSizeBinary(_), Fixed, FixedSizeBinaryColumn;
        /// The values as texts.
        utf8, DataType::Utf8, Utf8, Utf8Column;
        /// The values as byte strings.
        binary, DataType::Binary, Binary, BinaryColumn;
        /// The values as lists.
        list, DataType::List(_), List, ListColumn;
        /// The values as structs.
        structs, DataType::Struct(_), Struct, StructColumn;
    }
}

pub(crate) fn mismatch(message: impl std::fmt::Display) -> Error {
    Error::with_code(ErrorCode::SchemaMismatch, message)
}

/// How values of a type lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Null,
    Boolean,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Fixed(usize),
    Utf8,
    Binary,
    List,
    Struct,
}

impl Layout {
    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::I8,
            DataType::Int16 => Self::I16,
            DataType::Int32 | DataType::Date32 | DataType::Time32(_) => Self::I32,
            DataType::Int64
            | DataType::Date64
            | DataType::Time64(_)
            | DataType::Timestamp(..)
            | DataType::Duration(_) => Self::I64,
            DataType::Decimal128(..) => Self::I128,
            DataType::UInt8 => Self::U8,
            DataType::UInt16 | DataType::Float16 => Self::U16,
            DataType::UInt32 => Self::U32,
            DataType::UInt64 => Self::U64,
            DataType::Float32 => Self::F32,
            DataType::Float64 => Self::F64,
            DataType::Decimal256(..) => Self::Fixed(32),
            DataType::FixedSizeBinary(width) => Self::Fixed(*width as usize),
            DataType::Utf8 => Self::Utf8,
            DataType::Binary => Self::Binary,
            DataType::List(_) => Self::List,
            DataType::Struct(_) => Self::Struct,
        }
    }
}
