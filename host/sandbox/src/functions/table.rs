//! Table functions: parameters and perhaps a table in, a stream of batches out.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch as ArrowBatch;
use glovebox_contract::library::FunctionKind;
use wasmtime::component::{Resource, ResourceAny};

use super::scalar::internal;
use super::{Ended, FunctionInstance, FunctionLibrary};
use crate::interfaces::bindings::types;
use crate::interfaces::data::{BatchReader, RecordBatch};
use crate::interfaces::parameters::told;
use crate::services::{BatchStream, HostError, Scalar};

const KIND: FunctionKind = FunctionKind::Table;

type Invoke = (u32, Vec<types::Scalar>, Option<Resource<BatchReader>>);
type Invoked = (Result<ResourceAny, types::Error>,);
type Next = (Result<Option<Resource<RecordBatch>>, types::Error>,);

/// A table that a library makes, batch by batch. It may block, as its input does.
#[derive(Debug)]
pub struct TableCall {
    function: String,
    instance: FunctionInstance,
    invocation: ResourceAny,
    returns: SchemaRef,
}

impl TableCall {
    /// Calls a function, in an instance of its own.
    ///
    /// # Errors
    /// `function-failed` or `memory-limit`.
    pub fn new(
        library: &Arc<FunctionLibrary>,
        function: &str,
        parameters: &[Scalar],
        input: Option<Box<dyn BatchStream>>,
    ) -> Result<Self, HostError> {
        let found = library.function(function, KIND)?;
        let mut instance = library.instance()?;
        let index = found.index;
        let parameters = parameters.iter().map(told).collect();
        let reader = input.map(BatchReader::new).transpose()?;
        let invocation = instance.call(function, |instance| {
            let reader = match reader {
                None => None,
                Some(reader) => {
                    let state = instance.store.data_mut();
                    Some(
                        state
                            .push(reader)
                            .map_err(|failure| Ended::Trapped(failure.into_trap()))?,
                    )
                }
            };
            let invoke = instance.export::<Invoke, Invoked>(KIND, "invoke")?;
            let (made,) = invoke.call(&mut instance.store, (index, parameters, reader))?;
            made.map_err(Ended::Told)
        })?;
        let returns = Arc::clone(&found.returns);
        Ok(Self { function: function.to_owned(), instance, invocation, returns })
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// `function-failed` or `memory-limit`.
    pub fn next_batch(&mut self) -> Result<Option<ArrowBatch>, HostError> {
        let (invocation, returns) = (self.invocation, Arc::clone(&self.returns));
        if returns.fields().is_empty() {
            return Err(internal());
        }
        self.instance.call(&self.function, |instance| {
            let next = instance.export::<(ResourceAny,), Next>(KIND, "[method]invocation.next")?;
            let (result,) = next.call(&mut instance.store, (invocation,))?;
            match result.map_err(Ended::Told)? {
                None => Ok(None),
                Some(batch) => instance.accept(batch, &returns, None).map(Some),
            }
        })
    }
}
