//! Tables and views of PostgreSQL, asked for the columns and rows that a run needs.
//!
//! Opening begins a transaction that stands as long as the table is open: it holds the table's
//! columns as they are, and its snapshot is that of every scan. Rows come by `COPY` in binary
//! form and are decoded here: the row decoder of `datafusion-table-providers-postgres`, which brings the
//! connections and writes the SQL, loses times before 1970 and moves those after 2262.

mod columns;
mod connect;
mod copy;
mod decode;
mod failure;
mod filter;
mod numeric;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::TableReference;
use datafusion::logical_expr::Expr;
use datafusion::sql::unparser::dialect::PostgreSqlDialect;
use datafusion_table_providers_common::sql::sql_provider_datafusion::SqlTable;
use datafusion_table_providers_postgres::DynPostgresConnectionPool;
use datafusion_table_providers_postgres::conn::PostgresPooledConnection;
use futures::StreamExt;
use glovebox_contract::column::Column;
use glovebox_room::remote::Pinned;
use tokio_postgres::types::ToSql;

use crate::error::Failure;
use crate::pinned;
use crate::source::{Batches, OpenTable, Request, RowSource, Scan};
use columns::SourceColumn;
use session::Keeper;

/// Most rows of a batch that has no columns.
const MAX_COUNTED_ROWS: u64 = 1 << 20;

/// Where a table is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) schema: String,
    pub(crate) table: String,
}

/// A table of a database, at one snapshot.
struct PostgresTable {
    columns: Vec<Column>,
    sources: Vec<SourceColumn>,
    schema: SchemaRef,
    keeper: Keeper,
    pinned: Pinned,
    sql: SqlTable<PostgresPooledConnection, &'static (dyn ToSql + Sync)>,
    is_utf8: bool,
}

/// Opens a table as it is now.
pub(crate) async fn open(request: &Request, place: &Place) -> Result<OpenTable, Failure> {
    if request.format.is_some() {
        return Err(Failure::unsupported("a table of a database has no file format"));
    }
    if !request.partitions.is_empty() {
        return Err(Failure::unsupported(
            "a table of a database has no partitions to choose from; offer a view instead",
        ));
    }
    let deadline = tokio::time::Instant::from_std(request.deadline);
    let table = tokio::time::timeout_at(deadline, PostgresTable::open(request, place))
        .await
        .map_err(|_| Failure::unavailable("the database does not answer in time"))??;
    Ok(OpenTable::Rows(Arc::new(table)))
}

impl PostgresTable {
    async fn open(request: &Request, place: &Place) -> Result<Self, Failure> {
        let pool = Arc::new(connect::pool(request, place).await?);
        let keeper = Keeper::begin(Arc::clone(&pool), place).await?;
        let sources = columns::read(keeper.client()?, place).await?;
        let pinned = pinned::of_record(0, &keeper.record().await?)?;
        let is_utf8 = keeper.is_utf8().await?;
        let fields = sources.iter().map(SourceColumn::field).collect::<Vec<_>>();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let pool: Arc<DynPostgresConnectionPool> = pool;
        let sql = SqlTable::new_with_schema(
            "postgresql",
            &pool,
            Arc::clone(&schema),
            TableReference::partial(place.schema.as_str(), place.table.as_str()),
        )
        .with_dialect(Arc::new(PostgreSqlDialect {}));
        let columns = sources.iter().map(|source| source.column.clone()).collect();
        Ok(Self { columns, sources, schema, keeper, pinned, sql, is_utf8 })
    }

    /// What is asked of the database for a scan.
    fn sql(&self, scan: &Scan) -> Result<String, Failure> {
        let filters: Vec<Expr> = scan
            .filters
            .iter()
            .filter_map(|wanted| filter::expression(wanted, &self.sources, self.is_utf8))
            .collect();
        // A limit counts rows that meet every filter, and the database may know some of them only.
        let limit = match scan.filters.is_empty() {
            true => scan.limit.and_then(|limit| usize::try_from(limit).ok()),
            false => None,
        };
        self.sql
            .scan_to_sql(Some(&scan.columns), &filters, limit)
            .map_err(|error| Failure::unsupported(format!("the query cannot be written: {error}")))
    }
}

#[async_trait]
impl RowSource for PostgresTable {
    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn pinned(&self) -> Vec<Pinned> {
        vec![self.pinned]
    }

    async fn scan(&self, scan: Scan) -> Result<Batches, Failure> {
        let sql = self.sql(&scan)?;
        let session = self.keeper.session().await?;
        if scan.columns.is_empty() {
            let count = session.count(&sql).await?;
            return Ok(counted(count));
        }
        let schema = self.schema.project(&scan.columns).map_err(|_| no_such_column())?;
        let sources = scan.columns.iter().map(|&at| self.sources.get(at).cloned());
        let sources = sources.collect::<Option<Vec<_>>>().ok_or_else(no_such_column)?;
        copy::stream(session, &sql, &sources, Arc::new(schema)).await
    }
}

fn no_such_column() -> Failure {
    Failure::new(
        glovebox_contract::reason::ReasonCode::SchemaMismatch,
        "the run asks for a column that the table does not have",
    )
}

/// Batches without columns that have so many rows together.
fn counted(count: u64) -> Batches {
    let sizes = std::iter::successors(Some(count), |left| left.checked_sub(MAX_COUNTED_ROWS))
        .map(|left| left.min(MAX_COUNTED_ROWS))
        .filter(|size| *size > 0);
    let schema: SchemaRef = Arc::new(Schema::empty());
    let batches = sizes.map(move |rows| {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&schema), Vec::new(), &options)
            .map_err(|error| Failure::unreadable(error.to_string()))
    });
    futures::stream::iter(batches).boxed()
}
