//! How rows become arguments and results become columns.

use crate::buffer::{Native, Validity};
use crate::builder::{BinaryBuilder, BooleanBuilder, Number, NumberBuilder, Utf8Builder};
use crate::column::{
    BinaryColumn, BooleanColumn, Column, Data, NumberColumn, Utf8Column, mismatch,
};
use crate::error::{Error, Result};
use crate::scalar::Date;
use crate::types::DataType;

/// The view of a column that rows are read from.
pub trait View: Sized {
    /// The column as this view.
    ///
    /// # Errors
    /// When it has another type.
    fn of(column: &Column) -> Result<Self>;

    /// Whether row `row` has no value.
    fn is_missing(&self, row: usize) -> bool;
}

/// A type that an argument of a row-wise function has: a boolean, a number, a text, bytes or a
/// [`Date`], or an `Option` of one, which sees nulls.
pub trait Argument<'a>: Sized {
    /// Type of the column, as in a manifest.
    const DATA_TYPE: &'static str;
    /// Whether the function sees nulls.
    const NULLABLE: bool = false;
    #[doc(hidden)]
    type View: View + 'static;
    #[doc(hidden)]
    type Slots;

    #[doc(hidden)]
    fn slots(view: &'a Self::View) -> Self::Slots;

    /// The first `rows` slots: a loop over exactly these needs no further check.
    #[doc(hidden)]
    #[inline]
    fn first(slots: Self::Slots, rows: usize) -> Self::Slots {
        let _ = rows;
        slots
    }

    #[doc(hidden)]
    fn at(slots: &Self::Slots, row: usize) -> Self;
}

impl<T: Number + Viewed> View for NumberColumn<T> {
    fn of(column: &Column) -> Result<Self> {
        T::view(column)
    }

    fn is_missing(&self, row: usize) -> bool {
        self.is_null(row)
    }
}

/// A number whose columns have a view.
pub trait Viewed: Native {
    #[doc(hidden)]
    fn view(column: &Column) -> Result<NumberColumn<Self>>;
}

macro_rules! views {
    ($($view:ty, $method:ident;)*) => {
        $(
            impl View for $view {
                fn of(column: &Column) -> Result<Self> {
                    column.$method()
                }

                fn is_missing(&self, row: usize) -> bool {
                    self.is_null(row)
                }
            }
        )*
    };
}
views! {
    BooleanColumn, boolean;
    Utf8Column, utf8;
    BinaryColumn, binary;
}

macro_rules! numbers {
    ($($number:ty, $name:literal, $method:ident;)*) => {
        $(
            impl Viewed for $number {
                fn view(column: &Column) -> Result<NumberColumn<Self>> {
                    column.$method()
                }
            }

            impl<'a> Argument<'a> for $number {
                const DATA_TYPE: &'static str = $name;
                type View = NumberColumn<$number>;
                type Slots = &'a [$number];

                fn slots(view: &'a Self::View) -> Self::Slots {
                    view.values()
                }

                #[inline]
                fn first(slots: Self::Slots, rows: usize) -> Self::Slots {
                    &slots[..rows]
                }

                #[inline]
                fn at(slots: &Self::Slots, row: usize) -> Self {
                    slots[row]
                }
            }

            impl Returned for $number {
                const DATA_TYPE: &'static str = $name;

                fn collect(rows: usize, mut value: impl FnMut(usize) -> Result<Self>) -> Result<Column> {
                    let mut values = vec![<$number>::default(); rows];
                    for (row, slot) in values.iter_mut().enumerate() {
                        *slot = value(row)?;
                    }
                    Ok(all_present(values))
                }

                fn collect_nullable(
                    rows: usize,
                    mut value: impl FnMut(usize) -> Result<Option<Self>>,
                ) -> Result<Column> {
                    let mut builder = NumberBuilder::<$number>::new();
                    for row in 0..rows {
                        builder.push_option(value(row)?);
                    }
                    Ok(builder.finish())
                }
            }
        )*
    };
}
numbers! {
    i8, "int8", int8;
    i16, "int16", int16;
    i32, "int32", int32;
    i64, "int64", int64;
    u8, "uint8", uint8;
    u16, "uint16", uint16;
    u32, "uint32", uint32;
    u64, "uint64", uint64;
    f32, "float32", float32;
    f64, "float64", float64;
}

/// A column without nulls.
fn all_present<T: Number>(values: Vec<T>) -> Column {
    let validity = Validity::all(values.len());
    T::into_column(T::DATA_TYPE, NumberColumn { values: values.into(), validity })
}

