//! `data`: Arrow data held by the host.
//!
//! Written by hand against wasmtime's typed functions, so that a buffer is copied once: from the
//! Arrow buffer into guest memory, or from guest memory into an Arrow buffer.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch as ArrowBatch;
use bytes::Bytes;
use glovebox_contract::reason::ReasonCode;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType,
};

use super::bindings::types::Error;
use super::fields::{Field, MAX_FIELDS, described_bytes, fields_of, schema_from};
use crate::memory::{Budget, Charge};
use crate::services::{ErrorCode, HostError};
use crate::state::{Failure, HostState};
use crate::transfer::{self, Columns, FieldNode};

pub(super) use super::fields::boundary_of;
pub use super::reader::BatchReader;

/// Host memory of one array or field of a view, generously: a guest could hold thousands of views
/// of one batch.
const BYTES_OF_A_FIELD: u64 = 512;

/// A schema that a guest holds, in boundary types.
pub struct Schema {
    boundary: SchemaRef,
    /// Present where the guest made the schema, so that the host's memory is not its to fill.
    _charge: Option<Arc<Charge>>,
}

/// A batch that a guest holds. The data is in the host's encoding, whatever that is.
pub struct RecordBatch {
    batch: ArrowBatch,
    boundary: SchemaRef,
    /// Of the data, shared by all views of it.
    charge: Arc<Charge>,
    /// Of this view.
    _view: Option<Arc<Charge>>,
}

impl Schema {
    pub(super) fn new(boundary: SchemaRef) -> Self {
        Self { boundary, _charge: None }
    }
}

impl RecordBatch {
    pub(crate) fn new(batch: ArrowBatch, boundary: SchemaRef, charge: Arc<Charge>) -> Self {
        Self { batch, boundary, charge, _view: None }
    }

    /// Another view of the same data.
    fn view(
        &self,
        batch: ArrowBatch,
        boundary: SchemaRef,
        budget: &Budget,
    ) -> Result<Self, HostError> {
        let fields = boundary.flattened_fields().len() as u64;
        let view = budget.charge(fields.saturating_mul(BYTES_OF_A_FIELD))?;
        Ok(Self { batch, boundary, charge: Arc::clone(&self.charge), _view: Some(view) })
    }

    /// The data.
    pub(crate) fn batch(&self) -> &ArrowBatch {
        &self.batch
    }
}

#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
struct Node {
    length: u64,
    #[component(name = "null-count")]
    null_count: u64,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct WireColumns {
    nodes: Vec<Node>,
    buffers: Vec<Bytes>,
}

impl From<Columns> for WireColumns {
    fn from(columns: Columns) -> Self {
        let node = |n: FieldNode| Node { length: n.length, null_count: n.null_count };
        Self { nodes: columns.nodes.into_iter().map(node).collect(), buffers: columns.buffers }
    }
}

impl From<WireColumns> for Columns {
    fn from(columns: WireColumns) -> Self {
        let node = |n: Node| FieldNode { length: n.length, null_count: n.null_count };
        Self { nodes: columns.nodes.into_iter().map(node).collect(), buffers: columns.buffers }
    }
}

/// Links the interface.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut instance = linker.instance("glovebox:guest/data@0.1.0")?;
    resource::<Schema>(&mut instance, "schema")?;
    resource::<RecordBatch>(&mut instance, "record-batch")?;
    resource::<BatchReader>(&mut instance, "batch-reader")?;
    schema_functions(&mut instance)?;
    batch_functions(&mut instance)?;
    reader_functions(&mut instance)
}

fn resource<T: Send + 'static>(
    instance: &mut LinkerInstance<'_, HostState>,
    name: &str,
) -> wasmtime::Result<()> {
    instance.resource(name, ResourceType::host::<T>(), |mut store, handle| {
        store.data_mut().handles.delete(Resource::<T>::new_own(handle))?;
        Ok(())
    })
}

/// What a call returns: the value, or an error that the guest handles.
type Answer<T> = (Result<T, Error>,);

fn answer<T>(state: &mut HostState, result: Result<T, Failure>) -> wasmtime::Result<Answer<T>> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(Failure::Error(error)) => Ok((Err(state.report(error)),)),
        Err(Failure::Trap(trap)) => Err(trap),
    }
}

type Store<'a> = StoreContextMut<'a, HostState>;
type Batch = Resource<RecordBatch>;

fn schema_functions(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    instance.func_wrap(
        "[static]schema.create",
        |mut store: Store<'_>, (fields,): (Vec<Field>,)| {
            let state = store.data_mut();
            let result = state.create_schema(fields);
            answer(state, result)
        },
    )?;
    instance.func_wrap(
        "[method]schema.fields",
        |store: Store<'_>, (schema,): (Resource<Schema>,)| {
            Ok((fields_of(&store.data().handles.get(&schema)?.boundary)?,))
        },
    )
}

