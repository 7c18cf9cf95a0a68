//! Made-up values of every column type.
//!
//! A value is a number first: equal numbers give equal values in every column of one type, whatever
//! its name, so that joins find partners.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Decimal256Array, FixedSizeBinaryArray,
    Int64Array, ListArray, NullArray, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, i256};
use glovebox_contract::column::{ColumnType, TimeUnit};
use glovebox_sandbox::arrow_types::column_type_to_arrow;

const SECONDS_OF_DAY: i64 = 86_400;

/// Most distinct values in a dictionary.
const MOST: i64 = 10_000;

/// Most items of a made-up list, and none in every so manieth.
const LIST_ITEMS: i64 = 4;

/// What made-up values are made of besides numbers.
#[derive(Debug, Clone)]
pub(super) struct Vocabulary {
    /// Texts that the notebook knows, for the smallest numbers.
    pub(super) texts: Vec<String>,
    /// The day of number 0, in days since 1970-01-01.
    pub(super) first_day: i64,
}

impl Vocabulary {
    fn text(&self, number: i64) -> String {
        let known = usize::try_from(number).ok().and_then(|number| self.texts.get(number));
        known.cloned().unwrap_or_else(|| format!("v{number}"))
    }
}

/// One value for each number, null for none.
pub(super) fn array(
    column_type: &ColumnType,
    numbers: &[Option<i64>],
    words: &Vocabulary,
) -> Result<ArrayRef> {
    let data_type = column_type_to_arrow(column_type);
    let each = |value: &dyn Fn(i64) -> i64| -> ArrayRef {
        Arc::new(numbers.iter().map(|number| number.map(value)).collect::<Int64Array>())
    };
    let made: ArrayRef = match column_type {
        ColumnType::Null => Arc::new(NullArray::new(numbers.len())),
        ColumnType::Boolean => {
            Arc::new(numbers.iter().map(|n| n.map(|n| n % 2 == 1)).collect::<BooleanArray>())
        }
        ColumnType::Int8 | ColumnType::UInt8 => each(&|n| n % 128),
        ColumnType::Int16 | ColumnType::UInt16 => each(&|n| n % 32_768),
        ColumnType::Float16 | ColumnType::Float32 | ColumnType::Float64 => quarters(numbers)?,
        ColumnType::Decimal128(..) | ColumnType::Decimal256(..) => {
            return decimals(column_type, numbers);
        }
        ColumnType::Date32 => cast(&each(&|n| words.first_day + n % 366), &DataType::Int32)?,
        ColumnType::Date64 => each(&|n| (words.first_day + n % 366) * SECONDS_OF_DAY * 1_000),
        ColumnType::Time32(unit) => {
            cast(&each(&|n| n * 60 % SECONDS_OF_DAY * per_second(*unit)), &DataType::Int32)?
        }
        ColumnType::Time64(unit) => each(&|n| n * 60 % SECONDS_OF_DAY * per_second(*unit)),
        ColumnType::Timestamp(unit, _) => {
            let first = words.first_day * SECONDS_OF_DAY;
            // Hours of a year: nanoseconds since 1970 leave room for no millennia.
            each(&|n| (first + n % 8_784 * 3_600) * per_second(*unit))
        }
        ColumnType::Duration(unit) => each(&|n| n % 1_000_000 * per_second(*unit)),
        ColumnType::FixedSizeBinary(width) => return fixed_bytes(*width, numbers),
        ColumnType::Dictionary(key, value) => {
            // Small keys count few values.
            let most =
                if matches!(**key, ColumnType::Int8 | ColumnType::UInt8) { 100 } else { MOST };
            let few: Vec<_> = numbers.iter().map(|number| number.map(|n| n % most)).collect();
            array(value, &few, words)?
        }
        ColumnType::List(item) => lists(item, numbers, words)?,
        ColumnType::LargeList(item) => lists(item, numbers, words)?,
        ColumnType::Struct(fields) => return structs(fields, numbers, words),
        ColumnType::Utf8
        | ColumnType::LargeUtf8
        | ColumnType::Utf8View
        | ColumnType::Binary
        | ColumnType::LargeBinary
        | ColumnType::BinaryView => {
            let texts = numbers.iter().map(|number| number.map(|number| words.text(number)));
            Arc::new(texts.collect::<StringArray>())
        }
        ColumnType::Int32 | ColumnType::Int64 | ColumnType::UInt32 | ColumnType::UInt64 => {
            each(&|n| n)
        }
    };
    cast(&made, &data_type).with_context(|| format!("cannot make up values of type {column_type}"))
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// 0, 0.25, 0.5, … as `float64`.
fn quarters(numbers: &[Option<i64>]) -> Result<ArrayRef> {
    let whole: Int64Array = numbers.iter().copied().collect();
    let quarters = cast(&whole, &DataType::Float64)?;
    Ok(arrow::compute::kernels::numeric::div(
        &quarters,
        &arrow::array::Float64Array::new_scalar(4.0),
    )?)
}

fn decimals(column_type: &ColumnType, numbers: &[Option<i64>]) -> Result<ArrayRef> {
    Ok(match column_type {
        ColumnType::Decimal256(precision, scale) => {
            let most = 10_i64.pow(u32::from(*precision).min(15));
            let values = numbers.iter().map(|n| n.map(|n| i256::from_i128(i128::from(n % most))));
            let array: Decimal256Array = values.collect();
            Arc::new(array.with_precision_and_scale(*precision, *scale)?)
        }
        ColumnType::Decimal128(precision, scale) => {
            let most = 10_i64.pow(u32::from(*precision).min(15));
            let values = numbers.iter().map(|n| n.map(|n| i128::from(n % most)));
            let array: Decimal128Array = values.collect();
            Arc::new(array.with_precision_and_scale(*precision, *scale)?)
        }
        _ => anyhow::bail!("{column_type} is no decimal"),
    })
}

fn fixed_bytes(width: u32, numbers: &[Option<i64>]) -> Result<ArrayRef> {
    let width = usize::try_from(width)?;
    let bytes = |number: i64| -> Vec<u8> {
        number.to_be_bytes().into_iter().rev().cycle().take(width).collect()
    };
    let values = numbers.iter().map(|number| number.map(bytes));
    Ok(Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(
        values,
        i32::try_from(width)?,
    )?))
}

