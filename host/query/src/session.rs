//! A run's query engine: its granted tables, its threads, its limits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{SessionStateDefaults, context::SessionConfig};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::sql::parser::Statement as PlannedStatement;
use datafusion::sql::sqlparser::ast::{Expr, Ident, LimitClause, Query, SetExpr, Statement, Value};
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::functions::FunctionLibrary;
use glovebox_sandbox::services::{
    BatchStream, HostError, OutputTables, QueryEngine, Scalar, ScanOptions,
};
use tokio::runtime::{Handle, Runtime};

use crate::arrange::{Arranged, RowsOrdered, arrange};
use crate::catalog::{CATALOG, GrantedCatalog, VIEWS};
use crate::edge::{Edge, plain_schema};
use crate::error::{Result, error, execution, planning};
use crate::foreign::in_one_order;
use crate::functions::AllowedFunctions;
use crate::in_order::in_order;
use crate::input::{Input, SessionSettings};
use crate::libraries::{Libraries, bind_calls};
use crate::memory::SharedPool;
use crate::overflow::CheckIntegers;
use crate::plan_policy::check_plan;
use crate::policy::{check_expansion, check_tables, parse_predicate, parse_query};
use crate::prepared::{self, Named, Prepared};
use crate::store::{GrantedFiles, OnlyGrantedFiles};
use crate::stream::QueryStream;

/// Stack of the thread that plans: syntax and plans are trees that code walks by recursion.
const PLANNING_STACK_BYTES: usize = 64 << 20;

/// Stack of the threads that run plans, whose expressions are such trees, too.
const RUNNING_STACK_BYTES: usize = 16 << 20;

/// The query engine of one run.
///
/// Its methods block, so they must not be called on a thread of an asynchronous runtime.
#[derive(Debug)]
pub struct Session {
    /// The granted columns of every table and view.
    granted: BTreeMap<String, SchemaRef>,
    /// What SQL sees.
    queries: GrantedCatalog,
    /// The same tables, with the types of the grant.
    scans: GrantedCatalog,
    libraries: Libraries,
    state: SessionState,
    pub(crate) settings: SessionSettings,
    /// Last, so that plans are dropped before their threads.
    runtime: Runtime,
}

impl Session {
    /// A session that can read `inputs` and nothing else.
    ///
    /// # Errors
    /// `schema-mismatch` when files do not have the granted columns, `input-corrupt`,
    /// `input-unreadable` or `input-changed` when they cannot be read.
    pub fn new(inputs: Vec<impl Into<Input>>, settings: SessionSettings) -> Result<Self> {
        Self::with_libraries(inputs, Vec::new(), settings)
    }

