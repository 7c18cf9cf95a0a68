//! Column types as a manifest and a table statement write them.
//!
//! A type is one text, for example `utf8`, `decimal(38, 10)`,
//! `timestamp(us, UTC)`, `list(utf8)` or `struct(a: int32, b: utf8)`. The names
//! are Arrow's (<https://arrow.apache.org/docs/format/Columnar.html>); the
//! sandbox maps each to one Arrow `DataType`. Nested fields are nullable.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Deepest nesting of lists and structs.
pub const MAX_TYPE_DEPTH: usize = 8;

/// Most columns of a table.
pub const MAX_COLUMNS: usize = 4096;

/// Unit of a time, timestamp or duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeUnit {
    /// `s`
    Second,
    /// `ms`
    Millisecond,
    /// `us`
    Microsecond,
    /// `ns`
    Nanosecond,
}

/// Type of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant is Arrow's type of that name")]
pub enum ColumnType {
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
    LargeUtf8,
    Utf8View,
    Binary,
    LargeBinary,
    BinaryView,
    /// Width in bytes.
    FixedSizeBinary(u32),
    /// Precision (1 to 38) and scale.
    Decimal128(u8, i8),
    /// Precision (1 to 76) and scale.
    Decimal256(u8, i8),
    /// Seconds or milliseconds.
    Time32(TimeUnit),
    /// Microseconds or nanoseconds.
    Time64(TimeUnit),
    /// Unit and time zone.
    Timestamp(TimeUnit, Option<String>),
    Duration(TimeUnit),
    /// Key type (an integer) and value type.
    Dictionary(Box<ColumnType>, Box<ColumnType>),
    List(Box<ColumnType>),
    LargeList(Box<ColumnType>),
    Struct(Vec<(String, ColumnType)>),
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name, as in the file.
    pub name: String,
    /// Whether a row may lack a value.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub nullable: bool,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

/// Why a text is not a column type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a column type: {why}")]
pub struct ParseColumnTypeError {
    text: String,
    why: &'static str,
}

const PLAIN: [(&str, ColumnType); 21] = [
    ("null", ColumnType::Null),
    ("boolean", ColumnType::Boolean),
    ("int8", ColumnType::Int8),
    ("int16", ColumnType::Int16),
    ("int32", ColumnType::Int32),
    ("int64", ColumnType::Int64),
    ("uint8", ColumnType::UInt8),
    ("uint16", ColumnType::UInt16),
    ("uint32", ColumnType::UInt32),
    ("uint64", ColumnType::UInt64),
    ("float16", ColumnType::Float16),
    ("float32", ColumnType::Float32),
    ("float64", ColumnType::Float64),
    ("date32", ColumnType::Date32),
    ("date64", ColumnType::Date64),
    ("utf8", ColumnType::Utf8),
    ("large_utf8", ColumnType::LargeUtf8),
    ("utf8_view", ColumnType::Utf8View),
    ("binary", ColumnType::Binary),
    ("large_binary", ColumnType::LargeBinary),
    ("binary_view", ColumnType::BinaryView),
];

impl TimeUnit {
    const ALL: [(&'static str, TimeUnit); 4] = [
        ("s", TimeUnit::Second),
        ("ms", TimeUnit::Millisecond),
        ("us", TimeUnit::Microsecond),
        ("ns", TimeUnit::Nanosecond),
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, unit)| *unit)
    }
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "s",
            Self::Millisecond => "ms",
            Self::Microsecond => "us",
            Self::Nanosecond => "ns",
        })
    }
}

impl ColumnType {
    /// The type without its encoding: views, large offsets and dictionaries
    /// hold the same values as the plain type. Two types are *compatible* when
    /// their logical types are equal; the host casts one to the other exactly.
    pub fn logical(&self) -> ColumnType {
        match self {
            Self::LargeUtf8 | Self::Utf8View => Self::Utf8,
            Self::LargeBinary | Self::BinaryView => Self::Binary,
            Self::Dictionary(_, value) => value.logical(),
            Self::List(item) | Self::LargeList(item) => Self::List(Box::new(item.logical())),
            Self::Struct(fields) => Self::Struct(
                fields.iter().map(|(name, field)| (name.clone(), field.logical())).collect(),
            ),
            other => other.clone(),
        }
    }

    /// Whether a column of type `other` can stand in for one of this type.
    pub fn is_compatible(&self, other: &ColumnType) -> bool {
        self.logical() == other.logical()
    }

    fn is_integer(&self) -> bool {
        matches!(
            self,
            Self::Int8
                | Self::Int16
                | Self::Int32
                | Self::Int64
                | Self::UInt8
                | Self::UInt16
                | Self::UInt32
                | Self::UInt64
        )
    }

