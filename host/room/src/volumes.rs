//! Volumes: files that are pinned when they are added and checked before each run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::grants::Grants;
use glovebox_contract::name::TableName;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Applied, Refusal};
use glovebox_contract::statement::{AssetStatement, Body, FileDigest, MAX_VOLUME_FILES};
use nix::fcntl::OFlag;

use crate::error::{Result, RoomError};
use crate::inputs::ATTEMPTS;
use crate::kept::HeldFiles;
use crate::private;
use crate::room::Room;
use crate::sources::{self, DigestCache, DigestError, FileIdentity, OpenedFile, Progress};

/// Deepest nesting of directories in a volume.
const MAX_DEPTH: usize = 16;

/// The files of a volume with their digests, as they were read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredVolume {
    path: PathBuf,
    files: BTreeMap<String, FileDigest>,
}

impl MeasuredVolume {
    /// Files that have been read already: those of an upload.
    pub(crate) fn new(path: PathBuf, files: BTreeMap<String, FileDigest>) -> Self {
        Self { path, files }
    }

    /// The files by their paths in the volume.
    pub fn files(&self) -> &BTreeMap<String, FileDigest> {
        &self.files
    }
}

/// All volumes of a run, opened.
pub(crate) type OpenedVolumes = BTreeMap<TableName, OpenedVolume>;

/// The files of a volume that a run may read, by their paths.
pub(crate) struct OpenedVolume {
    root: Root,
    /// What holds the files, when this host keeps them.
    _kept: Option<HeldFiles>,
    pub(crate) files: BTreeMap<String, OpenedFile>,
}

/// The directory that bounds what a volume can reach.
struct Root {
    directory: Dir,
    /// The one file of the volume; none when it is all files of the directory.
    only: Option<String>,
}

impl Root {
    fn open(path: &Path) -> io::Result<Self> {
        let (directory, only) = sources::locate(path)?;
        let only = only.map(|name| text(&name, "")).transpose()?;
        Ok(Self { directory, only })
    }

    /// Paths of all files, in order.
    fn list(&self) -> io::Result<Vec<String>> {
        let mut paths = Vec::new();
        match &self.only {
            Some(name) => paths.push(name.clone()),
            None => walk(&self.directory, "", 0, &mut paths)?,
        }
        paths.sort();
        Ok(paths)
    }

    /// Opens a file by its path in the volume, no part of which is a symbolic link.
    fn open_file(&self, path: &str) -> io::Result<OpenedFile> {
        if self.only.as_deref().is_some_and(|only| only != path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut directory = self.directory.try_clone()?;
        for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
            directory = Dir::from_std_file(open(&directory, folder, OFlag::O_DIRECTORY)?);
        }
        // Never waits for a writer should it be a named pipe.
        let file = open(&directory, name, OFlag::O_NONBLOCK)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let identity = FileIdentity::of(&file)?;
        Ok(OpenedFile { name: name.into(), file, identity, own: false })
    }
}

fn open(directory: &Dir, name: &str, flag: OFlag) -> io::Result<File> {
    if directory.symlink_metadata(name)?.is_symlink() {
        return Err(io::Error::other("a symbolic link"));
    }
    // Should it become a link just now.
    let flags = (OFlag::O_NOFOLLOW | flag).bits();
    let file = directory.open_with(name, OpenOptions::new().read(true).custom_flags(flags))?;
    Ok(file.into_std())
}

