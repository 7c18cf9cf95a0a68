//! Which SQL may run: the checks of what a statement means.
//!
//! The plan that DataFusion makes of a statement is walked with all its subqueries. Nodes and
//! expressions are allowed by name, functions by the list in [`crate::functions`].

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};
use glovebox_contract::library;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::services::HostError;

use crate::error::{Result, error, planning};
use crate::functions::{FunctionKind, row_order};
use crate::libraries::Libraries;

/// Most nodes and expressions of a plan, views and common tables expanded.
pub(crate) const MOST_NODES: usize = 20_000;

/// Most columns of a node's output, so that joins of joins cannot multiply them without end.
const MOST_COLUMNS: usize = 4_096;

/// Checks `plan` and everything in it.
pub(crate) fn check_plan(plan: &LogicalPlan, libraries: &Libraries) -> Result<()> {
    let mut nodes = 0;
    let mut failure = None;
    let walked = plan.apply_with_subqueries(|node| {
        nodes += 1;
        if let Err(refusal) = check_node(node) {
            failure = Some(refusal);
            return Ok(TreeNodeRecursion::Stop);
        }
        node.apply_expressions(|expression| {
            walk_expression(expression, libraries, &mut nodes, &mut failure)
        })
        .map(|_| {
            if failure.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue }
        })
    });
    match (failure, walked) {
        (Some(failure), _) => Err(failure),
        (None, Err(failure)) => Err(planning(&failure)),
        (None, Ok(_)) => Ok(()),
    }
}

fn walk_expression(
    expression: &Expr,
    libraries: &Libraries,
    nodes: &mut usize,
    failure: &mut Option<HostError>,
) -> PlanResult<TreeNodeRecursion, DataFusionError> {
    use datafusion::common::tree_node::TreeNode;
    expression.apply(|part| {
        *nodes += 1;
        let checked = if *nodes > MOST_NODES {
            Err(error(ReasonCode::SqlTooComplex, "the statement expands to too large a plan"))
        } else {
            check_expression(part, libraries)
        };
        match checked {
            Ok(()) => Ok(TreeNodeRecursion::Continue),
            Err(refusal) => {
                *failure = Some(refusal);
                Ok(TreeNodeRecursion::Stop)
            }
        }
    })
}

fn refused(what: &str) -> Result<()> {
    Err(error(ReasonCode::SqlRefused, format!("{what} is not allowed")))
}

fn check_node(node: &LogicalPlan) -> Result<()> {
    if node.schema().fields().len() > MOST_COLUMNS {
        return Err(error(ReasonCode::SqlTooComplex, "the statement has too many columns"));
    }
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_) => Ok(()),
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => refused("EXPLAIN"),
        LogicalPlan::DescribeTable(_) => refused("DESCRIBE"),
        LogicalPlan::RecursiveQuery(_) => refused("WITH RECURSIVE"),
        LogicalPlan::Dml(_) | LogicalPlan::Ddl(_) | LogicalPlan::Copy(_) => refused("writing"),
        LogicalPlan::Statement(_) | LogicalPlan::Repartition(_) | LogicalPlan::Extension(_) => {
            refused("this statement")
        }
    }
}

#[expect(deprecated, reason = "the wildcard has to be named to be refused")]
fn check_expression(expression: &Expr, libraries: &Libraries) -> Result<()> {
    let check_function = |kind, name: &str| check_function(kind, name, libraries);
    match expression {
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::Literal(..)
        | Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_)
        | Expr::Exists(_)
        | Expr::InSubquery(_)
        | Expr::SetComparison(_)
        | Expr::ScalarSubquery(_)
        | Expr::GroupingSet(_)
        | Expr::OuterReferenceColumn(..)
        | Expr::Unnest(_) => Ok(()),
        Expr::ScalarFunction(call) => check_function(FunctionKind::Scalar, call.func.name()),
        Expr::AggregateFunction(call) => check_function(FunctionKind::Aggregate, call.func.name()),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                check_function(FunctionKind::Aggregate, function.name())
            }
            WindowFunctionDefinition::WindowUDF(function) => {
                check_function(FunctionKind::Window, function.name())
            }
        },
        Expr::Placeholder(_) => Err(error(
            ReasonCode::SqlInvalid,
            "a placeholder has no value; write `:name` in a script, `$1` in a query",
        )),
        Expr::ScalarVariable(..) => refused("a variable"),
        Expr::Wildcard { .. } => refused("this use of *"),
        Expr::HigherOrderFunction(_) | Expr::Lambda(_) | Expr::LambdaVariable(_) => {
            refused("a lambda")
        }
    }
}

fn check_function(kind: FunctionKind, name: &str, libraries: &Libraries) -> Result<()> {
    let of_library = match kind {
        FunctionKind::Scalar => libraries.has(library::FunctionKind::Scalar, name),
        FunctionKind::Aggregate => libraries.has(library::FunctionKind::Aggregate, name),
        FunctionKind::Window => false,
    };
    match row_order(kind, name) {
        Some(_) => Ok(()),
        None if of_library => Ok(()),
        None => Err(error(
            ReasonCode::SqlRefused,
            format!("function `{}` is not on the allow-list", name.escape_debug()),
        )),
    }
}
