//! Reading Parquet files at the broker so that an error still says who caused it.
//!
//! The engine's own reader of footers keeps only the text of an error; what the broker said would
//! look like a damaged file.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::catalog::Session;
use datafusion::common::Result as PlanResult;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetFileReaderFactory,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ReadResult};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStore};

use crate::store::STORE_URL;

/// Bytes of a file's end that are read at once to find its footer.
pub(super) const FOOTER_BYTES: usize = 64 << 10;

/// A source of Parquet files at the broker.
pub(super) fn source(state: &dyn Session, table: TableSchema) -> PlanResult<Arc<dyn FileSource>> {
    let environment = state.runtime_env();
    let store = environment.object_store(ObjectStoreUrl::parse(STORE_URL)?)?;
    let cache = environment.cache_manager.get_file_metadata_cache();
    let inner = CachedParquetFileReaderFactory::new(Arc::clone(&store), Arc::clone(&cache));
    let readers = Readers { store, cache, inner };
    let source = ParquetSource::new(table)
        .with_parquet_file_reader_factory(Arc::new(readers))
        .with_metadata_size_hint(FOOTER_BYTES);
    Ok(Arc::new(source))
}

#[derive(Debug)]
struct Readers {
    store: Arc<dyn ObjectStore>,
    cache: Arc<FileMetadataCache>,
    inner: CachedParquetFileReaderFactory,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer_bytes: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> PlanResult<Box<dyn AsyncFileReader + Send>> {
        let meta = file.object_meta.clone();
        let inner = self.inner.create_reader(partition, file, footer_bytes, metrics)?;
        let (store, cache) = (Arc::clone(&self.store), Arc::clone(&self.cache));
        Ok(Box::new(Reader { meta, store, cache, inner }))
    }
}

struct Reader {
    meta: ObjectMeta,
    store: Arc<dyn ObjectStore>,
    cache: Arc<FileMetadataCache>,
    inner: Box<dyn AsyncFileReader + Send>,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ReadResult<Bytes>> {
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ReadResult<Vec<Bytes>>> {
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ReadResult<Arc<ParquetMetaData>>> {
        let policy = options.map(ArrowReaderOptions::column_index_policy);
        let read = async move {
            DFParquetMetadata::new(self.store.as_ref(), &self.meta)
                .with_file_metadata_cache(Some(Arc::clone(&self.cache)))
                .with_metadata_size_hint(Some(FOOTER_BYTES))
                .with_page_index_policy(policy)
                .fetch_metadata()
                .await
                .map_err(|failure| ParquetError::External(Box::new(failure)))
        };
        read.boxed()
    }
}
