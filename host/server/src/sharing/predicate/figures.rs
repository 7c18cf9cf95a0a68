//! The figures of a file, as its `add` action has them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value;

/// The types of a table's columns by their names in lower case, each with its real name.
pub(crate) struct Columns(BTreeMap<String, (String, String)>);

/// The figures of one file.
pub(crate) struct Figures<'a> {
    columns: &'a Columns,
    stats: Value,
}

/// How the least and the greatest value of a column stand to a literal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) least: Option<Ordering>,
    pub(super) greatest: Option<Ordering>,
    pub(super) may_be_nan: bool,
}

impl Columns {
    /// Those of the schema, as Delta writes it. Nested columns have no figures.
    pub(crate) fn of(schema: &str) -> Self {
        let schema: Value = serde_json::from_str(schema).unwrap_or_default();
        let fields = schema.get("fields").and_then(Value::as_array).into_iter().flatten();
        let column = |field: &Value| {
            let name = field.get("name")?.as_str()?.to_owned();
            let kind = field.get("type")?.as_str()?.to_owned();
            Some((name.to_lowercase(), (name, kind)))
        };
        Self(fields.filter_map(column).collect())
    }

    fn get(&self, column: &str) -> Option<&(String, String)> {
        self.0.get(&column.to_lowercase())
    }
}

impl<'a> Figures<'a> {
    pub(crate) fn of(columns: &'a Columns, stats: Option<&str>) -> Self {
        let stats = stats.and_then(|stats| serde_json::from_str(stats).ok()).unwrap_or_default();
        Self { columns, stats }
    }

    /// How many rows the file has.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.stats.get("numRecords")?.as_u64()
    }

    /// How many nulls the column has, among how many rows.
    pub(super) fn nulls(&self, column: &str) -> Option<(u64, u64)> {
        let (name, _) = self.columns.get(column)?;
        let nulls = self.stats.get("nullCount")?.get(name)?.as_u64()?;
        Some((nulls, self.rows()?))
    }

    /// How the bounds of the column stand to a literal. None when that cannot be said.
    pub(super) fn bounds(&self, column: &str, literal: &str) -> Option<Bounds> {
        let (name, kind) = self.columns.get(column)?;
        let literal = Point::of_literal(kind, literal)?;
        let side = |key: &str| {
            let value = self.stats.get(key)?.get(name)?;
            Point::of_figure(kind, value)?.compare(&literal)
        };
        let bounds = Bounds {
            least: side("minValues"),
            greatest: side("maxValues"),
            may_be_nan: matches!(literal, Point::Float(_)),
        };
        Some(bounds)
    }
}

/// A value that others can stand before or behind.
enum Point {
    Int(i128),
    Float(f64),
    Text(String),
}

impl Point {
    fn of_literal(kind: &str, text: &str) -> Option<Self> {
        match kind {
            "byte" | "short" | "integer" | "long" => text.trim().parse().ok().map(Self::Int),
            "float" | "double" => {
                text.trim().parse().ok().filter(|f: &f64| f.is_finite()).map(Self::Float)
            }
            _ => Self::of_text(kind, text),
        }
    }

    fn of_figure(kind: &str, value: &Value) -> Option<Self> {
        match kind {
            "byte" | "short" | "integer" | "long" => value.as_i64().map(|i| Self::Int(i.into())),
            "float" | "double" => value.as_f64().map(Self::Float),
            _ => Self::of_text(kind, value.as_str()?),
        }
    }

    fn of_text(kind: &str, text: &str) -> Option<Self> {
        match kind {
            "string" => Some(Self::Text(text.to_owned())),
            "date" => is_date(text).then(|| Self::Text(text.to_owned())),
            // Without its zone an instant is anyone's guess.
            "timestamp" => {
                let time = DateTime::parse_from_rfc3339(text).ok()?;
                Some(Self::Int(time.timestamp_micros().into()))
            }
            "timestamp_ntz" => {
                let forms = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
                let read = |form| NaiveDateTime::parse_from_str(text, form).ok();
                let time = forms.into_iter().find_map(read)?;
                Some(Self::Int(time.and_utc().timestamp_micros().into()))
            }
            _ => None,
        }
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
            _ => None,
        }
    }
}

/// `yyyy-MM-dd`: in this form dates stand in order as texts do.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}
