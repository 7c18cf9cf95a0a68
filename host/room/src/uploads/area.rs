//! The uploads of one key.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use cap_std::fs::{Dir, Metadata, MetadataExt as _, OpenOptions};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::reason::ReasonCode;
use nix::fcntl::Flock;

use super::{Upload, UploadLimits, incomplete, mismatch, reading};
use crate::error::{Context as _, Result, RoomError};
use crate::files;
use crate::home::lock_file;

/// How long a piece waits for another writer of the same upload.
const TURN: Duration = Duration::from_secs(10);

/// How often a name that another process renames at the same moment is looked up again.
const ATTEMPTS: usize = 16;

/// The uploads of one key.
pub(super) struct Area {
    pub(super) directory: Dir,
    pub(super) limits: UploadLimits,
}

/// The beginning of an upload, locked.
struct Part {
    file: Flock<File>,
    bytes: u64,
}

/// A name in an area.
#[derive(PartialEq, Eq)]
pub(super) enum Name {
    Whole(Blake3Digest),
    Part(Blake3Digest, u64),
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let digest = |hex: &str| format!("blake3:{hex}").parse().ok();
        let Some((hex, rest)) = text.split_once('.') else { return digest(text).map(Self::Whole) };
        let length = rest.strip_suffix(".part")?.parse().ok()?;
        Some(Self::Part(digest(hex)?, length))
    }

    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Whole(digest) => digest.to_hex(),
            Self::Part(digest, length) => format!("{}.{length}.part", digest.to_hex()),
        }
    }

    pub(super) fn digest(&self) -> &Blake3Digest {
        match self {
            Self::Whole(digest) | Self::Part(digest, _) => digest,
        }
    }
}

impl Area {
    pub(super) fn append(
        &self,
        digest: &Blake3Digest,
        length: u64,
        offset: u64,
        piece: &[u8],
    ) -> Result<Upload> {
        let end = u64::try_from(piece.len()).ok().and_then(|bytes| offset.checked_add(bytes));
        let Some(end) = end.filter(|end| *end <= length) else {
            return Err(RoomError::new(
                ReasonCode::Malformed,
                format!("the piece at {offset} goes beyond the {length} bytes of the upload"),
            ));
        };
        if let Some(whole) = self.check_whole(digest, length)? {
            return Ok(whole);
        }
        let name = Name::Part(*digest, length);
        let part = match self.part(&name)? {
            Some(part) => Some(part),
            None => match self.check_whole(digest, length)? {
                // Another writer has just made it whole.
                Some(whole) => return Ok(whole),
                None if offset == 0 => self.begin(&name, length)?,
                None => None,
            },
        };
        let Some(part) = part else {
            return Err(incomplete("the upload has 0 bytes; begin there".into()));
        };
        if part.bytes == 0
            && let Some(whole) = self.check_whole(digest, length)?
        {
            // Made whole by another writer after this one had found nothing.
            self.directory.remove_file(name.to_text()).trying(reading)?;
            return Ok(whole);
        }
        if part.bytes > length {
            self.directory.remove_file(name.to_text()).trying(reading)?;
            return Err(mismatch("more came than was announced; begin again".into()));
        }
        if part.bytes != offset {
            return Err(incomplete(format!(
                "the upload has {} of {length} bytes; go on there, not at {offset}",
                part.bytes
            )));
        }
        let writing = || format!("write the upload {digest}");
        part.file.write_all_at(piece, offset).trying(writing)?;
        if end < length {
            part.file.sync_data().trying(writing)?;
            return Ok(Upload { offset: end, length });
        }
        self.finish(digest, &name, part)?;
        Ok(Upload { offset: length, length })
    }

    /// Checks the digest of a part that has all its bytes, and makes it whole.
    fn finish(&self, digest: &Blake3Digest, name: &Name, part: Part) -> Result<()> {
        let finishing = || format!("finish the upload {digest}");
        let mut file = &*part.file;
        io::Seek::rewind(&mut file).trying(finishing)?;
        let (found, _) = files::blake3_reader(file).trying(finishing)?;
        if found != *digest {
            self.directory.remove_file(name.to_text()).trying(finishing)?;
            return Err(mismatch("the uploaded bytes do not have the digest; begin again".into()));
        }
        file.set_permissions(std::fs::Permissions::from_mode(0o400))
            .and_then(|()| file.sync_all())
            .and_then(|()| {
                let whole = Name::Whole(*digest).to_text();
                self.directory.rename(name.to_text(), &self.directory, whole)
            })
            .and_then(|()| files::sync_directory(&self.directory))
            .trying(finishing)
    }

    /// Begins an upload, if the key's quota has room for it. What was begun under the same digest
    /// with another length is dropped.
    fn begin(&self, name: &Name, length: u64) -> Result<Option<Part>> {
        // All beginnings of a key take turns, so that two cannot share the last of the quota.
        let handle = files::directory_handle(&self.directory).trying(reading)?;
        let _turn = lock_file(handle, TURN, "another request has been beginning an upload")?;
        for (other, _) in self.entries()? {
            if other.digest() == name.digest() && other != *name {
                self.remove(&other)?;
            }
        }
        self.make_space(name, length)?;
        match files::create_new(&self.directory, name.to_text()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => files::sync_directory(&self.directory),
        }
        .trying(|| format!("begin the upload {}", name.digest()))?;
        self.part(name)
    }

