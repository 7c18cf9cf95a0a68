//! Tables that are outputs of notebooks: what one run lets out goes into the next.
//!
//! Which file is read is not the host's choice: everyone who folds the log sees that a run-start
//! names an output of the right notebook, which the table's owner may read, and no older one than
//! there was when the run was asked for.

use super::{Refusal, RoomState, Run};
use crate::column::Column;
use crate::name::{Alias, RunId, TableName};
use crate::reason::ReasonCode;
use crate::receipt::OutputFile;
use crate::statement::{FileDigest, OutputReaders, RunStart, Snapshot, TableAsset, TableOutput};

/// What a table that is an output holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedTable {
    /// All columns of the file, offered or not.
    pub columns: Vec<Column>,
    /// The file.
    pub file: OutputFile,
    /// The output.
    pub output: TableOutput,
    /// The run that wrote it.
    pub run: RunId,
}

impl DerivedTable {
    /// What a run-start says about it.
    pub fn snapshot(&self) -> Snapshot {
        let OutputFile { bytes, digest, .. } = self.file;
        Snapshot { files: vec![FileDigest { bytes, digest }], ..Snapshot::default() }
    }
}

impl RoomState {
    /// What a table that is an output of a notebook holds at `now` (seconds since 1970-01-01): the
    /// newest of its files that the table's owner may read. None when the table is no output.
    ///
    /// # Errors
    /// `not-found` when there is no such table, `input-unreadable` when there is no such output (any
    /// more), `schema-mismatch` when it lacks a column that the table offers.
    pub fn derived_table(
        &self,
        name: &TableName,
        now: u64,
    ) -> Result<Option<DerivedTable>, Refusal> {
        let table = self.table(name).ok_or_else(|| {
            Refusal::new(ReasonCode::NotFound, format!("the room has no table {name}"))
        })?;
        let Some(output) = &table.output else { return Ok(None) };
        let newest = self.readable(table, output, now)?.max_by_key(|run| run.ended_position);
        let newest = newest.ok_or_else(|| {
            let why = format!(
                "table {name}: there is no output {output} that {} may read now",
                name.schema()
            );
            Refusal::new(ReasonCode::InputUnreadable, why)
        })?;
        self.derived_from(newest, table, output).map(Some)
    }

    /// The runs that wrote the output, as far as the table's owner may read theirs.
    fn readable<'a>(
        &'a self,
        table: &TableAsset,
        output: &'a TableOutput,
        now: u64,
    ) -> Result<impl Iterator<Item = &'a Run>, Refusal> {
        let owner: Alias = table.name.schema().parse()?;
        Ok(self.runs().filter(move |run| {
            run.notebook == output.notebook
                && self.may_read_output(&run.id, &owner, now).is_ok_and(|receipt| {
                    receipt.outputs().is_some_and(|files| files.contains_key(&output.output))
                })
        }))
    }

    fn derived_from(
        &self,
        run: &Run,
        table: &TableAsset,
        output: &TableOutput,
    ) -> Result<DerivedTable, Refusal> {
        let file = run.receipt().and_then(|receipt| receipt.outputs()?.get(&output.output));
        let versions = self.notebook(&output.notebook)?.versions().iter().rev();
        let declared = versions
            .map(super::Version::asset)
            .find(|asset| asset.component == run.component)
            .and_then(|asset| asset.manifest.outputs.get(&output.output));
        let (Some(file), Some(declared)) = (file, declared) else {
            let why = format!("the room has no version of {} that wrote it", output.notebook);
            return Err(Refusal::new(ReasonCode::InputUnreadable, why));
        };
        check_columns(table, output, &declared.columns)?;
        Ok(DerivedTable {
            columns: declared.columns.clone(),
            file: *file,
            output: output.clone(),
            run: run.id,
        })
    }

    /// A party makes a table of what it may read itself.
    pub(super) fn check_derived_table(
        &self,
        party: &Alias,
        table: &TableAsset,
        output: &TableOutput,
    ) -> Result<(), Refusal> {
        let notebook = self.notebook(&output.notebook)?;
        let versions = || notebook.versions().iter().rev().map(super::Version::asset);
        let may_read = self.document.outputs.readers == OutputReaders::All
            || versions().any(|asset| asset.runners.contains(party));
        if !may_read {
            let name = &output.notebook;
            let why = format!("{party} may not read the outputs of {name}, so they are no table");
            return Err(Refusal::new(ReasonCode::NotPermitted, why));
        }
        let declared = versions().find_map(|asset| asset.manifest.outputs.get(&output.output));
        let declared = declared.ok_or_else(|| {
            let why = format!("no version of {} has an output {}", output.notebook, output.output);
            Refusal::new(ReasonCode::NotFound, why)
        })?;
        check_columns(table, output, &declared.columns)
    }

    /// Whether the tables of a run-start that are outputs are the right ones: of their notebook,
    /// readable by the table's owner, and no older than the newest when the run was asked for.
    /// Whatever came since may be read as well.
    pub(super) fn check_derived(
        &self,
        run: &Run,
        start: &RunStart,
        at: u64,
    ) -> Result<(), Refusal> {
        for (name, snapshot) in &start.inputs {
            let Some(table) = self.table(name) else { continue };
            let Some(output) = &table.output else { continue };
            let known = self.readable(table, output, at)?.map(|run| run.ended_position);
            let oldest =
                known.filter(|ended| *ended < Some(run.requested_position)).max().flatten();
            let mut allowed =
                self.readable(table, output, at)?.filter(|run| run.ended_position >= oldest);
            let is_it = |run: &Run| {
                self.derived_from(run, table, output)
                    .is_ok_and(|derived| derived.snapshot() == *snapshot)
            };
            if !allowed.any(is_it) {
                return Err(Refusal::new(
                    ReasonCode::InputChanged,
                    format!("table {name}: what is read is not the newest output {output}"),
                ));
            }
        }
        Ok(())
    }
}

/// Every column that the table offers is one of the output, with its type.
fn check_columns(
    table: &TableAsset,
    output: &TableOutput,
    declared: &[Column],
) -> Result<(), Refusal> {
    match table.columns.iter().find(|column| !declared.contains(column)) {
        None => Ok(()),
        Some(column) => Err(Refusal::new(
            ReasonCode::SchemaMismatch,
            format!(
                "table {}: the output {output} has no column `{}` of type {}",
                table.name,
                column.name.escape_debug(),
                column.column_type
            ),
        )),
    }
}
