//! Toolchains that a build needs beside Rust's: kept in the user's cache directory, installed
//! only when the caller says so, and run so that two builds give the same bytes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::BuildError;

/// The directory `name` in the cache. When it is missing, `make` fills an empty directory, which
/// gets the name once it is whole. Concurrent builds wait for each other.
pub(crate) fn cached(
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), BuildError>,
) -> Result<PathBuf, BuildError> {
    let cache = cache_directory()?;
    let directory = cache.join(name);
    if directory.is_dir() {
        return Ok(directory);
    }
    let unusable = |error: std::io::Error| {
        BuildError::new(format!("the cache cannot be used: {error}")).in_file(&cache)
    };
    let lock = cache.join(format!("{name}.lock"));
    fs::create_dir_all(lock.parent().unwrap_or(&cache)).map_err(unusable)?;
    let lock = File::create(lock).map_err(unusable)?;
    lock.lock().map_err(unusable)?;
    if !directory.is_dir() {
        let partial = cache.join(format!("{name}.partial"));
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(unusable)?;
        }
        fs::create_dir_all(&partial).map_err(unusable)?;
        make(&partial)?;
        fs::rename(&partial, &directory).map_err(unusable)?;
    }
    Ok(directory)
}

/// `$XDG_CACHE_HOME/glovebox`.
fn cache_directory() -> Result<PathBuf, BuildError> {
    let set = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    set.filter(|path| path.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .map(|cache| cache.join("glovebox"))
        .ok_or_else(|| {
            BuildError::new("there is no directory for tools")
                .help("set XDG_CACHE_HOME to a directory that the build may write to")
        })
}

/// Runs `command` and gives what it prints. `missing` says how to get the program.
pub(crate) fn output(command: &mut Command, missing: &str) -> Result<String, BuildError> {
    let output = command.output().map_err(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        BuildError::new(format!("cannot run `{program}`: {error}")).help(missing)
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args().take(2))
        .map(OsStr::to_string_lossy)
        .collect();
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said).trim_end().to_owned();
    Err(BuildError::new(format!("`{}` failed\n{said}", words.join(" "))))
}

/// Writes a file that a tool will read.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), BuildError> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all);
    written
        .and_then(|()| fs::write(path, text))
        .map_err(|error| BuildError::new(format!("cannot be written: {error}")).in_file(path))
}

/// Reads a file that a tool wrote.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path)
        .map_err(|error| BuildError::new(format!("cannot be read: {error}")).in_file(path))
}

/// A directory for one build, removed when it is dropped.
pub(crate) fn scratch() -> Result<tempfile::TempDir, BuildError> {
    tempfile::TempDir::with_prefix("glovebox-build-")
        .map_err(|error| BuildError::new(format!("cannot make a directory: {error}")))
}