    /// Fails unless the key's quota has room for an upload of `length` bytes. What rooms keep
    /// goes first, the oldest in front.
    fn make_space(&self, name: &Name, length: u64) -> Result<()> {
        let mut others = self.entries()?;
        others.retain(|(other, _)| other != name);
        let size = |(name, file): &(Name, Metadata)| match name {
            Name::Part(_, announced) => *announced,
            Name::Whole(_) => file.len(),
        };
        let mut bytes = others.iter().map(size).fold(length, u64::saturating_add);
        let mut count = others.len().saturating_add(1);
        let most = &self.limits;
        others.retain(|(name, file)| matches!(name, Name::Whole(_)) && is_kept(file));
        others.sort_by_key(|(_, file)| std::cmp::Reverse(file.mtime()));
        while bytes > most.bytes || count > most.files {
            let Some(oldest) = others.pop() else {
                return Err(RoomError::new(
                    ReasonCode::PolicyLimit,
                    format!(
                        "the uploads of this key would be {count} files of {bytes} bytes together; \
                         {} files and {} bytes are allowed; what is not used is removed after a while",
                        most.files, most.bytes
                    ),
                ));
            };
            self.remove(&oldest.0)?;
            bytes = bytes.saturating_sub(size(&oldest));
            count = count.saturating_sub(1);
        }
        Ok(())
    }

    /// Opens and locks the beginning of an upload; none when there is none.
    fn part(&self, name: &Name) -> Result<Option<Part>> {
        self.part_within(name, TURN)
    }

    fn part_within(&self, name: &Name, wait: Duration) -> Result<Option<Part>> {
        let opening = || format!("open the upload {}", name.digest());
        let text = name.to_text();
        for _ in 0..ATTEMPTS {
            let options = || OpenOptions::new().read(true).write(true).clone();
            let file = match self.directory.open_with(&text, &options()) {
                Ok(file) => file.into_std(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error).trying(opening),
            };
            let file = lock_file(file, wait, "another request has been writing this upload")?;
            // While this waited, the file may have become whole or have been swept.
            let metadata = file.metadata().trying(opening)?;
            if self.is_still(&text, &metadata) {
                return Ok(Some(Part { bytes: metadata.len(), file }));
            }
        }
        Err(incomplete("the upload was begun again at this moment".into()))
    }

    /// Whether the name is still that of the file with this metadata.
    fn is_still(&self, name: &str, file: &std::fs::Metadata) -> bool {
        let named = self.directory.symlink_metadata(name);
        named.is_ok_and(|named| named.ino() == file.ino() && named.dev() == file.dev())
    }

    /// The upload if it is whole.
    pub(super) fn whole(&self, digest: &Blake3Digest) -> Result<Option<Upload>> {
        match self.directory.symlink_metadata(Name::Whole(*digest).to_text()) {
            Ok(metadata) => Ok(Some(Upload { offset: metadata.len(), length: metadata.len() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).trying(reading),
        }
    }

    /// [`Area::whole`], of a file that must have this length.
    fn check_whole(&self, digest: &Blake3Digest, length: u64) -> Result<Option<Upload>> {
        match self.whole(digest)? {
            Some(whole) if whole.length != length => Err(mismatch(format!(
                "the file with this digest has {} bytes, not {length}",
                whole.length
            ))),
            found => Ok(found),
        }
    }

    /// All uploads with their files. Other names are not ours.
    pub(super) fn entries(&self) -> Result<Vec<(Name, Metadata)>> {
        let mut found = Vec::new();
        for entry in self.directory.entries().trying(reading)? {
            let entry = entry.trying(reading)?;
            let Some(name) = entry.file_name().to_str().and_then(Name::parse) else { continue };
            match entry.metadata() {
                Ok(metadata) => found.push((name, metadata)),
                // Renamed or removed just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).trying(reading),
            }
        }
        Ok(found)
    }

    /// Removes an upload, after whoever writes it has had its turn.
    pub(super) fn remove(&self, name: &Name) -> Result<()> {
        let _turn = match name {
            Name::Part(..) => self.part(name)?,
            Name::Whole(_) => None,
        };
        match self.directory.remove_file(name.to_text()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
        .trying(|| format!("remove the upload {}", name.digest()))
    }

    pub(super) fn sweep(&self, unused: Duration) -> Result<usize> {
        let mut removed = 0;
        for (name, _) in self.entries()? {
            // Locked before its age is read: a part that is being written is not old.
            let _turn = match &name {
                Name::Part(..) => match self.part_within(&name, Duration::ZERO) {
                    Ok(Some(part)) => Some(part),
                    _ => continue,
                },
                Name::Whole(_) => None,
            };
            let metadata = self.directory.symlink_metadata(name.to_text());
            let used = metadata.and_then(|file| Ok(file.modified()?.max(file.accessed()?)));
            let age = used.map(|at| at.into_std().elapsed().unwrap_or_default());
            if age.is_ok_and(|age| age >= unused)
                && self.directory.remove_file(name.to_text()).is_ok()
            {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Whether a room has given a whole upload a second name.
fn is_kept(file: &Metadata) -> bool {
    file.nlink() > 1
}
