//! Columns of a table in the words of Delta, read back.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::column::{Column, ColumnType, MAX_COLUMNS, MAX_TYPE_DEPTH, TimeUnit};
use serde_json::Value;

use super::SourceError;

/// Columns of a table of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// All columns, in order, with the names that people know.
    pub columns: Vec<Column>,
    /// The name in the files, and in the values of partitions, of each column that has another
    /// there.
    pub names_in_files: BTreeMap<String, String>,
    /// Those of the columns whose values are in the log and not in the files.
    pub partition_columns: Vec<Column>,
}

/// Whether files have other names for columns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mapping {
    None,
    Name,
}

impl TableSchema {
    /// Reads what a `metaData` action says of a table's columns.
    ///
    /// # Errors
    /// When it is no schema, or has a column of which there is no reader, with its name.
    pub fn parse(
        schema: &str,
        partition_columns: &[String],
        configuration: &BTreeMap<String, String>,
    ) -> Result<Self, SourceError> {
        let mapping = match configuration.get("delta.columnMapping.mode").map(String::as_str) {
            None | Some("none") => Mapping::None,
            Some("name") => Mapping::Name,
            Some(_) => {
                return Err(SourceError::Unsupported(
                    "the table finds columns by their ids (`delta.columnMapping.mode`); by name \
                     they can be read"
                        .into(),
                ));
            }
        };
        let schema: Value = serde_json::from_str(schema)
            .map_err(|error| damaged(format!("the schema of the table: {error}")))?;
        let fields =
            fields(&schema).ok_or_else(|| damaged("the schema of the table has no fields"))?;
        if fields.is_empty() || fields.len() > MAX_COLUMNS {
            return Err(damaged(format!(
                "the table has {} columns, expected 1 to {MAX_COLUMNS}",
                fields.len()
            )));
        }
        let mut read = Self {
            columns: Vec::new(),
            names_in_files: BTreeMap::new(),
            partition_columns: Vec::new(),
        };
        for field in fields {
            read.add(field, mapping)?;
        }
        read.find_partition_columns(partition_columns)?;
        Ok(read)
    }

    /// What the files call a column.
    pub fn name_in_files<'a>(&'a self, column: &'a str) -> &'a str {
        self.names_in_files.get(column).map_or(column, String::as_str)
    }

    fn add(&mut self, field: &Value, mapping: Mapping) -> Result<(), SourceError> {
        let name = name(field)?;
        let shown = name.escape_debug();
        let kind =
            field.get("type").ok_or_else(|| damaged(format!("column `{shown}` has no type")))?;
        let column_type = column_type(kind, mapping, 0).map_err(|why| {
            SourceError::Unsupported(format!("column `{shown}` of the table is {why}"))
        })?;
        if mapping == Mapping::Name {
            let physical = physical_name(field)
                .ok_or_else(|| damaged(format!("column `{shown}` has no name in the files")))?;
            if physical != name {
                self.names_in_files.insert(name.to_owned(), physical.to_owned());
            }
        }
        let nullable = field.get("nullable").and_then(Value::as_bool).unwrap_or(true);
        self.columns.push(Column { name: name.to_owned(), nullable, column_type });
        Ok(())
    }

    fn find_partition_columns(&mut self, names: &[String]) -> Result<(), SourceError> {
        let mut seen = BTreeSet::new();
        for name in names {
            let column = self.columns.iter().find(|column| column.name == *name);
            match column {
                Some(column) if seen.insert(name) => self.partition_columns.push(column.clone()),
                _ => return Err(damaged("a partition column is not among the columns, or twice")),
            }
        }
        match self.columns.len() > self.partition_columns.len() {
            true => Ok(()),
            false => {
                Err(SourceError::Unsupported("the table has nothing but partition columns".into()))
            }
        }
    }
}

fn damaged(what: impl Into<String>) -> SourceError {
    SourceError::Damaged(what.into())
}

fn fields(structure: &Value) -> Option<&Vec<Value>> {
    structure.get("fields")?.as_array()
}

fn name(field: &Value) -> Result<&str, SourceError> {
    let name = field.get("name").and_then(Value::as_str);
    name.filter(|name| !name.is_empty()).ok_or_else(|| damaged("a column of the table has no name"))
}

fn physical_name(field: &Value) -> Option<&str> {
    field.get("metadata")?.get("delta.columnMapping.physicalName")?.as_str()
}

/// The type that a text or an object of a schema stands for, or what it is instead.
fn column_type(kind: &Value, mapping: Mapping, depth: usize) -> Result<ColumnType, String> {
    if depth > MAX_TYPE_DEPTH {
        return Err("nested too deeply".into());
    }
    match kind {
        Value::String(text) => primitive(text),
        Value::Object(object) => match object.get("type").and_then(Value::as_str) {
            Some("array") => {
                let item = object.get("elementType").ok_or("an array of nothing")?;
                Ok(ColumnType::List(Box::new(column_type(item, mapping, depth + 1)?)))
            }
            Some("struct") if mapping == Mapping::Name => Err(
                "a struct whose fields have other names in the files, of which there is no reader"
                    .into(),
            ),
            Some("struct") => {
                let fields = fields(kind).filter(|fields| !fields.is_empty());
                let fields = fields.ok_or("a struct without fields")?.iter().map(|field| {
                    let name = name(field).map_err(|error| error.to_string())?;
                    let kind = field.get("type").ok_or("a struct with a field without a type")?;
                    Ok::<_, String>((name.to_owned(), column_type(kind, mapping, depth + 1)?))
                });
                Ok(ColumnType::Struct(fields.collect::<Result<_, _>>()?))
            }
            Some("map") => Err("a map, of which there is no reader".into()),
            _ => Err("of an unknown type".into()),
        },
        _ => Err("of an unknown type".into()),
    }
}