/// The list of number n holds n, n + 1, …; as many as n says.
fn lists(item: &ColumnType, numbers: &[Option<i64>], words: &Vocabulary) -> Result<ArrayRef> {
    let mut items = Vec::new();
    let mut lengths = Vec::with_capacity(numbers.len());
    for number in numbers {
        let count = number.map_or(0, |number| number % LIST_ITEMS);
        items.extend((0..count).map(|at| number.map(|number| number + at)));
        lengths.push(usize::try_from(count)?);
    }
    let field = Arc::new(Field::new("item", column_type_to_arrow(item), true));
    let nulls = numbers.iter().map(Option::is_some).collect::<NullBuffer>();
    let offsets = OffsetBuffer::from_lengths(lengths);
    let values = array(item, &items, words)?;
    Ok(Arc::new(ListArray::try_new(field, offsets, values, Some(nulls))?))
}

fn structs(
    fields: &[(String, ColumnType)],
    numbers: &[Option<i64>],
    words: &Vocabulary,
) -> Result<ArrayRef> {
    let columns = fields.iter().map(|(name, field)| {
        let values = array(field, numbers, words)?;
        Ok((Arc::new(Field::new(name, values.data_type().clone(), true)), values))
    });
    let (fields, columns): (Vec<_>, Vec<_>) =
        columns.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let nulls = numbers.iter().map(Option::is_some).collect::<NullBuffer>();
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(numbers.len(), Some(nulls))));
    }
    Ok(Arc::new(StructArray::try_new(fields.into(), columns, Some(nulls))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every column type, nested ones included.
    pub(in crate::dry_run) const TYPES: [&str; 39] = [
        "null",
        "boolean",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
        "date32",
        "date64",
        "utf8",
        "large_utf8",
        "utf8_view",
        "binary",
        "large_binary",
        "binary_view",
        "fixed_size_binary(1)",
        "fixed_size_binary(20)",
        "decimal(1, 0)",
        "decimal(38, 10)",
        "decimal(5, -2)",
        "decimal256(76, 20)",
        "time32(s)",
        "time32(ms)",
        "time64(us)",
        "time64(ns)",
        "timestamp(s)",
        "timestamp(ns, Europe/Berlin)",
        "duration(ms)",
        "dictionary(int8, utf8)",
        "list(int32)",
        "large_list(struct(a: utf8))",
        "struct(a: int64, b: list(date32))",
        "list(list(decimal(10, 2)))",
    ];

    #[test]
    fn every_type_has_values_and_keeps_nulls() {
        let words = Vocabulary { texts: vec!["JFK".into()], first_day: 19_723 };
        let numbers: Vec<_> = (0..5_000).map(|n| (n % 7 != 0).then_some(n)).collect();
        for text in TYPES {
            let column_type: ColumnType = text.parse().unwrap();
            let made =
                array(&column_type, &numbers, &words).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(made.len(), 5_000, "{text}");
            assert_eq!(made.data_type(), &column_type_to_arrow(&column_type), "{text}");
            let nulls = if text == "null" { 5_000 } else { 715 };
            assert_eq!(made.logical_null_count(), nulls, "{text}");
            made.to_data().validate_full().unwrap_or_else(|e| panic!("{text}: {e}"));
        }
    }

    #[test]
    fn known_texts_come_first() {
        let words = Vocabulary { texts: vec!["JFK".into()], first_day: 0 };
        let made = array(&ColumnType::Utf8, &[Some(0), Some(1), None], &words).unwrap();
        let expect: StringArray = [Some("JFK"), Some("v1"), None].into_iter().collect();
        assert_eq!(made.as_ref(), &expect as &dyn Array);
    }
}
