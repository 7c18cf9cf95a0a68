//! An opened table, as the control plane sees it.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use glovebox_contract::column::Column;
use glovebox_contract::name::TableName;
use glovebox_job::job::{BrokeredFile, BrokeredFiles, ForeignTable, TableRows};
use glovebox_room::remote::{BrokeredTable, Credential, Pinned};

use crate::error::Failure;
use crate::runtime::Engine;
use crate::source::{FileTable, OpenTable};

/// A table that this broker opened.
pub(crate) struct Opened {
    pub(crate) shared: Arc<Shared>,
    pub(crate) engine: Arc<Engine>,
}

/// What serving it needs.
pub(crate) struct Shared {
    pub(crate) table: TableName,
    pub(crate) open: OpenTable,
    /// For what must not be shown.
    pub(crate) credential: Option<Credential>,
}

impl Shared {
    /// Fails when it is known by now that what was read is not the pinned version.
    pub(crate) async fn check_unchanged(&self) -> Result<(), Failure> {
        let checked = match &self.open {
            OpenTable::Files(files) => files.reader.check_unchanged().await,
            OpenTable::Rows(rows) => rows.check_unchanged().await,
        };
        checked.map_err(|failure| self.failure(failure))
    }

    /// A failure that may be shown to the operator.
    pub(crate) fn failure(&self, failure: Failure) -> Failure {
        let mut failure = failure.redacted(self.credential.as_ref());
        failure.detail = format!("table {}: {}", self.table, failure.detail);
        failure
    }
}

impl BrokeredTable for Opened {
    fn columns(&self) -> Option<Vec<Column>> {
        match &self.shared.open {
            OpenTable::Files(files) => files.columns.clone(),
            OpenTable::Rows(rows) => Some(rows.columns().to_vec()),
        }
    }

    fn names_in_files(&self) -> BTreeMap<String, String> {
        match &self.shared.open {
            OpenTable::Files(files) => files.names_in_files.clone(),
            OpenTable::Rows(_) => BTreeMap::new(),
        }
    }

    fn rows(&self, number: u32, columns: &[Column]) -> TableRows {
        match &self.shared.open {
            OpenTable::Files(files) => TableRows::Brokered(brokered(files, number, columns)),
            OpenTable::Rows(rows) => {
                let columns = rows.columns().to_vec();
                TableRows::Foreign(ForeignTable { columns, table: number })
            }
        }
    }

    fn pinned(&self) -> Vec<Pinned> {
        match &self.shared.open {
            OpenTable::Files(files) => files.pinned.clone(),
            OpenTable::Rows(rows) => rows.pinned(),
        }
    }

    fn files(&self) -> usize {
        match &self.shared.open {
            OpenTable::Files(files) => files.files.len(),
            OpenTable::Rows(_) => 0,
        }
    }

    fn bytes(&self) -> u64 {
        match &self.shared.open {
            OpenTable::Files(files) => {
                files.files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.bytes))
            }
            OpenTable::Rows(_) => 0,
        }
    }

    fn check_unchanged(&self) -> glovebox_room::error::Result<()> {
        let shared = Arc::clone(&self.shared);
        let checked = self.engine.wait(None, async move { shared.check_unchanged().await });
        checked.map_err(|failure| failure.into_room_error(&self.shared.table))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What a worker is told of a table of files. `columns` have the names that people know.
fn brokered(files: &FileTable, number: u32, columns: &[Column]) -> BrokeredFiles {
    let in_files = |column: &Column| {
        let name = files.names_in_files.get(&column.name).unwrap_or(&column.name);
        Column { name: name.clone(), ..column.clone() }
    };
    let is_partition =
        |column: &Column| files.partition_columns.iter().any(|other| other.name == column.name);
    // The type of a column is what the room agreed on, whatever today's values look like.
    let partition_columns = files.partition_columns.iter().map(|partition| {
        in_files(columns.iter().find(|column| column.name == partition.name).unwrap_or(partition))
    });
    BrokeredFiles {
        evolving: files.evolving,
        file_columns: columns.iter().filter(|column| !is_partition(column)).map(in_files).collect(),
        files: files
            .files
            .iter()
            .map(|file| BrokeredFile {
                bytes: file.bytes,
                has_deleted_rows: file.has_deleted_rows,
                partition: file.partition.clone(),
            })
            .collect(),
        format: files.format,
        partition_columns: partition_columns.collect(),
        table: number,
    }
}
