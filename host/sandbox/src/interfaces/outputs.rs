//! `outputs`: the only way out.

use wasmtime::component::Resource;

use super::bindings::glovebox::guest::outputs::{Host, HostOutput, OutputSummary};
use super::data::{RecordBatch, Schema, boundary_of};
use crate::services::OutputTables;
use crate::state::{Failure, HostState};

/// An open output table. Dropping it unfinished fails the run.
pub struct Output {
    name: String,
}

impl Host for HostState {
    fn list_outputs(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.outputs.names())
    }

    fn open_output(&mut self, name: String) -> Result<Resource<Output>, Failure> {
        self.outputs.open(&name)?;
        self.push(Output { name })
    }
}

impl HostOutput for HostState {
    fn schema(&mut self, output: Resource<Output>) -> wasmtime::Result<Resource<Schema>> {
        let output = self.handles.get(&output)?;
        let schema = self.outputs.schema(&output.name).map_err(wasmtime::Error::new)?;
        let boundary = boundary_of(&schema).map_err(wasmtime::Error::new)?;
        self.push(Schema::new(boundary)).map_err(Failure::into_trap)
    }

    fn write(
        &mut self,
        output: Resource<Output>,
        batch: Resource<RecordBatch>,
    ) -> Result<(), Failure> {
        let output = self.handles.get(&output)?;
        let batch = self.handles.get(&batch)?;
        Ok(self.outputs.write(&output.name, batch.batch())?)
    }

    fn finish(&mut self, output: Resource<Output>) -> Result<OutputSummary, Failure> {
        let output = self.handles.delete(output)?;
        let summary = self.outputs.finish(&output.name)?;
        Ok(OutputSummary { rows: summary.rows, bytes: summary.bytes })
    }

    fn drop(&mut self, output: Resource<Output>) -> wasmtime::Result<()> {
        self.handles.delete(output)?;
        Ok(())
    }
}
