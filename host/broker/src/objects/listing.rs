//! Which objects a place stands for.

use futures::StreamExt as _;
use glovebox_job::job::FileFormat;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _};

use super::failure::failure;
use super::partitions::{self, Pair, Wanted};
use super::store::Place;
use crate::error::Failure;

/// Most files of one table, as of one in a directory.
const MAX_FILES: usize = 4096;

/// Most objects that are looked at to find them.
const MAX_LISTED: usize = 200_000;

/// Most folders that are listed each by itself.
const MAX_FOLDERS: usize = 256;

/// The folder of a Delta table's log.
pub(super) const DELTA_LOG: &str = "_delta_log";

/// An object of a table, and the values of its partitions.
pub(super) struct Found {
    pub(super) meta: ObjectMeta,
    pub(super) pairs: Vec<Pair>,
}

/// Whether a place holds a Delta table.
pub(super) async fn has_delta_log(place: &Place) -> Result<bool, Failure> {
    let log = place.path.clone().join(DELTA_LOG);
    let listing = |error| failure("look for a Delta table", &error);
    place.store.list(Some(&log)).next().await.transpose().map_err(listing).map(|one| one.is_some())
}

/// The object at a place, when there is one of that very name.
pub(super) async fn single(place: &Place) -> Result<Option<ObjectMeta>, Failure> {
    if place.is_folder || place.path.as_ref().is_empty() {
        return Ok(None);
    }
    match place.store.head(&place.path).await {
        Ok(meta) => Ok(Some(meta)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failure("look for an object", &explained(place, error).await)),
    }
}

/// A refusal to tell of an object says nothing of why; a refusal to give it does.
async fn explained(place: &Place, error: Error) -> Error {
    let text = error.to_string();
    if !text.contains("400 Bad Request") && !text.contains("403 Forbidden") {
        return error;
    }
    let options = GetOptions { range: Some((0..1).into()), ..GetOptions::default() };
    place.store.get_opts(&place.path, options).await.err().unwrap_or(error)
}

/// All wanted objects below a place, in the order of their names.
pub(super) async fn below(place: &Place, wanted: &Wanted<'_>) -> Result<Vec<Found>, Failure> {
    let (mut found, mut listed) = (Vec::new(), 0_usize);
    for folder in folders(place, wanted).await? {
        let mut objects = place.store.list(Some(&folder));
        while let Some(meta) = objects.next().await {
            let meta = meta.map_err(|error| failure("list the objects", &error))?;
            listed += 1;
            if listed > MAX_LISTED {
                return Err(Failure::unsupported(format!(
                    "there are more than {MAX_LISTED} objects; name a folder that has fewer"
                )));
            }
            let Some(pairs) = pairs(&place.path, &meta)? else { continue };
            if !is_wanted(wanted, &pairs)? {
                continue;
            }
            if found.len() >= MAX_FILES {
                return Err(Failure::unsupported(format!(
                    "there are more than {MAX_FILES} files; fewer partitions or larger files help"
                )));
            }
            found.push(Found { meta, pairs });
        }
    }
    found.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
    Ok(found)
}

fn is_wanted(wanted: &Wanted<'_>, pairs: &[Pair]) -> Result<bool, Failure> {
    let value = |column: &str| {
        let found = pairs.iter().find(|(name, _)| name == column);
        found.map(|(_, value)| value.as_deref())
    };
    wanted.takes(value).map_err(|column| no_partition(&column))
}

/// The folders that hold all wanted objects: what is in other partitions is not even listed, as far
/// as the first levels of folders are those of filters.
async fn folders(place: &Place, wanted: &Wanted<'_>) -> Result<Vec<Path>, Failure> {
    let mut level = vec![place.path.clone()];
    while !wanted.is_all() {
        let mut next = Vec::new();
        for folder in &level {
            let listed = place.store.list_with_delimiter(Some(folder)).await;
            let listed = listed.map_err(|error| failure("list the folders", &error))?;
            for inner in listed.common_prefixes {
                if inner.filename().is_some_and(is_beside) {
                    continue;
                }
                let pairs = partitions::of_folders(inner.filename().into_iter())?;
                let Some((column, value)) = pairs.first() else { return Ok(level) };
                match wanted.may_take(column, value.as_deref()) {
                    Some(true) => next.push(inner),
                    Some(false) => {}
                    None => return Ok(level),
                }
            }
            if listed.objects.iter().any(|meta| !is_beside(meta.location.filename().unwrap_or("")))
            {
                return Ok(level);
            }
        }
        if next.is_empty() || next.len() > MAX_FOLDERS {
            return Ok(level);
        }
        level = next;
    }
    Ok(level)
}

/// A filter on a column that no folder has.
pub(super) fn no_partition(column: &str) -> Failure {
    let shown: String = column.chars().take(80).collect();
    Failure::unreadable(format!("it has no partition column `{}`", shown.escape_debug()))
}

/// The values in the folders of an object; none when it is no file of a table: what writers leave
/// beside one begins with `_` or `.`.
fn pairs(root: &Path, meta: &ObjectMeta) -> Result<Option<Vec<Pair>>, Failure> {
    let Some(parts) = meta.location.prefix_match(root) else { return Ok(None) };
    let parts: Vec<_> = parts.collect();
    let Some((name, folders)) = parts.split_last() else { return Ok(None) };
    // Some tools mark a folder by an empty object of its name.
    let is_mark = meta.size == 0 && !name.as_ref().contains('.');
    if is_mark || parts.iter().any(|part| is_beside(part.as_ref())) {
        return Ok(None);
    }
    partitions::of_folders(folders.iter().map(AsRef::as_ref)).map(Some)
}

/// Whether a name is that of something which writers leave beside a table.
fn is_beside(name: &str) -> bool {
    name.starts_with(['_', '.']) && !name.contains('=')
}

/// The format that all files have by their names.
pub(super) fn common_format<'a>(
    names: impl Iterator<Item = &'a Path>,
) -> Result<FileFormat, Failure> {
    let mut common = None;
    for path in names {
        let format = path.extension().and_then(FileFormat::of_extension).ok_or_else(|| {
            Failure::unreadable(format!(
                "`{path}` has no known format by its name; say which with --format"
            ))
        })?;
        if common.is_some_and(|common| common != format) {
            return Err(Failure::unreadable("its files are of different formats"));
        }
        common = Some(format);
    }
    common.ok_or_else(|| Failure::unreadable("there are no files"))
}
