//! Tables, views, volumes, notebooks and libraries.
//!
//! The bytes go first, as uploads of the same key. A file is named by its digests, so it is sent
//! once, however many assets it belongs to.

use std::collections::BTreeMap;

use glovebox_contract::column::Column;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::{Identifier, TableName};
use glovebox_contract::statement::FileDigest;
use serde::{Deserialize, Serialize};

use super::Secrets;

/// The files of a table or of a view, uploaded by the caller, or where they are: the body of
/// `POST /v1/rooms/{id}/describe`. What the files are called stays with the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFiles {
    /// The files' name of each column that is published under another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, String>,
    /// The files of a table, at most [`crate::limits::MAX_TABLE_FILES`]; none for a view.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<UploadedFile>,
    /// Where the table is, when it is elsewhere: then nothing is uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemotePlace>,
    /// The view, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<ViewFiles>,
}

/// A table that is elsewhere, and that the host reads there at each run. None of it is in a
/// statement, nor told to anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemotePlace {
    /// What opens it, when it needs something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Secrets>,
    /// Format of plain files, found by their names when absent: `parquet`, `csv`, `ndjson` or
    /// `arrow-ipc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Which partitions are offered; all when there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionChoice>,
    /// A URL such as `s3://bucket/folder`, without user or password.
    pub place: String,
}

/// Partitions of a table: those where the column has one of the values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionChoice {
    /// The partition column.
    pub column: String,
    /// Texts of its values, at least one.
    pub values: Vec<String>,
}

/// Gives a table that is elsewhere another credential: the body of
/// `POST /v1/rooms/{id}/credentials`. The answer is [`CredentialReplaced`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaceCredential {
    /// What opens the table from now on.
    pub credentials: Secrets,
    /// The table, the caller's own.
    pub table: TableName,
}

/// The table was opened with its new credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialReplaced {
    /// The table.
    pub table: TableName,
}

/// A view: SQL over files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewFiles {
    /// One `SELECT`. It stays with the host; the statement has its digest.
    pub sql: String,
    /// The files of each table by the name that the SQL has for it.
    pub tables: BTreeMap<Identifier, Vec<UploadedFile>>,
}

/// A file of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadedFile {
    /// Length and digests of the upload.
    pub digest: FileDigest,
    /// Its name without folders. The extension says the format, and files are read in the order
    /// of their names.
    pub name: String,
}

/// What files hold, or what a view makes of them: the answer to `POST /v1/rooms/{id}/describe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// Bytes of all files together.
    pub bytes: u64,
    /// All columns, with the names under which they are published.
    pub columns: Vec<Column>,
    /// Digest of a view's definition, which the statement must have; absent for a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Blake3Digest>,
    /// How many files there are.
    pub files: u64,
}

/// Adds a table or a view: the body of `POST /v1/rooms/{id}/tables`. The answer is [`super::Taken`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddTable {
    /// Where its rows are.
    pub source: TableFiles,
    /// The signed statement.
    pub statement: Envelope,
}

/// Adds a volume, a notebook or a library: the body of `POST /v1/rooms/{id}/volumes`,
/// `…/notebooks` and `…/libraries`. The uploads are those whose digests the statement names. The
/// answer is [`super::Taken`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddAsset {
    /// The signed statement.
    pub statement: Envelope,
}
