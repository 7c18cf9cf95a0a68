//! SQL notebooks: a script of views and outputs.
//!
//! ```sql
//! CREATE TEMP VIEW joined AS SELECT … FROM airline.flights …;
//! CREATE TABLE output.delays AS SELECT … FROM joined … HAVING count(*) >= :min_group;
//! ```
//!
//! All statements are checked and planned before the first one runs.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::{ParamValues, ScalarValue};
use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Statement, Value, VisitMut, VisitorMut,
};
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::services::{BatchStream, HostError, OutputTables};

use crate::arrange::RowsOrdered;
use crate::coerce::check_output;
use crate::edge::Edge;
use crate::error::{Result, error};
use crate::policy::{check_expansion, check_syntax, meaning, parse_script};
use crate::session::{Running, Session, on_large_stack};

/// Schema of the tables that a script makes.
const OUTPUT: &str = "output";

/// A statement of a script that may run.
enum Step {
    View { name: String, replace: bool, query: Box<Query> },
    Output { name: String, query: Box<Query> },
}

/// An output that is ready to be made.
struct Planned {
    name: String,
    running: Running,
    edge: Edge,
}

/// Runs the script `text` and writes its outputs.
pub(crate) fn run(session: &Session, text: &str, outputs: &mut dyn OutputTables) -> Result<()> {
    let planned = on_large_stack(|| plan_script(session, text, outputs))?;
    let planner = session.planner(session.state());
    for Planned { name, running, edge } in planned {
        outputs.open(&name)?;
        let mut batches = planner.start(running, edge);
        while let Some(batch) = batches.next()? {
            outputs.write(&name, &batch)?;
        }
        outputs.finish(&name)?;
    }
    Ok(())
}

fn plan_script(
    session: &Session,
    text: &str,
    outputs: &mut dyn OutputTables,
) -> Result<Vec<Planned>> {
    let steps = parse_script(text)?.into_iter().map(|statement| step(session, statement));
    let steps = steps.collect::<Result<Vec<_>>>()?;
    let parameters = parameter_values(session);
    let catalog = session.fresh_catalog();
    let state = session.state_with(catalog.clone());
    let mut names = BTreeSet::new();
    let mut planned = Vec::new();
    for step in steps {
        match step {
            Step::View { name, replace, query } => {
                let tables = check_expansion(&query, &catalog)?;
                let plan = session.plan(&state, &catalog, *query, &parameters)?;
                if !catalog.add_view(&name, plan, tables, replace) {
                    return Err(error(
                        ReasonCode::SqlInvalid,
                        format!("view `{name}` exists; write CREATE OR REPLACE TEMP VIEW"),
                    ));
                }
            }
            Step::Output { name, query } => {
                if !names.insert(name.clone()) {
                    return Err(error(
                        ReasonCode::OutputClosed,
                        format!("output `{name}` is made twice"),
                    ));
                }
                let declared = outputs.schema(&name)?;
                let plan = session.plan(&state, &catalog, *query, &parameters)?;
                check_output(&name, plan.schema().as_arrow(), &declared)?;
                let running = session.planner(&state).physical(plan, RowsOrdered::Totally)?;
                let rows = session.settings.batch_rows;
                let edge = Edge::new(declared, rows, ReasonCode::OutputSchema);
                planned.push(Planned { name, running, edge });
            }
        }
    }
    if planned.is_empty() {
        return Err(error(ReasonCode::SqlInvalid, "the script makes no output"));
    }
    Ok(planned)
}

fn refused(what: &str) -> HostError {
    error(ReasonCode::SqlRefused, format!("{what} is not allowed in a script"))
}

