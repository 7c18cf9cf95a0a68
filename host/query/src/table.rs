//! A granted table: files with some of their columns.

mod brokered;
mod columns;
mod deleted;
mod evolve;
mod footers;
mod partitions;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result as PlanResult, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::file_format::FileFormat as Reader;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column as ColumnExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::projection::ProjectionExec;
use glovebox_contract::reason::ReasonCode;

use self::brokered::{Brokered, Provided};
use self::columns::{csv_schema, loosen, ndjson_schema};
use crate::describe::{by_position, csv_header, file_schema};
use crate::error::{Result, error, input};
use crate::input::{FileFormat, InputTable};
use crate::read_at::ReadAt as _;
use crate::store::{GrantedFiles, STORE_URL};

pub(crate) use self::columns::{check_columns, for_queries, granted_schema, wanted};

/// A table whose files are in the store and agree with what was granted.
///
/// Its granted columns have the names that the run knows. What the files call them is known in
/// here only, and in no error.
#[derive(Debug)]
pub(crate) struct PreparedTable {
    format: FileFormat,
    /// All columns of the files, or, where the reader finds columns by name, at least the granted
    /// ones; with the names in the files.
    read: SchemaRef,
    /// For each granted column where it comes from.
    places: Vec<Place>,
    granted: SchemaRef,
    files: Vec<PartitionedFile>,
    /// Where the files are, when they are not here.
    brokered: Option<Arc<Brokered>>,
}

/// Where a column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// From the files: its position among the columns that are read.
    File(usize),
    /// From what is known of each file: its position among the partition columns.
    Partition(usize),
}

impl PreparedTable {
    /// Checks the files of `table` against its grant and moves them to `store`. Errors call it
    /// `what`.
    pub(crate) fn new(what: &str, table: InputTable, store: &mut GrantedFiles) -> Result<Self> {
        let InputTable { name: _, format, file_columns, granted, renamed, files } = table;
        let wanted = wanted(&granted, &renamed);
        let mismatch =
            |detail: String| error(ReasonCode::SchemaMismatch, format!("{what}: {detail}"));
        let mut read: Option<SchemaRef> = None;
        for (index, file) in files.iter().enumerate() {
            let schema = match format {
                FileFormat::Ndjson => file.check_length().map(|()| ndjson_schema(&wanted)),
                FileFormat::Csv => csv_header(file).map(|names| csv_schema(&names, &wanted)),
                FileFormat::Parquet | FileFormat::ArrowIpc => file_schema(format, file, 0),
            }
            .map_err(|failure| input(what, index, &failure))?;
            check_columns(&schema, &wanted)
                .map_err(|detail| mismatch(format!("file {}: {detail}", index + 1)))?;
            match &read {
                Some(first) if by_position(format) && first.fields() != schema.fields() => {
                    return Err(mismatch(format!(
                        "file {} has other columns than file 1",
                        index + 1
                    )));
                }
                Some(first) => read = Some(Arc::new(loosen(first, &schema))),
                None => read = Some(Arc::new(schema)),
            }
        }
        let read = read.ok_or_else(|| mismatch("it has no file".into()))?;
        if let Some(known) = file_columns
            && !matches!(format, FileFormat::Ndjson)
            && known.iter().any(|column| read.index_of(&column.name).is_err())
        {
            return Err(mismatch("its files lack a column that they had".into()));
        }
        let places: Option<Vec<_>> = wanted
            .iter()
            .map(|column| read.index_of(column.in_files).ok().map(Place::File))
            .collect();
        let places = places.ok_or_else(|| mismatch("a granted column is missing".into()))?;
        let granted = granted_schema(&granted);
        Ok(Self { format, read, places, granted, files: store.add(files), brokered: None })
    }

    /// The granted columns with the types of the grant.
    pub(crate) fn granted(&self) -> &SchemaRef {
        &self.granted
    }

    /// The table as SQL sees it: texts and binaries are views, which join and group faster.
    pub(crate) fn for_queries(&self) -> GrantedTable {
        self.provider(for_queries)
    }

    /// The table as a scan reads it: the very types of the grant.
    pub(crate) fn for_scans(&self) -> GrantedTable {
        self.provider(DataType::clone)
    }

