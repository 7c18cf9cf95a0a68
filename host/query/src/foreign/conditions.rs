//! Filters of a statement as conditions that a database can check first.
//!
//! A condition may let more rows through than its filter, never fewer: the filter runs again. So
//! comparisons go only where a database cannot take another view of them. Texts are compared for
//! equality, for each database has an order of its own; zero, which has two signs here and one there,
//! gets the benefit of the doubt.

use std::collections::BTreeMap;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use glovebox_contract::column::ColumnType;
use glovebox_contract::parameter::ParameterValue;

use crate::broker::{Comparison, Condition};

/// Most values of a list.
const MOST_VALUES: usize = 1_000;

/// Longest text that is compared, in bytes.
const MOST_TEXT_BYTES: usize = 1_000;

/// A column that conditions can name.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) number: u32,
    pub(super) column_type: ColumnType,
}

/// A condition that all rows meet which meet `filter`; none when there is none of use.
pub(super) fn condition(filter: &Expr, columns: &BTreeMap<String, Known>) -> Option<Condition> {
    let condition_of = |filter: &Expr| condition(filter, columns);
    let known = |expression: &Expr| match expression {
        Expr::Column(column) => columns.get(&column.name),
        _ => None,
    };
    let is = |expression: &Expr, wanted: bool| {
        let column = known(expression).filter(|known| known.column_type == ColumnType::Boolean)?;
        let value = ParameterValue::Boolean(wanted);
        Some(Condition::Compare(column.number, Comparison::Equal, value))
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (condition_of(left), condition_of(right)) {
                (Some(left), Some(right)) => Some(Condition::All(vec![left, right])),
                (one, other) => one.or(other),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(Condition::Any(vec![condition_of(left)?, condition_of(right)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (known(left), known(right)) {
            (Some(column), None) => compare(column, comparison(*op)?, right),
            (None, Some(column)) => compare(column, flipped(comparison(*op)?), left),
            _ => None,
        },
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let column = known(expr)?;
            let low = compare(column, Comparison::GreaterOrEqual, low)?;
            let high = compare(column, Comparison::LessOrEqual, high)?;
            Some(Condition::All(vec![low, high]))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let column = known(expr)?;
            if list.is_empty() || list.len() > MOST_VALUES {
                return None;
            }
            let values = list.iter().map(|one| value(column, one).filter(|one| !is_zero(one)));
            Some(Condition::In(column.number, values.collect::<Option<_>>()?))
        }
        Expr::IsNull(inner) => Some(Condition::Null(known(inner)?.number)),
        Expr::IsNotNull(inner) => Some(Condition::NotNull(known(inner)?.number)),
        Expr::Not(inner) => is(inner, false),
        column @ Expr::Column(_) => is(column, true),
        _ => None,
    }
}

fn comparison(operator: Operator) -> Option<Comparison> {
    Some(match operator {
        Operator::Eq => Comparison::Equal,
        Operator::NotEq => Comparison::NotEqual,
        Operator::Lt => Comparison::Less,
        Operator::LtEq => Comparison::LessOrEqual,
        Operator::Gt => Comparison::Greater,
        Operator::GtEq => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// The same with the sides changed.
fn flipped(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}

fn compare(column: &Known, comparison: Comparison, literal: &Expr) -> Option<Condition> {
    let value = value(column, literal)?;
    let comparison = match comparison {
        Comparison::Equal => Comparison::Equal,
        _ if matches!(value, ParameterValue::Utf8(_)) => return None,
        Comparison::NotEqual if is_zero(&value) => return None,
        Comparison::Less if is_zero(&value) => Comparison::LessOrEqual,
        Comparison::Greater if is_zero(&value) => Comparison::GreaterOrEqual,
        other => other,
    };
    Some(Condition::Compare(column.number, comparison, value))
}

/// Whether it is a zero that has a sign.
fn is_zero(value: &ParameterValue) -> bool {
    matches!(value, ParameterValue::Float64(number) if *number == 0.0)
}

/// A literal of the column's own kind.
fn value(column: &Known, literal: &Expr) -> Option<ParameterValue> {
    use ScalarValue as S;
    let Expr::Literal(literal, _) = literal else { return None };
    let value = match literal {
        S::Boolean(Some(value)) => ParameterValue::Boolean(*value),
        S::Int8(Some(value)) => ParameterValue::Int64((*value).into()),
        S::Int16(Some(value)) => ParameterValue::Int64((*value).into()),
        S::Int32(Some(value)) => ParameterValue::Int64((*value).into()),
        S::Int64(Some(value)) => ParameterValue::Int64(*value),
        S::UInt8(Some(value)) => ParameterValue::Int64((*value).into()),
        S::UInt16(Some(value)) => ParameterValue::Int64((*value).into()),
        S::UInt32(Some(value)) => ParameterValue::Int64((*value).into()),
        S::UInt64(Some(value)) => ParameterValue::Int64(i64::try_from(*value).ok()?),
        S::Float32(Some(value)) => ParameterValue::Float64((*value).into()),
        S::Float64(Some(value)) => ParameterValue::Float64(*value),
        S::Utf8(Some(text)) | S::LargeUtf8(Some(text)) | S::Utf8View(Some(text)) => {
            ParameterValue::Utf8(text.clone())
        }
        S::Date32(Some(days)) => ParameterValue::Date(*days),
        _ => return None,
    };
    use ColumnType as T;
    let fits = match (&column.column_type, &value) {
        (T::Boolean, ParameterValue::Boolean(_)) | (T::Date32, ParameterValue::Date(_)) => true,
        (
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64,
            ParameterValue::Int64(_),
        ) => true,
        (T::Float32 | T::Float64, ParameterValue::Float64(number)) => number.is_finite(),
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, ParameterValue::Utf8(text)) => {
            // A text with a zero byte is one that many databases cannot be asked for.
            text.len() <= MOST_TEXT_BYTES && !text.contains('\0')
        }
        _ => false,
    };
    fits.then_some(value)
}

/// Bytes of a condition on its way, about.
pub(super) fn weight(condition: &Condition) -> usize {
    let of = |value: &ParameterValue| match value {
        // Control characters take six.
        ParameterValue::Utf8(text) => 64 + 6 * text.len(),
        _ => 64,
    };
    let own = match condition {
        Condition::Compare(_, _, value) => of(value),
        Condition::In(_, values) => values.iter().map(of).sum(),
        Condition::All(inner) | Condition::Any(inner) => inner.iter().map(weight).sum(),
        Condition::Null(_) | Condition::NotNull(_) => 0,
    };
    own + 64
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn filters_become_conditions_that_are_no_stricter() {
        use Comparison::{Equal, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        use Condition::{All, Any, Compare, In, NotNull, Null};
        use ParameterValue::{Boolean, Date, Float64, Int64, Utf8};
        let columns = [("b", "boolean"), ("i", "int32"), ("f", "float64"), ("t", "utf8")]
            .into_iter()
            .chain([("d", "date32"), ("n", "decimal(10, 2)")])
            .zip(0..)
            .map(|((name, column_type), number)| {
                let column_type = column_type.parse().unwrap();
                (name.to_owned(), Known { number, column_type })
            });
        let columns: BTreeMap<String, Known> = columns.collect();
        let check = |filter: Expr, expect: Option<Condition>| {
            assert_eq!(condition(&filter, &columns), expect, "{filter}");
        };
        check(col("i").eq(lit(3_i32)), Some(Compare(1, Equal, Int64(3))));
        check(lit(3_i32).gt(col("i")), Some(Compare(1, Less, Int64(3))));
        check(col("i").not_eq(lit(0_i32)), Some(Compare(1, NotEqual, Int64(0))));
        check(col("b"), Some(Compare(0, Equal, Boolean(true))));
        check(Expr::Not(Box::new(col("b"))), Some(Compare(0, Equal, Boolean(false))));
        check(col("i"), None);
        // Zero.
        check(col("f").lt(lit(0.0)), Some(Compare(2, LessOrEqual, Float64(0.0))));
        check(col("f").gt(lit(-0.0)), Some(Compare(2, GreaterOrEqual, Float64(-0.0))));
        check(col("f").not_eq(lit(0.0)), None);
        check(col("f").in_list(vec![lit(0.0), lit(1.0)], false), None);
        check(col("f").lt(lit(f64::NAN)), None);
        // Texts.
        check(col("t").eq(lit("x")), Some(Compare(3, Equal, Utf8("x".into()))));
        check(col("t").not_eq(lit("x")), None);
        check(col("t").lt(lit("x")), None);
        check(col("t").eq(lit("a\0b")), None);
        check(col("t").eq(lit("x".repeat(2000))), None);
        check(
            col("t").in_list(vec![lit("x"), lit("y")], false),
            Some(In(3, vec![Utf8("x".into()), Utf8("y".into())])),
        );
        check(col("t").in_list(vec![lit("x")], true), None);
        check(col("t").like(lit("x%")), None);
        // Days, nulls, what has no value here.
        let day = Expr::Literal(ScalarValue::Date32(Some(9)), None);
        check(col("d").lt_eq(day), Some(Compare(4, LessOrEqual, Date(9))));
        check(col("i").is_null(), Some(Null(1)));
        check(col("t").is_not_null(), Some(NotNull(3)));
        check(col("i").eq(Expr::Literal(ScalarValue::Int32(None), None)), None);
        check(col("n").eq(lit(1_i64)), None);
        check(col("x").eq(lit(1_i64)), None);
        check(col("i").eq(col("i")), None);
        check(
            col("i").between(lit(1_i32), lit(2_i32)),
            Some(All(vec![
                Compare(1, GreaterOrEqual, Int64(1)),
                Compare(1, LessOrEqual, Int64(2)),
            ])),
        );
        // One side of AND is enough, OR needs both.
        let known = || col("i").eq(lit(3_i32));
        let unknown = || col("t").like(lit("x%"));
        let equal = || Compare(1, Equal, Int64(3));
        check(known().and(unknown()), Some(equal()));
        check(unknown().and(known()), Some(equal()));
        check(known().and(col("i").is_null()), Some(All(vec![equal(), Null(1)])));
        check(known().or(unknown()), None);
        check(known().or(col("i").is_null()), Some(Any(vec![equal(), Null(1)])));
    }
}