macro_rules! arguments {
    ($($argument:ty, $name:literal, $view:ty, |$slots:ident, $row:ident| $at:expr;)*) => {
        $(
            impl<'a> Argument<'a> for $argument {
                const DATA_TYPE: &'static str = $name;
                type View = $view;
                type Slots = &'a $view;

                fn slots(view: &'a Self::View) -> Self::Slots {
                    view
                }

                #[inline]
                fn at($slots: &Self::Slots, $row: usize) -> Self {
                    $at
                }
            }
        )*
    };
}
arguments! {
    bool, "boolean", BooleanColumn, |view, row| view.get(row).unwrap_or_default();
    &'a str, "utf8", Utf8Column, |view, row| view.get(row).unwrap_or_default();
    String, "utf8", Utf8Column, |view, row| view.get(row).unwrap_or_default().to_owned();
    &'a [u8], "binary", BinaryColumn, |view, row| view.get(row).unwrap_or_default();
    Vec<u8>, "binary", BinaryColumn, |view, row| view.get(row).unwrap_or_default().to_owned();
}

/// A view of days.
pub struct Days(NumberColumn<i32>);

impl View for Days {
    fn of(column: &Column) -> Result<Self> {
        column.date32().map(Self)
    }

    fn is_missing(&self, row: usize) -> bool {
        self.0.is_null(row)
    }
}

impl<'a> Argument<'a> for Date {
    const DATA_TYPE: &'static str = "date32";
    type View = Days;
    type Slots = &'a [i32];

    fn slots(view: &'a Days) -> &'a [i32] {
        view.0.values()
    }

    fn at(slots: &&'a [i32], row: usize) -> Self {
        Self(slots[row])
    }
}

impl<'a, T: Argument<'a>> Argument<'a> for Option<T> {
    const DATA_TYPE: &'static str = T::DATA_TYPE;
    const NULLABLE: bool = true;
    type View = T::View;
    type Slots = (&'a T::View, T::Slots);

    fn slots(view: &'a Self::View) -> Self::Slots {
        (view, T::slots(view))
    }

    #[inline]
    fn first((view, slots): Self::Slots, rows: usize) -> Self::Slots {
        (view, T::first(slots, rows))
    }

    #[inline]
    fn at((view, slots): &Self::Slots, row: usize) -> Self {
        (!view.is_missing(row)).then(|| T::at(slots, row))
    }
}

/// A type that a row-wise function returns, in an `Option` where a row may lack a value, and in a
/// `Result` where it may fail.
pub trait Returned: Sized {
    /// Type of the column, as in a manifest.
    const DATA_TYPE: &'static str;
    /// Whether a row may lack a value.
    const NULLABLE: bool = false;

    #[doc(hidden)]
    fn collect(rows: usize, value: impl FnMut(usize) -> Result<Self>) -> Result<Column>;

    #[doc(hidden)]
    fn collect_nullable(
        rows: usize,
        value: impl FnMut(usize) -> Result<Option<Self>>,
    ) -> Result<Column>;
}

macro_rules! returned {
    ($($returned:ty, $name:literal, $builder:ty;)*) => {
        $(
            impl Returned for $returned {
                const DATA_TYPE: &'static str = $name;

                fn collect(rows: usize, mut value: impl FnMut(usize) -> Result<Self>) -> Result<Column> {
                    Self::collect_nullable(rows, |row| value(row).map(Some))
                }

                fn collect_nullable(
                    rows: usize,
                    mut value: impl FnMut(usize) -> Result<Option<Self>>,
                ) -> Result<Column> {
                    let mut builder = <$builder>::new();
                    for row in 0..rows {
                        builder.push_option(value(row)?);
                    }
                    Ok(builder.finish())
                }
            }
        )*
    };
}
returned! {
    bool, "boolean", BooleanBuilder;
    String, "utf8", Utf8Builder;
    &'static str, "utf8", Utf8Builder;
    Vec<u8>, "binary", BinaryBuilder;
}

impl Returned for Date {
    const DATA_TYPE: &'static str = "date32";

    fn collect(rows: usize, mut value: impl FnMut(usize) -> Result<Self>) -> Result<Column> {
        i32::collect(rows, |row| value(row).map(|day| day.0))?.with_type(DataType::Date32)
    }

