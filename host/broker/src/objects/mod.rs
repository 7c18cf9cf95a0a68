//! Objects in a store: a single one, all below a prefix, or a Delta table.

mod connector;
mod delta;
mod failure;
mod listing;
mod partitions;
mod reader;
mod readonly;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use object_store::ObjectMeta;
use serde::Serialize;

use crate::error::Failure;
use crate::pinned;
use crate::source::{FileTable, OpenTable, Request, SourceFile};
use listing::Found;
use partitions::Wanted;
use reader::{Object, ObjectReader};
use store::Place;

/// Which version of an object was pinned.
#[derive(Serialize)]
struct Record<'a> {
    bytes: u64,
    etag: &'a str,
    kind: &'static str,
    /// The values of its partitions, which are rows' too.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    partition: BTreeMap<&'a str, &'a str>,
}

/// Opens what a URL names, as it is now.
pub(crate) async fn open(request: &Request, url: &str) -> Result<OpenTable, Failure> {
    let place = store::open(request, url)?;
    if place.is_local {
        return match listing::has_delta_log(&place).await? {
            true => delta::open(request, &place).await,
            false => Err(Failure::unsupported(
                "the directory holds no Delta table; plain files of this machine are named by \
                 their path",
            )),
        };
    }
    let has_extension = place.path.extension().is_some();
    if has_extension && let Some(meta) = listing::single(&place).await? {
        return files(request, &place, one(request, meta)?);
    }
    if listing::has_delta_log(&place).await? {
        return delta::open(request, &place).await;
    }
    let found = listing::below(&place, &Wanted::new(&request.partitions)).await?;
    if found.is_empty()
        && !has_extension
        && let Some(meta) = listing::single(&place).await?
    {
        return files(request, &place, one(request, meta)?);
    }
    files(request, &place, found)
}

fn one(request: &Request, meta: ObjectMeta) -> Result<Vec<Found>, Failure> {
    match request.partitions.first() {
        Some(filter) => Err(listing::no_partition(&filter.column)),
        None => Ok(vec![Found { meta, pairs: Vec::new() }]),
    }
}

/// A table of plain files.
fn files(request: &Request, place: &Place, found: Vec<Found>) -> Result<OpenTable, Failure> {
    if found.is_empty() {
        let what = match request.partitions.is_empty() {
            true => "there are no files",
            false => "there are no files in the wanted partitions",
        };
        return Err(Failure::unreadable(what));
    }
    let format = match request.format {
        Some(format) => format,
        None => listing::common_format(found.iter().map(|found| &found.meta.location))?,
    };
    let (metas, pairs): (Vec<_>, Vec<_>) =
        found.into_iter().map(|found| (found.meta, found.pairs)).unzip();
    let partition_columns = partitions::columns(&pairs)?;
    let (mut pinned, mut source_files, mut objects) = (Vec::new(), Vec::new(), Vec::new());
    for (meta, pairs) in metas.into_iter().zip(pairs) {
        let etag = meta.e_tag.filter(|etag| !etag.is_empty()).ok_or_else(|| {
            Failure::unsupported("the store does not say which version of an object it has")
        })?;
        let partition = pairs
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)))
            .collect();
        let record = Record { bytes: meta.size, etag: &etag, kind: "object", partition };
        pinned.push(pinned::of_record(meta.size, &record)?);
        source_files.push(SourceFile {
            bytes: meta.size,
            partition: pairs.into_iter().map(|(_, value)| value).collect(),
            has_deleted_rows: false,
        });
        let etag = OnceLock::from(etag);
        objects.push(Object { path: meta.location, bytes: meta.size, etag, deleted: None });
    }
    let reader = ObjectReader { store: Arc::clone(&place.store), objects };
    Ok(OpenTable::Files(FileTable {
        evolving: false,
        format,
        columns: None,
        names_in_files: BTreeMap::new(),
        partition_columns,
        files: source_files,
        pinned,
        reader: Arc::new(reader),
    }))
}
