//! Builders of columns, and columns from Rust's own collections.

use std::sync::Arc;

use crate::buffer::{Bitmap, BitmapBuilder, Native, ValidityBuilder};
use crate::column::{
    BinaryColumn, BooleanColumn, Column, Data, Layout, NumberColumn, Utf8Column, mismatch,
};
use crate::error::Result;
use crate::types::DataType;

/// A number with a column type of its own.
pub trait Number: Native {
    /// The type of a column of these numbers.
    const DATA_TYPE: DataType;
    #[doc(hidden)]
    fn into_column(data_type: DataType, column: NumberColumn<Self>) -> Column;
}

macro_rules! numbers {
    ($($number:ty, $type:expr, $variant:ident;)*) => {
        $(
            impl Number for $number {
                const DATA_TYPE: DataType = $type;

                fn into_column(data_type: DataType, column: NumberColumn<Self>) -> Column {
                    Column { data_type, data: Data::$variant(column) }
                }
            }
        )*
    };
}

numbers! {
    i8, DataType::Int8, I8;
    i16, DataType::Int16, I16;
    i32, DataType::Int32, I32;
    i64, DataType::Int64, I64;
    i128, DataType::Decimal128(38, 0), I128;
    u8, DataType::UInt8, U8;
    u16, DataType::UInt16, U16;
    u32, DataType::UInt32, U32;
    u64, DataType::UInt64, U64;
    f32, DataType::Float32, F32;
    f64, DataType::Float64, F64;
}

/// Builds a column of numbers.
#[derive(Debug, Clone)]
pub struct NumberBuilder<T: Number> {
    data_type: DataType,
    values: Vec<T>,
    validity: ValidityBuilder,
}

/// Builds a column of 32-bit integers.
pub type Int32Builder = NumberBuilder<i32>;
/// Builds a column of 64-bit integers.
pub type Int64Builder = NumberBuilder<i64>;
/// Builds a column of unsigned 64-bit integers.
pub type UInt64Builder = NumberBuilder<u64>;
/// Builds a column of 32-bit floats.
pub type Float32Builder = NumberBuilder<f32>;
/// Builds a column of 64-bit floats.
pub type Float64Builder = NumberBuilder<f64>;
/// Builds a column of decimals, which are counted in their smallest unit.
pub type Decimal128Builder = NumberBuilder<i128>;

impl<T: Number> Default for NumberBuilder<T> {
    fn default() -> Self {
        Self { data_type: T::DATA_TYPE, values: Vec::new(), validity: ValidityBuilder::default() }
    }
}

impl<T: Number> NumberBuilder<T> {
    /// A builder of a column of type [`Number::DATA_TYPE`].
    pub fn new() -> Self {
        Self::default()
    }

    /// A builder of a column of another type that is counted in these numbers: dates and
    /// 32-bit times in `i32`; timestamps, durations and 64-bit times in `i64`; decimals in `i128`.
    ///
    /// # Errors
    /// When values of that type are not these numbers.
    pub fn of_type(data_type: DataType) -> Result<Self> {
        if Layout::of(&data_type) != Layout::of(&T::DATA_TYPE) {
            return Err(mismatch(format_args!(
                "a column of type {data_type} is not made of {}",
                std::any::type_name::<T>()
            )));
        }
        Ok(Self { data_type, ..Self::default() })
    }

    /// Adds a value.
    pub fn push(&mut self, value: T) {
        self.push_option(Some(value));
    }

    /// Adds a row without a value.
    pub fn push_null(&mut self) {
        self.push_option(None);
    }

    /// Adds a value or a row without one.
    pub fn push_option(&mut self, value: Option<T>) {
        self.values.push(value.unwrap_or_default());
        self.validity.push(value.is_some());
    }

    /// The column.
    pub fn finish(self) -> Column {
        let column = NumberColumn { values: self.values.into(), validity: self.validity.finish() };
        T::into_column(self.data_type, column)
    }
}

/// Builds a column of booleans.
#[derive(Debug, Clone, Default)]
pub struct BooleanBuilder {
    bits: BitmapBuilder,
    validity: ValidityBuilder,
}

impl BooleanBuilder {
    /// A builder without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value.
    pub fn push(&mut self, value: bool) {
        self.push_option(Some(value));
    }

    /// Adds a row without a value.
    pub fn push_null(&mut self) {
        self.push_option(None);
    }

    /// Adds a value or a row without one.
    pub fn push_option(&mut self, value: Option<bool>) {
        self.bits.push(value.unwrap_or_default());
        self.validity.push(value.is_some());
    }