/// Adds the paths of the files below `directory`. Names with a `.` in front are the marks that
/// tools leave beside data, so they are skipped.
fn walk(directory: &Dir, prefix: &str, depth: usize, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in directory.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().first() == Some(&b'.') {
            continue;
        }
        let path = text(&name, prefix)?;
        let refused = |why: &str| Err(io::Error::other(format!("`{path}` {why}")));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            return refused("is a symbolic link");
        }
        if kind.is_dir() && depth < MAX_DEPTH {
            let inner = Dir::from_std_file(open(directory, &text(&name, "")?, OFlag::O_DIRECTORY)?);
            walk(&inner, &format!("{path}/"), depth + 1, paths)?;
        } else if kind.is_dir() {
            return refused("lies too deep");
        } else if !kind.is_file() {
            return refused("is not a regular file");
        } else if paths.len() == MAX_VOLUME_FILES {
            return Err(io::Error::other(format!("there are more than {MAX_VOLUME_FILES} files")));
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// A name as part of a path in the volume.
fn text(name: &OsStr, prefix: &str) -> io::Result<String> {
    match name.to_str() {
        Some(name) => Ok(format!("{prefix}{name}")),
        None => {
            Err(io::Error::other(format!("`{prefix}{}`: the name is not UTF-8", name.display())))
        }
    }
}

fn unreadable(volume: &TableName, cause: io::Error) -> RoomError {
    RoomError::new(
        ReasonCode::InputUnreadable,
        format!("volume {volume}: its files on this host cannot be read"),
    )
    .because(cause)
}

fn changed(volume: &TableName, path: &str, how: &str) -> RoomError {
    let path = path.escape_debug();
    let what = format!("volume {volume}: file `{path}` {how}; its owner may add the volume again");
    RoomError::new(ReasonCode::VolumeChanged, what)
}

/// The same error, which says of which file.
fn named(path: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.escape_debug()))
}

impl OpenedVolume {
    /// Opens the files that are pinned and checks that they are the pinned ones.
    fn open(
        volume: &TableName,
        path: &Path,
        pinned: &BTreeMap<String, FileDigest>,
        cache: &dyn DigestCache,
        kept: Option<HeldFiles>,
        progress: &mut Progress<'_>,
    ) -> Result<Self> {
        let root = Root::open(path).map_err(|error| unreadable(volume, error))?;
        let mut files = BTreeMap::new();
        for (path, pinned) in pinned {
            let opened = root.open_file(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => changed(volume, path, "is gone"),
                io::ErrorKind::PermissionDenied => unreadable(volume, named(path, &error)),
                _ => changed(volume, path, "is not what it was").because(named(path, &error)),
            })?;
            let file = OpenedFile { own: kept.is_some(), ..opened };
            // A file of another length need not be read.
            let found = if file.identity.bytes == pinned.bytes {
                file.digest(cache, progress).map(|(digest, _)| Some(digest))
            } else {
                Ok(None)
            };
            match found {
                Ok(Some(digest)) if digest == pinned.digest => {}
                Ok(_) | Err(DigestError::Changed) => {
                    return Err(changed(volume, path, "has changed since it was pinned"));
                }
                Err(DigestError::Io(error)) => return Err(unreadable(volume, named(path, &error))),
            }
            files.insert(path.clone(), file);
        }
        Ok(Self { root, _kept: kept, files })
    }

    /// Fails when a file is not what it was when this was opened. It is looked up by name again,
    /// so a file put in another's place shows as well.
    pub(crate) fn check_unchanged(&self, volume: &TableName) -> Result<()> {
        for (path, before) in &self.files {
            let gone = |_| changed(volume, path, "was removed during the run");
            let after = self.root.open_file(path).map_err(gone)?;
            let held = FileIdentity::of(&before.file).map_err(gone)?;
            if !before.is_unchanged(&after.identity) || !before.is_unchanged(&held) {
                return Err(changed(volume, path, "changed during the run"));
            }
        }
        Ok(())
    }
}

