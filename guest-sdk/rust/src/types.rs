//! Types of columns, as text and as values.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorCode, Result};

/// Unit of a time, timestamp or duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TimeUnit {
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

/// Type of a column as it crosses between host and notebook: Arrow's types without encodings.
///
/// Its text is the one of manifests, for example `decimal(38, 10)` or `list(utf8)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is Arrow's type of that name")]
pub enum DataType {
    Null,
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Float16,
    Float32,
    Float64,
    Date32,
    Date64,
    Utf8,
    Binary,
    /// Bytes of a value.
    FixedSizeBinary(u32),
    /// Precision and scale.
    Decimal128(u8, i8),
    /// Precision and scale.
    Decimal256(u8, i8),
    Time32(TimeUnit),
    Time64(TimeUnit),
    /// Unit and time zone.
    Timestamp(TimeUnit, Option<String>),
    Duration(TimeUnit),
    List(Box<DataType>),
    /// Names and types of the fields.
    Struct(Vec<(String, DataType)>),
}

/// Name and type of a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether a row may lack a value.
    pub nullable: bool,
}

const PLAIN: [(&str, DataType); 17] = [
    ("null", DataType::Null),
    ("boolean", DataType::Boolean),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("float16", DataType::Float16),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("date32", DataType::Date32),
    ("date64", DataType::Date64),
    ("utf8", DataType::Utf8),
    ("binary", DataType::Binary),
];

const UNITS: [(&str, TimeUnit); 4] = [
    ("s", TimeUnit::Second),
    ("ms", TimeUnit::Millisecond),
    ("us", TimeUnit::Microsecond),
    ("ns", TimeUnit::Nanosecond),
];

impl TimeUnit {
    fn parse(text: &str) -> Option<Self> {
        UNITS.iter().find(|(name, _)| *name == text).map(|(_, unit)| *unit)
    }
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = UNITS.iter().find(|(_, unit)| unit == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl DataType {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((_, plain)) = PLAIN.iter().find(|(name, _)| *name == text) {
            return Some(plain.clone());
        }
        let (head, rest) = text.split_once('(')?;
        let inner = rest.strip_suffix(')')?;
        let arguments = split_arguments(inner);
        Some(match (head.trim_end(), arguments.as_slice()) {
            ("fixed_size_binary", [width]) => Self::FixedSizeBinary(width.parse().ok()?),
            ("decimal", [precision, scale]) => {
                Self::Decimal128(precision.parse().ok()?, scale.parse().ok()?)
            }
            ("decimal256", [precision, scale]) => {
                Self::Decimal256(precision.parse().ok()?, scale.parse().ok()?)
            }
            ("time32", [unit]) => Self::Time32(TimeUnit::parse(unit)?),
            ("time64", [unit]) => Self::Time64(TimeUnit::parse(unit)?),
            ("timestamp", [unit]) => Self::Timestamp(TimeUnit::parse(unit)?, None),
            ("timestamp", [unit, zone]) => {
                Self::Timestamp(TimeUnit::parse(unit)?, Some((*zone).into()))
            }
            ("duration", [unit]) => Self::Duration(TimeUnit::parse(unit)?),
            ("list", [item]) => Self::List(Box::new(Self::parse(item)?)),
            ("struct", fields) => Self::Struct(
                fields
                    .iter()
                    .map(|field| {
                        let (name, data_type) = field.split_once(':')?;
                        Some((name.trim().into(), Self::parse(data_type)?))
                    })
                    .collect::<Option<_>>()?,
            ),
            _ => return None,
        })
    }
}

/// Splits at commas that stand outside parentheses.
fn split_arguments(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let separates = |character| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    };
    text.split(separates).map(str::trim).collect()
}

impl FromStr for DataType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text).ok_or_else(|| {
            Error::with_code(
                ErrorCode::InvalidArgument,
                format_args!("`{text}` is not the type of a column"),
            )
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FixedSizeBinary(width) => write!(f, "fixed_size_binary({width})"),
            Self::Decimal128(precision, scale) => write!(f, "decimal({precision}, {scale})"),
            Self::Decimal256(precision, scale) => write!(f, "decimal256({precision}, {scale})"),
            Self::Time32(unit) => write!(f, "time32({unit})"),
            Self::Time64(unit) => write!(f, "time64({unit})"),
            Self::Timestamp(unit, None) => write!(f, "timestamp({unit})"),
            Self::Timestamp(unit, Some(zone)) => write!(f, "timestamp({unit}, {zone})"),
            Self::Duration(unit) => write!(f, "duration({unit})"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Struct(fields) => {
                f.write_str("struct(")?;
                for (index, (name, data_type)) in fields.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{name}: {data_type}")?;
                }
                f.write_str(")")
            }
            plain => {
                let name = PLAIN.iter().find(|(_, listed)| listed == plain);
                f.write_str(name.map_or("", |(name, _)| name))
            }
        }
    }
}
