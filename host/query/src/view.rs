//! Views: an owner's SQL over tables that only this SQL can name.
//!
//! A view is planned in a catalog of its own, with the functions of the allow-list and none of a
//! library. What a run sees of it is a plan under the view's name, so that filters reach the
//! files, and the rules for the order of rows see the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::Column as ColumnName;
use datafusion::datasource::ViewTable;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::sql::parser::Statement as PlannedStatement;
use datafusion::sql::sqlparser::ast::Statement;
use glovebox_contract::column::Column;
use glovebox_contract::name::TableName;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::arrow_types::{arrow_to_column_type, column_type_to_arrow};
use glovebox_sandbox::services::HostError;
use tokio::runtime::Handle;

use crate::arrange::RowsOrdered;
use crate::catalog::GrantedCatalog;
use crate::edge::plain_schema;
use crate::error::{Result, error, execution, planning};
use crate::input::{InputTable, InputView, SessionSettings};
use crate::libraries::Libraries;
use crate::plan_policy::check_plan;
use crate::policy::{check_expansion, check_tables, parse_query};
use crate::session::{self, Planner, on_large_stack};
use crate::store::GrantedFiles;
use crate::table::PreparedTable;

/// SQL with the tables that it reads, by name.
#[derive(Debug)]
struct Definition {
    sql: String,
    tables: Vec<(String, PreparedTable)>,
}

/// A definition that was checked.
#[derive(Debug)]
struct Checked {
    plan: LogicalPlan,
    /// Tables that it reads, each as often as it is named.
    tables: usize,
    /// The session that it was planned in.
    state: SessionState,
}

impl Definition {
    fn new(
        sql: String,
        tables: BTreeMap<String, InputTable>,
        store: &mut GrantedFiles,
    ) -> Result<Self> {
        let prepare = |(name, table): (String, InputTable)| {
            let prepared = PreparedTable::new(&format!("table {name}"), table, store)?;
            Ok((name, prepared))
        };
        Ok(Self { sql, tables: tables.into_iter().map(prepare).collect::<Result<_>>()? })
    }

    /// Plans the SQL with the settings of `state`, but with the view's own tables.
    fn check(&self, state: &SessionState, runtime: &Handle) -> Result<Checked> {
        let tables = self.tables.iter();
        let catalog = GrantedCatalog::of_bare_names(
            tables.map(|(name, table)| (name.clone(), Arc::new(table.for_queries()) as _)),
        );
        let state = SessionStateBuilder::new_from_existing(state.clone())
            .with_catalog_list(Arc::new(catalog.clone()))
            .build();
        on_large_stack(|| {
            let query = parse_query(&self.sql)?;
            let tables = check_expansion(&query, &catalog)?;
            check_tables(&query, &catalog)?;
            let statement = PlannedStatement::Statement(Box::new(Statement::Query(query)));
            let plan = runtime
                .block_on(state.statement_to_plan(statement))
                .map_err(|failure| planning(&failure))?;
            check_plan(&plan, &Libraries::default())?;
            self.check_names(&plan)?;
            // Types that do not fit are found here, where an error is the owner's.
            state.optimize(&plan).map_err(|failure| planning(&failure))?;
            Ok(Checked { plan, tables, state })
        })
    }

    /// Every column has a name of its own. One that nobody gave is made of the expression, such as
    /// `sum(visits.cost)`, and would tell the others what is behind the view.
    fn check_names(&self, plan: &LogicalPlan) -> Result<()> {
        let in_files: BTreeSet<&str> = self
            .tables
            .iter()
            .flat_map(|(_, table)| table.granted().fields())
            .map(|field| field.name().as_str())
            .collect();
        let is_given = |name: &str| {
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ');
            in_files.contains(name) || name.chars().all(plain)
        };
        let mut names = BTreeSet::new();
        for field in plan.schema().fields() {
            let name: String = field.name().chars().take(64).collect();
            let refused = |why: &str| {
                let detail = format!("column `{}` of the view {why}", name.escape_debug());
                Err(error(ReasonCode::SqlInvalid, detail))
            };
            if !names.insert(field.name()) {
                return refused("is there twice; name one with AS");
            }
            if !is_given(field.name()) {
                return refused("has no name of letters, digits and `_`; name it with AS");
            }
        }
        Ok(())
    }
}

