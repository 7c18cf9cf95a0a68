use arrow::array::{
    BooleanArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Float16Array, Int32Array,
    Int64Array, ListArray, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int8Type, Int32Type};

use super::*;

/// There and back, whole and as a slice.
fn check(array: &dyn Array, expect: &dyn Array) {
    for (start, length) in [(0, array.len()), (1, array.len() - 1)] {
        let column = Column::from_arrow(&array.slice(start, length)).unwrap();
        assert_eq!(&*column.to_arrow().unwrap(), &*expect.slice(start, length));
    }
}

#[test]
fn arrays_go_there_and_back() {
    let same = |array: &dyn Array| check(array, array);
    same(&Int64Array::from(vec![Some(1), None, Some(3)]));
    same(&BooleanArray::from(vec![Some(true), None, Some(false)]));
    same(&StringArray::from(vec![Some("a"), None, Some("größer")]));
    same(&Float16Array::from_iter_values([1.0, 2.0].map(half)));
    same(&TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("UTC"));
    same(&Decimal128Array::from(vec![1, 2]).with_precision_and_scale(10, 2).unwrap());
    same(&FixedSizeBinaryArray::try_from_iter([[1, 2], [3, 4]].into_iter()).unwrap());
    let lists = [Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(4)])];
    same(&ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
    let field = Arc::new(theirs::Field::new("a", theirs::DataType::Int32, true));
    let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    same(&StructArray::from(vec![(field, values)]));
}

fn half(number: f32) -> <theirs::Float16Type as theirs::ArrowPrimitiveType>::Native {
    <theirs::Float16Type as theirs::ArrowPrimitiveType>::Native::from_f32(number)
}

#[test]
fn encodings_become_plain() {
    let plain = StringArray::from(vec![Some("a"), None, Some("a")]);
    check(&StringViewArray::from(vec![Some("a"), None, Some("a")]), &plain);
    let dictionary: DictionaryArray<Int8Type> = [Some("a"), None, Some("a")].into_iter().collect();
    check(&dictionary, &plain);
}
