//! The columns of a table, in the words of a room.

use arrow::datatypes::{DataType, Field, TimeUnit as ArrowUnit};
use glovebox_contract::column::{Column, ColumnType, MAX_COLUMNS, TimeUnit};
use tokio_postgres::{Client, Row};

use super::{Place, failure};
use crate::error::Failure;

/// Precision and scale of a `numeric` that declares none: it may have any number of digits, a
/// column of a room has so many.
const ANY_NUMERIC: (u8, i8) = (38, 10);

/// Columns that the user may read, by the table's order. Domains count as what they are made of.
const QUERY: &str = "\
    SELECT a.attname::text, a.attnotnull, base.typname::text, base.typtype::text, \
           CASE WHEN own.typtype = 'd' THEN own.typtypmod ELSE a.atttypmod END, \
           pg_catalog.format_type(a.atttypid, a.atttypmod), \
           pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') \
    FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
    JOIN pg_catalog.pg_type own ON own.oid = a.atttypid \
    JOIN pg_catalog.pg_type base \
        ON base.oid = CASE WHEN own.typtype = 'd' THEN own.typbasetype ELSE own.oid END \
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'v', 'm', 'f', 'p') \
      AND a.attnum > 0 AND NOT a.attisdropped \
    ORDER BY a.attnum";

/// A column of a table, and how its values come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceColumn {
    pub(super) column: Column,
    pub(super) kind: Kind,
}

/// What the database calls the type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    /// Text that compares as text.
    Text,
    /// What is sent as text and compares by rules of its own.
    TextLike,
    Jsonb,
    Uuid,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Numeric {
        precision: u8,
        scale: i8,
    },
}

impl SourceColumn {
    pub(super) fn field(&self) -> Field {
        Field::new(&self.column.name, self.kind.arrow_type(), self.column.nullable)
    }
}

impl Kind {
    /// The kind of a type, by its name in the catalogue, its class and its modifier.
    fn of(name: &str, class: &str, modifier: i32) -> Option<Self> {
        match class {
            "e" => return Some(Self::TextLike),
            "b" => {}
            _ => return None,
        }
        Some(match name {
            "bool" => Self::Boolean,
            "int2" => Self::Int2,
            "int4" => Self::Int4,
            "int8" => Self::Int8,
            "oid" => Self::Oid,
            "float4" => Self::Float4,
            "float8" => Self::Float8,
            "text" | "varchar" | "bpchar" => Self::Text,
            "name" | "json" | "xml" | "citext" => Self::TextLike,
            "jsonb" => Self::Jsonb,
            "uuid" => Self::Uuid,
            "bytea" => Self::Bytea,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::TimestampTz,
            "numeric" => {
                let (precision, scale) = numeric(modifier)?;
                Self::Numeric { precision, scale }
            }
            _ => return None,
        })
    }

    /// The type of its values in a room.
    fn column_type(self) -> ColumnType {
        match self {
            Self::Boolean => ColumnType::Boolean,
            Self::Int2 => ColumnType::Int16,
            Self::Int4 => ColumnType::Int32,
            Self::Int8 => ColumnType::Int64,
            Self::Oid => ColumnType::UInt32,
            Self::Float4 => ColumnType::Float32,
            Self::Float8 => ColumnType::Float64,
            Self::Text | Self::TextLike | Self::Jsonb | Self::Uuid => ColumnType::Utf8,
            Self::Bytea => ColumnType::Binary,
            Self::Date => ColumnType::Date32,
            Self::Time => ColumnType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => ColumnType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => ColumnType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Numeric { precision, scale } if precision <= 38 => {
                ColumnType::Decimal128(precision, scale)
            }
            Self::Numeric { precision, scale } => ColumnType::Decimal256(precision, scale),
        }
    }

