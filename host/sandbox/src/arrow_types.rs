//! The contract's column types and Arrow's data types, both ways.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit as ArrowUnit};
use glovebox_contract::column::{Column, ColumnType, MAX_TYPE_DEPTH, TimeUnit};

/// Name of a list's items in Arrow schemas. It carries no meaning.
const ITEM: &str = "item";

/// An Arrow type that no column of a room can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("columns of type {data_type} are not supported{hint}")]
pub struct UnsupportedType {
    data_type: String,
    hint: &'static str,
}

impl UnsupportedType {
    fn new(data_type: &DataType, hint: &'static str) -> Self {
        Self { data_type: data_type.to_string(), hint }
    }
}

/// The Arrow type of a column type.
pub fn column_type_to_arrow(column_type: &ColumnType) -> DataType {
    match column_type {
        ColumnType::Null => DataType::Null,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int8 => DataType::Int8,
        ColumnType::Int16 => DataType::Int16,
        ColumnType::Int32 => DataType::Int32,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::UInt8 => DataType::UInt8,
        ColumnType::UInt16 => DataType::UInt16,
        ColumnType::UInt32 => DataType::UInt32,
        ColumnType::UInt64 => DataType::UInt64,
        ColumnType::Float16 => DataType::Float16,
        ColumnType::Float32 => DataType::Float32,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Date32 => DataType::Date32,
        ColumnType::Date64 => DataType::Date64,
        ColumnType::Utf8 => DataType::Utf8,
        ColumnType::LargeUtf8 => DataType::LargeUtf8,
        ColumnType::Utf8View => DataType::Utf8View,
        ColumnType::Binary => DataType::Binary,
        ColumnType::LargeBinary => DataType::LargeBinary,
        ColumnType::BinaryView => DataType::BinaryView,
        // The parser refuses wider ones, so the fallback is never taken by a parsed type.
        ColumnType::FixedSizeBinary(width) => {
            DataType::FixedSizeBinary(i32::try_from(*width).unwrap_or(i32::MAX))
        }
        ColumnType::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
        ColumnType::Decimal256(precision, scale) => DataType::Decimal256(*precision, *scale),
        ColumnType::Time32(unit) => DataType::Time32(unit_to_arrow(*unit)),
        ColumnType::Time64(unit) => DataType::Time64(unit_to_arrow(*unit)),
        ColumnType::Timestamp(unit, zone) => {
            DataType::Timestamp(unit_to_arrow(*unit), zone.as_deref().map(Arc::from))
        }
        ColumnType::Duration(unit) => DataType::Duration(unit_to_arrow(*unit)),
        ColumnType::Dictionary(key, value) => DataType::Dictionary(
            Box::new(column_type_to_arrow(key)),
            Box::new(column_type_to_arrow(value)),
        ),
        ColumnType::List(item) => DataType::List(item_field(item)),
        ColumnType::LargeList(item) => DataType::LargeList(item_field(item)),
        ColumnType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|(name, field)| Field::new(name, column_type_to_arrow(field), true))
                .collect::<Fields>(),
        ),
    }
}

fn item_field(item: &ColumnType) -> Arc<Field> {
    Arc::new(Field::new(ITEM, column_type_to_arrow(item), true))
}

/// The column type of an Arrow type, or an error for one that no column can have.
pub fn arrow_to_column_type(data_type: &DataType) -> Result<ColumnType, UnsupportedType> {
    convert(data_type, 0)
}

