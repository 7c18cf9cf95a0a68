//! Columns with one value for all rows of a file: their values, and which files they rule out.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result as PlanResult};
use datafusion::logical_expr::Expr;
use glovebox_contract::column::Column;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::arrow_types::column_type_to_arrow;

use crate::error::{Result, error};
use crate::input::BrokeredFile;

/// For each partition column its values, one for each file, with the column's own type.
pub(super) fn values(
    what: &str,
    columns: &[Column],
    files: &[BrokeredFile],
) -> Result<Vec<ArrayRef>> {
    if files.iter().any(|file| file.partition.len() != columns.len()) {
        return Err(error(ReasonCode::Internal, format!("{what}: a partition value is missing")));
    }
    let values = columns.iter().enumerate().map(|(place, column)| {
        let texts = files.iter().map(|file| file.partition.get(place).and_then(Option::as_deref));
        parse(texts, &column_type_to_arrow(&column.column_type)).ok_or_else(|| {
            // The value stays out of it.
            let detail = format!("{what}: a partition value is not of its column's type");
            error(ReasonCode::InputCorrupt, detail)
        })
    });
    values.collect()
}

/// Values from their texts, as Delta writes them.
fn parse<'a>(
    texts: impl Iterator<Item = Option<&'a str>>,
    data_type: &DataType,
) -> Option<ArrayRef> {
    let texts: ArrayRef = match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let bytes = texts.map(|text| match text {
                Some(text) => byte_text(text).map(Some),
                None => Some(None),
            });
            Arc::new(BinaryArray::from_iter(bytes.collect::<Option<Vec<_>>>()?))
        }
        _ => Arc::new(texts.collect::<StringArray>()),
    };
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&texts, data_type, &strict).ok()
}

/// Delta writes each byte of a binary value as the character with its number.
fn byte_text(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}

/// For each file whether it can have rows that meet all of `filters`, as far as its partitions say.
///
/// `columns` are the granted partition columns with their values, under the names that the filters
/// have for them.
pub(super) fn kept(
    state: &dyn Session,
    columns: Vec<(Field, ArrayRef)>,
    filters: &[Expr],
    files: usize,
) -> PlanResult<Vec<bool>> {
    let mut kept = vec![true; files];
    if columns.is_empty() {
        return Ok(kept);
    }
    let (fields, values): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let known: BTreeSet<String> = fields.iter().map(|field| field.name().clone()).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), values)?;
    let schema = DFSchema::try_from(batch.schema())?;
    for filter in filters {
        let columns = filter.column_refs();
        if columns.is_empty() || columns.iter().any(|column| !known.contains(&column.name)) {
            continue;
        }
        // A filter that fails here fails where it is checked again, if rows get there.
        let Ok(met) = met(state, filter, &schema, &batch) else { continue };
        for (row, kept) in kept.iter_mut().enumerate() {
            *kept &= row < met.len() && met.is_valid(row) && met.value(row);
        }
    }
    Ok(kept)
}

fn met(
    state: &dyn Session,
    filter: &Expr,
    schema: &DFSchema,
    batch: &RecordBatch,
) -> PlanResult<BooleanArray> {
    let filter = state.create_physical_expr(filter.clone(), schema)?;
    let met = filter.evaluate(batch)?.into_array(batch.num_rows())?;
    let met = met.as_boolean_opt().cloned();
    met.ok_or_else(|| datafusion::common::DataFusionError::Plan("a filter is no condition".into()))
}

#[cfg(test)]
mod tests {
    use arrow::util::display::array_value_to_string;

    use super::*;

    #[test]
    fn values_are_read_as_delta_writes_them() {
        let check = |column_type: &str, text: Option<&str>, expect: Option<&str>| {
            let data_type = column_type_to_arrow(&column_type.parse().unwrap());
            let parsed = parse([text].into_iter(), &data_type);
            let shown = parsed.map(|array| {
                assert_eq!(array.data_type(), &data_type);
                array_value_to_string(&array, 0).unwrap()
            });
            assert_eq!(shown.as_deref(), expect, "{column_type} {text:?}");
        };
        check("utf8", Some("a b"), Some("a b"));
        check("utf8", None, Some(""));
        check("int32", Some("2013"), Some("2013"));
        check("int32", Some("2013.5"), None);
        check("int8", Some("300"), None);
        check("int64", None, Some(""));
        check("boolean", Some("true"), Some("true"));
        check("float64", Some("1.5"), Some("1.5"));
        check("decimal(5, 2)", Some("1.25"), Some("1.25"));
        check("date32", Some("2013-01-31"), Some("2013-01-31"));
        check("date32", Some("soon"), None);
        check("timestamp(us)", Some("2013-01-31 10:00:00"), Some("2013-01-31T10:00:00"));
        check(
            "timestamp(us, UTC)",
            Some("2013-01-31 10:00:00.5"),
            Some("2013-01-31T10:00:00.500Z"),
        );
        check("timestamp(us, UTC)", Some("2013-01-31T10:00:00Z"), Some("2013-01-31T10:00:00Z"));
        check("binary", Some("\u{1}\u{ff}"), Some("01ff"));
        check("binary", Some("\u{100}"), None);
    }
}
