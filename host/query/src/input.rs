//! What a session is made from: opened files, granted columns, limits.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use glovebox_contract::column::Column;
use glovebox_contract::name::{Identifier, TableName};
use glovebox_contract::parameter::ParameterValue;

use crate::broker::Broker;

/// Format of the files of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values (RFC 4180) with a header row.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Arrow IPC *file* format (also called Feather version 2), not the stream format.
    ArrowIpc,
}

/// A file that the host opened for reading.
#[derive(Debug)]
pub struct InputFile {
    /// The open file. It is read at positions only, so its cursor is never used.
    pub file: File,
    /// Its size in bytes when its digest was taken.
    pub bytes: u64,
}

/// What a run reads under one name.
#[derive(Debug)]
pub enum Input {
    /// A table.
    Table(InputTable),
    /// A view.
    View(InputView),
    /// A table whose files a broker reads.
    Brokered(BrokeredTable),
    /// A table of a database that a broker asks.
    Foreign(ForeignTable),
}

impl From<InputTable> for Input {
    fn from(table: InputTable) -> Self {
        Self::Table(table)
    }
}

impl From<InputView> for Input {
    fn from(view: InputView) -> Self {
        Self::View(view)
    }
}

impl From<BrokeredTable> for Input {
    fn from(table: BrokeredTable) -> Self {
        Self::Brokered(table)
    }
}

impl From<ForeignTable> for Input {
    fn from(table: ForeignTable) -> Self {
        Self::Foreign(table)
    }
}

/// A view as granted to one run: SQL over tables that nothing else can name.
#[derive(Debug)]
pub struct InputView {
    /// Its name, `alias.view`.
    pub name: TableName,
    /// The columns the run may see, with the names and the types it sees.
    pub granted: Vec<Column>,
    /// The view's own name of each granted column that the run calls otherwise.
    pub renamed: BTreeMap<String, String>,
    /// One `SELECT`.
    pub sql: String,
    /// The tables it reads, by the names that the SQL has for them, with all of their columns
    /// granted.
    pub tables: BTreeMap<String, InputTable>,
}

/// A table as granted to one run.
#[derive(Debug)]
pub struct InputTable {
    /// Its name, `alias.table`.
    pub name: TableName,
    /// Format of all its files.
    pub format: FileFormat,
    /// All columns of the files, when the host knows them; checked against the files.
    pub file_columns: Option<Vec<Column>>,
    /// The columns the run may see, with the names and the types it sees.
    pub granted: Vec<Column>,
    /// The files' name of each granted column that they call otherwise.
    pub renamed: BTreeMap<String, String>,
    /// Its files, in the order in which a scan reads them.
    pub files: Vec<InputFile>,
}

/// A table as granted to one run, whose files a broker reads.
#[derive(Debug, Clone)]
pub struct BrokeredTable {
    /// Its name, `alias.table`.
    pub name: TableName,
    /// The columns the run may see, with the names and the types it sees.
    pub granted: Vec<Column>,
    /// The name in the files of each granted column that they call otherwise. Partition columns
    /// have names there like others.
    pub renamed: BTreeMap<String, String>,
    /// Its files.
    pub files: BrokeredFiles,
}

/// Files of one format that a broker reads.
#[derive(Debug, Clone)]
pub struct BrokeredFiles {
    /// Who reads them.
    pub broker: Arc<dyn Broker>,
    /// The number that it has for their table.
    pub table: u32,
    /// Their format.
    pub format: FileFormat,
    /// All columns of the files, with the names there. Empty, where they are to be found out.
    pub file_columns: Vec<Column>,
    /// Columns with one value for all rows of a file. They hide columns of the files with the same
    /// names.
    pub partition_columns: Vec<Column>,
    /// Whether a file may lack columns, which are null then, or have narrower types.
    pub evolving: bool,
    /// The files, in the order in which a scan reads them; the place of each is its number.
    pub files: Vec<BrokeredFile>,
}

/// A file that a broker reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokeredFile {
    /// Its size.
    pub bytes: u64,
    /// Whether some of its rows are deleted.
    pub has_deleted_rows: bool,
    /// The text of each partition column's value, as Delta writes it; none is null.
    pub partition: Vec<Option<String>>,
}

/// A table of a database as granted to one run.
#[derive(Debug, Clone)]
pub struct ForeignTable {
    /// Its name, `alias.table`.
    pub name: TableName,
    /// The columns the run may see, with the names and the types it sees.
    pub granted: Vec<Column>,
    /// The database's name of each granted column that it calls otherwise.
    pub renamed: BTreeMap<String, String>,
    /// All its columns; the place of each is its number.
    pub columns: Vec<Column>,
    /// The number that the broker has for it.
    pub table: u32,
    /// Who asks the database.
    pub broker: Arc<dyn Broker>,
}

/// Limits and parameters of a session.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Most bytes of memory for the engine's operators.
    pub memory_bytes: u64,
    /// Folder for temporary files; without one, nothing is ever written.
    pub scratch: Option<PathBuf>,
    /// Most bytes of temporary files.
    pub scratch_bytes: u64,
    /// Worker threads, and partitions of a query that may run in parallel; at least 1.
    pub partitions: usize,
    /// Most rows of a batch; at least 1. Batches of wide rows are smaller.
    pub batch_rows: usize,
    /// The run's parameters, which a script reads as `:name`.
    pub parameters: BTreeMap<Identifier, ParameterValue>,
}

impl Default for SessionSettings {
    /// 1 GiB of memory, no scratch space, two partitions, 8,192 rows, no parameters.
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            scratch: None,
            scratch_bytes: 0,
            partitions: 2,
            batch_rows: 8_192,
            parameters: BTreeMap::new(),
        }
    }
}
