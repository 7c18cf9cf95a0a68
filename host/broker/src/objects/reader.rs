//! Reads pieces of objects, each of the very version that was pinned.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use glovebox_delta::read::{DeletionVector, VectorPlace};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, coalesce_ranges};

use super::failure::read_failure;
use crate::error::Failure;
use crate::source::FileReader;

/// Pieces with fewer bytes in between are one request: a request costs more than these.
const LEAST_GAP: u64 = 16 << 10;
const MOST_GAP: u64 = 1 << 20;

/// How often a piece is asked for that comes with fewer bytes than it has.
const ATTEMPTS: u32 = 3;

/// An object that is read.
pub(super) struct Object {
    pub(super) path: Path,
    /// Its size at the pinned version.
    pub(super) bytes: u64,
    /// What tells its version from others: known when it was listed, or since it was read for the
    /// first time.
    pub(super) etag: OnceLock<String>,
    pub(super) deleted: Option<DeletionVector>,
}

/// See the module.
pub(super) struct ObjectReader {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) objects: Vec<Object>,
}

impl ObjectReader {
    fn object(&self, file: usize) -> Result<&Object, Failure> {
        self.objects.get(file).ok_or_else(|| Failure::unreadable("there is no such file"))
    }

    /// One piece, whole.
    async fn piece(&self, object: &Object, range: Range<u64>) -> Result<Bytes, Failure> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let wanted = range.end.saturating_sub(range.start);
        for _ in 0..ATTEMPTS {
            let piece = self.get(object, range.clone()).await?;
            if u64::try_from(piece.len()).is_ok_and(|bytes| bytes == wanted) {
                return Ok(piece);
            }
        }
        let path = &object.path;
        Err(Failure::unavailable(format!("`{path}`: the answer ends before the piece does")))
    }

    async fn get(&self, object: &Object, range: Range<u64>) -> Result<Bytes, Failure> {
        let Object { path, bytes, etag, .. } = object;
        let failed = |error| read_failure(&format!("read `{path}`"), &error);
        let options = GetOptions {
            // A weak one matches nothing there; it is compared below.
            if_match: etag.get().filter(|etag| !etag.starts_with("W/")).cloned(),
            range: Some(range.into()),
            ..GetOptions::default()
        };
        let found = self.store.get_opts(path, options).await.map_err(failed)?;
        if found.meta.size != *bytes {
            return Err(Failure::changed(format!("`{path}` has another size than it had")));
        }
        if let Some(tag) = &found.meta.e_tag
            && etag.get_or_init(|| tag.clone()) != tag
        {
            return Err(Failure::changed(format!("`{path}` is not the object it was")));
        }
        found.bytes().await.map_err(failed)
    }
}

/// How far apart pieces may be that are one request: about as far as they are long, so that what is
/// read besides is no more than they are, however many there are.
fn gap(ranges: &[Range<u64>]) -> u64 {
    let lengths = ranges.iter().map(|range| range.end.saturating_sub(range.start));
    let bytes = lengths.fold(0, u64::saturating_add);
    let count = u64::try_from(ranges.len()).unwrap_or(u64::MAX).max(1);
    (bytes / count).clamp(LEAST_GAP, MOST_GAP)
}

#[async_trait]
impl FileReader for ObjectReader {
    async fn read(&self, file: usize, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Failure> {
        let object = self.object(file)?;
        coalesce_ranges(ranges, |range| self.piece(object, range), gap(ranges)).await
    }

    async fn deleted_rows(&self, file: usize) -> Result<Vec<u64>, Failure> {
        let Some(vector) = &self.object(file)?.deleted else { return Ok(Vec::new()) };
        let (path, range) = match vector.place()? {
            VectorPlace::Rows(rows) => return Ok(rows),
            VectorPlace::File(path, range) => (path, range),
            VectorPlace::Address(..) => {
                return Err(Failure::unsupported("deleted rows are listed outside the table"));
            }
        };
        let wrong = |error| read_failure("read the list of deleted rows", &error);
        let path = Path::parse(&path).map_err(|error| wrong(error.into()))?;
        let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
        let found = self.store.get_opts(&path, options).await.map_err(wrong)?;
        Ok(vector.rows(&found.bytes().await.map_err(wrong)?)?)
    }
}
