//! An object store over files that somebody else opened, here or at the broker.
//!
//! DataFusion reads inputs through an object store. This one has no names to resolve, no
//! directory and no network: it holds descriptors and numbers of the broker's files, reads them at
//! positions and refuses everything else. It is the only store that a session knows.

mod fetch;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::common::DataFusionError;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::object_store::{ObjectStoreRegistry, ObjectStoreUrl};
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

use crate::broker::{Broker, BrokerFailure, FileNumber};
use crate::input::{BrokeredFiles, InputFile};

/// The URL under which sessions find the store.
pub(crate) const STORE_URL: &str = "granted://files";

const STORE_NAME: &str = "granted files";

/// Bytes read at once when a whole file is streamed (CSV, NDJSON).
const STREAM_CHUNK_BYTES: u64 = 1 << 20;

/// The same for a file at the broker, which is far away: each chunk is twice the one before, up to
/// this.
const MOST_CHUNK_BYTES: u64 = 8 << 20;

/// Chunks of a file at the broker that are on their way at once.
const CHUNKS_AHEAD: usize = 3;

/// A file is shorter than it was when it was opened.
#[derive(Debug, thiserror::Error)]
#[error("a file became shorter while it was read")]
pub(crate) struct FileShrank;

#[derive(Debug)]
struct OpenFile {
    bytes: u64,
    source: Source,
}

/// Where the bytes of a file come from.
#[derive(Debug)]
enum Source {
    Opened(File),
    Brokered(Arc<dyn Broker>, FileNumber),
}

impl OpenFile {
    /// Reads exactly `range`, which lies inside the file as it was opened.
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        match &self.source {
            Source::Opened(file) => read_opened(file, &range),
            Source::Brokered(..) => {
                let read = self.read_all(&[range]).await?;
                read.into_iter().next().ok_or_else(|| fetch::failed(BrokerFailure::ASTRAY))
            }
        }
    }

    /// Reads exactly `ranges`, which lie inside the file.
    async fn read_all(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match &self.source {
            Source::Opened(file) => ranges.iter().map(|range| read_opened(file, range)).collect(),
            Source::Brokered(broker, number) => {
                fetch::fetch(broker.as_ref(), *number, ranges).await
            }
        }
    }

    /// `range` in chunks to be read one after the other, and how many of them at once.
    fn chunks(&self, range: Range<u64>) -> (impl Iterator<Item = Range<u64>> + use<>, usize) {
        let (most, ahead) = match self.source {
            Source::Opened(_) => (STREAM_CHUNK_BYTES, 1),
            Source::Brokered(..) => (MOST_CHUNK_BYTES, CHUNKS_AHEAD),
        };
        let mut size = STREAM_CHUNK_BYTES;
        let mut position = range.start;
        let chunks = std::iter::from_fn(move || {
            let chunk = position..range.end.min(position.saturating_add(size));
            position = chunk.end;
            size = most.min(size.saturating_mul(2));
            (!chunk.is_empty()).then_some(chunk)
        });
        (chunks, ahead)
    }
}

fn length(range: &Range<u64>) -> Result<usize> {
    usize::try_from(range.end.saturating_sub(range.start))
        .map_err(|_| Error::Generic { store: STORE_NAME, source: "range too large".into() })
}

fn read_opened(file: &File, range: &Range<u64>) -> Result<Bytes> {
    let mut buffer = vec![0; length(range)?];
    file.read_exact_at(&mut buffer, range.start).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            Error::Generic { store: STORE_NAME, source: Box::new(FileShrank) }
        } else {
            Error::Generic { store: STORE_NAME, source: Box::new(error) }
        }
    })?;
    Ok(buffer.into())
}

/// The files of a session, by the path that DataFusion uses for them: `table/file`.
#[derive(Debug, Default)]
pub(crate) struct GrantedFiles {
    files: BTreeMap<Path, Arc<OpenFile>>,
    tables: usize,
}

impl GrantedFiles {
    /// Takes in the files of a table and says how DataFusion names them, in order.
    pub(crate) fn add(&mut self, files: Vec<InputFile>) -> Vec<PartitionedFile> {
        let opened =
            files.into_iter().map(|InputFile { file, bytes }| (Source::Opened(file), bytes));
        self.add_all(opened)
    }

    /// The same for files that a broker reads.
    pub(crate) fn add_brokered(&mut self, files: &BrokeredFiles) -> Vec<PartitionedFile> {
        let BrokeredFiles { broker, table, files, .. } = files;
        let numbered = files.iter().zip(0..).map(|(found, file)| {
            let number = FileNumber { table: *table, file };
            (Source::Brokered(Arc::clone(broker), number), found.bytes)
        });
        self.add_all(numbered)
    }