    /// A session whose SQL may also call the functions of `libraries`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_libraries(
        inputs: Vec<impl Into<Input>>,
        libraries: Vec<Arc<FunctionLibrary>>,
        settings: SessionSettings,
    ) -> Result<Self> {
        let libraries = Libraries::new(libraries);
        let mut store = GrantedFiles::default();
        let prepared = inputs
            .into_iter()
            .map(|input| Prepared::new(input.into(), &mut store))
            .collect::<Result<Vec<_>>>()?;
        let runtime = runtime(&settings)?;
        let environment = environment(store, &settings).map_err(|failure| execution(&failure))?;
        let plain = nameless_state(&settings, Arc::clone(&environment))?;
        let named = prepared
            .into_iter()
            .map(|input| input.named(&plain, runtime.handle()))
            .collect::<Result<Vec<_>>>()?;
        let mut granted = BTreeMap::new();
        for Named { name, granted: columns, .. } in &named {
            if granted.insert(name.to_string(), Arc::clone(columns)).is_some() {
                let detail = format!("table {name} is granted twice");
                return Err(error(ReasonCode::Internal, detail));
            }
        }
        let queries = prepared::catalog(&named, |input| &input.for_queries);
        let scans = prepared::catalog(&named, |input| &input.for_scans);
        let state = session_state(&settings, environment, queries.clone(), &libraries)?;
        Ok(Self { granted, queries, scans, libraries, state, settings, runtime })
    }

    /// What a script sees at its start: the granted tables and no views.
    pub(crate) fn fresh_catalog(&self) -> GrantedCatalog {
        self.queries.without_views()
    }

    /// The state of this session.
    pub(crate) fn state(&self) -> &SessionState {
        &self.state
    }

    /// The state of this session, but with the names of `catalog`.
    pub(crate) fn state_with(&self, catalog: GrantedCatalog) -> SessionState {
        SessionStateBuilder::new_from_existing(self.state.clone())
            .with_catalog_list(Arc::new(catalog))
            .build()
    }

    /// The libraries whose functions SQL may call.
    pub(crate) fn libraries(&self) -> &Libraries {
        &self.libraries
    }

    /// Checks `query` and plans it against the names of `state`, which are those of `catalog`.
    pub(crate) fn plan(
        &self,
        state: &SessionState,
        catalog: &GrantedCatalog,
        mut query: Query,
        parameters: &ParamValues,
    ) -> Result<LogicalPlan> {
        self.libraries.qualify(&mut query);
        bind_calls(self, state, catalog, &mut query, parameters)?;
        check_expansion(&query, catalog)?;
        check_tables(&query, catalog)?;
        let statement = PlannedStatement::Statement(Box::new(Statement::Query(Box::new(query))));
        let plan = self
            .runtime
            .block_on(state.statement_to_plan(statement))
            .map_err(|failure| planning(&failure))?;
        let plan =
            plan.with_param_values(parameters.clone()).map_err(|failure| planning(&failure))?;
        check_plan(&plan, &self.libraries)?;
        Ok(plan)
    }

    /// What turns plans into what runs.
    pub(crate) fn planner(&self, state: &SessionState) -> Planner {
        Planner::new(state, self.runtime.handle(), &self.settings)
    }

    /// The one row of `plan`, which reads no table.
    pub(crate) fn one_row(&self, state: &SessionState, plan: LogicalPlan) -> Result<RecordBatch> {
        let Running { plan, state } = self.planner(state).physical(plan, RowsOrdered::Stably)?;
        let batches = self
            .runtime
            .block_on(collect(plan, state.task_ctx()))
            .map_err(|failure| execution(&failure))?;
        let row = batches.into_iter().find(|batch| batch.num_rows() == 1);
        row.ok_or_else(|| error(ReasonCode::SqlInvalid, "an argument is not one value"))
    }

    fn start_query(&self, text: &str, parameters: &ParamValues) -> Result<QueryStream> {
        let running = on_large_stack(|| {
            let query = parse_query(text)?;
            let catalog = self.fresh_catalog();
            let state = self.state_with(catalog.clone());
            let plan = self.plan(&state, &catalog, *query, parameters)?;
            self.planner(&state).physical(plan, RowsOrdered::Stably)
        })?;
        let schema = plain_schema(&running.plan.schema());
        let edge = Edge::new(schema, self.settings.batch_rows, ReasonCode::QueryFailed);
        Ok(self.planner(&self.state).start(running, edge))
    }

    fn start_scan(&self, table: &str, options: ScanOptions) -> Result<QueryStream> {
        let granted = self.granted(table)?;
        let columns = match &options.columns {
            None => granted.fields().iter().map(|field| field.name().clone()).collect(),
            Some(columns) => columns.clone(),
        };
        let mut seen = BTreeSet::new();
        let mut positions = Vec::with_capacity(columns.len());
        for column in &columns {
            let position = granted.index_of(column).map_err(|_| {
                let column: String = column.chars().take(100).collect();
                error(
                    ReasonCode::ColumnNotGranted,
                    format!("column `{}` of {table} is not granted", column.escape_debug()),
                )
            })?;
            if !seen.insert(position) {
                return Err(error(ReasonCode::InvalidArgument, "a column is listed twice"));
            }
            positions.push(position);
        }
        if columns.is_empty() {
            return Err(error(ReasonCode::InvalidArgument, "a scan reads at least one column"));
        }
        let rows = options.batch_rows.map_or(self.settings.batch_rows, |rows| {
            usize::try_from(rows).unwrap_or(usize::MAX).clamp(1, MOST_BATCH_ROWS)
        });
        let running = on_large_stack(|| {
            let query = scan_query(table, &columns, options.filter.as_deref(), options.limit)?;
            let mut state = self.state_with(self.scans.clone());
            let config = state.config().clone().with_batch_size(rows);
            *state.config_mut() = config;
            let plan = self.plan(&state, &self.scans, *query, &ParamValues::List(Vec::new()))?;
            self.planner(&state).physical(plan, RowsOrdered::Stably)
        })?;
        let schema = granted
            .project(&positions)
            .map_err(|_| error(ReasonCode::Internal, "the columns of a scan are gone"))?;
        let edge = Edge::new(Arc::new(schema), rows, ReasonCode::SchemaMismatch);
        Ok(self.planner(&self.state).start(running, edge))
    }

    fn granted(&self, name: &str) -> Result<&SchemaRef> {
        self.granted.get(name).ok_or_else(|| {
            let name: String = name.chars().take(130).collect();
            error(
                ReasonCode::TableNotGranted,
                format!("table {} is not granted", name.escape_debug()),
            )
        })
    }
}

