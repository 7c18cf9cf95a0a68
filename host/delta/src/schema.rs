//! The columns of a table in the words of Delta.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::column::{Column, ColumnType, TimeUnit};
use serde_json::{Value, json};

/// Characters that a column's name may not have without column mapping, which few readers know.
const BAD_CHARACTERS: [char; 9] = [' ', ',', ';', '{', '}', '(', ')', '\n', '\t'];

/// The schema of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema {
    /// As Delta writes it.
    pub(crate) text: String,
    /// Whether it has timestamps without a zone, which readers have to know about.
    pub(crate) has_timestamp_ntz: bool,
}

impl Schema {
    /// A table with these columns.
    ///
    /// # Errors
    /// Why Delta has no such table, for whoever reads it.
    pub(crate) fn of(columns: &[Column]) -> Result<Self, String> {
        let mut names = BTreeSet::new();
        let mut has_timestamp_ntz = false;
        let mut fields = Vec::new();
        for column in columns {
            let name = &column.name;
            let shown = name.escape_debug();
            if name.is_empty() || name.contains(BAD_CHARACTERS) || name.contains('=') {
                return Err(format!(
                    "a Delta table has no column named `{shown}`: leave out spaces and ,;{{}}()="
                ));
            }
            if !names.insert(name.to_lowercase()) {
                return Err(format!("two columns of a Delta table cannot be called `{shown}`"));
            }
            let kind = delta_type(&column.column_type, &mut has_timestamp_ntz)
                .map_err(|why| format!("column `{shown}`: {why}"))?;
            fields.push(field(name, column.nullable, &kind));
        }
        let text = sorted(json!({ "type": "struct", "fields": fields })).to_string();
        Ok(Self { text, has_timestamp_ntz })
    }

    /// The schema of a table whose columns nobody knows yet.
    pub(crate) fn empty() -> Self {
        let text = sorted(json!({ "type": "struct", "fields": [] })).to_string();
        Self { text, has_timestamp_ntz: false }
    }
}

fn field(name: &str, nullable: bool, kind: &Value) -> Value {
    json!({ "name": name, "type": kind, "nullable": nullable, "metadata": {} })
}

fn delta_type(column: &ColumnType, ntz: &mut bool) -> Result<Value, &'static str> {
    use ColumnType as Arrow;
    let plain = match column {
        Arrow::Boolean => "boolean",
        Arrow::Int8 => "byte",
        Arrow::Int16 | Arrow::UInt8 => "short",
        Arrow::Int32 | Arrow::UInt16 => "integer",
        Arrow::Int64 | Arrow::UInt32 => "long",
        Arrow::UInt64 => "decimal(20,0)",
        Arrow::Float32 => "float",
        Arrow::Float64 => "double",
        Arrow::Date32 => "date",
        Arrow::Utf8 | Arrow::LargeUtf8 | Arrow::Utf8View => "string",
        Arrow::Binary | Arrow::LargeBinary | Arrow::BinaryView | Arrow::FixedSizeBinary(_) => {
            "binary"
        }
        Arrow::Decimal128(precision, scale) | Arrow::Decimal256(precision, scale) => {
            return match u8::try_from(*scale) {
                Ok(scale) if *precision <= 38 => Ok(json!(format!("decimal({precision},{scale})"))),
                _ => Err("a decimal of a Delta table has at most 38 digits and no negative scale"),
            };
        }
        Arrow::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, Some(_)) => "timestamp",
        Arrow::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, None) => {
            *ntz = true;
            "timestamp_ntz"
        }
        Arrow::Dictionary(_, value) => return delta_type(value, ntz),
        Arrow::List(item) | Arrow::LargeList(item) => {
            let item = delta_type(item, ntz)?;
            return Ok(json!({ "type": "array", "elementType": item, "containsNull": true }));
        }
        Arrow::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|(name, kind)| delta_type(kind, ntz).map(|kind| field(name, true, &kind)));
            let fields = fields.collect::<Result<Vec<_>, _>>()?;
            return Ok(json!({ "type": "struct", "fields": fields }));
        }
        Arrow::Timestamp(TimeUnit::Second | TimeUnit::Nanosecond, _) => {
            return Err("a timestamp of a Delta table counts milliseconds or microseconds; \
                        cast it to timestamp(us)");
        }
        Arrow::Null => return Err("Delta has no type for nulls alone; cast it to utf8"),
        Arrow::Float16 => return Err("Delta has no float16; cast it to float32"),
        Arrow::Date64 => return Err("Delta has no date64; cast it to date32"),
        Arrow::Time32(_) | Arrow::Time64(_) => {
            return Err("Delta has no time of day; cast it to utf8 or int64");
        }
        Arrow::Duration(_) => return Err("Delta has no duration; cast it to int64"),
    };
    Ok(json!(plain))
}