    fn add_all(&mut self, files: impl Iterator<Item = (Source, u64)>) -> Vec<PartitionedFile> {
        let table = self.tables;
        self.tables = table.saturating_add(1);
        let added = files.enumerate().map(|(index, (source, bytes))| {
            let described = PartitionedFile::new(format!("{table:06}/{index:06}"), bytes);
            let path = described.object_meta.location.clone();
            self.files.insert(path, Arc::new(OpenFile { bytes, source }));
            described
        });
        added.collect()
    }

    fn find(&self, location: &Path) -> Result<&Arc<OpenFile>> {
        self.files.get(location).ok_or_else(|| Error::NotFound {
            path: location.to_string(),
            source: "no such granted file".into(),
        })
    }
}

fn meta(location: &Path, file: &OpenFile) -> ObjectMeta {
    // A pinned snapshot has no time of its own; the constant keeps cache entries valid.
    PartitionedFile::new(location.to_string(), file.bytes).object_meta
}

fn refused<T>(operation: &str) -> Result<T> {
    Err(Error::NotSupported { source: format!("granted files allow no {operation}").into() })
}

fn resolve(range: Option<&GetRange>, bytes: u64) -> Result<Range<u64>> {
    let range = match range {
        None => 0..bytes,
        Some(GetRange::Bounded(range)) => range.start..range.end.min(bytes),
        Some(GetRange::Offset(offset)) => *offset..bytes,
        Some(GetRange::Suffix(length)) => bytes.saturating_sub(*length)..bytes,
    };
    if range.start > range.end {
        return Err(Error::Generic { store: STORE_NAME, source: "range outside the file".into() });
    }
    Ok(range)
}

fn check_inside(range: &Range<u64>, bytes: u64) -> Result<()> {
    if range.start > range.end || range.end > bytes {
        return Err(Error::Generic { store: STORE_NAME, source: "range outside the file".into() });
    }
    Ok(())
}

fn chunks(file: Arc<OpenFile>, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    let (chunks, ahead) = file.chunks(range);
    let read = move |chunk| {
        let file = Arc::clone(&file);
        async move { file.read(chunk).await }
    };
    stream::iter(chunks).map(read).buffered(ahead).boxed()
}

impl fmt::Display for GrantedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE_NAME)
    }
}

#[async_trait]
impl ObjectStore for GrantedFiles {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let file = self.find(location)?;
        let range = resolve(options.range.as_ref(), file.bytes)?;
        let bytes = range.end - range.start;
        // One answer for one range, so that nothing has to be glued together. From far away a long
        // one comes in chunks, for whoever asks may want the first line only.
        let at_once = match &file.source {
            Source::Opened(_) => options.range.is_some() || bytes <= STREAM_CHUNK_BYTES,
            Source::Brokered(..) => bytes <= STREAM_CHUNK_BYTES,
        };
        let chunks = if options.head {
            stream::empty().boxed()
        } else if at_once {
            let bytes = file.read(range.clone()).await?;
            stream::once(async { Ok(bytes) }).boxed()
        } else {
            chunks(Arc::clone(file), range.clone())
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(chunks),
            meta: meta(location, file),
            range,
            attributes: Default::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let file = self.find(location)?;
        for range in ranges {
            check_inside(range, file.bytes)?;
        }
        file.read_all(ranges).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let found: Vec<_> = self
            .files
            .iter()
            .filter(|(path, _)| prefix.is_none_or(|prefix| path.prefix_matches(prefix)))
            .map(|(path, file)| Ok(meta(path, file)))
            .collect();
        stream::iter(found).boxed()
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        refused("listing of folders")
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        refused("writing")
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        refused("writing")
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        locations.map(|_| refused("deleting")).boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        refused("copying")
    }
}

/// A registry that knows one store and cannot learn another.
#[derive(Debug)]
pub(crate) struct OnlyGrantedFiles {
    url: ObjectStoreUrl,
    store: Arc<dyn ObjectStore>,
}

impl OnlyGrantedFiles {
    pub(crate) fn new(store: GrantedFiles) -> Result<Self, DataFusionError> {
        Ok(Self { url: ObjectStoreUrl::parse(STORE_URL)?, store: Arc::new(store) })
    }
}

impl ObjectStoreRegistry for OnlyGrantedFiles {
    fn register_store(
        &self,
        _url: &url::Url,
        _store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &url::Url) -> Result<Arc<dyn ObjectStore>, DataFusionError> {
        let granted: &url::Url = self.url.as_ref();
        if url.scheme() == granted.scheme() && url.host_str() == granted.host_str() {
            Ok(Arc::clone(&self.store))
        } else {
            Err(DataFusionError::Plan("only granted files can be read".into()))
        }
    }
}