fn primitive(text: &str) -> Result<ColumnType, String> {
    Ok(match text {
        "string" => ColumnType::Utf8,
        "long" => ColumnType::Int64,
        "integer" => ColumnType::Int32,
        "short" => ColumnType::Int16,
        "byte" => ColumnType::Int8,
        "float" => ColumnType::Float32,
        "double" => ColumnType::Float64,
        "boolean" => ColumnType::Boolean,
        "binary" => ColumnType::Binary,
        "date" => ColumnType::Date32,
        "timestamp" => ColumnType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "timestamp_ntz" => ColumnType::Timestamp(TimeUnit::Microsecond, None),
        "decimal" => ColumnType::Decimal128(10, 0),
        other => return decimal(other),
    })
}

fn decimal(text: &str) -> Result<ColumnType, String> {
    let unknown = || {
        let shown: String = text.chars().take(40).collect();
        format!("of type `{}`, of which there is no reader", shown.escape_debug())
    };
    let inner = text.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
    let (precision, scale) = inner.and_then(|inner| inner.split_once(',')).ok_or_else(unknown)?;
    let precision: u8 = precision.trim().parse().map_err(|_| unknown())?;
    let scale: u8 = scale.trim().parse().map_err(|_| unknown())?;
    match i8::try_from(scale) {
        Ok(signed) if (1..=38).contains(&precision) && scale <= precision => {
            Ok(ColumnType::Decimal128(precision, signed))
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(name: &str, kind: Value) -> Value {
        json!({ "name": name, "type": kind, "nullable": true, "metadata": {} })
    }

    fn read(fields: &[Value], partitions: &[&str], mode: &str) -> Result<TableSchema, SourceError> {
        let schema = json!({ "type": "struct", "fields": fields }).to_string();
        let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        let configuration = [("delta.columnMapping.mode".to_owned(), mode.to_owned())].into();
        TableSchema::parse(&schema, &partitions, &configuration)
    }

    #[test]
    fn types_are_read() {
        let check = |kind: Value, expect: Result<&str, &str>| {
            let shown = kind.to_string();
            let found = read(&[field("a", kind)], &[], "none");
            let found = found.map(|schema| schema.columns[0].column_type.to_string());
            let found = found.map_err(|error| error.to_string());
            assert_eq!(found, expect.map(str::to_owned).map_err(str::to_owned), "{shown}");
        };
        check(json!("string"), Ok("utf8"));
        check(json!("long"), Ok("int64"));
        check(json!("date"), Ok("date32"));
        check(json!("timestamp"), Ok("timestamp(us, UTC)"));
        check(json!("timestamp_ntz"), Ok("timestamp(us)"));
        check(json!("decimal(12, 2)"), Ok("decimal(12, 2)"));
        let array = json!({ "type": "array", "elementType": "integer", "containsNull": true });
        check(array, Ok("list(int32)"));
        let inner = json!({ "type": "struct", "fields": [field("x", json!("double"))] });
        check(inner, Ok("struct(x: float64)"));
        let map = json!({ "type": "map", "keyType": "string", "valueType": "long" });
        check(map, Err("column `a` of the table is a map, of which there is no reader"));
        let strange = "column `a` of the table is of type `variant`, of which there is no reader";
        check(json!("variant"), Err(strange));
        check(
            json!("decimal(39,0)"),
            Err("column `a` of the table is of type `decimal(39,0)`, of which there is no reader"),
        );
        check(json!(7), Err("column `a` of the table is of an unknown type"));
        let mut deep = json!("long");
        for _ in 0..20 {
            deep = json!({ "type": "array", "elementType": deep });
        }
        check(deep, Err("column `a` of the table is nested too deeply"));
    }

    #[test]
    fn a_mapped_column_has_two_names() {
        let mapped = |name: &str, physical: &str, kind: Value| {
            json!({
                "name": name, "type": kind, "nullable": false,
                "metadata": { "delta.columnMapping.id": 1, "delta.columnMapping.physicalName": physical },
            })
        };
        let fields = [mapped("a", "col-1", json!("long")), mapped("b", "b", json!("string"))];
        let schema = read(&fields, &["b"], "name").unwrap();
        assert_eq!(schema.names_in_files, [("a".to_owned(), "col-1".to_owned())].into());
        assert_eq!(schema.name_in_files("a"), "col-1");
        assert_eq!(schema.name_in_files("b"), "b");
        assert_eq!(schema.partition_columns.len(), 1);
        assert!(!schema.columns[0].nullable);
        assert!(read(&fields, &[], "none").unwrap().names_in_files.is_empty());

        let check = |fields: &[Value], partitions: &[&str], mode: &str, expect: &str| {
            let error = read(fields, partitions, mode).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(&fields, &[], "id", "finds columns by their ids");
        let inner = json!({ "type": "struct", "fields": [field("x", json!("long"))] });
        check(
            &[mapped("a", "col-1", inner)],
            &[],
            "name",
            "a struct whose fields have other names",
        );
        check(&[field("a", json!("long"))], &[], "name", "has no name in the files");
        check(&fields, &["c"], "name", "not among the columns");
        check(&fields, &["b", "b"], "name", "not among the columns, or twice");
        check(&fields, &["a", "b"], "name", "nothing but partition columns");
        check(&[], &[], "none", "has 0 columns");
    }
}
