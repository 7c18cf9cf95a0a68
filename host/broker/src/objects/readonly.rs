//! A store that nothing is written to, and that remembers why it failed.
//!
//! The reader of Delta logs turns errors into texts; what they were stays here.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::failure::failure;
use crate::error::Failure;

/// Most files of a log that are listed.
const MAX_LISTED: usize = 200_000;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct ReadOnly {
    inner: Arc<dyn ObjectStore>,
    failure: Arc<Mutex<Option<Failure>>>,
}

impl ReadOnly {
    pub(super) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, failure: Arc::default() }
    }

    /// The first failure there was; that something is not there is none.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, error: &Error) {
        if !matches!(error, Error::NotFound { .. }) {
            let mut kept = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get_or_insert_with(|| failure("the table's log", error));
        }
    }

    fn watch<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| self.keep(error))
    }
}

impl fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a source")
    }
}

/// What is listed, in the order of the paths: a folder of this machine has none, and the reader of
/// Delta logs needs one.
fn in_order(
    listed: BoxStream<'static, Result<ObjectMeta>>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let sorted = async move {
        let mut found: Vec<ObjectMeta> = listed.take(MAX_LISTED + 1).try_collect().await?;
        if found.len() > MAX_LISTED {
            return Err(Error::NotSupported {
                source: "the table's log has too many files".into(),
            });
        }
        found.sort_by(|one, other| one.location.cmp(&other.location));
        Ok::<_, Error>(stream::iter(found.into_iter().map(Ok)))
    };
    stream::once(sorted).try_flatten().boxed()
}

fn refused<T>() -> Result<T> {
    Err(Error::NotSupported { source: "sources are only read".into() })
}

#[async_trait]
impl ObjectStore for ReadOnly {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.watch(self.inner.get_opts(location, options).await)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let watch = self.clone();
        in_order(self.inner.list(prefix)).map(move |found| watch.watch(found)).boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let watch = self.clone();
        let found = in_order(self.inner.list_with_offset(prefix, offset));
        found.map(move |found| watch.watch(found)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.watch(self.inner.list_with_delimiter(prefix).await)
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        refused()
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        refused()
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        locations.map(|_| refused()).boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        refused()
    }
}
