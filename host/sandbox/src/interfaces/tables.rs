//! `tables`: the granted input tables.

use arrow::datatypes::SchemaRef;
use glovebox_contract::reason::ReasonCode;
use wasmtime::component::Resource;

use super::bindings::glovebox::guest::tables::{Host, HostTable, ScanOptions};
use super::data::{BatchReader, Schema, boundary_of};
use crate::services::{ErrorCode, HostError, ScanOptions as Scan};
use crate::state::{Failure, HostState};

/// An open input table.
pub struct Table {
    name: String,
    boundary: SchemaRef,
}

impl Host for HostState {
    fn list_tables(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.facts.tables.keys().cloned().collect())
    }

    fn open_table(&mut self, name: String) -> Result<Resource<Table>, Failure> {
        if !self.facts.tables.contains_key(&name) {
            let detail = format!("table `{}` is not granted", name.escape_debug());
            let reason = ReasonCode::TableNotGranted;
            return Err(HostError::new(ErrorCode::NotGranted, reason, detail).into());
        }
        let schema = self.query.table_schema(&name)?;
        let boundary = boundary_of(&schema)?;
        self.push(Table { name, boundary })
    }
}

impl HostTable for HostState {
    fn schema(&mut self, table: Resource<Table>) -> wasmtime::Result<Resource<Schema>> {
        let schema = Schema::new(SchemaRef::clone(&self.handles.get(&table)?.boundary));
        self.push(schema).map_err(Failure::into_trap)
    }

    fn scan(
        &mut self,
        table: Resource<Table>,
        options: ScanOptions,
    ) -> Result<Resource<BatchReader>, Failure> {
        let name = self.handles.get(&table)?.name.clone();
        let granted = self.facts.tables.get(&name).map(Vec::as_slice).unwrap_or_default();
        for column in options.columns.iter().flatten() {
            if !granted.iter().any(|granted| &granted.name == column) {
                let column = column.escape_debug();
                let detail = format!("column `{column}` of `{name}` is not granted");
                let reason = ReasonCode::ColumnNotGranted;
                return Err(HostError::new(ErrorCode::NotGranted, reason, detail).into());
            }
        }
        let scan = Scan {
            columns: options.columns,
            filter: options.filter,
            limit: options.limit,
            batch_rows: options.batch_rows,
        };
        let stream = self.query.scan(&name, scan)?;
        self.push(BatchReader::new(stream)?)
    }

    fn drop(&mut self, table: Resource<Table>) -> wasmtime::Result<()> {
        self.handles.delete(table)?;
        Ok(())
    }
}
