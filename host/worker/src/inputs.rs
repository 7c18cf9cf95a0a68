//! The tables and views of a job as the query engine takes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use glovebox_contract::column::Column;
use glovebox_contract::grants::Grants;
use glovebox_contract::name::TableName;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::descriptors::ReceivedDescriptors;
use glovebox_job::job::{self, TableFiles, TableRows, ViewDefinition};
use glovebox_query::{Broker, BrokeredTable, ForeignTable, Input, InputTable, InputView};

use crate::work::{Failure, brokered_files, query_files, query_format};

/// An input of a run with what the run was granted of it.
pub(crate) fn input(
    grants: &Grants,
    input: &job::InputTable,
    broker: Option<&Arc<dyn Broker>>,
    descriptors: &mut ReceivedDescriptors,
) -> Result<Input, Failure> {
    let job::InputTable { renamed, rows, table: name } = input;
    let granted = grants.tables().get(name).cloned().ok_or_else(|| {
        Failure::new(ReasonCode::TableNotGranted, format!("table {name} is not granted"))
    })?;
    Ok(match rows {
        TableRows::Files(files) => {
            let table = table(name, granted, files, descriptors)?;
            Input::Table(InputTable { renamed: renamed.clone(), ..table })
        }
        TableRows::View(definition) => Input::View(InputView {
            name: name.clone(),
            granted,
            renamed: renamed.clone(),
            sql: definition.sql.clone(),
            tables: view_tables(name, definition, descriptors)?,
        }),
        TableRows::Brokered(files) => Input::Brokered(BrokeredTable {
            name: name.clone(),
            granted,
            renamed: renamed.clone(),
            files: brokered_files(files, broker.ok_or_else(no_broker)?),
        }),
        TableRows::Foreign(job::ForeignTable { columns, table }) => Input::Foreign(ForeignTable {
            name: name.clone(),
            granted,
            renamed: renamed.clone(),
            columns: columns.clone(),
            table: *table,
            broker: Arc::clone(broker.ok_or_else(no_broker)?),
        }),
    })
}

pub(crate) fn no_broker() -> Failure {
    Failure::new(ReasonCode::Internal, "the job has no socket to the broker")
}

/// The tables of a view, which the view may see whole.
pub(crate) fn view_tables(
    view: &TableName,
    definition: &ViewDefinition,
    descriptors: &mut ReceivedDescriptors,
) -> Result<BTreeMap<String, InputTable>, Failure> {
    let tables = definition.tables.iter().map(|(name, files)| {
        let table = table(view, files.file_columns.clone(), files, descriptors)?;
        Ok((name.as_str().to_owned(), table))
    });
    tables.collect()
}

fn table(
    name: &TableName,
    granted: Vec<Column>,
    files: &TableFiles,
    descriptors: &mut ReceivedDescriptors,
) -> Result<InputTable, Failure> {
    Ok(InputTable {
        name: name.clone(),
        format: query_format(files.format),
        file_columns: Some(files.file_columns.clone()),
        granted,
        renamed: BTreeMap::new(),
        files: query_files(&files.files, descriptors)?,
    })
}
