//! A stream of batches, cut to the room's batch limit.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch as ArrowBatch;

use super::data::RecordBatch;
use super::fields::boundary_of;
use crate::memory::{Budget, Charge};
use crate::services::{BatchStream, HostError};
use crate::transfer::boundary_bytes;

/// A stream that a guest reads.
pub struct BatchReader {
    stream: Box<dyn BatchStream>,
    boundary: SchemaRef,
    /// What is left of a batch that is larger than the limit.
    rest: Option<(ArrowBatch, Arc<Charge>)>,
}

impl BatchReader {
    pub(crate) fn new(stream: Box<dyn BatchStream>) -> Result<Self, HostError> {
        let boundary = boundary_of(&stream.schema())?;
        Ok(Self { stream, boundary, rest: None })
    }

    pub(super) fn boundary(&self) -> SchemaRef {
        Arc::clone(&self.boundary)
    }

    /// The next rows, as many of a batch as fit `max_bytes`, at least one.
    pub(super) fn next(
        &mut self,
        budget: &Budget,
        max_bytes: u64,
    ) -> Result<Option<RecordBatch>, HostError> {
        let (batch, charge) = match self.rest.take() {
            Some(rest) => rest,
            None => match self.next_filled()? {
                Some(batch) => {
                    let charge = budget.charge(batch.get_array_memory_size() as u64)?;
                    (batch, charge)
                }
                None => return Ok(None),
            },
        };
        let rows = fitting_rows(&batch, max_bytes);
        if rows < batch.num_rows() {
            let rest = batch.slice(rows, batch.num_rows() - rows);
            self.rest = Some((rest, Arc::clone(&charge)));
        }
        Ok(Some(RecordBatch::new(batch.slice(0, rows), self.boundary(), charge)))
    }

    fn next_filled(&mut self) -> Result<Option<ArrowBatch>, HostError> {
        loop {
            match self.stream.next()? {
                Some(batch) if batch.num_rows() == 0 => {}
                other => return Ok(other),
            }
        }
    }
}

/// How many of the first rows have at most `max_bytes` once encoded; at least one.
pub(crate) fn fitting_rows(batch: &ArrowBatch, max_bytes: u64) -> usize {
    let mut rows = batch.num_rows();
    while rows > 1 {
        let slice = batch.slice(0, rows);
        let bytes: u64 = slice.columns().iter().map(|c| boundary_bytes(c.as_ref())).sum();
        if bytes <= max_bytes {
            break;
        }
        // By proportion; rows differ in size, so the guess is checked and may shrink further.
        let guess = rows as u128 * u128::from(max_bytes) / u128::from(bytes);
        rows = usize::try_from(guess).unwrap_or(usize::MAX).clamp(1, rows - 1);
    }
    rows
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    #[test]
    fn a_batch_is_cut_to_the_limit_but_never_below_a_row() {
        let fields =
            vec![Field::new("n", DataType::Int64, false), Field::new("s", DataType::Utf8, false)];
        let long = "long".repeat(100);
        let texts = ["", "a", &long, "b"].repeat(250);
        let batch = ArrowBatch::try_new(
            Arc::new(Schema::new(fields)),
            vec![
                Arc::new(Int64Array::from_iter_values(0..1000)),
                Arc::new(StringArray::from(texts)),
            ],
        )
        .unwrap();
        assert_eq!(fitting_rows(&batch, u64::MAX), 1000);
        assert_eq!(fitting_rows(&batch, 0), 1);
        for limit in [100, 500, 5_000, 50_000] {
            let rows = fitting_rows(&batch, limit);
            let bytes = |rows| {
                let slice = batch.slice(0, rows);
                slice.columns().iter().map(|c| boundary_bytes(c.as_ref())).sum::<u64>()
            };
            assert!(rows == 1 || bytes(rows) <= limit, "{rows} rows for {limit}");
            assert!(bytes(rows * 2 + 4) > limit, "{rows} rows are too few for {limit}");
        }
    }
}
