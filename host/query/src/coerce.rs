//! Which types of a query's column can stand for a declared type of an output.

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Schema};
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::arrow_types::arrow_to_column_type;

use crate::error::{Result, error};

/// Checks that rows of `found` can become rows of the output's declared schema without loss.
///
/// The columns are the same in number, names and order. Each type is the declared one but for
/// its encoding (views, dictionaries, large offsets), or one that the declared type contains.
pub(crate) fn check_output(output: &str, found: &Schema, declared: &Schema) -> Result<()> {
    let mismatch = |detail: String| {
        Err(error(ReasonCode::OutputSchema, format!("output `{output}`: {detail}")))
    };
    let names = |schema: &Schema| {
        schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
    };
    let same_names = found.fields().len() == declared.fields().len()
        && found.fields().iter().zip(declared.fields()).all(|(one, two)| one.name() == two.name());
    if !same_names {
        return mismatch(format!("columns are ({}), declared ({})", names(found), names(declared)));
    }
    for (column, wanted) in found.fields().iter().zip(declared.fields()) {
        if !fits(column.data_type(), wanted.data_type()) {
            return mismatch(format!(
                "column `{}` has type {}, declared as {}",
                wanted.name(),
                shown(column.data_type()),
                shown(wanted.data_type())
            ));
        }
    }
    Ok(())
}

fn shown(data_type: &DataType) -> String {
    arrow_to_column_type(data_type)
        .map_or_else(|_| data_type.to_string(), |column_type| column_type.to_string())
}

/// Whether every value of type `from` is one of type `to`.
pub(crate) fn fits(from: &DataType, to: &DataType) -> bool {
    if from == to {
        return true;
    }
    can_cast_types(from, to) && (is_same_but_encoded(from, to) || is_wider(from, to))
}

fn is_same_but_encoded(from: &DataType, to: &DataType) -> bool {
    match (arrow_to_column_type(from), arrow_to_column_type(to)) {
        (Ok(from), Ok(to)) => to.is_compatible(&from),
        _ => false,
    }
}

/// Bits of the largest magnitude of an integer type, and whether it has a sign.
fn integer(data_type: &DataType) -> Option<(u32, bool)> {
    Some(match data_type {
        DataType::Int8 => (7, true),
        DataType::Int16 => (15, true),
        DataType::Int32 => (31, true),
        DataType::Int64 => (63, true),
        DataType::UInt8 => (8, false),
        DataType::UInt16 => (16, false),
        DataType::UInt32 => (32, false),
        DataType::UInt64 => (64, false),
        _ => return None,
    })
}

/// Bits of the largest integer up to which every integer is a number of this type.
fn exact_bits(data_type: &DataType) -> Option<u32> {
    match data_type {
        DataType::Float16 => Some(11),
        DataType::Float32 => Some(24),
        DataType::Float64 => Some(53),
        _ => None,
    }
}

fn decimal(data_type: &DataType) -> Option<(i16, i16)> {
    match data_type {
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => Some((i16::from(*p), i16::from(*s))),
        _ => None,
    }
}

fn is_wider(from: &DataType, to: &DataType) -> bool {
    if from == &DataType::Null {
        return true;
    }
    if let Some((bits, signed)) = integer(from) {
        if let Some((room, can_sign)) = integer(to) {
            return bits <= room && (can_sign || !signed);
        }
        if let Some(room) = exact_bits(to) {
            return bits <= room;
        }
        // Every bit needs less than 0.302 digits.
        let digits = i16::try_from(bits * 302 / 1_000 + 1).unwrap_or(i16::MAX);
        return decimal(to)
            .is_some_and(|(precision, scale)| scale >= 0 && precision - scale >= digits);
    }
    if let (Some((precision, scale)), Some((room, finer))) = (decimal(from), decimal(to)) {
        return finer >= scale && room - finer >= precision - scale;
    }
    match (from, to) {
        (DataType::Timestamp(from, zone), DataType::Timestamp(to, other)) => {
            zone == other && from <= to
        }
        (DataType::Float16, DataType::Float32 | DataType::Float64)
        | (DataType::Float32, DataType::Float64) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use glovebox_contract::column::ColumnType;
    use glovebox_sandbox::arrow_types::column_type_to_arrow;

    use super::check_output;

    #[test]
    fn a_column_fits_when_nothing_can_be_lost() {
        #[track_caller]
        fn check(from: &str, to: &str, expect: bool) {
            let schema = |text: &str| {
                let column_type: ColumnType = text.parse().unwrap();
                Schema::new(vec![Field::new("c", column_type_to_arrow(&column_type), true)])
            };
            assert_eq!(
                check_output("o", &schema(from), &schema(to)).is_ok(),
                expect,
                "{from} → {to}"
            );
        }
        check("utf8_view", "utf8", true);
        check("dictionary(int32, utf8)", "utf8", true);
        check("utf8", "dictionary(int32, utf8)", true);
        check("int32", "int64", true);
        check("uint32", "int64", true);
        check("int64", "int32", false);
        check("int64", "uint64", false);
        check("uint64", "int64", false);
        check("int32", "float64", true);
        check("int64", "float64", false);
        check("int64", "decimal(20, 0)", true);
        check("int64", "decimal(20, 2)", false);
        check("decimal(10, 2)", "decimal(12, 4)", true);
        check("decimal(10, 2)", "decimal(10, 4)", false);
        check("decimal(12, 4)", "decimal(12, 2)", false);
        check("float32", "float64", true);
        check("float64", "float32", false);
        check("timestamp(s)", "timestamp(us)", true);
        check("timestamp(ns)", "timestamp(us)", false);
        check("timestamp(us)", "timestamp(us, UTC)", false);
        check("null", "utf8", true);
        check("int64", "utf8", false);
        check("utf8", "int64", false);
        check("boolean", "int8", false);
        check("list(utf8_view)", "list(utf8)", true);
        check("struct(a: utf8_view)", "struct(a: utf8)", true);
    }

    #[test]
    fn names_and_order_are_those_declared() {
        let schema = |names: &[&str]| {
            Schema::new(
                names
                    .iter()
                    .map(|name| Field::new(*name, arrow::datatypes::DataType::Int8, true))
                    .collect::<Vec<_>>(),
            )
        };
        let check = |found: &[&str], declared: &[&str], expect: &str| {
            let result = check_output("o", &schema(found), &schema(declared));
            let got = result.map_or_else(|error| error.detail().to_owned(), |()| String::new());
            assert_eq!(got, expect);
        };
        check(&["a", "b"], &["a", "b"], "");
        check(&["b", "a"], &["a", "b"], "output `o`: columns are (b, a), declared (a, b)");
        check(&["a"], &["a", "b"], "output `o`: columns are (a), declared (a, b)");
        check(&["a", "b", "c"], &["a", "b"], "output `o`: columns are (a, b, c), declared (a, b)");
    }
}
