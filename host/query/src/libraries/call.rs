//! Table functions: each call becomes a table of its statement.
//!
//! `FROM scoring.squares(:k)` is planned as a scan of a table without a name that can be written.
//! Parameters are constants: they are computed before the statement is planned. An argument that is
//! a table's name or a query is the table that the function reads; it is read in an order that is
//! always the same.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Query, SelectItem,
    SetExpr, TableAlias, TableFactor, TableFunctionArgs, VisitMut, VisitorMut,
};
use futures::StreamExt;
use glovebox_contract::library::FunctionKind;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::functions::{FunctionLibrary, TableCall};
use glovebox_sandbox::services::{BatchStream, HostError, Scalar};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{dotted, external};
use crate::arrange::RowsOrdered;
use crate::catalog::GrantedCatalog;
use crate::edge::{Edge, canonical, plain_schema};
use crate::error::{Result, error, execution};
use crate::policy::parse_query;
use crate::session::{Planner, Session};

/// Batches made ahead.
const AHEAD: usize = 2;

/// Stack of the thread that a call runs on: the library's, and the planning of its input.
const STACK_BYTES: usize = 64 << 20;

/// Replaces calls of table functions in `query` by tables that are added to `catalog`.
pub(crate) fn bind_calls(
    session: &Session,
    state: &SessionState,
    catalog: &GrantedCatalog,
    query: &mut Query,
    parameters: &ParamValues,
) -> Result<()> {
    let mut binder = Binder { session, state, catalog, parameters };
    match query.visit(&mut binder) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(failure) => Err(failure),
    }
}

struct Binder<'a> {
    session: &'a Session,
    state: &'a SessionState,
    catalog: &'a GrantedCatalog,
    parameters: &'a ParamValues,
}

impl VisitorMut for Binder<'_> {
    type Break = HostError;

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<HostError> {
        let TableFactor::Table { name, alias, args, .. } = table else {
            return ControlFlow::Continue(());
        };
        let Some(arguments) = args.take() else { return ControlFlow::Continue(()) };
        match self.bind(name, &arguments) {
            Err(failure) => ControlFlow::Break(failure),
            Ok((made, called)) => {
                *name = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', made))]);
                alias.get_or_insert_with(|| TableAlias {
                    explicit: false,
                    name: Ident::with_quote('"', called),
                    columns: Vec::new(),
                    at: None,
                });
                ControlFlow::Continue(())
            }
        }
    }
}

fn invalid(detail: String) -> HostError {
    error(ReasonCode::SqlInvalid, detail)
}

impl Binder<'_> {
    /// The name of the table that stands for a call, and the function's own name.
    fn bind(&self, name: &ObjectName, arguments: &TableFunctionArgs) -> Result<(String, String)> {
        let shown: String = name.to_string().chars().take(100).collect();
        let refused = || {
            let detail = format!("function `{}` is not on the allow-list", shown.escape_debug());
            error(ReasonCode::SqlRefused, detail)
        };
        let called = dotted(name).ok_or_else(refused)?;
        let (library, declaration) = self.session.libraries().find(&called).ok_or_else(refused)?;
        if declaration.kind != FunctionKind::Table || arguments.settings.is_some() {
            return Err(refused());
        }
        let function = called.split_once('.').map_or("", |(_, function)| function).to_owned();
        let (mut values, mut tables) = (Vec::new(), Vec::new());
        for argument in &arguments.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) = argument else {
                return Err(invalid(format!("{called}: arguments have no names")));
            };
            match table_of(expression)? {
                Some(query) => tables.push(query),
                None => values.push(expression.clone()),
            }
        }
        let wanted = (declaration.arguments.len(), usize::from(declaration.input.is_some()));
        if (values.len(), tables.len()) != wanted {
            return Err(invalid(format!(
                "{called} takes {} values and {} tables, not {} and {}",
                wanted.0,
                wanted.1,
                values.len(),
                tables.len()
            )));
        }
        let parameters = self.constants(&called, library, &function, values)?;
        let input = match tables.pop() {
            None => None,
            Some(query) => Some(self.input(&called, library, &function, query)?),
        };
        let schema = library.returns(&function).ok_or_else(refused)?;
        let call = Arc::new(Call {
            library: Arc::clone(library),
            function: function.clone(),
            parameters,
            input,
            schema: Arc::clone(&schema),
        });
        let table =
            StreamingTable::try_new(schema, vec![call]).map_err(|failure| execution(&failure))?;
        Ok((self.catalog.add_call(Arc::new(table)), function))
    }

    /// The values of constant expressions, in the types that the function declares.
    fn constants(
        &self,
        called: &str,
        library: &FunctionLibrary,
        function: &str,
        values: Vec<Expr>,
    ) -> Result<Vec<Scalar>> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = parse_query("SELECT 1")?;
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection = values.into_iter().map(SelectItem::UnnamedExpr).collect();
        }
        let none = GrantedCatalog::default();
        let state = self.session.state_with(none.clone());
        let plan = self.session.plan(&state, &none, *query, self.parameters)?;
        let row = self.session.one_row(&state, plan)?;
        let declared = library.arguments(function).unwrap_or_else(|| row.schema());
        declared
            .fields()
            .iter()
            .zip(row.columns())
            .map(|(field, column)| {
                let unfit = || {
                    invalid(format!(
                        "{called}: argument `{}` is {}",
                        field.name(),
                        field.data_type()
                    ))
                };
                let column = cast(column, field.data_type()).map_err(|_| unfit())?;
                if column.logical_null_count() > 0 && !field.is_nullable() {
                    return Err(invalid(format!("{called}: argument `{}` is null", field.name())));
                }
                scalar(&column).ok_or_else(unfit)
            })
            .collect()
    }

    /// The table that a function reads, planned and checked for its columns.
    fn input(
        &self,
        called: &str,
        library: &FunctionLibrary,
        function: &str,
        query: Query,
    ) -> Result<Input> {
        let plan = self.session.plan(self.state, self.catalog, query, self.parameters)?;
        let declared = library.input(function).unwrap_or_else(|| Arc::new(Schema::empty()));
        let found = plain_schema(plan.schema().as_arrow());
        let same = |(wanted, found): (&Arc<Field>, &Arc<Field>)| {
            wanted.name() == found.name() && wanted.data_type() == found.data_type()
        };
        let fits = declared.fields().len() == found.fields().len()
            && declared.fields().iter().zip(found.fields()).all(same);
        if !fits {
            let columns: Vec<_> = declared
                .fields()
                .iter()
                .map(|field| format!("{} {}", field.name(), field.data_type()))
                .collect();
            let columns = columns.join(", ");
            return Err(invalid(format!("{called} reads a table with the columns {columns}")));
        }
        Ok(Input { planner: self.session.planner(self.state), plan, schema: declared })
    }
}

