//! One `SELECT` over tables in memory, for whoever owns them: no files, no network, no clock, and
//! the same statements and functions as in a notebook.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::sql::parser::Statement as PlannedStatement;
use datafusion::sql::sqlparser::ast::Statement;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::services::BatchStream as _;

use crate::arrange::RowsOrdered;
use crate::catalog::GrantedCatalog;
use crate::edge::{Edge, plain_schema};
use crate::error::{Result, error, execution, planning};
use crate::input::SessionSettings;
use crate::libraries::Libraries;
use crate::plan_policy::check_plan;
use crate::policy::{check_expansion, check_tables, parse_query};
use crate::session::{self, Planner, on_large_stack};
use crate::store::GrantedFiles;

/// A table in memory.
#[derive(Debug, Clone)]
pub struct LocalTable {
    /// Its name, which SQL writes without a schema.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
}

/// What `sql` selects from `tables`, with the same rows in the same order every time.
///
/// Blocks, and must not be called on a thread of an asynchronous runtime.
///
/// # Errors
/// When the SQL is none, is more than one `SELECT`, or names anything but `tables` and the functions
/// of the allow-list, or fails on the data.
pub fn select(tables: Vec<LocalTable>, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let settings = SessionSettings { partitions: 1, ..SessionSettings::default() };
    let runtime = session::runtime(&settings)?;
    let environment = session::environment(GrantedFiles::default(), &settings)
        .map_err(|failure| execution(&failure))?;
    let named = tables.into_iter().map(|LocalTable { name, schema, batches }| {
        let table = MemTable::try_new(schema, vec![batches]);
        let table = table.map_err(|_| {
            error(ReasonCode::Internal, "the rows of a table do not have its columns")
        })?;
        Ok((name, Arc::new(table) as Arc<dyn TableProvider>))
    });
    let catalog = GrantedCatalog::of_bare_names(named.collect::<Result<Vec<_>>>()?);
    let state = session::nameless_state(&settings, environment)?;
    let state = SessionStateBuilder::new_from_existing(state)
        .with_catalog_list(Arc::new(catalog.clone()))
        .build();
    let planner = Planner::new(&state, runtime.handle(), &settings);
    let running = on_large_stack(|| {
        let query = parse_query(sql)?;
        check_expansion(&query, &catalog)?;
        check_tables(&query, &catalog)?;
        let statement = PlannedStatement::Statement(Box::new(Statement::Query(query)));
        let plan = runtime
            .block_on(state.statement_to_plan(statement))
            .map_err(|failure| planning(&failure))?;
        check_plan(&plan, &Libraries::default())?;
        planner.physical(plan, RowsOrdered::Stably)
    })?;
    let schema = plain_schema(&running.schema());
    let edge = Edge::new(schema, settings.batch_rows, ReasonCode::QueryFailed);
    let mut rows = planner.start(running, edge);
    let mut batches = Vec::new();
    while let Some(batch) = rows.next()? {
        batches.push(batch);
    }
    Ok((rows.schema(), batches))
}
