//! Files of a table: the published files themselves, under a name that says which event wrote them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use glovebox_contract::digest::Blake3Digest;

/// Name of file number `index` of the event `write`.
pub(crate) fn name_of(write: &Blake3Digest, index: usize) -> String {
    format!("{}-{index}.parquet", write.to_hex())
}

/// The event that wrote the file with this name.
pub(crate) fn write_of(name: &str) -> Option<Blake3Digest> {
    let (hex, rest) = name.split_once('-')?;
    let index = rest.strip_suffix(".parquet")?;
    if index.is_empty() || !index.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("blake3:{hex}").parse().ok()
}

/// Puts `source` into the table as `name`, as a hard link if it may be one, and opens it. None when
/// the source is gone.
///
/// A published file never changes, so a name that is there already is that very file; a link or
/// a rename is whole or not there.
pub(crate) fn place(
    source: &Path,
    directory: &Path,
    name: &str,
    link: bool,
) -> io::Result<Option<File>> {
    match fs::symlink_metadata(source) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(not_regular()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let target = directory.join(name);
    // Another file system, or one without hard links, has a copy as well.
    let linked = || link && fs::hard_link(source, &target).is_ok();
    if !(target.try_exists()? || linked()) {
        copy(source, directory, &target)?;
    }
    let file = File::open(&target)?;
    if file.metadata()?.is_file() {
        return Ok(Some(file));
    }
    fs::remove_file(&target)?;
    Err(not_regular())
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

fn copy(source: &Path, directory: &Path, target: &Path) -> io::Result<()> {
    let unfinished = directory.join("unfinished");
    let copied = (|| {
        fs::copy(source, &unfinished)?;
        File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, target)
    })();
    if copied.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    copied
}

/// Removes the files of the table that `keep` does not want.
pub(crate) fn sweep(directory: &Path, keep: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let wanted = name.to_str().is_some_and(|name| name == LOG || keep(name));
        if !wanted && !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Name of the directory of a table's log.
pub(crate) const LOG: &str = "_delta_log";

/// Removes the table.
pub(crate) fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