/// What `statement` does, when it is one of the two that a script consists of.
fn step(session: &Session, statement: Statement) -> Result<Step> {
    match statement {
        Statement::CreateView(mut view) => {
            let name = view_name(&view.name)?;
            bind(session, &mut view.query)?;
            check_syntax(&view.query)?;
            // Whatever else a view can have must be as in this text.
            let Some(Statement::CreateView(mut plain)) = template("CREATE TEMP VIEW v AS SELECT 1")
            else {
                return Err(refused("CREATE VIEW"));
            };
            plain.name = view.name.clone();
            plain.or_replace = view.or_replace;
            std::mem::swap(&mut plain.query, &mut view.query);
            let query = plain.query.clone();
            view.query = query.clone();
            if plain != view {
                return Err(refused(
                    "a view other than CREATE [OR REPLACE] TEMP VIEW name AS SELECT",
                ));
            }
            Ok(Step::View { name, replace: view.or_replace, query })
        }
        Statement::CreateTable(mut table) => {
            let name = output_name(&table.name)?;
            let Some(mut query) = table.query.take() else {
                return Err(refused("CREATE TABLE without AS SELECT"));
            };
            bind(session, &mut query)?;
            check_syntax(&query)?;
            let Some(Statement::CreateTable(mut plain)) = template("CREATE TABLE t AS SELECT 1")
            else {
                return Err(refused("CREATE TABLE"));
            };
            plain.name = table.name.clone();
            plain.query = None;
            if plain != table {
                return Err(refused("a table other than CREATE TABLE output.name AS SELECT"));
            }
            Ok(Step::Output { name, query })
        }
        Statement::Query(_) => Err(refused("SELECT without CREATE TABLE output.name AS")),
        _ => Err(refused("this statement")),
    }
}

fn template(text: &str) -> Option<Statement> {
    parse_script(text).ok()?.pop()
}

fn identifiers(name: &ObjectName) -> Option<Vec<String>> {
    name.0.iter().map(|part| part.as_ident().map(meaning)).collect()
}

fn view_name(name: &ObjectName) -> Result<String> {
    match identifiers(name).as_deref() {
        Some([name]) => Ok(name.clone()),
        _ => Err(refused("a view whose name is more than one word")),
    }
}

fn output_name(name: &ObjectName) -> Result<String> {
    match identifiers(name).as_deref() {
        Some([schema, name]) if schema == OUTPUT => Ok(name.clone()),
        _ => Err(refused("a table outside of `output`")),
    }
}

fn parameter_values(session: &Session) -> ParamValues {
    let values = session.settings.parameters.iter().map(|(name, value)| {
        let value = match value {
            ParameterValue::Boolean(value) => ScalarValue::from(*value),
            ParameterValue::Int64(value) => ScalarValue::from(*value),
            ParameterValue::Float64(value) => ScalarValue::from(*value),
            ParameterValue::Utf8(value) => ScalarValue::from(value.as_str()),
            ParameterValue::Date(days) => ScalarValue::Date32(Some(*days)),
        };
        (name.as_str().to_owned(), value)
    });
    ParamValues::from(values.collect::<Vec<_>>())
}

/// Turns `:name` into the placeholder that the planner knows, in the syntax tree.
fn bind(session: &Session, query: &mut Query) -> Result<()> {
    match query.visit(&mut Binder { session }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(failure) => Err(failure),
    }
}

struct Binder<'a> {
    session: &'a Session,
}

impl VisitorMut for Binder<'_> {
    type Break = HostError;

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<HostError> {
        let Expr::Value(value) = expression else { return ControlFlow::Continue(()) };
        let Value::Placeholder(text) = &mut value.value else {
            return ControlFlow::Continue(());
        };
        let known = text.strip_prefix(':').filter(|name| {
            self.session.settings.parameters.keys().any(|known| known.as_str() == *name)
        });
        match known {
            Some(name) => {
                *text = format!("${name}");
                ControlFlow::Continue(())
            }
            None => {
                let text: String = text.chars().take(64).collect();
                ControlFlow::Break(error(
                    ReasonCode::ParameterInvalid,
                    format!("`{}` is not a declared parameter", text.escape_debug()),
                ))
            }
        }
    }
}
