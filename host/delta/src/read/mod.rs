//! Reading tables that others wrote: which version, which columns, which files.
//!
//! The log is somebody else's word. What is read of it here are names, sizes and numbers; whoever
//! reads the files checks them against the files.

mod deletion;
mod roaring;
mod schema;

use std::collections::HashMap;
use std::sync::Arc;

use deltalake_core::kernel::EagerSnapshot;
use deltalake_core::logstore::{StorageConfig, logstore_with};
use deltalake_core::{DeltaTableError, ObjectStore};
use url::Url;

use crate::history::{Metadata, Protocol};

pub use deletion::{DeletionVector, VectorPlace};
pub use schema::TableSchema;

/// What a reader here knows of what tables may ask of readers.
const FEATURES: [&str; 8] = [
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    // Older writers' name of the one before.
    "timestampWithoutTimezone",
    "typeWidening",
    "typeWidening-preview",
    "v2Checkpoint",
    "vacuumProtocolCheck",
];

/// Why a table cannot be read. For its owner and the operator of this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is no table, or what there is says nothing that can be understood.
    #[error("{0}")]
    Damaged(String),
    /// It asks something of its readers that is not here.
    #[error("{0}")]
    Unsupported(String),
}

/// A table of somebody else, at one version.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTable {
    /// Its id, which no other table has.
    pub id: String,
    /// The version.
    pub version: u64,
    /// Its columns.
    pub schema: TableSchema,
    /// Its files, by their paths.
    pub files: Vec<SourceFile>,
}

/// A file of such a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it is below the table.
    pub path: object_store::path::Path,
    /// Its size, as the log says.
    pub bytes: u64,
    /// The text of each partition column's value, in their order; none is null.
    pub partition: Vec<Option<String>>,
    /// Which of its rows are deleted.
    pub deleted: Option<DeletionVector>,
}

/// Reads the newest version of the table whose directory is the root of `store`. `wanted` says of
/// the values of a file's partition columns, in their order, whether the file is wanted; a table
/// with more than `max_files` wanted ones is too large.
///
/// `store` is read only. Inside a tokio runtime with more than one thread.
///
/// # Errors
/// When there is no table, it cannot be understood, or it asks for more than is here.
pub async fn open(
    store: Arc<dyn ObjectStore>,
    mut wanted: impl FnMut(&TableSchema, &[Option<String>]) -> Result<bool, SourceError>,
    max_files: usize,
) -> Result<SourceTable, SourceError> {
    let snapshot = snapshot(store).await?;
    let protocol: Protocol = parts(snapshot.protocol())?;
    let metadata: Metadata = parts(snapshot.metadata())?;
    check_protocol(&protocol)?;
    if !metadata.format.provider.eq_ignore_ascii_case("parquet") {
        return Err(SourceError::Unsupported("the files of the table are not Parquet".into()));
    }
    let schema = TableSchema::parse(
        &metadata.schema_string,
        &metadata.partition_columns,
        &metadata.configuration,
    )?;
    let mut files = Vec::new();
    for file in snapshot.try_log_data().map_err(log_error)?.iter() {
        let mut values = file.partition_values_map();
        let partition = partition_values(&schema, &mut values);
        if !wanted(&schema, &partition)? {
            continue;
        }
        if files.len() >= max_files {
            return Err(SourceError::Unsupported(format!(
                "the table has more than {max_files} files; fewer partitions or larger files help"
            )));
        }
        let deleted = file.deletion_vector_descriptor().map(|vector| {
            DeletionVector::new(
                vector.storage_type.as_ref(),
                vector.path_or_inline_dv,
                vector.offset,
                vector.size_in_bytes,
                vector.cardinality,
            )
        });
        let path = file.path();
        if path.contains("://") || path.starts_with('/') {
            return Err(SourceError::Unsupported(
                "the table has files outside its directory, as a shallow clone has".into(),
            ));
        }
        files.push(SourceFile {
            bytes: u64::try_from(file.size()).map_err(|_| damaged("a file has no size"))?,
            path: file.object_store_path(),
            partition,
            deleted: deleted.transpose()?,
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(SourceTable { id: metadata.id, version: snapshot.version(), schema, files })
}

/// The values of a file's partition columns, in their order. Delta writes an empty text for null.
fn partition_values(
    schema: &TableSchema,
    values: &mut HashMap<String, Option<String>>,
) -> Vec<Option<String>> {
    let columns = schema.partition_columns.iter();
    columns
        .map(|column| {
            let name = schema.name_in_files(&column.name);
            values.remove(name).flatten().filter(|value| !value.is_empty())
        })
        .collect()
}

/// Whether all that a table asks of its readers is here.
///
/// # Errors
/// When it is not, with the name of what is missing.
pub fn check_protocol(protocol: &Protocol) -> Result<(), SourceError> {
    let unsupported = |what: String| Err(SourceError::Unsupported(what));
    if protocol.min_reader_version > 3 {
        let version = protocol.min_reader_version;
        return unsupported(format!("the table asks for readers of version {version}"));
    }
    let features = protocol.reader_features.iter().flatten();
    let mut missing = features.filter(|feature| !FEATURES.contains(&feature.as_str()));
    match missing.next() {
        Some(feature) => unsupported(format!(
            "the table asks for the reader feature `{}`",
            feature.chars().take(80).collect::<String>().escape_debug()
        )),
        None => Ok(()),
    }
}

async fn snapshot(store: Arc<dyn ObjectStore>) -> Result<EagerSnapshot, SourceError> {
    // The place is the store's affair; here it is the root of something.
    let root = Url::parse("memory:///").map_err(|error| damaged(error.to_string()))?;
    let log = logstore_with(store, &root, StorageConfig::default()).map_err(log_error)?;
    EagerSnapshot::try_new(log.as_ref(), None).await.map_err(log_error)
}

fn damaged(what: impl Into<String>) -> SourceError {
    SourceError::Damaged(what.into())
}

fn log_error(error: DeltaTableError) -> SourceError {
    let text = error.to_string();
    // The kernel tells these cases apart in its texts only.
    match ["nsupported", "not supported", "catalog-managed"].iter().any(|what| text.contains(what))
    {
        true => SourceError::Unsupported(text),
        false => SourceError::Damaged(text),
    }
}

/// The kernel's types have no public fields; their JSON does.
fn parts<T: serde::de::DeserializeOwned>(value: &impl serde::Serialize) -> Result<T, SourceError> {
    let value = serde_json::to_value(value).map_err(|error| damaged(error.to_string()))?;
    serde_json::from_value(value).map_err(|error| damaged(format!("the log: {error}")))
}

#[cfg(test)]
mod tests;
