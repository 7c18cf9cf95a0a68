//! What the host asks of a worker.

use std::collections::BTreeMap;

use glovebox_contract::column::Column;
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::grants::Grants;
use glovebox_contract::limits::Limits;
use glovebox_contract::name::{AssetName, Identifier, TableName};
use serde::{Deserialize, Serialize};

use crate::descriptors::DescriptorIndex;

/// The one thing that a worker process does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Job {
    /// Run a notebook; ends with [`crate::event::Event::Finished`].
    Run(Box<RunJob>),
    /// Check a component and compile it; ends with [`crate::event::Event::Compiled`].
    Compile(CompileJob),
    /// Read the columns of a party's files; ends with [`crate::event::Event::Described`].
    Describe(DescribeJob),
    /// Plan a view and tell its columns; ends with [`crate::event::Event::Described`].
    DescribeView(DescribeViewJob),
    /// Read the columns of files through the broker; ends with
    /// [`crate::event::Event::Described`].
    DescribeBrokered(DescribeBrokeredJob),
}

/// A run of an approved notebook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunJob {
    /// Sockets to the broker, none when no input needs one. See [`crate::broker`]. The host has
    /// made them non-blocking.
    pub broker: Vec<DescriptorIndex>,
    /// Digest of component, inputs, parameters and revision: the same for a repeated run. It
    /// stands in the metadata of every output file.
    pub computation: Blake3Digest,
    /// Machine code of the libraries whose functions SQL may call, by their names in the room.
    pub functions: BTreeMap<AssetName, MachineCode>,
    /// What the run may touch.
    pub grants: Grants,
    /// Files of every granted table.
    pub inputs: Vec<InputTable>,
    /// What [`crate::event::Event::Compiled`] told of this component, made by the same engine.
    pub machine_code: MachineCode,
    /// One empty file for every granted output, opened for reading and writing.
    pub outputs: Vec<OutputFile>,
    /// Threads that a query spreads over, at least 1.
    pub partitions: u32,
    /// Every file of every granted volume; their lengths are in the grants.
    pub volumes: Vec<VolumeFile>,
}

/// A file of a volume that the host opened for reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeFile {
    /// Where its descriptor is.
    pub descriptor: DescriptorIndex,
    /// Its path in the volume.
    pub path: String,
    /// The volume.
    pub volume: TableName,
}

/// A table or a view of one party.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputTable {
    /// The name in the files, or in the view, of each granted column that is called otherwise
    /// there.
    pub renamed: BTreeMap<String, String>,
    /// Where its rows come from.
    pub rows: TableRows,
    /// The notebook's name of the table; the granted columns are in the grants.
    pub table: TableName,
}

/// Where the rows of a table come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableRows {
    /// From files.
    Files(TableFiles),
    /// From SQL over files.
    View(ViewDefinition),
    /// From files that the broker reads.
    Brokered(BrokeredFiles),
    /// From a database that the broker asks.
    Foreign(ForeignTable),
}

/// Files of one format that the broker reads. What is known of them comes from where they are kept,
/// so no file needs to be looked into before it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokeredFiles {
    /// Whether files may be older than the columns, as those of a Delta table: one may lack columns,
    /// which are null for its rows, or have them with narrower types. Where not, a file with other
    /// columns is one that changed since the table was added.
    #[serde(default)]
    pub evolving: bool,
    /// All columns that stand in the files, with the names there; for CSV and Arrow in their order.
    pub file_columns: Vec<Column>,
    /// The files, in reading order; the place of each is its number at the broker.
    pub files: Vec<BrokeredFile>,
    /// Their format.
    pub format: FileFormat,
    /// Columns that have one value for all rows of a file, which stands in
    /// [`BrokeredFile::partition`] and not in the file. Their names are among those of the granted
    /// columns' in the files, like those of [`Self::file_columns`].
    pub partition_columns: Vec<Column>,
    /// The table's number at the broker.
    pub table: u32,
}

/// A file that the broker reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokeredFile {
    /// Its size.
    pub bytes: u64,
    /// Whether some of its rows are deleted; the broker tells which.
    pub has_deleted_rows: bool,
    /// The text of each partition column's value, in their order, as Delta writes it; none is null.
    pub partition: Vec<Option<String>>,
}

