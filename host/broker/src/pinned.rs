//! Records of versions, and their digests.

use std::collections::BTreeMap;

use glovebox_contract::canonical;
use glovebox_contract::digest::ContentDigest;
use glovebox_room::remote::{PartitionFilter, Pinned};
use serde::Serialize;

use crate::error::Failure;

/// The digest of a record, see [`Pinned`].
///
/// # Errors
/// When a number in it is too large for canonical JSON, which no version is.
pub(crate) fn of_record(bytes: u64, record: &impl Serialize) -> Result<Pinned, Failure> {
    let record = canonical::encode(record)
        .map_err(|error| Failure::unsupported(format!("its version has no record: {error}")))?;
    Ok(Pinned { bytes, digest: ContentDigest::of(&record) })
}

/// The filters of a table as a record has them: columns, and their values, in order.
pub(crate) fn filters(partitions: &[PartitionFilter]) -> BTreeMap<&str, Vec<&str>> {
    let mut filters = BTreeMap::new();
    for filter in partitions {
        let values: &mut Vec<&str> = filters.entry(filter.column.as_str()).or_default();
        values.extend(filter.values.iter().map(String::as_str));
        values.sort_unstable();
        values.dedup();
    }
    filters
}
