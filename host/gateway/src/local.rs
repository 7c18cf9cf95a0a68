//! Files of this machine that the catalog names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glovebox_contract::statement::MAX_VOLUME_FILES;

/// Deepest nesting of directories in a volume.
const MAX_DEPTH: usize = 16;

/// The files of a table by name, in the order in which they are read: the file itself, or those of
/// a directory. Names with a `.` or `_` in front are marks that tools leave beside data.
pub(crate) fn table_files(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![(file_name(path)?, path.to_owned())]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if matches!(entry.file_name().as_encoded_bytes().first(), Some(b'.' | b'_')) {
            continue;
        }
        let file = entry.path();
        if !fs::metadata(&file)?.is_file() {
            return refused(&file, "is not a file; the files of a table lie side by side");
        }
        files.push((file_name(&file)?, file));
    }
    files.sort();
    if files.is_empty() {
        return refused(path, "has no files");
    }
    Ok(files)
}

/// The files of a volume by their path in it. It holds no links, so that what is offered is what
/// lies there.
pub(crate) fn volume_files(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![(file_name(path)?, path.to_owned())]);
    }
    let mut files = Vec::new();
    walk(path, "", 0, &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(
    directory: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Vec<(String, PathBuf)>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().first() == Some(&b'.') {
            continue;
        }
        let file = entry.path();
        let name = format!("{prefix}{}", file_name(&file)?);
        let kind = entry.file_type()?;
        if kind.is_dir() && depth < MAX_DEPTH {
            walk(&file, &format!("{name}/"), depth.saturating_add(1), files)?;
        } else if !kind.is_file() {
            return refused(&file, "is a link, lies too deep or is not a file");
        } else if files.len() >= MAX_VOLUME_FILES {
            return refused(directory, "has too many files for a volume");
        } else {
            files.push((name, file));
        }
    }
    Ok(())
}

fn file_name(path: &Path) -> io::Result<String> {
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(name.to_owned()),
        None => refused(path, "has a name that is not UTF-8"),
    }
}

fn refused<T>(path: &Path, why: &str) -> io::Result<T> {
    Err(io::Error::other(format!("`{}` {why}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_flat_and_volumes_deep() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["b.csv", "a.csv", "_SUCCESS", ".hidden"] {
            fs::write(at(name), "x").unwrap();
        }
        let names = |files: Vec<(String, PathBuf)>| -> Vec<String> {
            files.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(table_files(folder.path()).unwrap()), ["a.csv", "b.csv"]);
        assert_eq!(names(table_files(&at("a.csv")).unwrap()), ["a.csv"]);
        fs::create_dir(at("deep")).unwrap();
        fs::write(at("deep/c.bin"), "x").unwrap();
        assert!(table_files(folder.path()).is_err());
        let volume = names(volume_files(folder.path()).unwrap());
        assert_eq!(volume, ["_SUCCESS", "a.csv", "b.csv", "deep/c.bin"]);
        std::os::unix::fs::symlink("/etc/passwd", at("link")).unwrap();
        assert!(volume_files(folder.path()).is_err());
        assert!(table_files(&at("missing")).is_err());
        fs::create_dir(at("empty")).unwrap();
        assert!(table_files(&at("empty")).is_err());
    }
}