/// The query of an argument that is a table: a subquery, or a name.
fn table_of(expression: &Expr) -> Result<Option<Query>> {
    let name = match expression {
        Expr::Subquery(query) => return Ok(Some((**query).clone())),
        Expr::Identifier(name) => name.to_string(),
        Expr::CompoundIdentifier(names) => {
            names.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
        }
        _ => return Ok(None),
    };
    Ok(Some(*parse_query(&format!("SELECT * FROM {name}"))?))
}

/// A value as a library gets it.
fn scalar(column: &ArrayRef) -> Option<Scalar> {
    Some(match ScalarValue::try_from_array(column, 0).ok()? {
        value if value.is_null() => Scalar::Null,
        ScalarValue::Boolean(Some(value)) => Scalar::Boolean(value),
        ScalarValue::Int64(Some(value)) => Scalar::Int64(value),
        ScalarValue::UInt64(Some(value)) => Scalar::UInt64(value),
        ScalarValue::Float64(Some(value)) => Scalar::Float64(value),
        ScalarValue::Utf8(Some(value)) => Scalar::Utf8(value),
        ScalarValue::Binary(Some(value)) => Scalar::Binary(value),
        ScalarValue::Date32(Some(value)) => Scalar::Date32(value),
        ScalarValue::TimestampMicrosecond(Some(value), _) => Scalar::TimestampMicros(value),
        ScalarValue::Decimal128(Some(value), precision, scale) => {
            Scalar::Decimal128 { value, precision, scale }
        }
        _ => return None,
    })
}

/// A table that a function reads.
struct Input {
    planner: Planner,
    plan: LogicalPlan,
    schema: SchemaRef,
}

/// One call of a table function. Each execution calls anew.
struct Call {
    library: Arc<FunctionLibrary>,
    function: String,
    parameters: Vec<Scalar>,
    input: Option<Input>,
    schema: SchemaRef,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({}.{})", self.library.name(), self.function)
    }
}

type Message = Result<RecordBatch>;

/// What a call's thread needs.
struct Work {
    library: Arc<FunctionLibrary>,
    function: String,
    parameters: Vec<Scalar>,
    input: Option<(Planner, LogicalPlan, SchemaRef)>,
}

impl Work {
    fn run(self, sender: &Sender<Message>) -> Result<()> {
        let input = match self.input {
            None => None,
            Some((planner, plan, schema)) => {
                let running = planner.physical(plan, RowsOrdered::Stably)?;
                let edge = Edge::new(schema, planner.batch_rows(), ReasonCode::SchemaMismatch);
                Some(Box::new(planner.start(running, edge)) as Box<dyn BatchStream>)
            }
        };
        let mut call = TableCall::new(&self.library, &self.function, &self.parameters, input)?;
        while let Some(batch) = call.next_batch()? {
            let columns = batch.columns().iter().map(canonical).collect::<Result<Vec<_>, _>>();
            let batch = columns.and_then(|columns| RecordBatch::try_new(batch.schema(), columns));
            let batch = batch.map_err(|failure| execution(&failure.into()))?;
            if sender.blocking_send(Ok(batch)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl PartitionStream for Call {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (sender, receiver) = channel(AHEAD);
        let work = Work {
            library: Arc::clone(&self.library),
            function: self.function.clone(),
            parameters: self.parameters.clone(),
            input: self.input.as_ref().map(|input| {
                (input.planner.clone(), input.plan.clone(), Arc::clone(&input.schema))
            }),
        };
        // A library blocks while it computes and while it reads, so it has a thread of its own.
        let started =
            std::thread::Builder::new().name("table".into()).stack_size(STACK_BYTES).spawn({
                let sender = sender.clone();
                move || {
                    if let Err(failure) = work.run(&sender) {
                        drop(sender.blocking_send(Err(failure)));
                    }
                }
            });
        if started.is_err() {
            let failure = error(ReasonCode::Internal, "a table function's thread does not start");
            drop(sender.try_send(Err(failure)));
        }
        let schema = Arc::clone(&self.schema);
        Box::pin(RecordBatchStreamAdapter::new(schema, batches(receiver)))
    }
}

fn batches(
    receiver: Receiver<Message>,
) -> impl futures::Stream<Item = datafusion::common::Result<RecordBatch>> + Send {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|message| (message, receiver))
    })
    .map(|message| message.map_err(external))
}