    fn parse(text: &str, depth: usize) -> Result<Self, &'static str> {
        if depth > MAX_TYPE_DEPTH {
            return Err("lists and structs are nested too deeply");
        }
        let text = text.trim();
        if let Some((_, plain)) = PLAIN.iter().find(|(name, _)| *name == text) {
            return Ok(plain.clone());
        }
        let (head, rest) = text.split_once('(').ok_or("unknown type")?;
        let inner = rest.strip_suffix(')').ok_or("missing `)`")?;
        let arguments = split_arguments(inner);
        match (head.trim_end(), arguments.as_slice()) {
            ("fixed_size_binary", [width]) => {
                let width: u32 = width.parse().map_err(|_| "the width is not a number")?;
                i32::try_from(width).map_err(|_| "the width is too large")?;
                if width == 0 {
                    return Err("the width is at least 1");
                }
                Ok(Self::FixedSizeBinary(width))
            }
            ("decimal", [precision, scale]) => {
                let (precision, scale) = parse_decimal(precision, scale, 38)?;
                Ok(Self::Decimal128(precision, scale))
            }
            ("decimal256", [precision, scale]) => {
                let (precision, scale) = parse_decimal(precision, scale, 76)?;
                Ok(Self::Decimal256(precision, scale))
            }
            ("time32", [unit]) => match TimeUnit::parse(unit) {
                Some(unit @ (TimeUnit::Second | TimeUnit::Millisecond)) => Ok(Self::Time32(unit)),
                _ => Err("the unit of time32 is s or ms"),
            },
            ("time64", [unit]) => match TimeUnit::parse(unit) {
                Some(unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond)) => {
                    Ok(Self::Time64(unit))
                }
                _ => Err("the unit of time64 is us or ns"),
            },
            ("timestamp", [unit]) => {
                Ok(Self::Timestamp(TimeUnit::parse(unit).ok_or("unknown time unit")?, None))
            }
            ("timestamp", [unit, zone]) if is_zone(zone) => Ok(Self::Timestamp(
                TimeUnit::parse(unit).ok_or("unknown time unit")?,
                Some((*zone).into()),
            )),
            ("duration", [unit]) => {
                Ok(Self::Duration(TimeUnit::parse(unit).ok_or("unknown time unit")?))
            }
            ("dictionary", [key, value]) => {
                let key = Self::parse(key, depth + 1)?;
                let value = Self::parse(value, depth + 1)?;
                if !key.is_integer() {
                    return Err("the key of a dictionary is an integer type");
                }
                Ok(Self::Dictionary(Box::new(key), Box::new(value)))
            }
            ("list", [item]) => Ok(Self::List(Box::new(Self::parse(item, depth + 1)?))),
            ("large_list", [item]) => Ok(Self::LargeList(Box::new(Self::parse(item, depth + 1)?))),
            ("struct", fields) => fields
                .iter()
                .map(|field| {
                    let (name, field) =
                        field.split_once(':').ok_or("write a field as `name: type`")?;
                    let name = name.trim();
                    if !is_field_name(name) {
                        return Err("a field name is letters, digits and `_`");
                    }
                    Ok((name.to_owned(), Self::parse(field, depth + 1)?))
                })
                .collect::<Result<_, _>>()
                .map(Self::Struct),
            _ => Err("unknown type or wrong number of arguments"),
        }
    }
}

fn is_zone(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'+' | b'-' | b':'))
}

fn is_field_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn parse_decimal(precision: &str, scale: &str, most: u8) -> Result<(u8, i8), &'static str> {
    let precision: u8 = precision.parse().map_err(|_| "the precision is not a number")?;
    let scale: i8 = scale.parse().map_err(|_| "the scale is not a number")?;
    if precision == 0 || precision > most || i16::from(scale) > i16::from(precision) {
        return Err("the precision or the scale is out of range");
    }
    Ok((precision, scale))
}

/// Splits at commas that stand outside parentheses.
fn split_arguments(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .collect()
}

impl FromStr for ColumnType {
    type Err = ParseColumnTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, 0).map_err(|why| ParseColumnTypeError {
            text: text.chars().take(100).collect::<String>().escape_debug().to_string(),
            why,
        })
    }
}

impl fmt::Display for ColumnType {
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
            Self::Dictionary(key, value) => write!(f, "dictionary({key}, {value})"),
            Self::List(item) => write!(f, "list({item})"),
            Self::LargeList(item) => write!(f, "large_list({item})"),
            Self::Struct(fields) => {
                f.write_str("struct(")?;
                for (index, (name, field)) in fields.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{name}: {field}")?;
                }
                f.write_str(")")
            }
            plain => {
                let name = PLAIN.iter().find(|(_, listed)| listed == plain).map(|(name, _)| *name);
                f.write_str(name.unwrap_or("null"))
            }
        }
    }
}

impl Serialize for ColumnType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ColumnType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