    /// The column.
    pub fn finish(self) -> Column {
        let bits: Bitmap = self.bits.finish();
        let column = BooleanColumn { bits, validity: self.validity.finish() };
        Column { data_type: DataType::Boolean, data: Data::Boolean(column) }
    }
}

macro_rules! string_builder {
    ($(#[$doc:meta])* $builder:ident, $borrowed:ty, $owned:ty, $append:ident, $finish:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $builder {
            offsets: Vec<i32>,
            all: $owned,
            validity: ValidityBuilder,
        }

        impl Default for $builder {
            fn default() -> Self {
                Self { offsets: vec![0], all: Default::default(), validity: Default::default() }
            }
        }

        impl $builder {
            /// A builder without rows.
            pub fn new() -> Self {
                Self::default()
            }

            /// Adds a value.
            ///
            /// # Panics
            /// When all values together have 2 GiB.
            pub fn push(&mut self, value: impl AsRef<$borrowed>) {
                self.push_option(Some(value));
            }

            /// Adds a row without a value.
            pub fn push_null(&mut self) {
                self.push_option(None::<&$borrowed>);
            }

            /// Adds a value or a row without one.
            ///
            /// # Panics
            /// When all values together have 2 GiB.
            pub fn push_option(&mut self, value: Option<impl AsRef<$borrowed>>) {
                if let Some(value) = &value {
                    self.all.$append(value.as_ref());
                }
                let end = i32::try_from(self.all.len()).expect("a column holds less than 2 GiB");
                self.offsets.push(end);
                self.validity.push(value.is_some());
            }

            /// The column.
            pub fn finish(self) -> Column {
                $finish(self)
            }
        }
    };
}

string_builder! {
    /// Builds a column of texts.
    Utf8Builder, str, String, push_str, |builder: Utf8Builder| {
        let column = Utf8Column {
            offsets: builder.offsets.into(),
            text: Arc::new(builder.all),
            validity: builder.validity.finish(),
        };
        Column { data_type: DataType::Utf8, data: Data::Utf8(column) }
    }
}

string_builder! {
    /// Builds a column of byte strings.
    BinaryBuilder, [u8], Vec<u8>, extend_from_slice, |builder: BinaryBuilder| {
        let column = BinaryColumn {
            offsets: builder.offsets.into(),
            bytes: Arc::new(builder.all),
            validity: builder.validity.finish(),
        };
        Column { data_type: DataType::Binary, data: Data::Binary(column) }
    }
}

macro_rules! collections {
    ($($value:ty, $builder:ty;)*) => {
        $(
            impl FromIterator<Option<$value>> for Column {
                fn from_iter<I: IntoIterator<Item = Option<$value>>>(values: I) -> Self {
                    let mut builder = <$builder>::new();
                    values.into_iter().for_each(|value| builder.push_option(value));
                    builder.finish()
                }
            }

            impl FromIterator<$value> for Column {
                fn from_iter<I: IntoIterator<Item = $value>>(values: I) -> Self {
                    values.into_iter().map(Some).collect()
                }
            }

            impl From<Vec<$value>> for Column {
                fn from(values: Vec<$value>) -> Self {
                    values.into_iter().collect()
                }
            }

            impl From<Vec<Option<$value>>> for Column {
                fn from(values: Vec<Option<$value>>) -> Self {
                    values.into_iter().collect()
                }
            }
        )*
    };
}

collections! {
    bool, BooleanBuilder;
    i8, NumberBuilder<i8>;
    i16, NumberBuilder<i16>;
    i32, NumberBuilder<i32>;
    i64, NumberBuilder<i64>;
    i128, NumberBuilder<i128>;
    u8, NumberBuilder<u8>;
    u16, NumberBuilder<u16>;
    u32, NumberBuilder<u32>;
    u64, NumberBuilder<u64>;
    f32, NumberBuilder<f32>;
    f64, NumberBuilder<f64>;
    String, Utf8Builder;
    Vec<u8>, BinaryBuilder;
}

impl<'a> FromIterator<Option<&'a str>> for Column {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(texts: I) -> Self {
        let mut builder = Utf8Builder::new();
        texts.into_iter().for_each(|text| builder.push_option(text));
        builder.finish()
    }
}

impl<'a> FromIterator<&'a str> for Column {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        texts.into_iter().map(Some).collect()
    }
}

impl From<Vec<&str>> for Column {
    fn from(texts: Vec<&str>) -> Self {
        texts.into_iter().collect()
    }
}

impl From<Vec<Option<&str>>> for Column {
    fn from(texts: Vec<Option<&str>>) -> Self {
        texts.into_iter().collect()
    }
}
