//! What each kind of source brings, and what the rest of this crate makes of it.
//!
//! A source is opened once, at one version, by a function of the shape
//! `async fn open(request: &Request) -> Result<OpenTable, Failure>`, and is then read by any number of
//! tasks at once. Everything here runs on the broker's own runtime.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use glovebox_contract::column::Column;
use glovebox_job::broker::Filter;
use glovebox_job::job::FileFormat;
use glovebox_room::remote::{Credential, PartitionFilter, Pinned};

use crate::error::Failure;
use crate::net::Outbound;

/// What is to be opened. The place itself comes beside it, in pieces, by its kind.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Format of plain files, when the owner said it.
    pub(crate) format: Option<FileFormat>,
    /// Which partitions the room may have, all when there is none.
    pub(crate) partitions: Vec<PartitionFilter>,
    /// What opens it. Never printed.
    pub(crate) credential: Option<Credential>,
    /// How far this request may reach out; every connection goes through it.
    pub(crate) outbound: Outbound,
    /// Until when to try.
    pub(crate) deadline: Instant,
}

/// A table that was opened, at one version.
pub(crate) enum OpenTable {
    /// Files, which the worker reads in pieces.
    Files(FileTable),
    /// A database, which is asked for rows.
    Rows(Arc<dyn RowSource>),
}

/// A table of files.
pub(crate) struct FileTable {
    /// Whether files may lack columns, or have them with narrower types, as those of Delta tables.
    pub(crate) evolving: bool,
    /// Format of every file.
    pub(crate) format: FileFormat,
    /// All columns with the names that people know, those of partitions included, in the table's
    /// order; none when somebody has to look into the files.
    pub(crate) columns: Option<Vec<Column>>,
    /// The name in the files of each column that people know by another. Partition columns are
    /// among them when they have two names.
    pub(crate) names_in_files: BTreeMap<String, String>,
    /// Columns that have one value for all rows of a file, with the names that people know, in the
    /// order of [`SourceFile::partition`].
    pub(crate) partition_columns: Vec<Column>,
    /// The files, in reading order.
    pub(crate) files: Vec<SourceFile>,
    /// What is pinned.
    pub(crate) pinned: Vec<Pinned>,
    /// What reads them.
    pub(crate) reader: Arc<dyn FileReader>,
}

/// A file, as the worker learns of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Its size.
    pub(crate) bytes: u64,
    /// The text of each partition column's value, as Delta writes it; none is null.
    pub(crate) partition: Vec<Option<String>>,
    /// Whether some of its rows are deleted.
    pub(crate) has_deleted_rows: bool,
}

/// Reads pieces of files, each of which has its place in [`FileTable::files`] as its number. The
/// caller has checked number and ranges against them.
#[async_trait]
pub(crate) trait FileReader: Send + Sync {
    /// The pieces in the order asked for, each of its full length. A file that is not the pinned one
    /// any more is `input-changed`.
    async fn read(&self, file: usize, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Failure>;

    /// Positions of the deleted rows of a file, from 0, ascending, each once.
    async fn deleted_rows(&self, file: usize) -> Result<Vec<u64>, Failure>;

    /// Fails when it is known by now that what was read is not the pinned version any more.
    async fn check_unchanged(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Which rows of a database are wanted. The caller has checked every number against
/// [`RowSource::columns`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scan {
    /// Places of the wanted columns, in the wanted order, each once. None at all asks for batches
    /// without columns that have as many rows as there are.
    pub(crate) columns: Vec<usize>,
    /// Rows may be left out that do not meet all of these; they need not be.
    pub(crate) filters: Vec<Filter>,
    /// Rows after so many may be left out.
    pub(crate) limit: Option<u64>,
}

/// Batches of a scan.
pub(crate) type Batches = BoxStream<'static, Result<RecordBatch, Failure>>;

/// Answers scans of a database, all of one state of it.
#[async_trait]
pub(crate) trait RowSource: Send + Sync {
    /// Its columns, in its order.
    fn columns(&self) -> &[Column];

    /// What is pinned.
    fn pinned(&self) -> Vec<Pinned>;

    /// The rows, in batches of the wanted columns with exactly the types of
    /// [`RowSource::columns`]. Dropping the stream ends the scan.
    async fn scan(&self, scan: Scan) -> Result<Batches, Failure>;

    /// Fails when it is known by now that what was read is not the pinned version any more.
    async fn check_unchanged(&self) -> Result<(), Failure> {
        Ok(())
    }
}
