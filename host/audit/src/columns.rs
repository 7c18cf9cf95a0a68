//! The columns of the tables.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use glovebox_contract::column::{self, Column, ColumnType};

use crate::error::AuditError;

/// Name and type of a column. Every column may be null.
pub type Named = (&'static str, &'static str);

const TIME: &str = "timestamp(us, UTC)";
const SECONDS: &str = "decimal(18, 3)";
const ASSETS: &str =
    "list(struct(name: utf8, data_object_type: utf8, version: utf8, digest: utf8))";
const LIBRARIES: &str = "list(struct(name: utf8, owner: utf8, digest: utf8))";
const RULES: &str = "list(struct(owner: utf8, rule_id: utf8))";

/// What happened. Those of `clean_room_events` come first.
pub const EVENTS: &[Named] = &[
    ("account_id", "utf8"),
    ("metastore_id", "utf8"),
    ("event_id", "utf8"),
    ("clean_room_name", "utf8"),
    ("central_clean_room_id", "utf8"),
    ("initiator_global_metastore_id", "utf8"),
    ("initiator_collaborator_alias", "utf8"),
    ("event_time", TIME),
    ("event_type", "utf8"),
    (
        "clean_room_created_metadata",
        "struct(collaborators: list(struct(collaborator_global_metastore_id: utf8, \
         collaborator_alias: utf8, organisation: utf8)), egress_network_policy: utf8, \
         compliance_profile: utf8)",
    ),
    ("clean_room_deleted_metadata", "struct(central_clean_room_id: utf8)"),
    (
        "run_notebook_started_metadata",
        "struct(notebook_name: utf8, notebook_checksum: utf8, run_id: utf8, notebook_etag: utf8, \
         notebook_update_time: timestamp(us, UTC))",
    ),
    (
        "run_notebook_completed_metadata",
        "struct(notebook_name: utf8, run_id: utf8, state: utf8, duration_in_seconds: int64, \
         output_schema: utf8)",
    ),
    (
        "clean_room_assets_updated_metadata",
        "struct(added_assets: ASSETS, updated_assets: ASSETS, removed_assets: ASSETS)",
    ),
    (
        "asset_review_created_metadata",
        "struct(asset_name: utf8, data_object_type: utf8, review_state: utf8, \
         review_sub_reason: utf8, auto_approval_rule_id: utf8, \
         notebook_metadata: struct(notebook_checksum: utf8, notebook_etag: utf8))",
    ),
    (
        "output_schema_deleted_metadata",
        "struct(name: utf8, owner_global_metastore_id: utf8, action: utf8, \
         expire_time: timestamp(us, UTC))",
    ),
    // What `clean_room_events` lacks.
    ("position", "int64"),
    ("statement_kind", "utf8"),
    ("statement_digest", "utf8"),
    ("acting_principal", "utf8"),
    ("summary", "utf8"),
    ("requested_by", "utf8"),
    ("refused_request", "utf8"),
    ("run_id", "utf8"),
    ("notebook_name", "utf8"),
    ("parameters_digest", "utf8"),
    ("library_digests", LIBRARIES),
    ("reason", "utf8"),
    (
        "rule_metadata",
        "struct(owner: utf8, rule_id: utf8, action: utf8, author: utf8, runner: utf8, \
         conditions: utf8)",
    ),
    (
        "output_read_metadata",
        "struct(output: utf8, owner: utf8, recipient: utf8, share: utf8, version: int64)",
    ),
];

/// What was run, what it used and what it costs.
pub const RUNS: &[Named] = &[
    ("clean_room_name", "utf8"),
    ("central_clean_room_id", "utf8"),
    ("run_id", "utf8"),
    ("notebook_name", "utf8"),
    ("notebook_version", "utf8"),
    ("notebook_etag", "utf8"),
    ("notebook_checksum", "utf8"),
    ("author", "utf8"),
    ("runner", "utf8"),
    ("payer", "utf8"),
    ("state", "utf8"),
    ("reason", "utf8"),
    ("requested_at", TIME),
    ("started_at", TIME),
    ("finished_at", TIME),
    ("cpu_seconds", SECONDS),
    ("wall_seconds", SECONDS),
    ("peak_memory_bytes", "int64"),
    ("bytes_in", "int64"),
    ("bytes_out", "int64"),
    ("rows_out", "int64"),
    ("cost", "decimal(38, 9)"),
    ("currency", "utf8"),
    ("data_owners", "list(utf8)"),
    (
        "inputs",
        "list(struct(name: utf8, owner: utf8, digest: utf8, bytes: int64, pinned_by: utf8))",
    ),
    ("outputs", "list(struct(name: utf8, rows: int64, bytes: int64, digest: utf8))"),
    ("outputs_deleted", "boolean"),
    ("parameters_digest", "utf8"),
    ("library_digests", LIBRARIES),
    ("auto_approvals", RULES),
    ("jail", "utf8"),
    ("evidence", "utf8"),
    ("receipt_digest", "utf8"),
];

/// The log itself.
pub const STATEMENTS: &[Named] = &[
    ("clean_room_name", "utf8"),
    ("central_clean_room_id", "utf8"),
    ("position", "int64"),
    ("kind", "utf8"),
    ("party", "utf8"),
    ("sequence", "int64"),
    ("issued_at", TIME),
    ("summary", "utf8"),
    ("digest", "utf8"),
    ("key_id", "utf8"),
    ("statement", "utf8"),
];

/// The columns in the words of the contract.
///
/// # Errors
/// When a type is none, which is a fault of this program.
pub fn columns(named: &[Named]) -> Result<Vec<Column>, AuditError> {
    let column = |(name, text): &Named| {
        let text = text.replace("ASSETS", ASSETS);
        let parsed = text.parse::<ColumnType>();
        let column_type = parsed.map_err(|error| AuditError::Type(error.to_string()))?;
        Ok(Column { name: (*name).into(), nullable: true, column_type })
    };
    named.iter().map(column).collect()
}

/// The same in the words of Arrow.
///
/// # Errors
/// As [`columns`].
pub fn schema(named: &[Named]) -> Result<SchemaRef, AuditError> {
    let columns = columns(named)?;
    let field = |column: &Column| field(&column.name, &column.column_type);
    Ok(Arc::new(Schema::new(columns.iter().map(field).collect::<Result<Vec<_>, _>>()?)))
}

fn field(name: &str, of: &ColumnType) -> Result<Field, AuditError> {
    Ok(Field::new(name, data_type(of)?, true))
}

/// The types that tables here have.
fn data_type(of: &ColumnType) -> Result<DataType, AuditError> {
    Ok(match of {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Utf8 => DataType::Utf8,
        ColumnType::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
        ColumnType::Timestamp(column::TimeUnit::Microsecond, Some(zone)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone.as_str().into()))
        }
        ColumnType::List(item) => DataType::List(Arc::new(field("item", item)?)),
        ColumnType::Struct(fields) => {
            let fields = fields.iter().map(|(name, of)| field(name, of));
            DataType::Struct(fields.collect::<Result<Vec<_>, _>>()?.into())
        }
        other => return Err(AuditError::Type(other.to_string())),
    })
}
