//! Schemas as guests write and read them: names and types as text.

use std::sync::Arc;

use arrow::datatypes::{Field as ArrowField, Fields, Schema as ArrowSchema, SchemaRef};
use glovebox_contract::column::{Column, ColumnType};
use glovebox_contract::reason::ReasonCode;
use wasmtime::component::{ComponentType, Lift, Lower};

use super::data::invalid;
use crate::arrow_types::{arrow_to_column_type, boundary_schema, column_type_to_arrow};
use crate::services::{ErrorCode, HostError};

/// Most fields of a schema that a guest makes.
pub(super) const MAX_FIELDS: usize = 4096;
/// Longest name of such a field in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Longest type of such a field in bytes.
const MAX_TYPE_BYTES: usize = 64 * 1024;

/// `data.field`.
#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Field {
    name: String,
    #[component(name = "data-type")]
    data_type: String,
    nullable: bool,
}

impl Field {
    /// Whether it describes `column`.
    pub(crate) fn is(&self, column: &Column) -> bool {
        self.name == column.name
            && self.nullable == column.nullable
            && self.data_type == column.column_type.logical().to_string()
    }
}

/// The schema that a guest sees of data with `schema`.
pub(super) fn boundary_of(schema: &ArrowSchema) -> Result<SchemaRef, HostError> {
    boundary_schema(schema).map(Arc::new).map_err(|error| {
        HostError::new(ErrorCode::SchemaMismatch, ReasonCode::SchemaMismatch, error.to_string())
    })
}

/// Host memory that a description takes at most once it is a schema: the shortest field of a
/// struct, `a:null`, becomes some 150 bytes.
pub(super) fn described_bytes(fields: &[Field]) -> u64 {
    let texts: usize = fields.iter().map(|f| f.name.len() + f.data_type.len() + 16).sum();
    (texts as u64).saturating_mul(32)
}

/// The schema that a guest describes.
pub(super) fn schema_from(fields: Vec<Field>) -> Result<SchemaRef, HostError> {
    if fields.len() > MAX_FIELDS {
        return Err(invalid(format!("a schema of {} fields", fields.len())));
    }
    let fields = fields.into_iter().map(field_from).collect::<Result<Fields, HostError>>()?;
    Ok(Arc::new(ArrowSchema::new(fields)))
}

fn field_from(field: Field) -> Result<ArrowField, HostError> {
    if field.name.len() > MAX_NAME_BYTES || field.data_type.len() > MAX_TYPE_BYTES {
        return Err(invalid("a field whose name or type is too long".into()));
    }
    let name = field.name.escape_debug();
    let column_type: ColumnType =
        field.data_type.parse().map_err(|error| invalid(format!("field `{name}`: {error}")))?;
    let logical = column_type.logical();
    if column_type != logical {
        let detail = format!("field `{name}`: {column_type} does not cross; use {logical}");
        return Err(invalid(detail));
    }
    Ok(ArrowField::new(&field.name, column_type_to_arrow(&column_type), field.nullable))
}

/// The description of a schema for a guest.
pub(super) fn fields_of(schema: &ArrowSchema) -> wasmtime::Result<Vec<Field>> {
    schema
        .fields()
        .iter()
        .map(|field| {
            let column_type =
                arrow_to_column_type(field.data_type()).map_err(wasmtime::Error::new)?;
            Ok(Field {
                name: field.name().clone(),
                data_type: column_type.to_string(),
                nullable: field.is_nullable(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(name: &str, data_type: &str) -> Result<SchemaRef, HostError> {
        schema_from(vec![Field { name: name.into(), data_type: data_type.into(), nullable: true }])
    }

    #[test]
    fn a_schema_comes_back_as_it_was_written() {
        for data_type in ["int64", "decimal(20, 3)", "list(struct(a: utf8, b: list(boolean)))"] {
            let fields = fields_of(&create("ä b", data_type).unwrap()).unwrap();
            assert_eq!(fields[0].data_type, data_type);
            assert_eq!(fields[0].name, "ä b");
        }
    }

    #[test]
    fn a_schema_is_charged_for_what_it_takes() {
        let parts = vec!["a:null"; 1000].join(",");
        let data_type = format!("struct({parts})");
        let field = Field { name: "c".into(), data_type: data_type.clone(), nullable: true };
        let taken = create("c", &data_type).unwrap().fields().size() as u64;
        let charged = described_bytes(&[field]);
        assert!(taken <= charged && charged <= 4 * taken, "{taken} taken, {charged} charged");
    }

    #[test]
    fn types_that_do_not_cross_are_refused() {
        let check = |data_type: &str, expect: &str| {
            let error = create("c", data_type).unwrap_err();
            assert_eq!(error.detail(), expect);
        };
        check("utf8_view", "field `c`: utf8_view does not cross; use utf8");
        check(
            "dictionary(int8, large_utf8)",
            "field `c`: dictionary(int8, large_utf8) does not cross; use utf8",
        );
        check(
            "list(fixed_size_binary(0))",
            "field `c`: `list(fixed_size_binary(0))` is not a column type: the width is at least 1",
        );
        check("varchar", "field `c`: `varchar` is not a column type: unknown type");
        assert!(create(&"x".repeat(256), "int8").is_err());
        let field = Field { name: "c".into(), data_type: "int8".into(), nullable: true };
        assert!(schema_from(vec![field; MAX_FIELDS + 1]).is_err());
    }
}