fn convert(data_type: &DataType, depth: usize) -> Result<ColumnType, UnsupportedType> {
    if depth > MAX_TYPE_DEPTH {
        return Err(UnsupportedType::new(data_type, ": it is nested too deeply"));
    }
    let nested = |inner: &DataType| convert(inner, depth + 1).map(Box::new);
    Ok(match data_type {
        DataType::Null => ColumnType::Null,
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int8 => ColumnType::Int8,
        DataType::Int16 => ColumnType::Int16,
        DataType::Int32 => ColumnType::Int32,
        DataType::Int64 => ColumnType::Int64,
        DataType::UInt8 => ColumnType::UInt8,
        DataType::UInt16 => ColumnType::UInt16,
        DataType::UInt32 => ColumnType::UInt32,
        DataType::UInt64 => ColumnType::UInt64,
        DataType::Float16 => ColumnType::Float16,
        DataType::Float32 => ColumnType::Float32,
        DataType::Float64 => ColumnType::Float64,
        DataType::Date32 => ColumnType::Date32,
        DataType::Date64 => ColumnType::Date64,
        DataType::Utf8 => ColumnType::Utf8,
        DataType::LargeUtf8 => ColumnType::LargeUtf8,
        DataType::Utf8View => ColumnType::Utf8View,
        DataType::Binary => ColumnType::Binary,
        DataType::LargeBinary => ColumnType::LargeBinary,
        DataType::BinaryView => ColumnType::BinaryView,
        DataType::FixedSizeBinary(width) => {
            let width = u32::try_from(*width).map_err(|_| UnsupportedType::new(data_type, ""))?;
            ColumnType::FixedSizeBinary(width)
        }
        DataType::Decimal128(precision, scale) => ColumnType::Decimal128(*precision, *scale),
        DataType::Decimal256(precision, scale) => ColumnType::Decimal256(*precision, *scale),
        DataType::Time32(unit) => ColumnType::Time32(unit_from_arrow(*unit)),
        DataType::Time64(unit) => ColumnType::Time64(unit_from_arrow(*unit)),
        DataType::Timestamp(unit, zone) => {
            ColumnType::Timestamp(unit_from_arrow(*unit), zone.as_deref().map(str::to_owned))
        }
        DataType::Duration(unit) => ColumnType::Duration(unit_from_arrow(*unit)),
        DataType::Dictionary(key, value) => ColumnType::Dictionary(nested(key)?, nested(value)?),
        DataType::List(item) => ColumnType::List(nested(item.data_type())?),
        DataType::LargeList(item) => ColumnType::LargeList(nested(item.data_type())?),
        DataType::Struct(fields) => ColumnType::Struct(
            fields
                .iter()
                .map(|field| Ok((field.name().clone(), convert(field.data_type(), depth + 1)?)))
                .collect::<Result<_, UnsupportedType>>()?,
        ),
        DataType::Decimal32(..) | DataType::Decimal64(..) => {
            return Err(UnsupportedType::new(data_type, "; use a 128-bit decimal"));
        }
        DataType::FixedSizeList(..) | DataType::ListView(_) | DataType::LargeListView(_) => {
            return Err(UnsupportedType::new(data_type, "; use a list"));
        }
        DataType::Map(..) => {
            return Err(UnsupportedType::new(data_type, "; use a list of structs"));
        }
        DataType::Interval(_) | DataType::Union(..) | DataType::RunEndEncoded(..) => {
            return Err(UnsupportedType::new(data_type, ""));
        }
    })
}

/// The Arrow schema of a table's columns.
pub fn columns_to_schema(columns: &[Column]) -> Schema {
    Schema::new(columns.iter().map(column_to_field).collect::<Fields>())
}

fn column_to_field(column: &Column) -> Field {
    Field::new(&column.name, column_type_to_arrow(&column.column_type), column.nullable)
}

/// The columns of an Arrow schema.
pub fn schema_to_columns(schema: &Schema) -> Result<Vec<Column>, UnsupportedType> {
    schema
        .fields()
        .iter()
        .map(|field| {
            Ok(Column {
                name: field.name().clone(),
                nullable: field.is_nullable(),
                column_type: arrow_to_column_type(field.data_type())?,
            })
        })
        .collect()
}

