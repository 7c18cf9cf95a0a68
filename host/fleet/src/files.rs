//! Small steps on files that have to survive a power cut.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// `fleet.toml` and `journal` make `fleet.toml.journal`: what belongs to a file stands beside it.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, ToOwned::to_owned);
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// Puts a file in place with all of its content or not at all. The caller holds what keeps others
/// from doing the same at the same time.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let next = beside(path, "next");
    let mut file = File::create(&next)?;
    if let Ok(before) = std::fs::metadata(path) {
        file.set_permissions(before.permissions())?;
    }
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&next, path)?;
    sync_directory_of(path)
}

/// Makes a file that must not be there yet.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    sync_directory_of(path)
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