fn batch_functions(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    instance.func_wrap(
        "[static]record-batch.from-columns",
        |mut store: Store<'_>, (schema, rows, columns): (Resource<Schema>, u64, WireColumns)| {
            let state = store.data_mut();
            let result = state.from_columns(&schema, rows, columns.into());
            answer(state, result)
        },
    )?;
    instance.func_wrap(
        "[method]record-batch.schema",
        |mut store: Store<'_>, (batch,): (Batch,)| {
            let state = store.data_mut();
            let boundary = Arc::clone(&state.handles.get(&batch)?.boundary);
            Ok((state.push(Schema::new(boundary)).map_err(Failure::into_trap)?,))
        },
    )?;
    instance.func_wrap(
        "[method]record-batch.num-rows",
        |store: Store<'_>, (batch,): (Batch,)| {
            Ok((store.data().handles.get(&batch)?.batch.num_rows() as u64,))
        },
    )?;
    instance.func_wrap(
        "[method]record-batch.columns",
        |mut store: Store<'_>, (batch, indices): (Batch, Vec<u32>)| {
            let state = store.data_mut();
            let result = state.columns(&batch, &indices);
            answer(state, result)
        },
    )?;
    instance.func_wrap(
        "[method]record-batch.slice",
        |mut store: Store<'_>, (batch, offset, length): (Batch, u64, u64)| {
            let state = store.data_mut();
            let result = state.slice(&batch, offset, length);
            answer(state, result)
        },
    )?;
    instance.func_wrap(
        "[method]record-batch.project",
        |mut store: Store<'_>, (batch, indices): (Batch, Vec<u32>)| {
            let state = store.data_mut();
            let result = state.project(&batch, &indices);
            answer(state, result)
        },
    )
}

fn reader_functions(instance: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    instance.func_wrap(
        "[method]batch-reader.schema",
        |mut store: Store<'_>, (reader,): (Resource<BatchReader>,)| {
            let state = store.data_mut();
            let boundary = state.handles.get(&reader)?.boundary();
            Ok((state.push(Schema::new(boundary)).map_err(Failure::into_trap)?,))
        },
    )?;
    instance.func_wrap(
        "[method]batch-reader.next",
        |mut store: Store<'_>, (reader,): (Resource<BatchReader>,)| {
            let state = store.data_mut();
            let result = state.next(&reader);
            answer(state, result)
        },
    )
}

impl HostState {
    fn create_schema(&mut self, fields: Vec<Field>) -> Result<Resource<Schema>, Failure> {
        let charge = self.budget.charge(described_bytes(&fields))?;
        let boundary = schema_from(fields)?;
        self.push(Schema { boundary, _charge: Some(charge) })
    }

    #[expect(clippy::wrong_self_convention, reason = "named as in the WIT")]
    fn from_columns(
        &mut self,
        schema: &Resource<Schema>,
        rows: u64,
        columns: Columns,
    ) -> Result<Batch, Failure> {
        let boundary = Arc::clone(&self.handles.get(schema)?.boundary);
        let charge = self.budget.charge(columns.byte_len())?;
        let batch = transfer::decode(columns, &boundary, rows)?;
        self.push(RecordBatch::new(batch, boundary, charge))
    }

    fn columns(&mut self, batch: &Batch, indices: &[u32]) -> Result<WireColumns, Failure> {
        let batch = self.handles.get(batch)?;
        if indices.len() > MAX_FIELDS {
            return Err(invalid(format!("{} columns of a batch", indices.len())).into());
        }
        // A row larger than the limit cannot be sliced any further, so it may be read.
        let limit =
            if batch.batch.num_rows() <= 1 { u64::from(u32::MAX) } else { self.facts.batch_bytes };
        Ok(transfer::encode(&batch.batch, &batch.boundary, indices, limit)?.into())
    }

    fn slice(&mut self, batch: &Batch, offset: u64, length: u64) -> Result<Batch, Failure> {
        let whole = self.handles.get(batch)?;
        let rows = whole.batch.num_rows();
        let end = offset.checked_add(length).and_then(|end| usize::try_from(end).ok());
        let (Ok(start), Some(end)) = (usize::try_from(offset), end.filter(|end| *end <= rows))
        else {
            return Err(invalid(format!("{length} rows from {offset} of a batch of {rows}")).into());
        };
        let slice = whole.batch.slice(start, end - start);
        let view = whole.view(slice, Arc::clone(&whole.boundary), &self.budget)?;
        self.push(view)
    }

    fn project(&mut self, batch: &Batch, indices: &[u32]) -> Result<Batch, Failure> {
        let whole = self.handles.get(batch)?;
        if indices.len() > MAX_FIELDS {
            return Err(invalid(format!("{} columns of a batch", indices.len())).into());
        }
        let positions: Vec<usize> =
            indices.iter().map(|index| usize::try_from(*index).unwrap_or(usize::MAX)).collect();
        // Arrow checks the positions.
        let (Ok(batch), Ok(boundary)) =
            (whole.batch.project(&positions), whole.boundary.project(&positions))
        else {
            let columns = whole.batch.num_columns();
            return Err(invalid(format!("a column that a batch of {columns} does not have")).into());
        };
        let view = whole.view(batch, Arc::new(boundary), &self.budget)?;
        self.push(view)
    }

    fn next(&mut self, reader: &Resource<BatchReader>) -> Result<Option<Batch>, Failure> {
        let limit = self.facts.batch_bytes;
        let batch = self.handles.get_mut(reader)?.next(&self.budget, limit)?;
        batch.map(|batch| self.push(batch)).transpose()
    }
}

pub(super) fn invalid(detail: String) -> HostError {
    HostError::new(ErrorCode::InvalidArgument, ReasonCode::InvalidArgument, detail)
}
