//! Columns as Unity Catalog writes them.

use glovebox_contract::column::{Column, ColumnType};
use serde_json::{Value, json};

/// The `ColumnInfo` objects of a table's columns.
pub(crate) fn infos(columns: &[Column]) -> Vec<Value> {
    let numbered = columns.iter().enumerate();
    numbered.map(|(position, column)| info(position, column)).collect()
}

fn info(position: usize, column: &Column) -> Value {
    let (name, text) = databricks_type(&column.column_type);
    let (precision, scale) = match column.column_type.logical() {
        ColumnType::Decimal128(precision, scale) | ColumnType::Decimal256(precision, scale) => {
            (Some(precision), Some(scale))
        }
        _ => (None, None),
    };
    let field = json!({
        "name": column.name,
        "type": text,
        "nullable": column.nullable,
        "metadata": { "glovebox.type": column.column_type },
    });
    json!({
        "name": column.name,
        "position": position,
        "nullable": column.nullable,
        "type_name": name,
        "type_text": text,
        "type_json": field.to_string(),
        "type_precision": precision,
        "type_scale": scale,
    })
}

/// Databricks' name and text of the nearest type. What it has no type for, it is told as text;
/// the exact type stands in the metadata of `type_json`.
fn databricks_type(column_type: &ColumnType) -> (&'static str, String) {
    let plain = |name: &'static str, text: &str| (name, text.to_owned());
    match column_type.logical() {
        ColumnType::Null => plain("NULL", "void"),
        ColumnType::Boolean => plain("BOOLEAN", "boolean"),
        ColumnType::Int8 => plain("BYTE", "tinyint"),
        ColumnType::Int16 | ColumnType::UInt8 => plain("SHORT", "smallint"),
        ColumnType::Int32 | ColumnType::UInt16 => plain("INT", "int"),
        ColumnType::Int64 | ColumnType::UInt32 => plain("LONG", "bigint"),
        ColumnType::UInt64 => plain("DECIMAL", "decimal(20,0)"),
        ColumnType::Float16 | ColumnType::Float32 => plain("FLOAT", "float"),
        ColumnType::Float64 => plain("DOUBLE", "double"),
        ColumnType::Date32 | ColumnType::Date64 => plain("DATE", "date"),
        ColumnType::Binary | ColumnType::FixedSizeBinary(_) => plain("BINARY", "binary"),
        ColumnType::Decimal128(precision, scale) | ColumnType::Decimal256(precision, scale) => {
            ("DECIMAL", format!("decimal({precision},{scale})"))
        }
        ColumnType::Timestamp(_, Some(_)) => plain("TIMESTAMP", "timestamp"),
        ColumnType::Timestamp(_, None) => plain("TIMESTAMP_NTZ", "timestamp_ntz"),
        ColumnType::Duration(_) => plain("INTERVAL", "interval day to second"),
        ColumnType::List(item) | ColumnType::LargeList(item) => {
            ("ARRAY", format!("array<{}>", databricks_type(&item).1))
        }
        ColumnType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, field)| format!("{name}:{}", databricks_type(field).1))
                .collect();
            ("STRUCT", format!("struct<{}>", fields.join(",")))
        }
        _ => plain("STRING", "string"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_name_that_the_client_knows() {
        let check = |text: &str, name: &str, type_text: &str| {
            let column_type: ColumnType = text.parse().unwrap();
            assert_eq!(databricks_type(&column_type), (name, type_text.to_owned()), "{text}");
        };
        check("int8", "BYTE", "tinyint");
        check("uint32", "LONG", "bigint");
        check("uint64", "DECIMAL", "decimal(20,0)");
        check("decimal(38, 10)", "DECIMAL", "decimal(38,10)");
        check("dictionary(int32, utf8)", "STRING", "string");
        check("timestamp(us, UTC)", "TIMESTAMP", "timestamp");
        check("timestamp(ms)", "TIMESTAMP_NTZ", "timestamp_ntz");
        check("time64(us)", "STRING", "string");
        check("duration(s)", "INTERVAL", "interval day to second");
        check("list(large_utf8)", "ARRAY", "array<string>");
        check("struct(a: int32, b: list(date32))", "STRUCT", "struct<a:int,b:array<date>>");
    }

    #[test]
    fn a_column_says_its_exact_type_too() {
        let column =
            Column { name: "n".into(), nullable: false, column_type: "uint8".parse().unwrap() };
        let info = &infos(&[column])[0];
        assert_eq!(info["type_name"], "SHORT");
        assert_eq!(info["nullable"], false);
        let json: Value = serde_json::from_str(info["type_json"].as_str().unwrap()).unwrap();
        assert_eq!(json["metadata"]["glovebox.type"], "uint8");
    }
}
