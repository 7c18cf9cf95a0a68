//! Makes the answer of a plan the same every time.
//!
//! A plan that runs in parallel meets rows in another order each time. Three things follow.
//!
//! 1. Rows of an output get a total order: the statement's own `ORDER BY`, then all other
//!    columns. Rows that are still equal are equal in every column.
//! 2. A `LIMIT` over an `ORDER BY` gets the same tie-breakers, wherever it stands.
//! 3. A plan whose *values* depend on the order of rows runs in one partition, where rows come in
//!    the order of the files: windows, `LIMIT` without `ORDER BY`, `DISTINCT ON`, aggregates that
//!    the function list marks `one`, and sorts by a type that has no order here (see
//!    [`is_sortable`]).
//!
//! Sums and averages of floating-point numbers are exact instead ([`crate::exact_sum`]).

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::Sort as SortExpr;
use datafusion::logical_expr::{
    Distinct, Expr, ExprSchemable, Limit, LogicalPlan, Projection, Sort, SubqueryAlias,
};

use crate::functions::{FunctionKind, RowOrder, row_order};

/// How the rows of an answer are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowsOrdered {
    /// By all columns, as rows of an output are.
    Totally,
    /// In some order that is always the same, as rows for a guest are: by all columns after an
    /// aggregation or `ORDER BY`, else in the order of the files.
    Stably,
}

/// A plan and whether it may run in more than one partition.
#[derive(Debug)]
pub(crate) struct Arranged {
    pub(crate) plan: LogicalPlan,
    pub(crate) parallel: bool,
}

/// Gives `plan` an order and decides whether it may run in parallel.
pub(crate) fn arrange(plan: LogicalPlan, rows: RowsOrdered) -> Result<Arranged> {
    let mut parallel = true;
    let plan = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Limit(Limit { skip, fetch, input }) => {
            let (input, ordered) = break_ties(Arc::unwrap_or_clone(input), &mut parallel)?;
            parallel &= ordered;
            Ok(Transformed::yes(LogicalPlan::Limit(Limit { skip, fetch, input: Arc::new(input) })))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let mut plan = plan.data;
    parallel &= !needs_row_order(&plan)?;
    let (broken, ordered) = break_ties(plan, &mut parallel)?;
    plan = broken;
    if !ordered && (rows == RowsOrdered::Totally || is_aggregation(&plan)) {
        plan = sort_by_all(plan, &mut parallel)?;
    } else {
        parallel &= ordered;
    }
    Ok(Arranged { plan, parallel })
}

/// Adds tie-breakers to the sort that gives `plan` its order; `false` when there is none.
fn break_ties(plan: LogicalPlan, parallel: &mut bool) -> Result<(LogicalPlan, bool)> {
    match plan {
        LogicalPlan::Sort(Sort { mut expr, input, fetch }) => {
            let (columns, sortable) = all_columns(input.schema());
            *parallel &= sortable;
            for column in columns {
                if !expr.iter().any(|sort| sort.expr == column.expr) {
                    expr.push(column);
                }
            }
            Ok((LogicalPlan::Sort(Sort { expr, input, fetch }), true))
        }
        LogicalPlan::Projection(projection) => {
            let Projection { expr, input, schema, .. } = projection;
            let (input, ordered) = break_ties(Arc::unwrap_or_clone(input), parallel)?;
            let plan = Projection::try_new_with_schema(expr, Arc::new(input), schema)?;
            Ok((LogicalPlan::Projection(plan), ordered))
        }
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            let (input, ordered) = break_ties(Arc::unwrap_or_clone(input), parallel)?;
            let plan = SubqueryAlias::try_new(Arc::new(input), alias)?;
            Ok((LogicalPlan::SubqueryAlias(plan), ordered))
        }
        // Its own sort, if any, has its tie-breakers already.
        LogicalPlan::Limit(limit) => {
            let ordered = has_sort(&limit.input);
            Ok((LogicalPlan::Limit(limit), ordered))
        }
        other => Ok((other, false)),
    }
}

/// Whether the order of `plan` comes from a sort.
fn has_sort(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Limit(Limit { input, .. })
        | LogicalPlan::Projection(Projection { input, .. })
        | LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => has_sort(input),
        _ => false,
    }
}

/// Whether the rows of `plan` are groups.
fn is_aggregation(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) => true,
        LogicalPlan::Projection(Projection { input, .. })
        | LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => is_aggregation(input),
        LogicalPlan::Filter(filter) => is_aggregation(&filter.input),
        _ => false,
    }
}

fn sort_by_all(plan: LogicalPlan, parallel: &mut bool) -> Result<LogicalPlan> {
    let (expr, sortable) = all_columns(plan.schema());
    *parallel &= sortable;
    if expr.is_empty() {
        return Ok(plan);
    }
    Ok(LogicalPlan::Sort(Sort { expr, input: Arc::new(plan), fetch: None }))
}

/// Every sortable column as a sort key, and whether that is every column.
fn all_columns(schema: &DFSchema) -> (Vec<SortExpr>, bool) {
    let mut every = true;
    let mut keys = Vec::new();
    for (qualifier, field) in schema.iter() {
        if is_sortable(field.data_type()) {
            let column = Column::new(qualifier.cloned(), field.name());
            keys.push(SortExpr::new(Expr::Column(column), true, false));
        } else {
            every = false;
        }
    }
    (keys, every)
}

/// Whether rows can be sorted by columns of this type. Rows that differ only in a list, a struct
/// or a map keep the order in which one partition meets them.
pub(crate) fn is_sortable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_sortable(value),
        other => !other.is_nested(),
    }
}

/// Whether a value in the answer depends on the order of rows.
fn needs_row_order(plan: &LogicalPlan) -> Result<bool> {
    let mut needed = false;
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Window(_) | LogicalPlan::Distinct(Distinct::On(_)) => needed = true,
            LogicalPlan::Aggregate(aggregate) => {
                let schema = aggregate.input.schema();
                for expression in &aggregate.aggr_expr {
                    expression.apply(|part| {
                        if let Expr::AggregateFunction(call) = part {
                            needed |= !is_order_free(call.func.name(), &call.params.args, schema)?;
                        }
                        Ok(TreeNodeRecursion::Continue)
                    })?;
                }
            }
            _ => {}
        }
        Ok(if needed { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(needed)
}

fn is_order_free(name: &str, arguments: &[Expr], schema: &DFSchema) -> Result<bool> {
    match row_order(FunctionKind::Aggregate, name) {
        Some(RowOrder::Any) => Ok(true),
        Some(RowOrder::Number) => {
            for argument in arguments {
                let data_type = argument.get_type(schema)?;
                if data_type.is_floating() || data_type.is_nested() {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Some(RowOrder::One) | None => Ok(false),
    }
}
