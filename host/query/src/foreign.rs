//! Tables of databases, which a broker asks.
//!
//! A database has its rows in no order, and in another one each time. Where the answer of a plan
//! depends on the order of rows, rows of foreign tables are therefore sorted by all the columns that
//! the plan reads ([`in_one_order`]), before anything else sees them: rows that are still equal
//! cannot be told apart. So a column that has no order is not read at all.

mod batches;
mod conditions;
mod scan;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as PlanResult;
use datafusion::datasource::TableType;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::arrow_types::column_type_to_arrow;

use self::conditions::{Known, condition};
use self::scan::ForeignExec;
use crate::arrange::is_sortable;
use crate::broker::RowScan;
use crate::error::{Result, error};
use crate::input::ForeignTable;
use crate::table::{check_columns, for_queries, granted_schema, wanted};

pub(crate) use self::scan::in_one_order;

/// Bytes of conditions that go to the broker with one scan, about. More are checked here only.
const MOST_CONDITION_BYTES: usize = 256 << 10;

/// A foreign table that agrees with what was granted.
#[derive(Debug)]
pub(crate) struct PreparedForeign {
    table: ForeignTable,
    /// For each granted column its position among the table's.
    positions: Vec<usize>,
    granted: SchemaRef,
}

impl PreparedForeign {
    /// Checks `table` against its grant. Errors call it `what`.
    pub(crate) fn new(what: &str, table: ForeignTable) -> Result<Self> {
        let wrong = |reason, detail: String| error(reason, format!("{what}: {detail}"));
        let fields = table.columns.iter().map(|column| {
            Field::new(&column.name, column_type_to_arrow(&column.column_type), true)
        });
        let known = Schema::new(fields.collect::<Vec<_>>());
        let wanted = wanted(&table.granted, &table.renamed);
        check_columns(&known, &wanted)
            .map_err(|detail| wrong(ReasonCode::SchemaMismatch, detail))?;
        let mut positions = Vec::with_capacity(wanted.len());
        for column in &wanted {
            let position = known.index_of(column.in_files).map_err(|_| {
                wrong(ReasonCode::SchemaMismatch, "a granted column is missing".into())
            })?;
            if known.fields().get(position).is_some_and(|field| !is_sortable(field.data_type())) {
                let name = column.column.name.escape_debug();
                let detail = format!("column `{name}` has a type without an order");
                return Err(wrong(ReasonCode::SourceUnsupported, detail));
            }
            positions.push(position);
        }
        let granted = granted_schema(&table.granted);
        Ok(Self { positions, granted, table })
    }

    /// The granted columns with the types of the grant.
    pub(crate) fn granted(&self) -> &SchemaRef {
        &self.granted
    }

    /// The table as SQL sees it.
    pub(crate) fn for_queries(&self) -> GrantedForeign {
        self.provider(for_queries)
    }

    /// The table as a scan reads it: the very types of the grant.
    pub(crate) fn for_scans(&self) -> GrantedForeign {
        self.provider(DataType::clone)
    }

    fn provider(&self, as_type: impl Fn(&DataType) -> DataType) -> GrantedForeign {
        // Nulls are looked for at the edge.
        let fields = self
            .granted
            .fields()
            .iter()
            .map(|field| Field::new(field.name(), as_type(field.data_type()), true));
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let known = schema.fields().iter().zip(&self.positions).filter_map(|(field, position)| {
            let number = u32::try_from(*position).ok()?;
            let column = self.table.columns.get(*position)?;
            Some((field.name().clone(), Known { number, column_type: column.column_type.clone() }))
        });
        let known: BTreeMap<String, Known> = known.collect();
        let (table, positions) = (self.table.clone(), self.positions.clone());
        GrantedForeign { table, positions, schema, known }
    }
}

/// All that SQL can know of a foreign table: its granted columns.
#[derive(Debug)]
pub(crate) struct GrantedForeign {
    table: ForeignTable,
    positions: Vec<usize>,
    schema: SchemaRef,
    /// Granted columns by name.
    known: BTreeMap<String, Known>,
}

#[async_trait]
impl TableProvider for GrantedForeign {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        // Inexact: what a database takes for equal or less is its own, so the filter runs anyway.
        let support = filters.iter().map(|filter| match condition(filter, &self.known) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        });
        Ok(support.collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        let schema: SchemaRef = Arc::new(self.schema.project(wanted)?);
        // A column that has two names is read once.
        let (mut columns, mut types, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        for position in wanted.iter().filter_map(|column| self.positions.get(*column)) {
            let Some(column) = self.table.columns.get(*position) else { continue };
            let number = u32::try_from(*position).unwrap_or(u32::MAX);
            let known = columns.iter().position(|known| *known == number);
            sources.push(known.unwrap_or(columns.len()));
            if known.is_none() {
                columns.push(number);
                types.push(column_type_to_arrow(&column.column_type));
            }
        }
        let mut conditions = Vec::new();
        let mut bytes = 0;
        for condition in filters.iter().filter_map(|filter| condition(filter, &self.known)) {
            bytes += conditions::weight(&condition);
            if bytes > MOST_CONDITION_BYTES {
                break;
            }
            conditions.push(condition);
        }
        let limit = limit.filter(|_| filters.is_empty()).map(|limit| limit as u64);
        let scan = RowScan { table: self.table.table, columns, conditions, limit };
        let broker = Arc::clone(&self.table.broker);
        Ok(Arc::new(ForeignExec::new(broker, scan, types, sources, schema)))
    }
}
