//! Uploads: files of parties on their way into a room, in pieces, named by their digest.
//!
//! ```text
//! uploads/<key id>/<blake3>                  a whole file: it has its digest, and is read-only
//! uploads/<key id>/<blake3>.<length>.part    the beginning of one; its size is the offset
//! ```
//!
//! Every key has an area of its own: what it uploaded, nobody else can name, see or use, not even
//! by its digest. The directory is all there is to know, so a host that is killed in the middle of
//! a piece goes on where the file ends: whatever came of a torn piece, the digest decides at the
//! end.
//!
//! A piece is on disk before its offset is told. Writers of one upload take turns by a lock on the
//! file; whoever comes with a wrong offset learns the right one. Bytes count against the key's
//! quota from the first piece on, by the length that was announced. A room that keeps
//! a file gives it a second name, so the upload may go at any time: it goes when its key needs the
//! space, everything else when it has not been used for long.

mod area;

use std::fs::{File, FileTimes};
use std::io::{self, Read as _};
use std::time::{Duration, SystemTime};

use cap_std::fs::{Dir, Permissions, PermissionsExt as _};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::key::{KeyId, PublicKey};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::FileDigest;

use crate::error::{Context as _, Result, RoomError};
use crate::files;
use crate::home::Home;
use area::{Area, Name};

/// The home's directory of uploads.
const DIRECTORY: &str = "uploads";

/// What one party may put on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Bytes of all uploads together, begun or whole.
    pub bytes: u64,
    /// How many there may be.
    pub files: usize,
    /// Bytes of the tables and volumes that a party keeps in one room.
    pub kept_bytes: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self { bytes: 20 << 30, files: 10_000, kept_bytes: 200 << 30 }
    }
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// Bytes that are here: where the next piece begins.
    pub offset: u64,
    /// Bytes that the file has when it is whole.
    pub length: u64,
}

impl Upload {
    /// Whether all of it is here and has its digest.
    pub fn is_whole(&self) -> bool {
        self.offset == self.length
    }
}

/// The uploads of a home. Several processes may use them at once.
pub struct Uploads {
    directory: Dir,
    limits: UploadLimits,
}

impl Home {
    /// The uploads of this home, with the usual limits.
    pub fn uploads(&self) -> Result<Uploads> {
        self.uploads_with(UploadLimits::default())
    }

    /// [`Home::uploads`] with other limits.
    pub fn uploads_with(&self, limits: UploadLimits) -> Result<Uploads> {
        Ok(Uploads { directory: self.made_directory(DIRECTORY)?, limits })
    }
}

impl Uploads {
    /// What one party may put on this host.
    pub fn limits(&self) -> &UploadLimits {
        &self.limits
    }

    /// How far the upload of `key` with this digest is; none when there is none.
    ///
    /// # Errors
    /// `upload-mismatch` when all bytes came and do not have the digest: they are dropped.
    pub fn status(&self, key: &PublicKey, digest: &Blake3Digest) -> Result<Option<Upload>> {
        let Some(area) = self.existing_area(key)? else { return Ok(None) };
        if let Some(whole) = area.whole(digest)? {
            return Ok(Some(whole));
        }
        let begun = area.entries()?.into_iter().find_map(|(name, bytes)| match name {
            Name::Part(found, length) if found == *digest => Some((length, bytes.len())),
            _ => None,
        });
        match begun {
            // The host was killed between the last byte and the check of the digest.
            Some((length, bytes)) if bytes >= length => {
                area.append(digest, length, length, &[]).map(Some)
            }
            Some((length, offset)) => Ok(Some(Upload { offset, length })),
            None => Ok(None),
        }
    }

    /// Adds a piece of an upload of `length` bytes at `offset`; at offset 0 it may begin one. The
    /// last piece makes the file whole, if it has its digest. When this returns the bytes are on
    /// disk. A piece of a file that is whole already changes nothing and is fine.
    ///
    /// # Errors
    /// `upload-incomplete` when `offset` is not where the upload ends, see [`Uploads::status`];
    /// `upload-mismatch` when the file is not what its digest or its length says: it is dropped;
    /// `malformed` when the piece goes beyond the length; `policy-limit` when the key's uploads
    /// would take more than its quota; `home-busy` when another writer of it takes too long.
    pub fn append(
        &self,
        key: &PublicKey,
        digest: &Blake3Digest,
        offset: u64,
        length: u64,
        piece: &[u8],
    ) -> Result<Upload> {
        self.area(key)?.append(digest, length, offset, piece)
    }