/// The schema in which batches of `schema` cross to a guest: plain encodings only, so no
/// dictionary, no view, no 64-bit offset, and every nested field nullable.
pub fn boundary_schema(schema: &Schema) -> Result<Schema, UnsupportedType> {
    let columns: Vec<Column> = schema_to_columns(schema)?
        .into_iter()
        .map(|column| Column { column_type: column.column_type.logical(), ..column })
        .collect();
    Ok(columns_to_schema(&columns))
}

fn unit_to_arrow(unit: TimeUnit) -> ArrowUnit {
    match unit {
        TimeUnit::Second => ArrowUnit::Second,
        TimeUnit::Millisecond => ArrowUnit::Millisecond,
        TimeUnit::Microsecond => ArrowUnit::Microsecond,
        TimeUnit::Nanosecond => ArrowUnit::Nanosecond,
    }
}

fn unit_from_arrow(unit: ArrowUnit) -> TimeUnit {
    match unit {
        ArrowUnit::Second => TimeUnit::Second,
        ArrowUnit::Millisecond => TimeUnit::Millisecond,
        ArrowUnit::Microsecond => TimeUnit::Microsecond,
        ArrowUnit::Nanosecond => TimeUnit::Nanosecond,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &[
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
        "fixed_size_binary(16)",
        "decimal(38, 10)",
        "decimal256(76, -3)",
        "time32(s)",
        "time32(ms)",
        "time64(us)",
        "time64(ns)",
        "timestamp(s)",
        "timestamp(ms)",
        "timestamp(us, UTC)",
        "timestamp(ns, Europe/Vienna)",
        "duration(s)",
        "duration(ns)",
        "dictionary(int32, utf8)",
        "list(utf8)",
        "large_list(int64)",
        "struct(a: int32, b: list(struct(c: utf8_view)))",
    ];

    #[test]
    fn every_column_type_survives_the_way_to_arrow_and_back() {
        for text in ALL {
            let column_type: ColumnType = text.parse().unwrap();
            let arrow = column_type_to_arrow(&column_type);
            assert_eq!(arrow_to_column_type(&arrow).unwrap(), column_type, "{text}");
        }
    }

    #[test]
    fn other_arrow_types_are_refused_with_a_hint() {
        let item = Arc::new(Field::new("item", DataType::Int8, true));
        let check = |data_type: DataType, expect: &str| {
            assert_eq!(arrow_to_column_type(&data_type).unwrap_err().to_string(), expect);
        };
        check(
            DataType::Decimal64(18, 2),
            "columns of type Decimal64(18, 2) are not supported; use a 128-bit decimal",
        );
        check(
            DataType::FixedSizeList(item, 3),
            "columns of type FixedSizeList(3 x Int8) are not supported; use a list",
        );
        check(
            DataType::Interval(arrow::datatypes::IntervalUnit::DayTime),
            "columns of type Interval(DayTime) are not supported",
        );
        let deep = (0..=MAX_TYPE_DEPTH).fold(DataType::Int8, |inner, _| {
            DataType::List(Arc::new(Field::new("item", inner, true)))
        });
        assert!(arrow_to_column_type(&deep).unwrap_err().to_string().ends_with("too deeply"));
    }

    #[test]
    fn the_boundary_shows_the_type_of_the_values() {
        let check = |text: &str, expect: &str| {
            let arrow = column_type_to_arrow(&text.parse().unwrap());
            let schema = Schema::new(vec![Field::new("c", arrow, false)]);
            let crossed = schema_to_columns(&boundary_schema(&schema).unwrap()).unwrap();
            assert_eq!(crossed[0].column_type.to_string(), expect);
            assert!(!crossed[0].nullable);
        };
        check("int64", "int64");
        check("utf8_view", "utf8");
        check("large_binary", "binary");
        check("dictionary(uint16, utf8_view)", "utf8");
        check("large_list(struct(a: dictionary(int8, utf8)))", "list(struct(a: utf8))");
    }
}