    fn provider(&self, as_type: impl Fn(&DataType) -> DataType) -> GrantedTable {
        let fields = self.granted.fields().iter().zip(&self.places).map(|(field, place)| {
            // A grant may promise more than the file: nulls are looked for at the edge instead.
            let in_file = match place {
                Place::File(at) => {
                    self.read.fields().get(*at).is_none_or(|found| found.is_nullable())
                }
                Place::Partition(_) => true,
            };
            Field::new(field.name(), as_type(field.data_type()), field.is_nullable() || in_file)
        });
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let (read, moved) = match self.format {
            FileFormat::Parquet | FileFormat::Ndjson => self.by_name(&schema),
            FileFormat::Csv => (self.by_position(&schema), BTreeMap::new()),
            FileFormat::ArrowIpc => (Arc::clone(&self.read), BTreeMap::new()),
        };
        let positions = self.places.iter().map(|place| match place {
            Place::File(at) => moved.get(at).copied().unwrap_or(*at),
            Place::Partition(at) => read.fields().len() + at,
        });
        GrantedTable {
            format: self.format,
            positions: positions.collect(),
            read,
            schema,
            files: self.files.clone(),
            brokered: self.brokered.as_ref().map(|brokered| brokered.provided(as_type)),
        }
    }

    /// Granted columns that come from the files: their fields in `schema`, and where they are read.
    fn read_columns<'a>(&'a self, schema: &'a Schema) -> impl Iterator<Item = (&'a Field, usize)> {
        let granted = schema.fields().iter().zip(&self.places);
        granted.filter_map(|(field, place)| match place {
            Place::File(at) => Some((field.as_ref(), *at)),
            Place::Partition(_) => None,
        })
    }

    /// For readers that find columns by name and cast them: the granted columns, each once, and
    /// where what stands in `read` is among them.
    fn by_name(&self, schema: &Schema) -> (SchemaRef, BTreeMap<usize, usize>) {
        let mut fields: Vec<Field> = Vec::new();
        let mut places: BTreeMap<usize, usize> = BTreeMap::new();
        for (granted, position) in self.read_columns(schema) {
            let place = *places.entry(position).or_insert(fields.len());
            if place == fields.len() {
                let name = self.read.fields().get(position).map_or("", |field| field.name());
                fields.push(granted.clone().with_name(name));
            }
        }
        (Arc::new(Schema::new(fields)), places)
    }

    /// For readers that parse text by position: all columns, the granted ones with their types.
    fn by_position(&self, schema: &Schema) -> SchemaRef {
        let mut fields = self.read.fields().to_vec();
        for (granted, position) in self.read_columns(schema) {
            if let Some(field) = fields.get_mut(position) {
                *field = Arc::new(granted.clone().with_name(field.name()));
            }
        }
        Arc::new(Schema::new(fields))
    }
}

/// All that SQL can know of a table: its granted columns.
#[derive(Debug)]
pub(crate) struct GrantedTable {
    format: FileFormat,
    read: SchemaRef,
    /// For each column where it is among those of `read`, and partition columns after them.
    positions: Vec<usize>,
    schema: SchemaRef,
    files: Vec<PartitionedFile>,
    brokered: Option<Provided>,
}

impl GrantedTable {
    fn reader(&self) -> Arc<dyn Reader> {
        match self.format {
            FileFormat::Parquet => Arc::new(ParquetFormat::new().with_force_view_types(false)),
            // Quoted line breaks are valid CSV, so a file cannot be cut at any line break.
            FileFormat::Csv => {
                Arc::new(CsvFormat::default().with_has_header(true).with_newlines_in_values(true))
            }
            FileFormat::Ndjson => Arc::new(JsonFormat::default()),
            FileFormat::ArrowIpc => Arc::new(ArrowFormat),
        }
    }

    /// What is read, with the columns of partitions.
    fn table_schema(&self) -> TableSchema {
        let partitions = self.brokered.as_ref().map_or_else(Vec::new, Provided::fields);
        TableSchema::builder(Arc::clone(&self.read)).with_table_partition_cols(partitions).build()
    }

