//! A store that nothing is written to, of which only so much is read, and that remembers why it
//! failed.
//!
//! The reader of Delta logs keeps what it reads in memory, and turns errors into texts; what they
//! were stays here.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// Bytes that may still be read.
    budget: Arc<AtomicU64>,
    failure: Arc<Mutex<Option<Failure>>>,
}

impl ReadOnly {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, budget: u64) -> Self {
        Self { inner, budget: Arc::new(budget.into()), failure: Arc::default() }
    }

    /// Takes what an answer has from what may be read.
    fn spend(&self, found: GetResult) -> Result<GetResult> {
        let bytes = found.range.end.saturating_sub(found.range.start);
        let spent = self
            .budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        match spent {
            Ok(_) => Ok(found),
            Err(_) => Err(too_much("the table's log is too large")),
        }
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

fn too_much(what: &str) -> Error {
    Error::NotSupported { source: what.into() }
}

fn refused<T>() -> Result<T> {
    Err(too_much("sources are only read"))
}

#[async_trait]
impl ObjectStore for ReadOnly {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let has_content = !options.head;
        let found = self.inner.get_opts(location, options).await;
        self.watch(found.and_then(|found| if has_content { self.spend(found) } else { Ok(found) }))
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

#[cfg(test)]
mod tests {
    use glovebox_contract::reason::ReasonCode;
    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn only_so_much_is_read_and_nothing_is_written() {
        let inner = InMemory::new();
        inner.put(&"a".into(), "12345678".into()).await.unwrap();
        let store = ReadOnly::new(Arc::new(inner), 12);
        assert_eq!(store.get(&"a".into()).await.unwrap().bytes().await.unwrap().len(), 8);
        assert!(store.get(&"b".into()).await.is_err());
        assert_eq!(store.failure(), None, "that something is not there is no failure");
        assert_eq!(store.get_range(&"a".into(), 0..4).await.unwrap().len(), 4);
        assert!(store.get_range(&"a".into(), 0..1).await.is_err());
        let failure = store.failure().unwrap();
        assert_eq!(failure.reason, ReasonCode::SourceUnsupported, "{failure}");

        assert_eq!(store.head(&"a".into()).await.unwrap().size, 8, "which reads nothing");

        assert!(store.put(&"a".into(), "x".into()).await.is_err());
        assert!(store.delete(&"a".into()).await.is_err());
        assert!(store.copy(&"a".into(), &"c".into()).await.is_err());
        assert!(store.rename(&"a".into(), &"c".into()).await.is_err());
        assert!(store.put_multipart(&"c".into()).await.is_err());
    }
}