    fn collect_nullable(
        rows: usize,
        mut value: impl FnMut(usize) -> Result<Option<Self>>,
    ) -> Result<Column> {
        i32::collect_nullable(rows, |row| Ok(value(row)?.map(|day| day.0)))?
            .with_type(DataType::Date32)
    }
}

impl<T: Returned> Returned for Option<T> {
    const DATA_TYPE: &'static str = T::DATA_TYPE;
    const NULLABLE: bool = true;

    fn collect(rows: usize, value: impl FnMut(usize) -> Result<Self>) -> Result<Column> {
        T::collect_nullable(rows, value)
    }

    fn collect_nullable(
        rows: usize,
        mut value: impl FnMut(usize) -> Result<Option<Self>>,
    ) -> Result<Column> {
        T::collect_nullable(rows, |row| Ok(value(row)?.flatten()))
    }
}

/// What a function gives for one row: a value, or a `Result` of one.
pub trait Outcome {
    /// The value.
    type Value;

    /// The value or the error.
    ///
    /// # Errors
    /// The function's own.
    fn outcome(self) -> Result<Self::Value>;
}

impl<T, E: Into<Error>> Outcome for Result<T, E> {
    type Value = T;

    fn outcome(self) -> Result<T> {
        self.map_err(Into::into)
    }
}

macro_rules! outcomes {
    ($($value:ty)*) => {
        $(
            impl Outcome for $value {
                type Value = Self;

                #[inline]
                fn outcome(self) -> Result<Self> {
                    Ok(self)
                }
            }
        )*
    };
}
outcomes! {
    () bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 String &'static str Date
    BooleanColumn Utf8Column BinaryColumn
}

impl<T> Outcome for Option<T> {
    type Value = Self;

    #[inline]
    fn outcome(self) -> Result<Self> {
        Ok(self)
    }
}

impl<T> Outcome for Vec<T> {
    type Value = Self;

    fn outcome(self) -> Result<Self> {
        Ok(self)
    }
}

impl<T: Native> Outcome for NumberColumn<T> {
    type Value = Self;

    fn outcome(self) -> Result<Self> {
        Ok(self)
    }
}

/// A type that an argument of a vectorised function has, behind a reference: a typed view.
pub trait ColumnArgument: View {
    /// Type of the column, as in a manifest.
    const DATA_TYPE: &'static str;
}

impl<T: Number + Viewed + for<'a> Argument<'a>> ColumnArgument for NumberColumn<T> {
    const DATA_TYPE: &'static str = <T as Argument<'static>>::DATA_TYPE;
}

macro_rules! column_arguments {
    ($($view:ty, $name:literal;)*) => {
        $(
            impl ColumnArgument for $view {
                const DATA_TYPE: &'static str = $name;
            }
        )*
    };
}
column_arguments! {
    BooleanColumn, "boolean";
    Utf8Column, "utf8";
    BinaryColumn, "binary";
}

/// What a vectorised function returns: a vector or a typed view, with one value for each row.
pub trait ReturnedColumn {
    /// Type of the column, as in a manifest.
    const DATA_TYPE: &'static str;
    /// Whether a row may lack a value.
    const NULLABLE: bool;

    #[doc(hidden)]
    fn column(self) -> Column;
}

impl<T: Returned> ReturnedColumn for Vec<T> {
    const DATA_TYPE: &'static str = T::DATA_TYPE;
    const NULLABLE: bool = T::NULLABLE;

    fn column(self) -> Column {
        let rows = self.len();
        let mut values = self.into_iter();
        let value = |_| values.next().ok_or_else(|| mismatch("a row is missing"));
        // A value cannot fail: there are as many as rows.
        T::collect(rows, value).unwrap_or(Column { data_type: DataType::Null, data: Data::Null(0) })
    }
}

impl<T: Number + Returned> ReturnedColumn for NumberColumn<T> {
    const DATA_TYPE: &'static str = <T as Returned>::DATA_TYPE;
    const NULLABLE: bool = true;

    fn column(self) -> Column {
        T::into_column(<T as Number>::DATA_TYPE, self)
    }
}

macro_rules! returned_columns {
    ($($view:ident, $name:literal, $type:ident;)*) => {
        $(
            impl ReturnedColumn for $view {
                const DATA_TYPE: &'static str = $name;
                const NULLABLE: bool = true;

                fn column(self) -> Column {
                    Column { data_type: DataType::$type, data: Data::$type(self) }
                }
            }
        )*
    };
}
returned_columns! {
    BooleanColumn, "boolean", Boolean;
    Utf8Column, "utf8", Utf8;
    BinaryColumn, "binary", Binary;
}
