//! Granted columns beside those of files: names, types, schemas.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use glovebox_contract::column::{Column, ColumnType};
use glovebox_sandbox::arrow_types::{arrow_to_column_type, column_type_to_arrow};

/// A granted column and its name in the files.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    pub(crate) column: &'a Column,
    pub(crate) in_files: &'a str,
}

/// The columns of `granted` with their names in the files.
pub(crate) fn wanted<'a>(
    granted: &'a [Column],
    renamed: &'a BTreeMap<String, String>,
) -> Vec<Wanted<'a>> {
    let in_files = |column: &'a Column| renamed.get(&column.name).unwrap_or(&column.name);
    granted.iter().map(|column| Wanted { column, in_files: in_files(column) }).collect()
}

/// The type that SQL sees in place of `data_type`.
pub(crate) fn for_queries(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    }
}

/// The schema of granted columns, with the types of the grant.
pub(crate) fn granted_schema(granted: &[Column]) -> SchemaRef {
    let fields = granted.iter().map(|column| {
        Field::new(&column.name, column_type_to_arrow(&column.column_type), column.nullable)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Whether the file has every granted column with a compatible type.
pub(crate) fn check_columns(file: &Schema, wanted: &[Wanted]) -> Result<(), String> {
    for Wanted { column: Column { name, column_type, .. }, in_files } in wanted {
        let mut found = file.fields().iter().filter(|field| field.name() == in_files);
        let field = match (found.next(), found.next()) {
            (Some(field), None) => field,
            (None, _) => return Err(format!("column `{}` is missing", name.escape_debug())),
            _ => return Err(format!("two columns are named `{}`", name.escape_debug())),
        };
        let compatible = arrow_to_column_type(field.data_type())
            .is_ok_and(|found| column_type.is_compatible(&found))
            && can_cast_types(field.data_type(), &column_type_to_arrow(column_type));
        if !compatible {
            let found = arrow_to_column_type(field.data_type()).map_or_else(
                |_| "an unsupported type".to_owned(),
                |found: ColumnType| found.to_string(),
            );
            return Err(format!(
                "column `{}` has type {found}, granted as {column_type}",
                name.escape_debug()
            ));
        }
    }
    Ok(())
}

/// Objects may leave any field out, so the granted columns are all there is to know.
pub(super) fn ndjson_schema(wanted: &[Wanted]) -> Schema {
    let types: BTreeMap<&str, &Column> =
        wanted.iter().map(|wanted| (wanted.in_files, wanted.column)).collect();
    let fields = types
        .into_iter()
        .map(|(name, column)| Field::new(name, column_type_to_arrow(&column.column_type), true));
    Schema::new(fields.collect::<Vec<_>>())
}

/// The columns of the header, the granted ones with their types. Others are never parsed.
pub(super) fn csv_schema(names: &[String], wanted: &[Wanted]) -> Schema {
    let fields = names.iter().map(|name| {
        let data_type = wanted
            .iter()
            .find(|wanted| wanted.in_files == name)
            .map_or(DataType::Utf8, |wanted| column_type_to_arrow(&wanted.column.column_type));
        Field::new(name, data_type, true)
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// `one` with a field nullable when it is nullable in either file.
pub(super) fn loosen(one: &Schema, other: &Schema) -> Schema {
    let fields = one.fields().iter().map(|field| {
        let nullable = field.is_nullable()
            || other.field_with_name(field.name()).map_or(true, Field::is_nullable);
        field.as_ref().clone().with_nullable(nullable)
    });
    Schema::new(fields.collect::<Vec<_>>())
}
