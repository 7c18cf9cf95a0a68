//! Tables whose files a broker reads. Nothing of a file is read before a statement needs it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{DataFusionError, Result as PlanResult, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use glovebox_contract::column::Column;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::arrow_types::column_type_to_arrow;
use glovebox_sandbox::services::HostError;
use tokio::sync::OnceCell;

use super::columns::{Wanted, check_columns, csv_schema, granted_schema, ndjson_schema, wanted};
use super::evolve::FileCheck;
use super::footers::FOOTER_BYTES;
use super::{GrantedTable, Place, PreparedTable, deleted, partitions};
use crate::broker::{BrokerFailure, FileNumber, wait};
use crate::describe::{by_position, fetched_schemas};
use crate::error::{Result, error};
use crate::input::{BrokeredFiles, BrokeredTable, FileFormat};
use crate::store::{GrantedFiles, STORE_URL};

/// Files whose deleted rows are asked for at once.
const ASKED_AT_ONCE: usize = 8;

/// A table whose files a broker reads.
#[derive(Debug)]
pub(super) struct Brokered {
    what: String,
    files: BrokeredFiles,
    /// For each partition column its values, one for each file.
    values: Vec<ArrayRef>,
    check: Arc<FileCheck>,
    /// Set when all files are known to have the columns that they are read by the places of.
    heads: OnceCell<()>,
}

/// A brokered table as SQL sees it: partition columns in the encoding of queries or of scans.
#[derive(Debug)]
pub(super) struct Provided {
    shared: Arc<Brokered>,
    columns: Vec<(FieldRef, ArrayRef)>,
}

impl PreparedTable {
    /// Checks what is known of the files of `table` against its grant and adds them to `store`.
    /// Errors call it `what`. Waits for nothing.
    pub(crate) fn brokered(
        what: &str,
        table: BrokeredTable,
        store: &mut GrantedFiles,
    ) -> Result<Self> {
        let BrokeredTable { name: _, granted, renamed, files } = table;
        let mismatch =
            |detail: String| error(ReasonCode::SchemaMismatch, format!("{what}: {detail}"));
        let all = wanted(&granted, &renamed);
        let partition =
            |in_files: &str| files.partition_columns.iter().position(|one| one.name == in_files);
        let (in_partitions, in_files): (Vec<Wanted>, Vec<Wanted>) =
            all.iter().cloned().partition(|column| partition(column.in_files).is_some());
        check_columns(&schema(&files.partition_columns), &in_partitions).map_err(mismatch)?;
        check_columns(&schema(&files.file_columns), &in_files).map_err(mismatch)?;
        let read = match files.format {
            FileFormat::Parquet | FileFormat::ArrowIpc => schema(&files.file_columns),
            FileFormat::Ndjson => ndjson_schema(&in_files),
            FileFormat::Csv => {
                let names: Vec<String> =
                    files.file_columns.iter().map(|column| column.name.clone()).collect();
                csv_schema(&names, &in_files)
            }
        };
        let places = all.iter().map(|column| match partition(column.in_files) {
            Some(place) => Some(Place::Partition(place)),
            None => read.index_of(column.in_files).ok().map(Place::File),
        });
        let places: Option<Vec<Place>> = places.collect();
        let places = places.ok_or_else(|| mismatch("a granted column is missing".into()))?;
        let check = FileCheck {
            what: what.to_owned(),
            evolving: files.evolving,
            wanted: in_files
                .iter()
                .map(|wanted| (wanted.column.clone(), wanted.in_files.to_owned()))
                .collect(),
        };
        let brokered = Brokered {
            what: what.to_owned(),
            values: partitions::values(what, &files.partition_columns, &files.files)?,
            check: Arc::new(check),
            heads: OnceCell::new(),
            files,
        };
        Ok(Self {
            format: brokered.files.format,
            read: Arc::new(read),
            places,
            granted: granted_schema(&granted),
            files: store.add_brokered(&brokered.files),
            brokered: Some(Arc::new(brokered)),
        })
    }
}

/// What is known of columns at the broker. A file may have nulls that nobody announced.
fn schema(columns: &[Column]) -> Schema {
    let fields = columns
        .iter()
        .map(|column| Field::new(&column.name, column_type_to_arrow(&column.column_type), true));
    Schema::new(fields.collect::<Vec<_>>())
}

impl Brokered {
    /// The table with partition columns in the encoding that `as_type` chooses.
    pub(super) fn provided(self: &Arc<Self>, as_type: impl Fn(&DataType) -> DataType) -> Provided {
        let columns = self.files.partition_columns.iter().zip(&self.values).map(|(column, own)| {
            let values = cast(own, &as_type(own.data_type())).unwrap_or_else(|_| Arc::clone(own));
            let field = Field::new(&column.name, values.data_type().clone(), true);
            (Arc::new(field), values)
        });
        Provided { shared: Arc::clone(self), columns: columns.collect() }
    }

    /// Looks at the heads of files whose columns are found by their places: one that has others
    /// than it had would be read wrongly.
    async fn check_heads(self: &Arc<Self>) -> PlanResult<()> {
        if !by_position(self.files.format) {
            return Ok(());
        }
        let look = || async {
            let brokered = Arc::clone(self);
            let looked = tokio::task::spawn_blocking(move || brokered.look_at_heads()).await;
            looked.unwrap_or_else(|_| Err(error(ReasonCode::Internal, "a file's head is lost")))
        };
        self.heads.get_or_try_init(look).await.map_err(external)?;
        Ok(())
    }

