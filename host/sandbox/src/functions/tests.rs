use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch as ArrowBatch;

use super::scalar::present_rows;
use super::*;

fn arguments(nullable: [bool; 2]) -> (ArrowBatch, SchemaRef) {
    let field = |name, data_type, nullable| ArrowField::new(name, data_type, nullable);
    let declared = Arc::new(Schema::new(vec![
        field("n", DataType::Int64, nullable[0]),
        field("s", DataType::Utf8, nullable[1]),
    ]));
    let found = Arc::new(Schema::new(vec![
        field("n", DataType::Int64, true),
        field("s", DataType::Utf8, true),
    ]));
    let n = Int64Array::from(vec![Some(1), None, Some(3), Some(4)]);
    let s = StringArray::from(vec![Some("a"), Some("b"), None, Some("d")]);
    (ArrowBatch::try_new(found, vec![Arc::new(n), Arc::new(s)]).unwrap(), declared)
}

#[test]
fn rows_with_a_null_where_none_may_be_are_left_out_and_become_null() {
    let check = |nullable, expect: Option<&[Option<u32>]>| {
        let (batch, declared) = arguments(nullable);
        let present = present_rows(&batch, &declared).unwrap();
        let places = present.as_ref().map(|present| present.places.iter().collect::<Vec<_>>());
        assert_eq!(places.as_deref(), expect);
        if let Some(present) = present {
            let rows = present.places.iter().flatten().count();
            assert_eq!(present.rows.num_rows(), rows);
        }
    };
    check([true, true], None);
    check([false, true], Some(&[Some(0), None, Some(1), Some(2)]));
    check([true, false], Some(&[Some(0), Some(1), None, Some(2)]));
    check([false, false], Some(&[Some(0), None, None, Some(1)]));
}

#[test]
fn groups_are_counted_in_32_bits() {
    assert_eq!(narrow(&[0, 7, 3]).unwrap(), [0, 7, 3]);
    assert!(narrow(&[1 << 32]).is_err());
}