/// Most rows that a guest may ask for in one batch.
const MOST_BATCH_ROWS: usize = 1 << 20;

/// A physical plan and the settings it runs with.
pub(crate) struct Running {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    state: SessionState,
}

impl Running {
    /// The schema of its batches.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }
}

/// Turns checked plans into what runs, wherever that happens.
#[derive(Debug, Clone)]
pub(crate) struct Planner {
    state: SessionState,
    runtime: Handle,
    batch_rows: usize,
}

impl Planner {
    pub(crate) fn new(state: &SessionState, runtime: &Handle, settings: &SessionSettings) -> Self {
        let (state, runtime) = (state.clone(), runtime.clone());
        Self { state, runtime, batch_rows: settings.batch_rows }
    }

    /// Most rows of a batch.
    pub(crate) fn batch_rows(&self) -> usize {
        self.batch_rows
    }

    /// Orders `plan` and turns it into what runs. Blocks.
    pub(crate) fn physical(&self, plan: LogicalPlan, rows: RowsOrdered) -> Result<Running> {
        let Arranged { plan, parallel } =
            arrange(plan, rows).map_err(|failure| planning(&failure))?;
        let mut state = self.state.clone();
        if !parallel {
            let options = state.config_mut().options_mut();
            options.execution.target_partitions = 1;
            // A join that tells its other side what to look for waits for all partitions, but
            // they are read one after the other.
            options.optimizer.enable_dynamic_filter_pushdown = false;
            options.optimizer.enable_join_dynamic_filter_pushdown = false;
            options.optimizer.enable_topk_dynamic_filter_pushdown = false;
            options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
        }
        let mut plan = self
            .runtime
            .block_on(state.create_physical_plan(&plan))
            .map_err(|failure| optimizing(&failure))?;
        if !parallel {
            plan = in_one_order(plan).and_then(in_order).map_err(|failure| execution(&failure))?;
        }
        Ok(Running { plan, state })
    }

    /// Starts what [`Self::physical`] made.
    pub(crate) fn start(&self, running: Running, edge: Edge) -> QueryStream {
        let Running { plan, state } = running;
        QueryStream::start(&self.runtime, plan, state.task_ctx(), edge)
    }
}

impl QueryEngine for Session {
    fn table_schema(&self, table: &str) -> Result<SchemaRef> {
        Ok(Arc::clone(self.granted(table)?))
    }

    fn scan(&mut self, table: &str, options: ScanOptions) -> Result<Box<dyn BatchStream>> {
        Ok(Box::new(self.start_scan(table, options)?))
    }

    fn query(&mut self, statement: &str, parameters: &[Scalar]) -> Result<Box<dyn BatchStream>> {
        let values = parameters.iter().map(scalar_value).collect::<Result<Vec<_>>>()?;
        Ok(Box::new(self.start_query(statement, &ParamValues::from(values))?))
    }

    fn run_script(&mut self, text: &str, outputs: &mut dyn OutputTables) -> Result<()> {
        crate::script::run(self, text, outputs)
    }
}

/// Optimising finds types that do not fit; it also reads footers, whose errors may quote values.
fn optimizing(failure: &datafusion::common::DataFusionError) -> HostError {
    use datafusion::common::DataFusionError::{Plan, SchemaError};
    match failure.find_root() {
        Plan(_) | SchemaError(..) => planning(failure),
        _ => execution(failure),
    }
}

/// `SELECT columns FROM table WHERE filter LIMIT limit`, put together as syntax, not as text.
fn scan_query(
    table: &str,
    columns: &[String],
    filter: Option<&str>,
    limit: Option<u64>,
) -> Result<Box<Query>> {
    let quoted = |name: &str| Ident::with_quote('"', name).to_string();
    let table: Vec<_> = table.split('.').map(quoted).collect();
    let columns: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
    let text = format!("SELECT {} FROM {}", columns.join(", "), table.join("."));
    let mut query = parse_query(&text)?;
    if let Some(filter) = filter
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        select.selection = Some(parse_predicate(filter)?);
    }
    if let Some(limit) = limit {
        query.limit_clause = Some(LimitClause::LimitOffset {
            limit: Some(Expr::value(Value::Number(limit.to_string(), false))),
            offset: None,
            limit_by: Vec::new(),
        });
    }
    Ok(query)
}

