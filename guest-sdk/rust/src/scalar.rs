//! Single values: parameters of a run and placeholders of a query.

use crate::error::{Error, ErrorCode, Result};

/// A single value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Scalar {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// A signed integer.
    Int64(i64),
    /// An unsigned integer.
    UInt64(u64),
    /// A number.
    Float64(f64),
    /// A text.
    Utf8(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// Days since 1970-01-01.
    Date32(i32),
    /// Microseconds since 1970-01-01T00:00:00Z.
    TimestampMicros(i64),
    /// Unscaled value, precision, scale.
    Decimal128(i128, u8, i8),
}

/// A type that a parameter can be read as.
pub trait FromScalar: Sized {
    /// The type's name in messages.
    const NAME: &'static str;

    /// The value, when it is of this type.
    fn from_scalar(scalar: Scalar) -> Option<Self>;
}

macro_rules! scalar_conversions {
    ($($native:ty, $name:literal, $variant:ident;)*) => {
        $(
            impl FromScalar for $native {
                const NAME: &'static str = $name;

                fn from_scalar(scalar: Scalar) -> Option<Self> {
                    match scalar {
                        Scalar::$variant(value) => Some(value),
                        _ => None,
                    }
                }
            }

            impl From<$native> for Scalar {
                fn from(value: $native) -> Self {
                    Self::$variant(value)
                }
            }
        )*
    };
}

scalar_conversions! {
    bool, "boolean", Boolean;
    i64, "int64", Int64;
    u64, "uint64", UInt64;
    f64, "float64", Float64;
    String, "utf8", Utf8;
    Vec<u8>, "binary", Binary;
}

/// A day, as a parameter of type `date`: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

impl FromScalar for Date {
    const NAME: &'static str = "date";

    fn from_scalar(scalar: Scalar) -> Option<Self> {
        match scalar {
            Scalar::Date32(days) => Some(Self(days)),
            _ => None,
        }
    }
}

impl FromScalar for Scalar {
    const NAME: &'static str = "any";

    fn from_scalar(scalar: Scalar) -> Option<Self> {
        Some(scalar)
    }
}

impl<T: FromScalar> FromScalar for Option<T> {
    const NAME: &'static str = T::NAME;

    fn from_scalar(scalar: Scalar) -> Option<Self> {
        match scalar {
            Scalar::Null => Some(None),
            scalar => T::from_scalar(scalar).map(Some),
        }
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Utf8(text.into())
    }
}

impl From<i32> for Scalar {
    fn from(number: i32) -> Self {
        Self::Int64(number.into())
    }
}

impl From<Date> for Scalar {
    fn from(date: Date) -> Self {
        Self::Date32(date.0)
    }
}

impl<T: Into<Scalar>> From<Option<T>> for Scalar {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

pub(crate) fn convert<T: FromScalar>(name: &str, scalar: Scalar) -> Result<T> {
    T::from_scalar(scalar).ok_or_else(|| {
        Error::with_code(
            ErrorCode::InvalidArgument,
            format_args!("parameter `{name}` is not of type {}", T::NAME),
        )
    })
}