/// A table of a database that the broker asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignTable {
    /// Its columns; the place of each is its number at the broker. Batches have these types, in the
    /// encoding that the sandbox has for them.
    pub columns: Vec<Column>,
    /// The table's number at the broker.
    pub table: u32,
}

/// The files of a table: of one format and one schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFiles {
    /// All columns of the files, granted or not, as [`crate::event::Event::Described`] told.
    pub file_columns: Vec<Column>,
    /// The files, in the order in which the snapshot lists them.
    pub files: Vec<InputFile>,
    /// Their format.
    pub format: FileFormat,
}

/// A view: an owner's SQL, and the tables that nothing else can name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewDefinition {
    /// One `SELECT`.
    pub sql: String,
    /// The tables by the names that the SQL has for them.
    pub tables: BTreeMap<Identifier, TableFiles>,
}

/// A file that the host opened for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFile {
    /// Its size.
    pub bytes: u64,
    /// Where its descriptor is.
    pub descriptor: DescriptorIndex,
}

/// An output that the host opened for the worker to fill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputFile {
    /// Where its descriptor is.
    pub descriptor: DescriptorIndex,
    /// The output's name.
    pub name: Identifier,
}

/// Machine code that this host made earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineCode {
    /// Its size.
    pub bytes: u64,
    /// Where its descriptor is.
    pub descriptor: DescriptorIndex,
    /// Its digest, from the host's own records.
    pub digest: Blake3Digest,
}

/// A component to check and to compile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompileJob {
    /// The component's bytes.
    pub component: InputFile,
    /// The digest that the bytes must have.
    pub digest: ContentDigest,
    /// The libraries that it needs, and those that they need, by their names in the room. The
    /// component is composed with those of them whose interfaces it imports.
    pub libraries: BTreeMap<AssetName, LibraryFile>,
    /// Limits of the room; admission checks the component against them.
    pub limits: Limits,
    /// An empty file, opened for writing, for the machine code.
    pub machine_code: DescriptorIndex,
}

/// A library that a component is composed with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryFile {
    /// The library's bytes.
    pub component: InputFile,
    /// The digest that the bytes must have.
    pub digest: ContentDigest,
}

/// Files whose columns are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribeJob {
    /// The files.
    pub files: Vec<InputFile>,
    /// Their format.
    pub format: FileFormat,
}

/// Files whose columns are wanted, and which the broker reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribeBrokeredJob {
    /// Sockets to the broker, at least one.
    pub broker: Vec<DescriptorIndex>,
    /// The files; their columns are not known yet, those of partitions are. The answer has those of
    /// the files first, without those that a partition column hides, then those of partitions.
    pub files: BrokeredFiles,
}

/// A view whose columns are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribeViewJob {
    /// What it is.
    pub definition: ViewDefinition,
    /// Its name.
    pub view: TableName,
}

/// Format of a party's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// The Arrow IPC file format.
    ArrowIpc,
}

impl FileFormat {
    /// The format that a file with this extension has; `None` when it is no table.
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "arrow" | "feather" | "ipc" => Some(Self::ArrowIpc),
            _ => None,
        }
    }

    /// The format's name, for example `arrow-ipc`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::ArrowIpc => "arrow-ipc",
        }
    }
}

/// Which last event answers a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExpectedAnswer {
    /// `Finished` with these outputs and at most so many rows in each.
    Outputs(BTreeMap<Identifier, u64>),
    /// `Compiled`.
    MachineCode,
    /// `Described`.
    Columns,
}

impl Job {
    pub(crate) fn expected_answer(&self) -> ExpectedAnswer {
        match self {
            Self::Run(run) => {
                let outputs = run.grants.outputs().iter();
                ExpectedAnswer::Outputs(
                    outputs
                        .map(|(name, output)| (name.clone(), output.max_rows.unwrap_or(u64::MAX)))
                        .collect(),
                )
            }
            Self::Compile(_) => ExpectedAnswer::MachineCode,
            Self::Describe(_) | Self::DescribeView(_) | Self::DescribeBrokered(_) => {
                ExpectedAnswer::Columns
            }
        }
    }
}