impl Room {
    /// Reads the file or the directory of files at `path` and computes their digests. `progress`
    /// is told how many bytes of how many were read. `volume` is for messages.
    ///
    /// # Errors
    /// `input-unreadable` when a file is missing, not to be read, a symbolic link or otherwise not
    /// regular, or when there are no files or too many.
    pub fn measure_volume(
        &self,
        volume: &TableName,
        path: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<MeasuredVolume> {
        let at_path = |error: io::Error| unreadable(volume, named(&path.to_string_lossy(), &error));
        if path.is_symlink() {
            return Err(at_path(io::Error::other("a symbolic link")));
        }
        // The place is remembered as it is now, whatever becomes of the working directory.
        let place = path.canonicalize().map_err(at_path)?;
        let root = Root::open(&place).map_err(at_path)?;
        let mut opened = Vec::new();
        for path in root.list().map_err(at_path)? {
            let file = root.open_file(&path).map_err(|error| at_path(named(&path, &error)))?;
            opened.push((path, file));
        }
        if opened.is_empty() {
            return Err(at_path(io::Error::other("there are no files")));
        }
        let sizes = opened.iter().map(|(_, file)| file.identity.bytes);
        let all = sizes.fold(0, u64::saturating_add);
        let mut done = 0_u64;
        let mut files = BTreeMap::new();
        for (path, file) in opened {
            let digest = file.digest(&self.store, &mut |read| {
                progress(done.saturating_add(read), all);
                Ok(())
            });
            let (digest, bytes) = digest.map_err(|error| match error {
                DigestError::Io(error) => at_path(named(&path, &error)),
                DigestError::Changed => changed(volume, &path, "changed while it was read"),
            })?;
            done = done.saturating_add(bytes);
            files.insert(path, FileDigest { bytes, digest });
        }
        Ok(MeasuredVolume { path: place, files })
    }

    /// Adds a volume, or replaces the party's own: takes the signed statement and remembers where
    /// the files are, both or neither. The place stays with this host.
    ///
    /// # Errors
    /// With the reason when the statement is refused; `volume-changed` when it pins other files.
    pub fn add_volume(&mut self, envelope: &Envelope, volume: &MeasuredVolume) -> Result<Applied> {
        let statement = envelope.unverified().map_err(Refusal::from)?;
        let Body::Asset(AssetStatement::Volume(asset)) = statement.body else {
            return Err(RoomError::internal("the statement does not add a volume"));
        };
        self.locked(|room, _| {
            if asset.files != volume.files {
                room.log_refusal(envelope, ReasonCode::VolumeChanged)?;
                return Err(RoomError::new(
                    ReasonCode::VolumeChanged,
                    format!("volume {}: the statement pins other files than these", asset.name),
                ));
            }
            let place = room.kept.stored_place(&volume.path);
            room.take(envelope, |transaction| private::put_volume(transaction, &asset.name, &place))
        })
    }

    /// Opens the volumes of a run and checks every file against its pinned digest.
    /// `progress` may end the reading.
    pub(crate) fn open_volumes(
        &self,
        grants: &Grants,
        progress: &mut Progress<'_>,
    ) -> Result<OpenedVolumes> {
        let volumes = grants.volumes().iter();
        volumes
            .map(|(volume, pinned)| {
                Ok((volume.clone(), self.open_volume(volume, pinned, progress)?))
            })
            .collect()
    }

    fn open_volume(
        &self,
        volume: &TableName,
        pinned: &BTreeMap<String, FileDigest>,
        progress: &mut Progress<'_>,
    ) -> Result<OpenedVolume> {
        // Files that are kept here are removed when their volume is replaced, perhaps just now.
        let mut attempts = 0;
        loop {
            let place = self.volume_place(volume)?;
            attempts += 1;
            let kept = self.kept.hold(&place).map_err(|error| unreadable(volume, error));
            let opened = kept.and_then(|kept| {
                OpenedVolume::open(volume, &place, pinned, &self.store, kept, progress)
            });
            match opened {
                Err(_) if attempts < ATTEMPTS && self.volume_place(volume)? != place => {}
                result => return result,
            }
        }
    }

    /// Where a volume is on this host.
    fn volume_place(&self, volume: &TableName) -> Result<PathBuf> {
        let place = self.store.volume(volume)?.ok_or_else(|| {
            RoomError::new(
                ReasonCode::InputUnreadable,
                format!("volume {volume}: this host does not know where it is; add it again"),
            )
        })?;
        Ok(self.kept.place_of(place))
    }
}

#[cfg(test)]
mod tests;