/// Runs `work` on a thread whose stack is large enough for any statement within the limits.
pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let failed = || error(ReasonCode::Internal, "the statement could not be planned");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("plan".into())
            .stack_size(PLANNING_STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|_| failed())?;
        thread.join().unwrap_or_else(|_| Err(failed()))
    })
}

fn scalar_value(scalar: &Scalar) -> Result<ScalarValue> {
    Ok(match scalar {
        Scalar::Null => ScalarValue::Null,
        Scalar::Boolean(value) => ScalarValue::from(*value),
        Scalar::Int64(value) => ScalarValue::from(*value),
        Scalar::UInt64(value) => ScalarValue::from(*value),
        Scalar::Float64(value) => ScalarValue::from(*value),
        Scalar::Utf8(value) => ScalarValue::from(value.as_str()),
        Scalar::Binary(value) => ScalarValue::Binary(Some(value.clone())),
        Scalar::Date32(value) => ScalarValue::Date32(Some(*value)),
        Scalar::TimestampMicros(value) => {
            ScalarValue::TimestampMicrosecond(Some(*value), Some("UTC".into()))
        }
        Scalar::Decimal128 { value, precision, scale } => {
            ScalarValue::try_new_decimal128(*value, *precision, *scale)
                .map_err(|_| error(ReasonCode::InvalidArgument, "a decimal is out of range"))?
        }
    })
}

/// The threads of a session.
pub(crate) fn runtime(settings: &SessionSettings) -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.partitions.max(1))
        .max_blocking_threads(2)
        .thread_name("query")
        .thread_stack_size(RUNNING_STACK_BYTES)
        .build()
        .map_err(|_| error(ReasonCode::Internal, "the query threads cannot be started"))
}

/// The state of a session that knows the functions of the allow-list, but no table.
pub(crate) fn nameless_state(
    settings: &SessionSettings,
    environment: Arc<RuntimeEnv>,
) -> Result<SessionState> {
    session_state(settings, environment, GrantedCatalog::default(), &Libraries::default())
}

pub(crate) fn environment(
    store: GrantedFiles,
    settings: &SessionSettings,
) -> datafusion::common::Result<Arc<RuntimeEnv>> {
    let bytes = usize::try_from(settings.memory_bytes).unwrap_or(usize::MAX);
    let (pool, disk): (Arc<dyn MemoryPool>, _) = match &settings.scratch {
        // Spilling operators share what the others leave.
        Some(scratch) => (
            Arc::new(SharedPool::new(bytes, settings.partitions)),
            DiskManagerBuilder::default()
                .with_mode(DiskManagerMode::Directories(vec![scratch.clone()]))
                .with_max_temp_directory_size(settings.scratch_bytes),
        ),
        None => (
            Arc::new(GreedyMemoryPool::new(bytes)),
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
        ),
    };
    RuntimeEnvBuilder::new()
        .with_memory_pool(pool)
        .with_disk_manager_builder(disk)
        .with_object_store_registry(Arc::new(OnlyGrantedFiles::new(store)?))
        .build_arc()
}

fn session_state(
    settings: &SessionSettings,
    environment: Arc<RuntimeEnv>,
    catalog: GrantedCatalog,
    libraries: &Libraries,
) -> Result<SessionState> {
    let mut config = SessionConfig::new()
        .with_target_partitions(settings.partitions.max(1))
        .with_batch_size(settings.batch_rows.max(1))
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, VIEWS)
        .with_information_schema(false);
    let options = config.options_mut();
    options.execution.planning_concurrency = 1;
    options.execution.enable_recursive_ctes = false;
    // A sort that may spill sets memory aside; a small session has to spare some.
    let reserve = usize::try_from(settings.memory_bytes / 16).unwrap_or(usize::MAX);
    options.execution.sort_spill_reservation_bytes =
        options.execution.sort_spill_reservation_bytes.min(reserve);
    // These stop early at rows that depend on timing.
    options.optimizer.enable_distinct_aggregation_soft_limit = false;
    options.optimizer.enable_topk_aggregation = false;
    let mut functions = AllowedFunctions::new().map_err(|failure| execution(&failure))?;
    functions.scalar.extend(libraries.scalars());
    functions.aggregate.extend(libraries.aggregates());
    Ok(SessionStateBuilder::new()
        .with_session_id("glovebox".into())
        .with_config(config)
        .with_runtime_env(environment)
        .with_catalog_list(Arc::new(catalog))
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_analyzer_rule(Arc::new(CheckIntegers::new()))
        .with_scalar_functions(functions.scalar)
        .with_aggregate_functions(functions.aggregate)
        .with_window_functions(functions.window)
        .build())
}
