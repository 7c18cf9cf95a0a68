//! Conditions that the database can apply.
//!
//! What the database leaves out, nobody sees again, while the worker checks again what it sends.
//! So a condition is passed on only where every row that meets it in the worker meets it in the
//! database too: orders of texts differ by collation, and zero has two signs in one and one in the
//! other. A condition that is not passed on costs time, never rows.

use datafusion::common::{Column as ColumnName, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, expr::InList};
use glovebox_contract::parameter::ParameterValue;
use glovebox_job::broker::{Comparison, Filter};

use super::columns::{Kind, SourceColumn};

/// Days of 0001-01-01 and 9999-12-31, between which a date is written the same everywhere.
const DATES: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

/// The condition as the database applies it, perhaps a weaker one; `None` when it cannot. `is_utf8`
/// says that the database knows every character.
pub(super) fn expression(filter: &Filter, columns: &[SourceColumn], is_utf8: bool) -> Option<Expr> {
    match filter {
        Filter::Compare { column, operator, value } => {
            let column = source(columns, *column)?;
            let operator = weakened(column.kind, *operator, value)?;
            Some(binary(name(column), operator, literal(column.kind, value, is_utf8)?))
        }
        Filter::In { column, values } => {
            let column = source(columns, *column)?;
            let values = values.iter().map(|value| literal(column.kind, value, is_utf8));
            let values = values.collect::<Option<Vec<_>>>().filter(|values| !values.is_empty())?;
            Some(Expr::InList(InList::new(Box::new(name(column)), values, false)))
        }
        Filter::Null { column } => Some(Expr::IsNull(Box::new(name(source(columns, *column)?)))),
        Filter::NotNull { column } => {
            Some(Expr::IsNotNull(Box::new(name(source(columns, *column)?))))
        }
        Filter::All { filters } => filters
            .iter()
            .filter_map(|filter| expression(filter, columns, is_utf8))
            .reduce(|left, right| binary(left, Operator::And, right)),
        Filter::Any { filters } => filters
            .iter()
            .map(|filter| expression(filter, columns, is_utf8))
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .reduce(|left, right| binary(left, Operator::Or, right)),
    }
}

fn source(columns: &[SourceColumn], at: u32) -> Option<&SourceColumn> {
    columns.get(usize::try_from(at).ok()?)
}

fn name(column: &SourceColumn) -> Expr {
    Expr::Column(ColumnName::new_unqualified(&column.column.name))
}

fn binary(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}

/// The operator that keeps at least the rows that the wanted one keeps.
fn weakened(kind: Kind, operator: Comparison, value: &ParameterValue) -> Option<Operator> {
    let plain = match operator {
        Comparison::Equal => Operator::Eq,
        Comparison::NotEqual => Operator::NotEq,
        Comparison::Less => Operator::Lt,
        Comparison::LessOrEqual => Operator::LtEq,
        Comparison::Greater => Operator::Gt,
        Comparison::GreaterOrEqual => Operator::GtEq,
    };
    match (kind, value, plain) {
        // Texts that are equal byte by byte are equal by any collation; that is all that holds.
        (Kind::Text, _, Operator::Eq) => Some(plain),
        (Kind::Text, _, _) => None,
        // The engine tells -0.0 from 0.0, the database does not.
        (Kind::Float4 | Kind::Float8, ParameterValue::Float64(0.0), _) => match plain {
            Operator::Lt => Some(Operator::LtEq),
            Operator::Gt => Some(Operator::GtEq),
            Operator::NotEq => None,
            other => Some(other),
        },
        _ => Some(plain),
    }
}