/// The columns of a view: of what `sql` selects from `tables`, all of whose columns are granted.
///
/// # Errors
/// When the SQL is refused, or reads anything but `tables`, or a file is not what it should be.
/// The texts are for the owner of the view.
pub fn describe_view(sql: &str, tables: BTreeMap<String, InputTable>) -> Result<Vec<Column>> {
    let settings = SessionSettings { partitions: 1, ..SessionSettings::default() };
    let mut store = GrantedFiles::default();
    let definition = Definition::new(sql.to_owned(), tables, &mut store)?;
    let runtime = session::runtime(&settings)?;
    let environment =
        session::environment(store, &settings).map_err(|failure| execution(&failure))?;
    let state = session::nameless_state(&settings, environment)?;
    let Checked { plan, state, .. } = definition.check(&state, runtime.handle())?;
    let planner = Planner::new(&state, runtime.handle(), &settings);
    let schema = on_large_stack(|| Ok(planner.physical(plan, RowsOrdered::Stably)?.schema()))?;
    let column = |field: &Arc<Field>| {
        let column_type = arrow_to_column_type(field.data_type()).map_err(|_| {
            let name = field.name().escape_debug();
            let detail = format!("column `{name}` has a type that is not supported; cast it");
            error(ReasonCode::SchemaMismatch, detail)
        })?;
        Ok(Column { name: field.name().clone(), nullable: field.is_nullable(), column_type })
    };
    plain_schema(&schema).fields().iter().map(column).collect()
}

/// A view whose files are in the store.
#[derive(Debug)]
pub(crate) struct PreparedView {
    name: TableName,
    granted: Vec<Column>,
    renamed: BTreeMap<String, String>,
    definition: Definition,
}

/// What a run can know of a view: its granted columns.
pub(crate) struct GrantedView {
    pub(crate) provider: Arc<dyn TableProvider>,
    /// Tables that it reads.
    pub(crate) tables: usize,
}

impl PreparedView {
    pub(crate) fn new(view: InputView, store: &mut GrantedFiles) -> Result<Self> {
        let InputView { name, granted, renamed, sql, tables } = view;
        let definition =
            Definition::new(sql, tables, store).map_err(|failure| private(&name, &failure))?;
        Ok(Self { name, granted, renamed, definition })
    }

    /// The granted columns with the types of the grant.
    pub(crate) fn granted(&self) -> SchemaRef {
        let fields = self.granted.iter().map(|column| {
            Field::new(&column.name, column_type_to_arrow(&column.column_type), column.nullable)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Plans the view. `state` knows no function of a library.
    pub(crate) fn plan(&self, state: &SessionState, runtime: &Handle) -> Result<GrantedView> {
        let checked = self.definition.check(state, runtime);
        let Checked { plan, tables, .. } =
            checked.map_err(|failure| private(&self.name, &failure))?;
        let columns = self.granted.iter().map(|column| self.column(column, &plan));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let projected = Projection::try_new(columns, Arc::new(plan))
            .map_err(|_| outdated(&self.name, ReasonCode::SchemaMismatch))?;
        let plan = LogicalPlan::Projection(projected);
        Ok(GrantedView { provider: Arc::new(ViewTable::new(plan, None)), tables })
    }

    /// A granted column, which must still have the type that the owner published.
    fn column(&self, column: &Column, plan: &LogicalPlan) -> Result<Expr> {
        let mismatch = || outdated(&self.name, ReasonCode::SchemaMismatch);
        let in_view = self.renamed.get(&column.name).unwrap_or(&column.name);
        let (qualifier, field) =
            plan.schema().qualified_field_with_unqualified_name(in_view).map_err(|_| mismatch())?;
        let same = arrow_to_column_type(field.data_type())
            .is_ok_and(|found| column.column_type.is_compatible(&found));
        if !same {
            return Err(mismatch());
        }
        Ok(Expr::Column(ColumnName::from((qualifier, field))).alias(&column.name))
    }
}

/// A failure of a view as others than its owner may know it: SQL, tables and columns of the view
/// are in the owner's hands only.
fn private(name: &TableName, failure: &HostError) -> HostError {
    match failure.reason() {
        // The SQL ran when it was added, so it is the files that changed.
        ReasonCode::SqlInvalid | ReasonCode::ColumnNotGranted => {
            outdated(name, ReasonCode::SchemaMismatch)
        }
        reason => outdated(name, reason),
    }
}

fn outdated(name: &TableName, reason: ReasonCode) -> HostError {
    let detail = format!(
        "view {name}: the files behind it are not what they were when it was added; its owner adds \
         it again"
    );
    error(reason, detail)
}