/// The same value with the members of its objects in order, so that its text does
/// not depend on how `serde_json` was built.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> =
                members.into_iter().map(|(name, member)| (name, sorted(member))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: &str) -> Column {
        Column { name: name.into(), nullable: true, column_type: kind.parse().unwrap() }
    }

    #[test]
    fn every_arrow_type_has_a_delta_type_or_a_reason() {
        let cases = [
            ("boolean", Ok(r#""boolean""#)),
            ("int8", Ok(r#""byte""#)),
            ("int16", Ok(r#""short""#)),
            ("int32", Ok(r#""integer""#)),
            ("int64", Ok(r#""long""#)),
            ("uint8", Ok(r#""short""#)),
            ("uint16", Ok(r#""integer""#)),
            ("uint32", Ok(r#""long""#)),
            ("uint64", Ok(r#""decimal(20,0)""#)),
            ("float16", Err("cast it to float32")),
            ("float32", Ok(r#""float""#)),
            ("float64", Ok(r#""double""#)),
            ("date32", Ok(r#""date""#)),
            ("date64", Err("cast it to date32")),
            ("utf8", Ok(r#""string""#)),
            ("large_utf8", Ok(r#""string""#)),
            ("utf8_view", Ok(r#""string""#)),
            ("binary", Ok(r#""binary""#)),
            ("large_binary", Ok(r#""binary""#)),
            ("binary_view", Ok(r#""binary""#)),
            ("fixed_size_binary(16)", Ok(r#""binary""#)),
            ("decimal(38, 10)", Ok(r#""decimal(38,10)""#)),
            ("decimal(5, -2)", Err("no negative scale")),
            ("decimal256(38, 2)", Ok(r#""decimal(38,2)""#)),
            ("decimal256(39, 2)", Err("at most 38 digits")),
            ("time32(ms)", Err("no time of day")),
            ("time64(us)", Err("no time of day")),
            ("timestamp(s, UTC)", Err("timestamp(us)")),
            ("timestamp(ms, UTC)", Ok(r#""timestamp""#)),
            ("timestamp(us, Europe/Paris)", Ok(r#""timestamp""#)),
            ("timestamp(us)", Ok(r#""timestamp_ntz""#)),
            ("timestamp(ns)", Err("timestamp(us)")),
            ("duration(us)", Err("cast it to int64")),
            ("null", Err("cast it to utf8")),
            ("dictionary(int32, utf8)", Ok(r#""string""#)),
            ("list(int64)", Ok(r#"{"containsNull":true,"elementType":"long","type":"array"}"#)),
            ("large_list(time32(s))", Err("no time of day")),
            (
                "struct(a: int32)",
                Ok(
                    r#"{"fields":[{"metadata":{},"name":"a","nullable":true,"type":"integer"}],"type":"struct"}"#,
                ),
            ),
        ];
        for (arrow, expected) in cases {
            let schema = Schema::of(&[column("c", arrow)]);
            match (schema, expected) {
                (Ok(schema), Ok(delta)) => {
                    let text: Value = serde_json::from_str(&schema.text).unwrap();
                    assert_eq!(
                        text["fields"][0]["type"],
                        serde_json::from_str::<Value>(delta).unwrap(),
                        "{arrow}"
                    );
                    assert_eq!(schema.has_timestamp_ntz, arrow == "timestamp(us)", "{arrow}");
                }
                (Err(why), Err(part)) => assert!(why.contains(part), "{arrow}: {why}"),
                (schema, _) => panic!("{arrow}: {schema:?}"),
            }
        }
    }

    #[test]
    fn names_that_delta_cannot_have_are_refused() {
        for name in ["a b", "a,b", "a=b", "(a)", ""] {
            assert!(Schema::of(&[column(name, "utf8")]).is_err(), "{name}");
        }
        assert!(Schema::of(&[column("a", "utf8"), column("A", "utf8")]).is_err());
        assert!(Schema::of(&[column("Größe", "utf8"), column("a-b", "utf8")]).is_ok());
    }
}
