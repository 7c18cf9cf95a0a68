//! Scalar functions: batches of arguments in, one column out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array, new_empty_array};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat, filter_record_batch, take};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch as ArrowBatch;
use glovebox_contract::library::FunctionKind;
use glovebox_contract::reason::ReasonCode;

use super::{Ended, FunctionInstance, FunctionLibrary};
use crate::interfaces::reader::fitting_rows;
use crate::services::{ErrorCode, HostError};

impl FunctionLibrary {
    /// Computes `function` for every row of `arguments`, which has the function's own columns.
    ///
    /// A row with a null in an argument that may have none does not reach the function, and gives
    /// null.
    ///
    /// # Errors
    /// `function-failed`, `memory-limit` or `stack-overflow`.
    pub fn evaluate(
        &self,
        instance: &mut FunctionInstance,
        function: &str,
        arguments: &ArrowBatch,
    ) -> Result<ArrayRef, HostError> {
        let found = self.function(function, FunctionKind::Scalar)?;
        match present_rows(arguments, &found.arguments)? {
            None => instance.evaluate(self, function, arguments),
            Some(Present { rows, places }) => {
                let some = instance.evaluate(self, function, &rows)?;
                take(&some, &places, None).map_err(|_| internal())
            }
        }
    }
}

/// Rows that a function sees, where some are left out.
pub(super) struct Present {
    pub(super) rows: ArrowBatch,
    /// For every row of the whole its place among these; null where it is left out.
    pub(super) places: UInt32Array,
}

/// The rows without a null where the function takes none; none when these are all.
pub(super) fn present_rows(
    arguments: &ArrowBatch,
    schema: &SchemaRef,
) -> Result<Option<Present>, HostError> {
    let mut nulls: Option<NullBuffer> = None;
    for (field, column) in schema.fields().iter().zip(arguments.columns()) {
        if !field.is_nullable() {
            nulls = NullBuffer::union(nulls.as_ref(), column.logical_nulls().as_ref());
        }
    }
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else { return Ok(None) };
    let keep = nulls.inner().clone().into();
    let rows = filter_record_batch(arguments, &keep).map_err(|_| internal())?;
    let mut next = 0..;
    let places = nulls.iter().map(|present| if present { next.next() } else { None }).collect();
    Ok(Some(Present { rows, places }))
}

pub(super) fn internal() -> HostError {
    HostError::new(ErrorCode::Internal, ReasonCode::Internal, "a function's batch does not fit")
}

impl FunctionInstance {
    /// The function over all rows, in as many calls as the batch limit wants.
    fn evaluate(
        &mut self,
        library: &FunctionLibrary,
        name: &str,
        arguments: &ArrowBatch,
    ) -> Result<ArrayRef, HostError> {
        let function = library.function(name, FunctionKind::Scalar)?;
        let returns = function.returns.fields().first().ok_or_else(internal)?;
        let mut parts = Vec::new();
        let mut rest = arguments.clone();
        while rest.num_rows() > 0 {
            let rows = fitting_rows(&rest, library.settings.batch_bytes);
            let (now, later) = (rest.slice(0, rows), rest.slice(rows, rest.num_rows() - rows));
            let part = self.call(name, |instance| {
                instance.evaluate_once(function.index, &now, &function.arguments, &function.returns)
            })?;
            parts.push(part);
            rest = later;
        }
        match parts.as_slice() {
            [] => Ok(new_empty_array(returns.data_type())),
            [one] => Ok(Arc::clone(one)),
            many => {
                let many: Vec<&dyn Array> = many.iter().map(AsRef::as_ref).collect();
                concat(&many).map_err(|_| internal())
            }
        }
    }

    fn evaluate_once(
        &mut self,
        index: u32,
        arguments: &ArrowBatch,
        schema: &SchemaRef,
        returns: &SchemaRef,
    ) -> Result<ArrayRef, Ended> {
        let evaluate = match self.evaluate {
            Some(evaluate) => evaluate,
            None => {
                let found = self.export(FunctionKind::Scalar, "evaluate")?;
                *self.evaluate.insert(found)
            }
        };
        let batch = self.lend(arguments, schema)?;
        let (result,) = evaluate.call(&mut self.store, (index, batch))?;
        let batch =
            self.accept(result.map_err(Ended::Told)?, returns, Some(arguments.num_rows()))?;
        batch.columns().first().cloned().ok_or_else(|| Ended::Wrong("it returned no column".into()))
    }
}
