//! Tables that are outputs of notebooks: the host's own files, found by the log.

use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::TableName;
use glovebox_contract::state::{Applied, Refusal};
use glovebox_contract::statement::{AssetStatement, Body};
use glovebox_job::job::FileFormat;

use crate::error::{Result, RoomError};
use crate::private::forget_source;
use crate::room::Room;
use crate::sources::Files;

impl Room {
    /// Adds a table that is an output of a notebook, or puts it in the place of the party's own. Its
    /// statement is all there is: the rows are on this host when they are read, and which they are
    /// the log says.
    ///
    /// # Errors
    /// With the reason when the statement is refused.
    pub fn add_derived_table(&mut self, envelope: &Envelope) -> Result<Applied> {
        let statement = envelope.unverified().map_err(Refusal::from)?;
        let table = match statement.body {
            Body::Asset(AssetStatement::Table(table)) if table.output.is_some() => table.name,
            _ => return Err(RoomError::internal("the statement makes no table of an output")),
        };
        self.locked(|room, _| {
            let applied = room.take(envelope, |transaction| forget_source(transaction, &table))?;
            room.remove_unused_files()?;
            Ok(applied)
        })
    }

    /// The file that a table which is an output holds now, with all its columns. None when it is no
    /// output. That the file is what its receipt says, the run-start is checked for.
    ///
    /// # Errors
    /// `input-unreadable` when there is no such output (any more), `schema-mismatch` when it lacks a
    /// column that the table offers.
    pub(crate) fn derived_files(&self, table: &TableName) -> Result<Option<Files>> {
        let Some(derived) = self.state.derived_table(table, self.now())? else { return Ok(None) };
        let path = self.output_path(&derived.run, &derived.output.output)?;
        Ok(Some(Files { path, format: FileFormat::Parquet, columns: derived.columns }))
    }
}