    fn look_at_heads(&self) -> Result<()> {
        let known = schema(&self.files.file_columns);
        for found in fetched_schemas(&self.what, &self.files, 0)? {
            let same = found.fields().len() == known.fields().len()
                && found.fields().iter().zip(known.fields()).all(|(found, known)| {
                    // Types of CSV are not in the file.
                    let text = self.files.format == FileFormat::Csv;
                    found.name() == known.name() && (text || found.data_type() == known.data_type())
                });
            if !same {
                let detail = format!("{}: a file has other columns than it had", self.what);
                return Err(error(ReasonCode::SchemaMismatch, detail));
            }
        }
        Ok(())
    }

    /// The rows of the `file`-th file that are left.
    async fn rows_left(
        &self,
        state: &dyn Session,
        file: &PartitionedFile,
        place: usize,
    ) -> PlanResult<ParquetRowSelection> {
        let number =
            FileNumber { table: self.files.table, file: u32::try_from(place).unwrap_or(u32::MAX) };
        let answer = self.files.broker.deleted_rows(number);
        let environment = state.runtime_env();
        let store = environment.object_store(ObjectStoreUrl::parse(STORE_URL)?)?;
        // The cache keeps it for the scan.
        let cache = environment.cache_manager.get_file_metadata_cache();
        let footer = DFParquetMetadata::new(store.as_ref(), &file.object_meta)
            .with_metadata_size_hint(Some(FOOTER_BYTES))
            .with_file_metadata_cache(Some(cache))
            .fetch_metadata()
            .await?;
        let positions = wait(answer).await.map_err(broken)?;
        let rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or_default();
        deleted::left(&positions, rows).map(ParquetRowSelection::new).ok_or_else(|| {
            let detail = format!("{}: deleted rows that a file does not have", self.what);
            external(error(ReasonCode::InputCorrupt, detail))
        })
    }
}

impl Provided {
    /// Fields of the partition columns.
    pub(super) fn fields(&self) -> Vec<FieldRef> {
        self.columns.iter().map(|(field, _)| Arc::clone(field)).collect()
    }

    pub(super) fn has_partitions(&self) -> bool {
        !self.columns.is_empty()
    }

    /// What looks at each file before it is read.
    pub(super) fn adapter(&self) -> Arc<dyn PhysicalExprAdapterFactory> {
        Arc::clone(&self.shared.check) as _
    }

    /// The files that can have rows which meet `filters`, and what is known of all of them
    /// together. `schema` is that of the scan.
    pub(super) async fn files(
        &self,
        state: &dyn Session,
        table: &GrantedTable,
        filters: &[Expr],
        schema: &SchemaRef,
    ) -> PlanResult<(Vec<PartitionedFile>, Statistics)> {
        self.shared.check_heads().await?;
        let named = self.named(table);
        let kept = partitions::kept(state, named, filters, table.files.len())?;
        let mut found = Vec::new();
        for ((place, file), kept) in table.files.iter().enumerate().zip(kept) {
            if kept {
                found.push(self.file(state, place, file.clone()));
            }
        }
        let files: Vec<PartitionedFile> =
            stream::iter(found).buffered(ASKED_AT_ONCE).try_collect().await?;
        let mut statistics = Statistics::new_unknown(schema);
        let bytes: u64 = files.iter().map(|file| file.object_meta.size).sum();
        statistics.total_byte_size =
            Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok((files, statistics))
    }

    /// Granted partition columns, by the names that statements have for them.
    fn named(&self, table: &GrantedTable) -> Vec<(Field, ArrayRef)> {
        let first = table.read.fields().len();
        let named = table.schema.fields().iter().zip(&table.positions);
        let named = named.filter_map(|(field, position)| {
            let (_, values) = self.columns.get(position.checked_sub(first)?)?;
            let values = cast(values, field.data_type()).ok()?;
            Some((field.as_ref().clone().with_nullable(true), values))
        });
        named.collect()
    }

    async fn file(
        &self,
        state: &dyn Session,
        place: usize,
        file: PartitionedFile,
    ) -> PlanResult<PartitionedFile> {
        let values = self.columns.iter();
        let values = values.map(|(_, values)| ScalarValue::try_from_array(values, place));
        let file = file.with_partition_values(values.collect::<PlanResult<_>>()?);
        let known = self.shared.files.files.get(place);
        if !known.is_some_and(|known| known.has_deleted_rows) {
            return Ok(file);
        }
        if self.shared.files.format != FileFormat::Parquet {
            let detail = format!("{}: deleted rows in files of this format", self.shared.what);
            return Err(external(error(ReasonCode::SourceUnsupported, detail)));
        }
        let left = self.shared.rows_left(state, &file, place).await?;
        Ok(file.with_extension(left))
    }
}

fn external(failure: HostError) -> DataFusionError {
    DataFusionError::External(Box::new(failure))
}

fn broken(failure: BrokerFailure) -> DataFusionError {
    DataFusionError::External(Box::new(failure))
}
