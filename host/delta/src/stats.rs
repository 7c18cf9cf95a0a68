//! What the footer of a Parquet file says about its columns, as Delta writes it.
//!
//! Readers skip files by these figures, so a figure is left out when it could be wrong. The footer
//! is read here, on the host: it is bounded, and the Arrow schema that may hide in it, an IPC
//! message, is not looked at.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray as _, UInt64Array};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use chrono::{DateTime, Duration, NaiveDate};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};

/// Largest footer that is read.
const MAX_FOOTER_BYTES: u64 = 16 << 20;

/// Length of the footer's length and the magic number behind it.
const TAIL_BYTES: u64 = 8;

/// Longest text that stands as the least or the greatest of a column.
const MAX_TEXT_BYTES: usize = 256;

/// Most columns with figures, the first ones: as many as other writers have.
const MAX_COLUMNS: usize = 32;

/// The figures of the Parquet file as the JSON text of an `add` action. None when the file gives
/// none that can be trusted.
pub(crate) fn of_file(file: &File) -> Option<String> {
    let metadata = footer(file)?;
    of_metadata(&metadata)
}

fn footer(file: &File) -> Option<ParquetMetaData> {
    let length = file.metadata().ok()?.len();
    let mut tail = [0; 8];
    let start = length.checked_sub(TAIL_BYTES)?;
    file.read_exact_at(&mut tail, start).ok()?;
    let [a, b, c, d, b'P', b'A', b'R', b'1'] = tail else { return None };
    let size = u64::from(u32::from_le_bytes([a, b, c, d]));
    if size > MAX_FOOTER_BYTES {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.read_exact_at(&mut bytes, start.checked_sub(size)?).ok()?;
    ParquetMetaDataReader::decode_metadata(&bytes).ok()
}

fn of_metadata(metadata: &ParquetMetaData) -> Option<String> {
    let described = metadata.file_metadata().schema_descr();
    // No key-value metadata: that is where the IPC message would be.
    let schema = parquet_to_arrow_schema(described, None).ok()?;
    let rows = u64::try_from(metadata.file_metadata().num_rows()).ok()?;
    let mut figures = Figures::default();
    for field in schema.fields().iter().take(MAX_COLUMNS) {
        if !field.data_type().is_nested() {
            figures.add(field, &schema, metadata);
        }
    }
    let Figures { least, greatest, nulls } = figures;
    Some(format!(
        r#"{{"numRecords":{rows},"minValues":{{{least}}},"maxValues":{{{greatest}}},"nullCount":{{{nulls}}}}}"#
    ))
}

/// The members of three JSON objects.
#[derive(Default)]
struct Figures {
    least: String,
    greatest: String,
    nulls: String,
}

impl Figures {
    fn add(&mut self, field: &Field, schema: &Schema, metadata: &ParquetMetaData) {
        let described = metadata.file_metadata().schema_descr();
        let Ok(converter) = StatisticsConverter::try_new(field.name(), schema, described) else {
            return;
        };
        let converter = converter.with_missing_null_counts_as_zero(false);
        let groups = metadata.row_groups();
        let Ok(nulls) = converter.row_group_null_counts(groups.iter()) else { return };
        if nulls.null_count() == 0 {
            let all: u64 = nulls.values().iter().sum();
            push(&mut self.nulls, field.name(), &all.to_string());
        }
        let valued = groups_with_values(groups, &nulls);
        if let Ok(array) = converter.row_group_mins(groups.iter())
            && let Some(least) = bound(&array, &valued, Side::Least)
        {
            push(&mut self.least, field.name(), &least);
        }
        if let Ok(array) = converter.row_group_maxes(groups.iter())
            && let Some(greatest) = bound(&array, &valued, Side::Greatest)
        {
            push(&mut self.greatest, field.name(), &greatest);
        }
    }
}

fn push(object: &mut String, name: &str, value: &str) {
    let separator = if object.is_empty() { "" } else { "," };
    // Writing to a text cannot fail.
    let _ = write!(object, "{separator}{}:{value}", serde_json::Value::from(name));
}

/// Which row groups may have values other than null: their bounds are needed.
fn groups_with_values(groups: &[RowGroupMetaData], nulls: &UInt64Array) -> Vec<bool> {
    let nulls = nulls.iter();
    let valued = groups.iter().zip(nulls).map(|(group, nulls)| {
        nulls.is_none_or(|nulls| u64::try_from(group.num_rows()).is_ok_and(|rows| nulls < rows))
    });
    valued.collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Least,
    Greatest,
}

/// The bound of all row groups as JSON text.
fn bound(array: &ArrayRef, valued: &[bool], side: Side) -> Option<String> {
    macro_rules! number {
        ($kind:ty) => {
            extreme(array.as_primitive_opt::<$kind>()?.iter(), valued, side)?.to_string()
        };
    }
    let text = match array.data_type() {
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => float::<Float32Type>(array, valued, side)?,
        DataType::Float64 => float::<Float64Type>(array, valued, side)?,
        DataType::Date32 => date(number!(Date32Type).parse().ok()?)?,
        DataType::Decimal128(_, scale) => decimal(&number!(Decimal128Type), *scale)?,
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            let millis: i64 = number!(TimestampMillisecondType).parse().ok()?;
            timestamp(millis, zone.is_some())?
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros: i64 = number!(TimestampMicrosecondType).parse().ok()?;
            // Delta writes milliseconds; the bound stays a bound.
            let millis = match side {
                Side::Least => micros.div_euclid(1000),
                Side::Greatest => micros.checked_add(999)?.div_euclid(1000),
            };
            timestamp(millis, zone.is_some())?
        }
        DataType::Utf8 => {
            let text = extreme(array.as_string_opt::<i32>()?.iter(), valued, side)?;
            (text.len() <= MAX_TEXT_BYTES).then(|| serde_json::Value::from(text).to_string())?
        }
        _ => return None,
    };
    Some(text)
}

