//! Values of the database as values of a room.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Builder, Decimal256Builder,
    PrimitiveBuilder, StringBuilder,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, DecimalType,
    Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, UInt32Type,
};

use super::columns::{Kind, SourceColumn};
use super::numeric::mantissa;
use crate::error::Failure;

/// Days and microseconds from 1970-01-01 to 2000-01-01, where the database begins to count.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// Collects the values of a column.
pub(super) struct ColumnBuilder {
    name: String,
    kind: Kind,
    values: Values,
}

/// By the type in Arrow.
enum Values {
    Boolean(BooleanBuilder),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    UInt32(PrimitiveBuilder<UInt32Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Text(StringBuilder, fn(&[u8]) -> Option<String>),
    Utf8(StringBuilder),
    Binary(BinaryBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
}

impl ColumnBuilder {
    pub(super) fn new(column: &SourceColumn) -> Self {
        let arrow_type = column.field().data_type().clone();
        let name = column.column.name.clone();
        Self { name, kind: column.kind, values: Values::new(column.kind, arrow_type) }
    }

    /// Adds the value that these bytes are, or null.
    pub(super) fn append(&mut self, value: Option<&[u8]>) -> Result<(), Failure> {
        self.values.append(value).ok_or_else(|| {
            // The value itself is nobody's business.
            Failure::unreadable(format!(
                "column `{}` holds a value that has no place in its type in the room{}",
                self.name,
                match self.kind {
                    Kind::Date | Kind::Timestamp | Kind::TimestampTz => ", such as `infinity`",
                    Kind::Numeric { .. } => ", such as one with more digits, or `NaN`",
                    _ => "",
                }
            ))
        })
    }

    /// The column so far; the next values begin another one.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match &mut self.values {
            Values::Boolean(values) => Arc::new(values.finish()),
            Values::Int16(values) => Arc::new(values.finish()),
            Values::Int32(values) => Arc::new(values.finish()),
            Values::Int64(values) => Arc::new(values.finish()),
            Values::UInt32(values) => Arc::new(values.finish()),
            Values::Float32(values) => Arc::new(values.finish()),
            Values::Float64(values) => Arc::new(values.finish()),
            Values::Text(values, _) | Values::Utf8(values) => Arc::new(values.finish()),
            Values::Binary(values) => Arc::new(values.finish()),
            Values::Date(values) => Arc::new(values.finish()),
            Values::Time(values) => Arc::new(values.finish()),
            Values::Timestamp(values) => Arc::new(values.finish()),
            Values::Decimal128(values, _, _) => Arc::new(values.finish()),
            Values::Decimal256(values, _, _) => Arc::new(values.finish()),
        }
    }
}

impl Values {
    fn new(kind: Kind, arrow_type: DataType) -> Self {
        match kind {
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Int2 => Self::Int16(PrimitiveBuilder::new()),
            Kind::Int4 => Self::Int32(PrimitiveBuilder::new()),
            Kind::Int8 => Self::Int64(PrimitiveBuilder::new()),
            Kind::Oid => Self::UInt32(PrimitiveBuilder::new()),
            Kind::Float4 => Self::Float32(PrimitiveBuilder::new()),
            Kind::Float8 => Self::Float64(PrimitiveBuilder::new()),
            Kind::Text | Kind::TextLike => Self::Utf8(StringBuilder::new()),
            Kind::Jsonb => Self::Text(StringBuilder::new(), jsonb),
            Kind::Uuid => Self::Text(StringBuilder::new(), uuid),
            Kind::Bytea => Self::Binary(BinaryBuilder::new()),
            Kind::Date => Self::Date(PrimitiveBuilder::new()),
            Kind::Time => Self::Time(PrimitiveBuilder::new()),
            Kind::Timestamp | Kind::TimestampTz => {
                Self::Timestamp(PrimitiveBuilder::new().with_data_type(arrow_type))
            }
            Kind::Numeric { precision, scale } if precision <= 38 => {
                let values = Decimal128Builder::new().with_data_type(arrow_type);
                Self::Decimal128(values, precision, scale)
            }
            Kind::Numeric { precision, scale } => {
                let values = Decimal256Builder::new().with_data_type(arrow_type);
                Self::Decimal256(values, precision, scale)
            }
        }
    }

    /// Adds a value; `None` when the bytes are none of the type.
    fn append(&mut self, value: Option<&[u8]>) -> Option<()> {
        match self {
            Self::Boolean(values) => match value {
                None => values.append_null(),
                Some([byte]) => values.append_value(*byte != 0),
                Some(_) => return None,
            },
            Self::Int16(values) => primitive(values, value, i16::from_be_bytes, Some)?,
            Self::Int32(values) => primitive(values, value, i32::from_be_bytes, Some)?,
            Self::Int64(values) => primitive(values, value, i64::from_be_bytes, Some)?,
            Self::UInt32(values) => primitive(values, value, u32::from_be_bytes, Some)?,
            // There is one NaN: its bits would differ from machine to machine.
            Self::Float32(values) => primitive(values, value, f32::from_be_bytes, |number| {
                Some(if number.is_nan() { f32::NAN } else { number })
            })?,
            Self::Float64(values) => primitive(values, value, f64::from_be_bytes, |number| {
                Some(if number.is_nan() { f64::NAN } else { number })
            })?,
            Self::Utf8(values) => match value {
                None => values.append_null(),
                Some(bytes) => values.append_value(str::from_utf8(bytes).ok()?),
            },
            Self::Text(values, read) => match value {
                None => values.append_null(),
                Some(bytes) => values.append_value(read(bytes)?),
            },
            Self::Binary(values) => match value {
                None => values.append_null(),
                Some(bytes) => values.append_value(bytes),
            },
            Self::Date(values) => primitive(values, value, i32::from_be_bytes, |days| {
                let is_finite = days != i32::MAX && days != i32::MIN;
                is_finite.then(|| days.checked_add(EPOCH_DAYS)).flatten()
            })?,
            // The database has 24:00:00, which no clock shows.
            Self::Time(values) => primitive(values, value, i64::from_be_bytes, |time| {
                (0..DAY_MICROSECONDS).contains(&time).then_some(time)
            })?,
            Self::Timestamp(values) => primitive(values, value, i64::from_be_bytes, |time| {
                let is_finite = time != i64::MAX && time != i64::MIN;
                is_finite.then(|| time.checked_add(EPOCH_MICROSECONDS)).flatten()
            })?,
            Self::Decimal128(values, precision, scale) => match value {
                None => values.append_null(),
                Some(bytes) => {
                    let number = mantissa(bytes, *scale)?;
                    Decimal128Type::is_valid_decimal_precision(number, *precision).then_some(())?;
                    values.append_value(number);
                }
            },
            Self::Decimal256(values, precision, scale) => match value {
                None => values.append_null(),
                Some(bytes) => {
                    let number = mantissa(bytes, *scale)?;
                    Decimal256Type::is_valid_decimal_precision(number, *precision).then_some(())?;
                    values.append_value(number);
                }
            },
        }
        Some(())
    }
}

