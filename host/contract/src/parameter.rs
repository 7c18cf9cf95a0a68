//! Typed parameters of a notebook: declarations in the manifest, values in a request.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterType {
    /// `true` or `false`.
    Boolean,
    /// A 64-bit signed integer.
    Int64,
    /// A finite 64-bit floating-point number.
    Float64,
    /// A text.
    Utf8,
    /// A day, written `2013-01-31`.
    Date,
}

/// What a notebook says of one of its parameters. Values are written as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterDeclaration {
    /// Allowed values; empty when any value of the type is allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Value when the request gives none; a parameter without one is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Largest allowed value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<String>,
    /// Smallest allowed value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub parameter_type: ParameterType,
}

/// A parameter's value. The canonical text of a value is its [`fmt::Display`].
#[derive(Debug, Clone, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(into = "TypedText", try_from = "TypedText")]
pub enum ParameterValue {
    /// `true` or `false`.
    Boolean(bool),
    /// A 64-bit signed integer.
    Int64(i64),
    /// A finite number.
    Float64(f64),
    /// A text.
    Utf8(String),
    /// Days since 1970-01-01.
    Date(i32),
}

/// Why a value does not fit its declaration. Never shows the value of another party.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct ParameterError {
    why: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedText {
    #[serde(rename = "type")]
    parameter_type: ParameterType,
    value: String,
}

impl fmt::Display for ParameterType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Boolean => "boolean",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::Utf8 => "utf8",
            Self::Date => "date",
        })
    }
}

impl ParameterValue {
    /// Longest text of a value in bytes.
    pub const MAX_BYTES: usize = 4096;

    /// Reads a value of `parameter_type` from text.
    pub fn parse(parameter_type: ParameterType, text: &str) -> Result<Self, ParameterError> {
        let wrong = || ParameterError {
            why: format!(
                "`{}` is not a value of type {parameter_type}",
                text.chars().take(80).collect::<String>().escape_debug()
            ),
        };
        if text.len() > Self::MAX_BYTES {
            return Err(ParameterError {
                why: format!(
                    "the value has {} bytes, at most {} are allowed",
                    text.len(),
                    Self::MAX_BYTES
                ),
            });
        }
        match parameter_type {
            ParameterType::Boolean => text.parse().map(Self::Boolean).map_err(|_| wrong()),
            ParameterType::Int64 => text.parse().map(Self::Int64).map_err(|_| wrong()),
            ParameterType::Float64 => match text.parse::<f64>() {
                // Adding zero turns -0.0 into 0.0, so that a number has one text.
                Ok(number) if number.is_finite() => Ok(Self::Float64(number + 0.0)),
                _ => Err(wrong()),
            },
            ParameterType::Utf8 => Ok(Self::Utf8(text.into())),
            ParameterType::Date => parse_date(text).map(Self::Date).ok_or_else(wrong),
        }
    }

    /// The type of this value.
    pub fn parameter_type(&self) -> ParameterType {
        match self {
            Self::Boolean(_) => ParameterType::Boolean,
            Self::Int64(_) => ParameterType::Int64,
            Self::Float64(_) => ParameterType::Float64,
            Self::Utf8(_) => ParameterType::Utf8,
            Self::Date(_) => ParameterType::Date,
        }
    }
}

impl fmt::Display for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Int64(value) => value.fmt(f),
            Self::Float64(value) => value.fmt(f),
            Self::Utf8(value) => value.fmt(f),
            Self::Date(days) => {
                let (year, month, day) = civil_from_days(*days);
                write!(f, "{year:04}-{month:02}-{day:02}")
            }
        }
    }
}

impl From<ParameterValue> for TypedText {
    fn from(value: ParameterValue) -> Self {
        Self { parameter_type: value.parameter_type(), value: value.to_string() }
    }
}

impl TryFrom<TypedText> for ParameterValue {
    type Error = ParameterError;

    fn try_from(text: TypedText) -> Result<Self, Self::Error> {
        Self::parse(text.parameter_type, &text.value)
    }
}

impl ParameterDeclaration {
    /// The value for a run: `given`, or the default, checked against type, bounds and choices.
    pub fn resolve(&self, given: Option<&str>) -> Result<ParameterValue, ParameterError> {
        let text = given.or(self.default.as_deref()).ok_or_else(|| ParameterError {
            why: "it has no default, so a value is needed".into(),
        })?;
        let value = ParameterValue::parse(self.parameter_type, text)?;
        self.check(&value)?;
        Ok(value)
    }

    /// Whether `value` has the type and keeps the bounds and choices.
    pub fn check(&self, value: &ParameterValue) -> Result<(), ParameterError> {
        if value.parameter_type() != self.parameter_type {
            return Err(ParameterError {
                why: format!(
                    "expected type {}, got {}",
                    self.parameter_type,
                    value.parameter_type()
                ),
            });
        }
        let bound = |text: &Option<String>| {
            text.as_deref().map(|text| ParameterValue::parse(self.parameter_type, text)).transpose()
        };
        if let Some(minimum) = bound(&self.minimum)?
            && value < &minimum
        {
            return Err(ParameterError {
                why: format!("`{value}` is below the minimum `{minimum}`"),
            });
        }
        if let Some(maximum) = bound(&self.maximum)?
            && value > &maximum
        {
            return Err(ParameterError {
                why: format!("`{value}` is above the maximum `{maximum}`"),
            });
        }
        if !self.choices.is_empty() {
            let mut allowed = false;
            for choice in &self.choices {
                allowed |= &ParameterValue::parse(self.parameter_type, choice)? == value;
            }
            if !allowed {
                return Err(ParameterError {
                    why: format!("`{value}` is not one of {}", self.choices.join(", ")),
                });
            }
        }
        Ok(())
    }

    /// Whether the declaration itself makes sense: bounds, choices and default parse and agree.
    pub fn validate(&self) -> Result<(), ParameterError> {
        for text in [&self.minimum, &self.maximum].into_iter().flatten().chain(&self.choices) {
            ParameterValue::parse(self.parameter_type, text)?;
        }
        match &self.default {
            Some(default) => self.check(&ParameterValue::parse(self.parameter_type, default)?),
            None => Ok(()),
        }
    }
}

/// Days since 1970-01-01 of a `YYYY-MM-DD` text in the proleptic Gregorian calendar.
fn parse_date(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if year.len() != 4 || month.len() != 2 || day.len() != 2 {
        return None;
    }
    let (year, month, day): (i32, i32, i32) =
        (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let days = days_from_civil(year, month, day);
    (civil_from_days(days) == (year, month, day)).then_some(days)
}

/// H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i32) -> (i32, i32, i32) {
    let days = i64::from(days) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let narrow = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
    (narrow(year), narrow(month), narrow(day))
}