    /// The same in Arrow, as the sandbox has it.
    fn arrow_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Oid => DataType::UInt32,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Text | Self::TextLike | Self::Jsonb | Self::Uuid => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(ArrowUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(ArrowUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(ArrowUnit::Microsecond, Some("UTC".into())),
            Self::Numeric { precision, scale } if precision <= 38 => {
                DataType::Decimal128(precision, scale)
            }
            Self::Numeric { precision, scale } => DataType::Decimal256(precision, scale),
        }
    }
}

/// Precision and scale from the modifier of `numeric`; `None` when a room has no such type.
fn numeric(modifier: i32) -> Option<(u8, i8)> {
    let Some(packed) = modifier.checked_sub(4).filter(|packed| *packed >= 0) else {
        return Some(ANY_NUMERIC);
    };
    let precision = u8::try_from(packed >> 16 & 0xffff).ok().filter(|it| (1..=76).contains(it))?;
    // Eleven bits with a sign.
    let scale = i8::try_from(((packed & 0x7ff) ^ 1024) - 1024).ok()?;
    (i16::from(scale) <= i16::from(precision)).then_some((precision, scale))
}

/// The columns of a table that the user may read.
pub(super) async fn read(client: &Client, place: &Place) -> Result<Vec<SourceColumn>, Failure> {
    let rows = client
        .query(QUERY, &[&place.schema, &place.table])
        .await
        .map_err(|error| failure::of("cannot look the table's columns up", &error))?;
    if rows.is_empty() {
        return Err(Failure::unreadable(format!(
            "the database `{}` has no table or view `{}.{}` with columns",
            place.database, place.schema, place.table
        )));
    }
    let columns = rows.iter().filter_map(|row| column(row).transpose());
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    match columns.len() {
        0 => Err(Failure::denied("the user may read no column of the table")),
        1..=MAX_COLUMNS => Ok(columns),
        _ => Err(Failure::unsupported(format!("the table has more than {MAX_COLUMNS} columns"))),
    }
}

/// The column of a row of the catalogue; `None` when the user may not read it.
fn column(row: &Row) -> Result<Option<SourceColumn>, Failure> {
    let failed = |error| failure::of("cannot look the table's columns up", &error);
    if !row.try_get::<_, bool>(6).map_err(failed)? {
        return Ok(None);
    }
    let name: String = row.try_get(0).map_err(failed)?;
    let is_required: bool = row.try_get(1).map_err(failed)?;
    let type_name: &str = row.try_get(2).map_err(failed)?;
    let class: &str = row.try_get(3).map_err(failed)?;
    let modifier: i32 = row.try_get(4).map_err(failed)?;
    let Some(kind) = Kind::of(type_name, class, modifier) else {
        let shown: &str = row.try_get(5).map_err(failed)?;
        return Err(Failure::unsupported(format!(
            "column `{name}` has the type `{shown}`, which no column of a room has; offer a view \
             that leaves it out or casts it, for example to text"
        )));
    };
    let column = Column { name, nullable: !is_required, column_type: kind.column_type() };
    Ok(Some(SourceColumn { column, kind }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modifier_says_how_many_digits() {
        let packed = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        let check = |modifier, expect| assert_eq!(numeric(modifier), expect, "{modifier}");
        check(-1, Some(ANY_NUMERIC));
        check(packed(10, 2), Some((10, 2)));
        check(packed(76, 0), Some((76, 0)));
        check(packed(77, 0), None);
        check(packed(1000, 1000), None);
        check(packed(3, -2), Some((3, -2)));
        check(packed(3, 5), None);
    }

    #[test]
    fn types_that_a_room_lacks_have_no_kind() {
        let check = |name: &str, class: &str, expect| {
            assert_eq!(Kind::of(name, class, -1), expect, "{name}");
        };
        check("int4", "b", Some(Kind::Int4));
        check("mood", "e", Some(Kind::TextLike));
        check("citext", "b", Some(Kind::TextLike));
        check("interval", "b", None);
        check("_int4", "b", None);
        check("point", "b", None);
        check("address", "c", None);
        check("int4range", "r", None);
        // A domain over a domain.
        check("int4", "d", None);
    }
}