    /// The files with their statistics, and the statistics of all.
    ///
    /// Sort orders that a file claims are ignored: a wrong claim must not change an answer.
    async fn statistics(
        &self,
        state: &dyn Session,
        reader: &Arc<dyn Reader>,
    ) -> PlanResult<(Vec<PartitionedFile>, Statistics)> {
        let mut files = self.files.clone();
        if self.format != FileFormat::Parquet {
            return Ok((files, Statistics::new_unknown(&self.read)));
        }
        let store = state.runtime_env().object_store(ObjectStoreUrl::parse(STORE_URL)?)?;
        for file in &mut files {
            let read = Arc::clone(&self.read);
            let found = reader.infer_stats(state, &store, read, &file.object_meta).await?;
            file.statistics = Some(Arc::new(found));
        }
        let all = files.iter().filter_map(|file| file.statistics.as_deref());
        let merged = Statistics::try_merge_iter(all, &self.read)?;
        Ok((files, merged))
    }
}

#[async_trait]
impl TableProvider for GrantedTable {
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
        // Inexact: the reader may skip row groups by their statistics and files by their partitions,
        // the filter runs anyway.
        let has_partitions = self.brokered.as_ref().is_some_and(Provided::has_partitions);
        let support = match self.format {
            FileFormat::Parquet => TableProviderFilterPushDown::Inexact,
            _ if has_partitions => TableProviderFilterPushDown::Inexact,
            _ => TableProviderFilterPushDown::Unsupported,
        };
        Ok(vec![support; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let reader = self.reader();
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&all);
        let schema: SchemaRef = Arc::new(self.schema.project(wanted)?);
        // A column that has two names is read once.
        let mut positions: Vec<usize> = Vec::with_capacity(wanted.len());
        let mut sources = Vec::with_capacity(wanted.len());
        for position in wanted.iter().filter_map(|column| self.positions.get(*column)) {
            let known = positions.iter().position(|known| known == position);
            sources.push(known.unwrap_or(positions.len()));
            if known.is_none() {
                positions.push(*position);
            }
        }
        let table = self.table_schema();
        let (files, statistics) = match &self.brokered {
            None => self.statistics(state, &reader).await?,
            Some(brokered) => brokered.files(state, self, filters, table.table_schema()).await?,
        };
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let parquet_at_broker = self.brokered.is_some() && self.format == FileFormat::Parquet;
        let source = match parquet_at_broker {
            true => footers::source(state, table)?,
            false => reader.file_source(table),
        };
        let partitions = state.config().target_partitions().max(1);
        let scan = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, source)
            .with_file_groups(FileGroup::new(files).split_files(partitions))
            .with_statistics(statistics)
            .with_projection_indices(Some(positions))?
            .with_limit(limit)
            .with_expr_adapter(self.brokered.as_ref().map(Provided::adapter))
            .build();
        let plan = match parquet_at_broker {
            true => DataSourceExec::from_data_source(scan) as _,
            false => reader.create_physical_plan(state, scan).await?,
        };
        conform(plan, &schema, &sources)
    }
}

/// `plan` with the columns of `schema`: for each of them, `sources` says where it is in `plan`.
/// They get their names, and their types where they differ in encoding.
fn conform(
    plan: Arc<dyn ExecutionPlan>,
    schema: &SchemaRef,
    sources: &[usize],
) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let found = plan.schema();
    let same = found.fields().len() == schema.fields().len()
        && found.fields().iter().zip(schema.fields()).all(|(found, wanted)| {
            found.data_type() == wanted.data_type() && found.name() == wanted.name()
        });
    if same {
        return Ok(plan);
    }
    let expressions = schema.fields().iter().zip(sources).map(|(wanted, source)| {
        let field = found.fields().get(*source).unwrap_or(wanted);
        let column: Arc<dyn PhysicalExpr> = Arc::new(ColumnExpr::new(field.name(), *source));
        let value: Arc<dyn PhysicalExpr> = if field.data_type() == wanted.data_type() {
            column
        } else {
            Arc::new(CastExpr::new(column, wanted.data_type().clone(), None))
        };
        (value, wanted.name().clone())
    });
    Ok(Arc::new(ProjectionExec::try_new(expressions.collect::<Vec<_>>(), plan)?))
}

#[cfg(test)]
mod tests;
