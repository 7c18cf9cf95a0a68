//! The declared outputs of a run as Parquet files: the only data that leaves a worker.
//!
//! Every batch is held to the declared schema and caps before it is written. An output that broke
//! a rule once stays broken, whatever the notebook does next: outputs are refused as a whole. The
//! writer's settings are fixed and it writes no time, so equal rows make equal bytes.

mod canonical;
mod conform;
mod table;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::grants::Grants;
use glovebox_contract::name::Identifier;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::event::OutputSummary;
use glovebox_sandbox::services::{self, ErrorCode, HostError, OutputTables};

use self::table::Table;

/// Key of the computation's digest in the metadata of an output file.
pub const RECEIPT_KEY: &str = "glovebox.receipt";

/// Key of the room's id in the metadata of an output file.
pub const ROOM_KEY: &str = "glovebox.room";

/// All outputs of one run. Copies share them: the sandbox writes, the worker concludes.
#[derive(Clone)]
pub struct Outputs(Arc<Mutex<Inner>>);

struct Inner {
    /// The first rule that was broken, if one was.
    broken: Option<HostError>,
    tables: BTreeMap<String, Table>,
    /// Bytes that all files together may have.
    total_bytes: u64,
}

impl Outputs {
    /// Outputs of a run with `grants`, each with an empty file in `files`.
    pub fn new(
        grants: &Grants,
        computation: &Blake3Digest,
        mut files: BTreeMap<Identifier, File>,
    ) -> Result<Self, HostError> {
        let metadata =
            [(RECEIPT_KEY, computation.to_string()), (ROOM_KEY, grants.room().to_string())];
        let mut tables = BTreeMap::new();
        for (name, declaration) in grants.outputs() {
            let file = files.remove(name).ok_or_else(|| {
                HostError::new(
                    ErrorCode::Internal,
                    ReasonCode::Internal,
                    format!("output `{name}` has no file"),
                )
            })?;
            let table = Table::new(name, declaration, grants.limits(), file, &metadata)?;
            tables.insert(name.to_string(), table);
        }
        let total_bytes = grants.limits().output_bytes;
        Ok(Self(Arc::new(Mutex::new(Inner { broken: None, tables, total_bytes }))))
    }

    /// Sizes of all outputs, if each is finished and none broke a rule.
    pub fn conclude(&self) -> Result<BTreeMap<Identifier, OutputSummary>, HostError> {
        let inner = self.lock();
        if let Some(error) = &inner.broken {
            return Err(error.clone());
        }
        inner.tables.values().map(|table| Ok((table.name().clone(), table.summary()?))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while writing left a file that is not whole; `conclude` finds it unfinished.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn table(&mut self, output: &str) -> Result<&mut Table, HostError> {
        self.tables.get_mut(output).ok_or_else(|| {
            let shown: String = output.chars().take(80).collect();
            HostError::new(
                ErrorCode::NotGranted,
                ReasonCode::OutputNotDeclared,
                format!("output `{}` is not declared", shown.escape_debug()),
            )
        })
    }

    /// Does `act` and remembers its failure.
    fn attempt<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, HostError>,
    ) -> Result<T, HostError> {
        let result = act(self);
        if let Err(error) = &result {
            self.broken.get_or_insert_with(|| error.clone());
        }
        result
    }

    fn check_total(&self) -> Result<(), HostError> {
        let bytes = self.tables.values().fold(0_u64, |sum, table| sum + table.bytes());
        if bytes <= self.total_bytes {
            return Ok(());
        }
        Err(HostError::new(
            ErrorCode::LimitExceeded,
            ReasonCode::OutputBytes,
            format!("the outputs together have more than {} bytes", self.total_bytes),
        ))
    }
}

impl OutputTables for Outputs {
    fn schema(&self, output: &str) -> Result<SchemaRef, HostError> {
        self.lock().table(output).map(|table| table.schema())
    }

    fn open(&mut self, output: &str) -> Result<(), HostError> {
        self.lock().attempt(|inner| inner.table(output)?.open())
    }

    fn write(&mut self, output: &str, batch: &RecordBatch) -> Result<(), HostError> {
        self.lock().attempt(|inner| {
            inner.table(output)?.write(batch)?;
            inner.check_total()
        })
    }

    fn finish(&mut self, output: &str) -> Result<services::OutputSummary, HostError> {
        self.lock().attempt(|inner| {
            let summary = inner.table(output)?.finish()?;
            inner.check_total()?;
            Ok(services::OutputSummary { rows: summary.rows, bytes: summary.bytes })
        })
    }
}

#[cfg(test)]
mod tests;