/// Adds a number of a fixed width.
fn primitive<T: ArrowPrimitiveType, const WIDTH: usize>(
    values: &mut PrimitiveBuilder<T>,
    value: Option<&[u8]>,
    read: fn([u8; WIDTH]) -> T::Native,
    convert: impl Fn(T::Native) -> Option<T::Native>,
) -> Option<()> {
    match value {
        None => values.append_null(),
        Some(bytes) => values.append_value(convert(read(bytes.try_into().ok()?))?),
    }
    Some(())
}

/// The text of a `jsonb`, which stands behind a version.
fn jsonb(bytes: &[u8]) -> Option<String> {
    match bytes {
        [1, text @ ..] => str::from_utf8(text).ok().map(str::to_owned),
        _ => None,
    }
}

/// The text of a UUID, as the database writes it.
fn uuid(bytes: &[u8]) -> Option<String> {
    let number = u128::from_be_bytes(bytes.try_into().ok()?);
    let digits = format!("{number:032x}");
    let part = |from: usize, to: usize| digits.get(from..to);
    Some(format!(
        "{}-{}-{}-{}-{}",
        part(0, 8)?,
        part(8, 12)?,
        part(12, 16)?,
        part(16, 20)?,
        part(20, 32)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, bytes: &[u8]) -> Option<String> {
        use glovebox_contract::column::{Column, ColumnType};
        let column = Column { name: "c".into(), nullable: true, column_type: ColumnType::Null };
        let mut builder = ColumnBuilder::new(&SourceColumn { column, kind });
        builder.append(Some(bytes)).ok()?;
        let array = builder.finish();
        Some(arrow::util::display::array_value_to_string(&array, 0).unwrap())
    }

    #[test]
    fn values_keep_their_meaning() {
        let check = |kind, bytes: &[u8], expect: Option<&str>| {
            assert_eq!(read(kind, bytes).as_deref(), expect, "{kind:?} {bytes:?}");
        };
        check(Kind::Boolean, &[1], Some("true"));
        check(Kind::Boolean, &[1, 0], None);
        check(Kind::Int2, &(-2_i16).to_be_bytes(), Some("-2"));
        check(Kind::Int4, &[0; 3], None);
        check(Kind::Oid, &u32::MAX.to_be_bytes(), Some("4294967295"));
        check(Kind::Float8, &(-f64::NAN).to_be_bytes(), Some("NaN"));
        check(Kind::Date, &0_i32.to_be_bytes(), Some("2000-01-01"));
        check(Kind::Date, &(-40_000_i32).to_be_bytes(), Some("1890-06-26"));
        check(Kind::Date, &i32::MAX.to_be_bytes(), None);
        check(Kind::Date, &i32::MIN.to_be_bytes(), None);
        let before_1970 = -1_000_000_000_000_000_i64;
        check(Kind::Timestamp, &before_1970.to_be_bytes(), Some("1968-04-23T22:13:20"));
        let far = 11_676_096_000_000_001_i64;
        check(Kind::Timestamp, &far.to_be_bytes(), Some("2370-01-01T00:00:00.000001"));
        check(Kind::TimestampTz, &0_i64.to_be_bytes(), Some("2000-01-01T00:00:00Z"));
        check(Kind::Timestamp, &i64::MAX.to_be_bytes(), None);
        check(Kind::Time, &DAY_MICROSECONDS.to_be_bytes(), None);
        check(Kind::Time, &1_i64.to_be_bytes(), Some("00:00:00.000001"));
        check(Kind::Text, b"\xff", None);
        check(Kind::Jsonb, b"\x01{}", Some("{}"));
        check(Kind::Jsonb, b"\x02{}", None);
        let half = 0x0123_4567_89ab_cdef_u64.to_be_bytes();
        let whole = [half, half].concat();
        check(Kind::Uuid, &whole, Some("01234567-89ab-cdef-0123-456789abcdef"));
        check(Kind::Uuid, &half, None);
    }

    #[test]
    fn a_failure_shows_no_value() {
        use glovebox_contract::column::{Column, ColumnType};
        let column = Column { name: "age".into(), nullable: true, column_type: ColumnType::Null };
        let mut builder = ColumnBuilder::new(&SourceColumn { column, kind: Kind::Text });
        let failure = builder.append(Some(b"secret\xff")).unwrap_err();
        assert!(failure.detail.contains("`age`") && !failure.detail.contains("secret"));
    }
}
