//! Keeps the rules of output tables, whoever writes them: guest calls and SQL scripts alike.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use glovebox_contract::column::ColumnType;
use glovebox_contract::grants::Grants;
use glovebox_contract::reason::ReasonCode;

use crate::arrow_types::{arrow_to_column_type, columns_to_schema};
use crate::services::{ErrorCode, HostError, OutputSummary, OutputTables};
use crate::transfer::recode_batch;

/// The outputs of a run between the guest and the worker.
///
/// A broken rule is remembered: it fails the run even when the guest ignores the error.
pub(crate) struct OutputLedger {
    inner: Box<dyn OutputTables>,
    outputs: BTreeMap<String, Entry>,
    violation: Option<HostError>,
}

struct Entry {
    schema: SchemaRef,
    types: Vec<ColumnType>,
    max_rows: Option<u64>,
    rows: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Declared,
    Open,
    Finished,
}

impl OutputLedger {
    pub(crate) fn new(inner: Box<dyn OutputTables>, grants: &Grants) -> Self {
        let outputs = grants
            .outputs()
            .iter()
            .map(|(name, declared)| {
                let entry = Entry {
                    schema: columns_to_schema(&declared.columns).into(),
                    types: declared.columns.iter().map(|c| c.column_type.logical()).collect(),
                    max_rows: declared.max_rows,
                    rows: 0,
                    state: State::Declared,
                };
                (name.as_str().to_owned(), entry)
            })
            .collect();
        Self { inner, outputs, violation: None }
    }

    /// The ledger of a component without outputs.
    pub(crate) fn empty(inner: Box<dyn OutputTables>) -> Self {
        Self { inner, outputs: BTreeMap::new(), violation: None }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.outputs.keys().cloned().collect()
    }

    /// The first broken rule.
    pub(crate) fn violation(&self) -> Option<&HostError> {
        self.violation.as_ref()
    }

    /// A declared output that was not finished.
    pub(crate) fn unfinished(&self) -> Option<&str> {
        let open = self.outputs.iter().find(|(_, entry)| entry.state != State::Finished);
        open.map(|(name, _)| name.as_str())
    }

    fn remember<T>(&mut self, result: Result<T, HostError>) -> Result<T, HostError> {
        if let Err(error) = &result {
            self.violation.get_or_insert_with(|| error.clone());
        }
        result
    }

    fn entry(&mut self, output: &str) -> Result<&mut Entry, HostError> {
        self.outputs.get_mut(output).ok_or_else(|| undeclared(output))
    }

    fn open_entry(&mut self, output: &str) -> Result<(), HostError> {
        let entry = self.entry(output)?;
        if entry.state != State::Declared {
            return Err(closed(format!("output `{output}` was opened before")));
        }
        self.inner.open(output)?;
        self.entry(output)?.state = State::Open;
        Ok(())
    }

    fn write_entry(&mut self, output: &str, batch: &RecordBatch) -> Result<(), HostError> {
        let entry = self.entry(output)?;
        if entry.state != State::Open {
            return Err(closed(format!("output `{output}` is not open")));
        }
        let batch = entry.check(output, batch)?;
        entry.rows = entry.rows.saturating_add(batch.num_rows() as u64);
        if let Some(max_rows) = entry.max_rows.filter(|max_rows| entry.rows > *max_rows) {
            return Err(HostError::new(
                ErrorCode::LimitExceeded,
                ReasonCode::OutputRows,
                format!("output `{output}` has more than {max_rows} rows"),
            ));
        }
        self.inner.write(output, &batch)
    }

    fn finish_entry(&mut self, output: &str) -> Result<OutputSummary, HostError> {
        if self.entry(output)?.state != State::Open {
            return Err(closed(format!("output `{output}` is not open")));
        }
        let summary = self.inner.finish(output)?;
        self.entry(output)?.state = State::Finished;
        Ok(summary)
    }
}

impl Entry {
    /// `batch` in the declared schema. Another encoding of the same values is converted;
    /// anything else is refused.
    fn check(&self, output: &str, batch: &RecordBatch) -> Result<RecordBatch, HostError> {
        let wrong = |why: String| {
            let detail = format!("output `{output}`: {why}");
            HostError::new(ErrorCode::SchemaMismatch, ReasonCode::OutputSchema, detail)
        };
        if batch.schema_ref() == &self.schema {
            return Ok(batch.clone());
        }
        let given = batch.schema_ref().fields();
        if given.len() != self.schema.fields().len() {
            return Err(wrong(format!(
                "{} columns where {} are declared",
                given.len(),
                self.schema.fields().len()
            )));
        }
        let declared = self.schema.fields().iter().zip(&self.types);
        for ((given, column), (declared, logical)) in
            given.iter().zip(batch.columns()).zip(declared)
        {
            let name = declared.name();
            if given.name() != name {
                let found = given.name().escape_debug();
                return Err(wrong(format!("column `{found}` where `{name}` is declared")));
            }
            let found = arrow_to_column_type(given.data_type())
                .map_err(|error| wrong(format!("column `{name}`: {error}")))?
                .logical();
            if &found != logical {
                return Err(wrong(format!(
                    "column `{name}` has type {found} where {logical} is declared"
                )));
            }
            if !declared.is_nullable() && column.null_count() > 0 {
                return Err(wrong(format!("column `{name}` has nulls but may not")));
            }
        }
        recode_batch(batch, &self.schema).map_err(|error| wrong(error.detail().into()))
    }
}

fn undeclared(output: &str) -> HostError {
    HostError::new(
        ErrorCode::NotGranted,
        ReasonCode::OutputNotDeclared,
        format!("output `{}` is not declared in the manifest", output.escape_debug()),
    )
}

fn closed(detail: String) -> HostError {
    HostError::new(ErrorCode::Closed, ReasonCode::OutputClosed, detail)
}

impl OutputTables for OutputLedger {
    fn schema(&self, output: &str) -> Result<SchemaRef, HostError> {
        let entry = self.outputs.get(output).ok_or_else(|| undeclared(output))?;
        Ok(SchemaRef::clone(&entry.schema))
    }

    fn open(&mut self, output: &str) -> Result<(), HostError> {
        let result = self.open_entry(output);
        self.remember(result)
    }

    fn write(&mut self, output: &str, batch: &RecordBatch) -> Result<(), HostError> {
        let result = self.write_entry(output, batch);
        self.remember(result)
    }

    fn finish(&mut self, output: &str) -> Result<OutputSummary, HostError> {
        let result = self.finish_entry(output);
        self.remember(result)
    }
}
