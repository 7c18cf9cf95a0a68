//! Batches that a broker sends, taken for hostile.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DataFusionError, Result as PlanResult};

use crate::broker::BrokerFailure;
use crate::guard::catching;

/// Reads an Arrow IPC stream of one batch with columns of `types`, and makes it one of `schema`, whose
/// columns are found in it at `sources`.
pub(super) fn read(
    bytes: Vec<u8>,
    types: &[DataType],
    sources: &[usize],
    schema: &SchemaRef,
) -> PlanResult<RecordBatch> {
    let astray = || DataFusionError::External(Box::new(BrokerFailure::ASTRAY));
    // Nothing of an error of the reader is shown: it can quote what it read.
    let batch = catching(|| Ok(decode(bytes)?)).map_err(|_| astray())?.ok_or_else(astray)?;
    let same = batch.num_columns() == types.len()
        && batch.columns().iter().zip(types).all(|(column, wanted)| column.data_type() == wanted);
    if !same {
        return Err(astray());
    }
    let columns = schema.fields().iter().zip(sources).map(|(field, source)| {
        let column = batch.columns().get(*source).ok_or_else(astray)?;
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            Ok(cast(column, field.data_type())?)
        }
    });
    let columns = columns.collect::<PlanResult<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// The one batch of a stream; none when there is none, or more.
fn decode(bytes: Vec<u8>) -> Result<Option<RecordBatch>, ArrowError> {
    let mut buffer = Buffer::from_vec(bytes);
    let mut decoder = StreamDecoder::new();
    let mut found = None;
    while !buffer.is_empty() {
        if let Some(batch) = decoder.decode(&mut buffer)?
            && found.replace(batch).is_some()
        {
            return Ok(None);
        }
    }
    decoder.finish()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};
    use arrow::ipc::writer::StreamWriter;
    use proptest::prelude::*;

    use super::*;

    fn batch() -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "bc", ""]));
        RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("t", texts, true)])
            .unwrap()
    }

    fn stream(batches: &[RecordBatch]) -> Vec<u8> {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch().schema()).unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
        }
        writer.into_inner().unwrap()
    }

    const TYPES: [DataType; 2] = [DataType::Int64, DataType::Utf8];

    fn schema() -> SchemaRef {
        let fields = [("x", DataType::Utf8View), ("y", DataType::Int64), ("z", DataType::Utf8)];
        let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
        Arc::new(Schema::new(fields.to_vec()))
    }

    fn read_as(bytes: Vec<u8>, types: &[DataType]) -> PlanResult<RecordBatch> {
        read(bytes, types, &[1, 0, 1], &schema())
    }

    #[test]
    fn one_batch_of_the_right_types_is_read() {
        let found = read_as(stream(&[batch()]), &TYPES).unwrap();
        assert_eq!((found.schema(), found.num_rows()), (schema(), 3));
        assert_eq!(found.column(1), batch().column(0));
        assert_eq!(found.column(2), batch().column(1));
        let check = |bytes: Vec<u8>, types: &[DataType]| {
            let failure = read_as(bytes, types).unwrap_err();
            assert!(failure.to_string().contains("internal"), "{failure}");
        };
        check(Vec::new(), &TYPES);
        check(stream(&[]), &TYPES);
        check(stream(&[batch(), batch()]), &TYPES);
        check(stream(&[batch()]), &[DataType::Int64]);
        check(stream(&[batch()]), &[DataType::Int32, DataType::Utf8]);
        let whole = stream(&[batch()]);
        check(whole[..whole.len() / 2].to_vec(), &TYPES);
        check([whole.as_slice(), b"more"].concat(), &TYPES);
    }

    #[test]
    fn rows_without_columns_are_counted() {
        let options = RecordBatchOptions::new().with_row_count(Some(7));
        let nothing = Arc::new(Schema::empty());
        let empty =
            RecordBatch::try_new_with_options(Arc::clone(&nothing), vec![], &options).unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &nothing).unwrap();
        writer.write(&empty).unwrap();
        let found = read(writer.into_inner().unwrap(), &[], &[], &nothing).unwrap();
        assert_eq!(found.num_rows(), 7);
    }

    proptest! {
        #[test]
        fn a_damaged_batch_is_a_batch_or_an_error(
            places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = stream(&[batch()]);
            for (at, byte) in places {
                let place = at.index(bytes.len());
                bytes[place] = byte;
            }
            let _ = read_as(bytes, &TYPES);
        }
    }
}
