//! Aggregate functions: the state of all groups lives in the library.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch as ArrowBatch;
use glovebox_contract::library::FunctionKind;
use wasmtime::component::{Resource, ResourceAny};

use super::scalar::{internal, present_rows};
use super::{Ended, FunctionInstance, FunctionLibrary};
use crate::interfaces::bindings::types;
use crate::interfaces::data::RecordBatch;
use crate::interfaces::reader::fitting_rows;
use crate::services::HostError;

const KIND: FunctionKind = FunctionKind::Aggregate;

type Groups = (ResourceAny, Resource<RecordBatch>, Vec<u32>, u32);
type Nothing = (Result<(), types::Error>,);
type Batch = (Result<Resource<RecordBatch>, types::Error>,);

/// One aggregation over groups, in an instance of its own.
#[derive(Debug)]
pub struct Aggregation {
    library: Arc<FunctionLibrary>,
    function: String,
    instance: FunctionInstance,
    accumulator: ResourceAny,
}

impl Aggregation {
    /// Starts an aggregation without groups.
    ///
    /// # Errors
    /// `function-failed` or `memory-limit`.
    pub fn new(library: &Arc<FunctionLibrary>, function: &str) -> Result<Self, HostError> {
        let mut instance = library.instance()?;
        let index = library.function(function, KIND)?.index;
        let accumulator = instance.call(function, |instance| instance.create(index))?;
        let (library, function) = (Arc::clone(library), function.to_owned());
        Ok(Self { library, function, instance, accumulator })
    }

    /// Adds rows: row `i` of `arguments` belongs to group `groups[i]` of `count` groups. Rows with a
    /// null in an argument that may have none are left out.
    ///
    /// # Errors
    /// `function-failed` or `memory-limit`.
    pub fn update(
        &mut self,
        arguments: &ArrowBatch,
        groups: &[u32],
        count: u32,
    ) -> Result<(), HostError> {
        let library = Arc::clone(&self.library);
        let schema = &library.function(&self.function, KIND)?.arguments;
        match present_rows(arguments, schema)? {
            None => self.add("[method]accumulator.update", arguments, groups, count, schema),
            Some(present) => {
                let kept = groups.iter().zip(present.places.iter());
                let groups: Vec<u32> =
                    kept.filter_map(|(group, place)| place.map(|_| *group)).collect();
                self.add("[method]accumulator.update", &present.rows, &groups, count, schema)
            }
        }
    }

    /// Adds states: row `i` of `states` is one of group `groups[i]`.
    ///
    /// # Errors
    /// `function-failed` or `memory-limit`.
    pub fn merge(
        &mut self,
        states: &ArrowBatch,
        groups: &[u32],
        count: u32,
    ) -> Result<(), HostError> {
        let library = Arc::clone(&self.library);
        let schema = &library.function(&self.function, KIND)?.state;
        self.add("[method]accumulator.merge", states, groups, count, schema)
    }

    /// In as many calls as the batch limit wants; at least one, so that `count` arrives.
    fn add(
        &mut self,
        method: &str,
        batch: &ArrowBatch,
        groups: &[u32],
        count: u32,
        schema: &SchemaRef,
    ) -> Result<(), HostError> {
        let (mut rest, mut groups) = (batch.clone(), groups);
        let limit = self.library.settings.batch_bytes;
        loop {
            let rows = fitting_rows(&rest, limit);
            let (now, later) = (rest.slice(0, rows), rest.slice(rows, rest.num_rows() - rows));
            let (these, others) = groups.split_at_checked(rows).ok_or_else(internal)?;
            let accumulator = self.accumulator;
            self.instance.call(&self.function, |instance| {
                let call = instance.export::<Groups, Nothing>(KIND, method)?;
                let batch = instance.lend(&now, schema)?;
                let arguments = (accumulator, batch, these.to_vec(), count);
                let (result,) = call.call(&mut instance.store, arguments)?;
                result.map_err(Ended::Told)
            })?;
            (rest, groups) = (later, others);
            if rest.num_rows() == 0 {
                return Ok(());
            }
        }
    }

    /// The states of all groups, one column for each part.
    ///
    /// # Errors
    /// `function-failed` or `memory-limit`.
    pub fn state(&mut self, count: usize) -> Result<ArrowBatch, HostError> {
        let library = Arc::clone(&self.library);
        let schema = &library.function(&self.function, KIND)?.state;
        self.take("[method]accumulator.state", schema, count)
    }

    /// One value for each group.
    ///
    /// # Errors
    /// `function-failed` or `memory-limit`.
    pub fn evaluate(&mut self, count: usize) -> Result<ArrayRef, HostError> {
        let library = Arc::clone(&self.library);
        let schema = &library.function(&self.function, KIND)?.returns;
        let batch = self.take("[method]accumulator.evaluate", schema, count)?;
        batch.columns().first().cloned().ok_or_else(internal)
    }

    fn take(
        &mut self,
        method: &str,
        schema: &SchemaRef,
        count: usize,
    ) -> Result<ArrowBatch, HostError> {
        let accumulator = self.accumulator;
        self.instance.call(&self.function, |instance| {
            let call = instance.export::<(ResourceAny,), Batch>(KIND, method)?;
            let (result,) = call.call(&mut instance.store, (accumulator,))?;
            instance.accept(result.map_err(Ended::Told)?, schema, Some(count))
        })
    }

    /// Forgets the first `done` of `count` groups; the others move up.
    ///
    /// # Errors
    /// `function-failed` or `memory-limit`.
    pub fn forget_first(&mut self, done: usize, count: usize) -> Result<(), HostError> {
        let left = count.saturating_sub(done);
        let states = if left > 0 { Some(self.state(count)?.slice(done, left)) } else { None };
        let mut fresh = Self::new(&self.library, &self.function)?;
        if let Some(states) = states {
            let left = u32::try_from(left).map_err(|_| internal())?;
            let groups: Vec<u32> = (0..left).collect();
            fresh.merge(&states, &groups, left)?;
        }
        *self = fresh;
        Ok(())
    }
}

impl FunctionInstance {
    fn create(&mut self, index: u32) -> Result<ResourceAny, Ended> {
        type Made = (Result<ResourceAny, types::Error>,);
        let create = self.export::<(u32,), Made>(KIND, "[static]accumulator.create")?;
        let (made,) = create.call(&mut self.store, (index,))?;
        made.map_err(Ended::Told)
    }
}

/// Groups as the library wants them.
///
/// # Errors
/// When there are more than 2³² groups.
pub fn narrow(groups: &[usize]) -> Result<Vec<u32>, HostError> {
    groups.iter().map(|group| u32::try_from(*group).map_err(|_| internal())).collect()
}
