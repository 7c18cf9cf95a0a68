//! One NaN for all: the payload of a NaN could carry data, and differs between processors.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, ArrowPrimitiveType, AsArray as _, GenericListArray, OffsetSizeTrait,
    StructArray,
};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type};

/// `array` with every NaN, nested ones included, replaced by the same one.
pub(super) fn canonical(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float16 => floats::<Float16Type>(array, |value| value.is_nan(), half_nan()),
        DataType::Float32 => floats::<Float32Type>(array, |value| value.is_nan(), f32::NAN),
        DataType::Float64 => floats::<Float64Type>(array, |value| value.is_nan(), f64::NAN),
        DataType::List(_) => list::<i32>(array),
        DataType::LargeList(_) => list::<i64>(array),
        DataType::Struct(_) => structure(array),
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            dictionary.with_values(canonical(dictionary.values()))
        }
        _ => Arc::clone(array),
    }
}

fn half_nan() -> <Float16Type as ArrowPrimitiveType>::Native {
    <Float16Type as ArrowPrimitiveType>::Native::NAN
}

fn floats<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    is_nan: impl Fn(T::Native) -> bool,
    nan: T::Native,
) -> ArrayRef {
    let values = array.as_primitive::<T>();
    if !values.values().iter().any(|value| is_nan(*value)) {
        return Arc::clone(array);
    }
    Arc::new(values.unary::<_, T>(|value| if is_nan(value) { nan } else { value }))
}

fn list<O: OffsetSizeTrait>(array: &ArrayRef) -> ArrayRef {
    let (field, offsets, values, nulls) = array.as_list::<O>().clone().into_parts();
    let values = canonical(&values);
    match GenericListArray::<O>::try_new(field, offsets, values, nulls) {
        Ok(list) => Arc::new(list),
        // The parts are those of a valid list, and its values have the same type and length.
        Err(_) => Arc::clone(array),
    }
}

fn structure(array: &ArrayRef) -> ArrayRef {
    let (fields, columns, nulls) = array.as_struct().clone().into_parts();
    let columns = columns.iter().map(canonical).collect();
    match StructArray::try_new_with_length(fields, columns, nulls, array.len()) {
        Ok(structure) => Arc::new(structure),
        // As above.
        Err(_) => Arc::clone(array),
    }
}
