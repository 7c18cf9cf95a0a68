//! Files of a party: measured where they are for a room here, sent to a host in the network.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use glovebox_client::Session;
use glovebox_contract::name::TableName;
use glovebox_contract::statement::{
    AssetStatement, Body, FileDigest, MAX_VOLUME_FILES, VolumeAsset,
};
use glovebox_room::volumes::MeasuredVolume;

use super::OpenRoom;
use crate::context::{Context, Party};
use crate::terminal;

/// Deepest nesting of folders in a volume.
const MAX_DEPTH: usize = 16;

/// The files of a volume, which can be offered.
pub(crate) struct OfferedFiles {
    pub(crate) files: BTreeMap<String, FileDigest>,
    /// Where they are; none when the host has them.
    place: Option<MeasuredVolume>,
}

impl OpenRoom {
    /// Reads the files of a volume and computes their digests.
    pub(crate) fn measure_volume(
        &mut self,
        context: &Context,
        volume: &TableName,
        from: &Path,
    ) -> Result<OfferedFiles> {
        match self {
            Self::Local(room) => {
                let what = format!("hashing {}", from.display());
                let bar = terminal::spinner(context.quiet(), what.clone());
                let measured = room.measure_volume(volume, from, &mut |done, all| {
                    let (done, all) = (terminal::bytes(done), terminal::bytes(all));
                    bar.set_message(format!("{what}: {done} of {all}"));
                });
                bar.finish_and_clear();
                let measured = measured?;
                Ok(OfferedFiles { files: measured.files().clone(), place: Some(measured) })
            }
            Self::Remote(room) => {
                let found = volume_files(from)?;
                let (paths, places): (Vec<_>, Vec<_>) = found.into_iter().unzip();
                let digests = send(context, room.session(), &places)?;
                Ok(OfferedFiles { files: paths.into_iter().zip(digests).collect(), place: None })
            }
        }
    }

    /// Adds the volume that `asset` offers.
    pub(crate) fn add_volume(
        &mut self,
        party: &Party,
        asset: VolumeAsset,
        offered: &OfferedFiles,
    ) -> Result<()> {
        let body = Body::Asset(AssetStatement::Volume(asset));
        match (self, &offered.place) {
            (Self::Local(room), Some(measured)) => {
                room.add_volume(&party.sign(room.state(), body)?, measured)?;
            }
            (Self::Remote(room), _) => {
                room.submit_with(|_| Ok(body.clone()))?;
            }
            (Self::Local(_), None) => bail!("the files were measured for another host"),
        }
        Ok(())
    }
}

/// Sends files to the host and gives their digests. What the host has already is not sent again,
/// and what was broken off goes on where it ended.
pub(super) fn send(
    context: &Context,
    session: &Session,
    files: &[PathBuf],
) -> Result<Vec<FileDigest>> {
    let mut sizes = Vec::new();
    for file in files {
        let metadata = std::fs::metadata(file);
        sizes.push(metadata.with_context(|| format!("cannot read {}", file.display()))?.len());
    }
    let all = sizes.iter().fold(0, |all: u64, bytes| all.saturating_add(*bytes));
    let bar = terminal::bytes_bar(context.quiet(), all);
    let mut digests = Vec::new();
    let mut before = 0_u64;
    for (file, bytes) in files.iter().zip(sizes) {
        bar.set_message(file.display().to_string());
        let sent =
            session.upload(file, &mut |done, _| bar.set_position(before.saturating_add(done)));
        match sent {
            Ok(digest) => digests.push(digest),
            Err(error) => {
                bar.finish_and_clear();
                let what = format!("cannot send {}", file.display());
                return Err(anyhow::Error::new(error).context(what));
            }
        }
        before = before.saturating_add(bytes);
    }
    bar.finish_and_clear();
    Ok(digests)
}

/// The files of a table: the file, or all files of the folder but those with a `.` or `_` in front.
pub(super) fn table_files(from: &Path) -> Result<Vec<(String, PathBuf)>> {
    if !is_folder(from)? {
        return Ok(vec![(text(from)?, from.to_owned())]);
    }
    let mut found = Vec::new();
    for entry in read_folder(from)? {
        let name = text(&entry)?;
        if name.starts_with(['.', '_']) {
            continue;
        }
        if is_folder(&entry)? {
            bail!("{} is a folder; a table's files lie side by side", entry.display());
        }
        found.push((name, entry));
    }
    if found.is_empty() {
        bail!("{} holds no files", from.display());
    }
    found.sort();
    Ok(found)
}

/// The files of a volume by their paths in it: the file, or all files below the folder but those
/// with a `.` in front. No symbolic links, so that nothing is sent that only looks as if it was
/// there.
fn volume_files(from: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    if is_folder(from)? {
        walk(from, "", 0, &mut found)?;
    } else {
        found.insert(text(from)?, from.to_owned());
    }
    if found.is_empty() {
        bail!("{} holds no files", from.display());
    }
    Ok(found)
}

fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut BTreeMap<String, PathBuf>,
) -> Result<()> {
    for entry in read_folder(folder)? {
        let name = text(&entry)?;
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        let kind = entry.symlink_metadata()?.file_type();
        if kind.is_dir() && depth < MAX_DEPTH {
            walk(&entry, &format!("{path}/"), depth + 1, found)?;
        } else if !kind.is_file() {
            bail!("{} is neither a regular file nor a folder", entry.display());
        } else if found.len() == MAX_VOLUME_FILES {
            bail!("{} holds more than {MAX_VOLUME_FILES} files", folder.display());
        } else {
            found.insert(path, entry);
        }
    }
    Ok(())
}

fn is_folder(path: &Path) -> Result<bool> {
    let metadata = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    if !metadata.is_dir() && !metadata.is_file() {
        bail!("{} is neither a regular file nor a folder", path.display());
    }
    Ok(metadata.is_dir())
}

fn read_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    read().with_context(|| format!("cannot read the folder {}", folder.display()))
}

/// The last part of a path.
fn text(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(OsStr::to_str);
    Ok(name.with_context(|| format!("{}: the name is not UTF-8", path.display()))?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("b.csv", "b"), ("a.csv", "a"), ("_SUCCESS", ""), (".hidden", "")] {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        folder
    }

    #[test]
    fn a_table_is_a_file_or_a_flat_folder() {
        let folder = folder();
        let names = |from: &Path| {
            table_files(from)
                .map(|files| files.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
        };
        assert_eq!(names(folder.path()).unwrap(), ["a.csv", "b.csv"]);
        assert_eq!(names(&folder.path().join("_SUCCESS")).unwrap(), ["_SUCCESS"]);
        assert!(names(&folder.path().join("missing.csv")).is_err());
        std::fs::create_dir(folder.path().join("more")).unwrap();
        assert!(names(folder.path()).is_err());
        assert!(names(&folder.path().join("more")).is_err());
    }

    #[test]
    fn a_volume_is_a_file_or_a_tree_without_links() {
        let folder = folder();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        std::fs::write(folder.path().join("deep/c.bin"), "c").unwrap();
        let paths = volume_files(folder.path()).unwrap();
        let paths: Vec<_> = paths.keys().map(String::as_str).collect();
        assert_eq!(paths, ["_SUCCESS", "a.csv", "b.csv", "deep/c.bin"]);
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("deep/link")).unwrap();
        assert!(volume_files(folder.path()).is_err());
    }
}