/// A value as one of a column's own kind; `None` when they are not of one kind, or the database may
/// not take the text.
fn literal(kind: Kind, value: &ParameterValue, is_utf8: bool) -> Option<Expr> {
    let value = match (kind, value) {
        (Kind::Boolean, ParameterValue::Boolean(value)) => ScalarValue::Boolean(Some(*value)),
        (
            Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric { .. },
            ParameterValue::Int64(value),
        ) => ScalarValue::Int64(Some(*value)),
        (Kind::Float4 | Kind::Float8, ParameterValue::Float64(value)) if value.is_finite() => {
            ScalarValue::Float64(Some(*value))
        }
        (Kind::Text, ParameterValue::Utf8(text))
            if !text.contains('\0') && (is_utf8 || text.is_ascii()) =>
        {
            ScalarValue::Utf8(Some(text.clone()))
        }
        (Kind::Date, ParameterValue::Date(days)) if DATES.contains(days) => {
            ScalarValue::Date32(Some(*days))
        }
        _ => return None,
    };
    Some(Expr::Literal(value, None))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::unparser::Unparser;
    use datafusion::sql::unparser::dialect::PostgreSqlDialect;
    use glovebox_contract::column::{Column, ColumnType};

    use super::*;

    fn columns() -> Vec<SourceColumn> {
        let kinds = [
            ("n", Kind::Int4),
            ("f", Kind::Float8),
            ("t", Kind::Text),
            ("u", Kind::Uuid),
            ("d", Kind::Date),
            ("b\"", Kind::Boolean),
        ];
        let column = |name: &str| Column {
            name: name.into(),
            nullable: true,
            column_type: ColumnType::Null,
        };
        kinds.map(|(name, kind)| SourceColumn { column: column(name), kind }).into()
    }

    fn compare(column: u32, operator: Comparison, value: ParameterValue) -> Filter {
        Filter::Compare { column, operator, value }
    }

    fn check(filter: &Filter, expect: Option<&str>) {
        let written = expression(filter, &columns(), true).map(|expression| {
            let dialect = PostgreSqlDialect {};
            Unparser::new(&dialect).expr_to_sql(&expression).unwrap().to_string()
        });
        assert_eq!(written.as_deref(), expect, "{filter:?}");
    }

    #[test]
    fn what_means_the_same_is_passed_on() {
        use Comparison::{Equal, GreaterOrEqual, Less, NotEqual};
        use ParameterValue::{Boolean, Date, Float64, Int64, Utf8};
        check(&compare(0, Less, Int64(i64::MIN)), Some("(\"n\" < -9223372036854775808)"));
        check(&compare(1, GreaterOrEqual, Float64(-1.5)), Some("(\"f\" >= -1.5)"));
        check(&compare(2, Equal, Utf8("o'; --\\".into())), Some("(\"t\" = 'o''; --\\')"));
        check(&compare(4, Less, Date(0)), Some("(\"d\" < CAST('1970-01-01' AS DATE))"));
        check(&compare(5, NotEqual, Boolean(true)), Some("(\"b\"\"\" <> true)"));
        let values = vec![Int64(1), Int64(2)];
        check(&Filter::In { column: 0, values }, Some("\"n\" IN (1, 2)"));
        check(&Filter::Null { column: 3 }, Some("\"u\" IS NULL"));
        check(&Filter::NotNull { column: 3 }, Some("\"u\" IS NOT NULL"));
    }

    #[test]
    fn what_may_mean_something_else_is_not() {
        use Comparison::{Equal, Greater, Less, NotEqual};
        use ParameterValue::{Date, Float64, Int64, Utf8};
        check(&compare(2, Less, Utf8("a".into())), None);
        check(&compare(2, NotEqual, Utf8("a".into())), None);
        check(&compare(2, Equal, Utf8("a\0".into())), None);
        check(&compare(3, Equal, Utf8("a".into())), None);
        check(&compare(0, Equal, Float64(1.0)), None);
        check(&compare(1, Equal, Int64(1)), None);
        check(&compare(1, Less, Float64(0.0)), Some("(\"f\" <= 0.0)"));
        check(&compare(1, Greater, Float64(-0.0)), Some("(\"f\" >= -0.0)"));
        check(&compare(1, NotEqual, Float64(0.0)), None);
        check(&compare(4, Equal, Date(i32::MAX)), None);
        check(&compare(9, Equal, Int64(1)), None);
        check(&Filter::In { column: 0, values: vec![] }, None);
        let latin = compare(2, Equal, Utf8("é".into()));
        assert_eq!(expression(&latin, &columns(), false), None);
    }

    #[test]
    fn what_is_left_out_makes_a_condition_weaker_only() {
        use Comparison::{Equal, Less};
        use ParameterValue::{Int64, Utf8};
        let known = || compare(0, Equal, Int64(1));
        let unknown = || compare(2, Less, Utf8("a".into()));
        check(&Filter::All { filters: vec![known(), unknown()] }, Some("(\"n\" = 1)"));
        check(&Filter::Any { filters: vec![known(), unknown()] }, None);
        check(
            &Filter::Any { filters: vec![known(), Filter::Null { column: 2 }] },
            Some("((\"n\" = 1) OR \"t\" IS NULL)"),
        );
        check(&Filter::All { filters: vec![unknown()] }, None);
        check(&Filter::Any { filters: vec![] }, None);
    }
}