/// The least or the greatest; none when a row group with values gives none.
fn extreme<T: Ord>(
    values: impl Iterator<Item = Option<T>>,
    valued: &[bool],
    side: Side,
) -> Option<T> {
    let needed = values.zip(valued).filter(|(_, valued)| **valued).map(|(value, _)| value);
    let values = needed.collect::<Option<Vec<T>>>()?;
    match side {
        Side::Least => values.into_iter().min(),
        Side::Greatest => values.into_iter().max(),
    }
}

/// The least number only: not-a-number stands in no footer, and many readers sort it above all.
fn float<T: ArrowPrimitiveType>(array: &ArrayRef, valued: &[bool], side: Side) -> Option<String>
where
    T::Native: Into<f64>,
{
    if side == Side::Greatest {
        return None;
    }
    let values = array.as_primitive_opt::<T>()?.iter().zip(valued);
    let needed = values.filter(|(_, valued)| **valued).map(|(value, _)| value.map(Into::into));
    let values = needed.collect::<Option<Vec<f64>>>()?;
    let least = values.into_iter().reduce(f64::min).filter(|least| least.is_finite())?;
    serde_json::Number::from_f64(least).map(|number| number.to_string())
}

fn date(days: i64) -> Option<String> {
    let date = NaiveDate::default().checked_add_signed(Duration::try_days(days)?)?;
    four_digit_year(format!("\"{}\"", date.format("%Y-%m-%d")))
}

fn timestamp(millis: i64, zone: bool) -> Option<String> {
    let time = DateTime::from_timestamp_millis(millis)?;
    let zone = if zone { "Z" } else { "" };
    four_digit_year(format!("\"{}{zone}\"", time.format("%Y-%m-%dT%H:%M:%S%.3f")))
}

/// Other years have other forms, which not everyone reads alike.
fn four_digit_year(text: String) -> Option<String> {
    (text.len() <= 26 && text.as_bytes().get(5) == Some(&b'-')).then_some(text)
}

/// An exact number from its unscaled digits.
fn decimal(unscaled: &str, scale: i8) -> Option<String> {
    let scale = usize::try_from(scale).ok()?;
    if scale == 0 {
        return Some(unscaled.to_owned());
    }
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", unscaled),
    };
    let digits = format!("{digits:0>width$}", width = scale.saturating_add(1));
    let (whole, fraction) = digits.split_at_checked(digits.len().checked_sub(scale)?)?;
    Some(format!("{sign}{whole}.{fraction}"))
}