    /// Opens a whole upload for reading, and keeps it from being swept for a while.
    ///
    /// # Errors
    /// `upload-incomplete` when it is not here, or not to its end; `upload-mismatch` when it has
    /// another length than `file` says. The digests beside BLAKE3 are the reader's to check.
    pub fn open(&self, key: &PublicKey, file: &FileDigest) -> Result<File> {
        let missing = || incomplete(format!("the file {} has not been uploaded", file.digest));
        let area = self.existing_area(key)?.ok_or_else(missing)?;
        let opening = || format!("open the upload {}", file.digest);
        let name = Name::Whole(file.digest.blake3).to_text();
        let opened = match files::open_regular(&area.directory, &name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match self.status(key, &file.digest.blake3)? {
                    None => return Err(missing()),
                    // All its bytes were here, and now it is whole.
                    Some(upload) if upload.is_whole() => {
                        files::open_regular(&area.directory, &name)
                    }
                    Some(Upload { offset, length }) => {
                        return Err(incomplete(format!(
                            "the upload of {} has {offset} of {length} bytes",
                            file.digest
                        )));
                    }
                }
            }
            opened => opened,
        };
        let opened = opened.trying(opening)?.into_std();
        let bytes = opened.metadata().trying(opening)?.len();
        if bytes != file.bytes {
            return Err(mismatch(format!(
                "the upload {} has {bytes} bytes, not {}",
                file.digest, file.bytes
            )));
        }
        // Being used counts as new. A file that cannot be touched is only swept earlier.
        let _ = opened.set_times(FileTimes::new().set_accessed(SystemTime::now()));
        Ok(opened)
    }

    /// The bytes of a whole upload, which must have both digests.
    ///
    /// # Errors
    /// As [`Uploads::open`]; `policy-limit` when it is longer than `most`.
    pub fn read(&self, key: &PublicKey, file: &FileDigest, most: u64) -> Result<Vec<u8>> {
        if file.bytes > most {
            return Err(RoomError::new(
                ReasonCode::PolicyLimit,
                format!("the file has {} bytes, {most} are allowed", file.bytes),
            ));
        }
        let opened = self.open(key, file)?;
        let mut bytes = Vec::new();
        let read = opened.take(file.bytes.saturating_add(1)).read_to_end(&mut bytes);
        read.trying(|| format!("read the upload {}", file.digest))?;
        if file.digest.matches(&bytes) {
            Ok(bytes)
        } else {
            Err(mismatch(format!("the upload {} has other digests", file.digest)))
        }
    }

    /// Gives a whole upload that has both digests another name, in `directory`. The file stays when
    /// the upload goes, and is never written again.
    pub(crate) fn keep(
        &self,
        key: &PublicKey,
        file: &FileDigest,
        directory: &Dir,
        name: &str,
    ) -> Result<()> {
        let keeping = || format!("keep the uploaded file {}", file.digest);
        self.link(key, file, directory, name)?;
        let kept = files::open_regular(directory, name).trying(keeping)?;
        let digest = files::digest_reader(kept).trying(keeping)?;
        if digest == (file.digest, file.bytes) {
            return Ok(());
        }
        Err(mismatch(format!("the upload {} has other digests", file.digest)))
    }

    /// Gives a whole upload another name, in `directory`. Where the file system cannot, it is
    /// copied.
    pub(crate) fn link(
        &self,
        key: &PublicKey,
        file: &FileDigest,
        directory: &Dir,
        name: &str,
    ) -> Result<()> {
        let mut opened = self.open(key, file)?;
        let whole = Name::Whole(file.digest.blake3).to_text();
        let linked = self.area(key)?.directory.hard_link(whole, directory, name);
        match linked.as_ref().map_err(io::Error::kind) {
            Err(
                io::ErrorKind::CrossesDevices
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::TooManyLinks
                | io::ErrorKind::Unsupported,
            ) => files::create_new(directory, name).and_then(|mut copy| {
                io::copy(&mut opened, &mut copy)?;
                copy.set_permissions(Permissions::from_mode(0o400))?;
                copy.sync_all()
            }),
            _ => linked,
        }
        .trying(|| format!("take the uploaded file {}", file.digest))
    }

    /// Removes the upload of `key` with this digest, whole or not. Fine when there is none.
    pub fn remove(&self, key: &PublicKey, digest: &Blake3Digest) -> Result<()> {
        let Some(area) = self.existing_area(key)? else { return Ok(()) };
        for (name, _) in area.entries()? {
            if name.digest() == digest {
                area.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Removes every upload that was neither written nor used for `unused`. Tells how many. What
    /// is written right now is left alone.
    pub fn sweep(&self, unused: Duration) -> Result<usize> {
        let mut removed = 0;
        for entry in self.directory.entries().trying(reading)? {
            let name = entry.trying(reading)?.file_name();
            let key = name.to_str().and_then(|name| name.parse::<KeyId>().ok());
            let Some(directory) = key.and_then(|_| self.directory.open_dir(&name).ok()) else {
                continue;
            };
            let area = Area { directory, limits: self.limits };
            removed += area.sweep(unused)?;
        }
        Ok(removed)
    }

    /// The area of a key, made when it is not there.
    fn area(&self, key: &PublicKey) -> Result<Area> {
        let name = key.id().to_string();
        let directory = files::create_directory(&self.directory, &name)
            .and_then(|()| self.directory.open_dir(&name))
            .trying(reading)?;
        Ok(Area { directory, limits: self.limits })
    }

    fn existing_area(&self, key: &PublicKey) -> Result<Option<Area>> {
        match self.directory.open_dir(key.id().to_string()) {
            Ok(directory) => Ok(Some(Area { directory, limits: self.limits })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).trying(reading),
        }
    }
}

fn reading() -> String {
    "read the uploads".into()
}

fn incomplete(what: String) -> RoomError {
    RoomError::new(ReasonCode::UploadIncomplete, what)
}

fn mismatch(what: String) -> RoomError {
    RoomError::new(ReasonCode::UploadMismatch, what)
}

#[cfg(test)]
mod tests;
