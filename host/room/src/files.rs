//! Small steps on files that have to be durable, private or both.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, File, OpenOptions, OpenOptionsExt as _};
use glovebox_contract::digest::{Blake3Digest, ContentDigest, ContentHasher};
use nix::fcntl::{OFlag, RenameFlags, renameat2};

/// Mode of every directory of a home.
const DIRECTORY_MODE: u32 = 0o700;

/// Age from which an unfinished file is nobody's any more.
const LEFTOVER_AGE: Duration = Duration::from_hours(24);

/// Bytes hashed or copied at a time.
const CHUNK: usize = 1 << 20;

/// Makes a directory that must not exist and that only its owner may enter.
pub(crate) fn create_new_directory(parent: &Dir, name: impl AsRef<Path>) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(DIRECTORY_MODE);
    parent.create_dir_with(name, &builder)
}

/// [`create_new_directory`], but fine when it is there already.
pub(crate) fn create_directory(parent: &Dir, name: impl AsRef<Path>) -> io::Result<()> {
    match create_new_directory(parent, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// A descriptor of the directory itself that can be locked and synced.
pub(crate) fn directory_handle(directory: &Dir) -> io::Result<std::fs::File> {
    directory.open(".").map(File::into_std)
}

/// Makes names in `directory` survive a power cut.
pub(crate) fn sync_directory(directory: &Dir) -> io::Result<()> {
    directory_handle(directory)?.sync_all()
}

/// Creates a file that must not exist, readable and writable by its owner only.
pub(crate) fn create_new(directory: &Dir, name: impl AsRef<Path>) -> io::Result<File> {
    directory
        .open_with(name, OpenOptions::new().read(true).write(true).create_new(true).mode(0o600))
}

/// Opens a file for reading without waiting for a writer should it be a named pipe.
pub(crate) fn open_regular(directory: &Dir, name: impl AsRef<Path>) -> io::Result<File> {
    let file = directory
        .open_with(name, OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()))?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Reads a whole file that has at most `limit` bytes.
pub(crate) fn read_limited(directory: &Dir, name: &str, limit: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(directory, name)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes")))
    }
}

/// A name that no other writer of this machine uses now.
pub(crate) fn temporary_name() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!(".new-{}-{count}", std::process::id())
}

/// Whether a directory entry is what a write leaves when it is cut short.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(".new-")
}

/// Removes what writes left that were cut short. What is young may still be written by another
/// process; what cannot be removed does no harm.
pub(crate) fn sweep(directory: &Dir) -> io::Result<()> {
    for entry in directory.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        let age = written.map(|at| at.into_std().elapsed().unwrap_or_default());
        let is_old = age.is_ok_and(|age| age > LEFTOVER_AGE);
        if is_old && name.to_str().is_some_and(is_temporary) {
            let _ = match entry.file_type()?.is_dir() {
                true => directory.remove_dir_all(&name),
                false => directory.remove_file(&name),
            };
        }
    }
    Ok(())
}

/// Writes a file so that its name shows all of `bytes` or nothing, power cut included.
/// An existing file of that name is replaced.
pub(crate) fn write_atomically(directory: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_name();
    let written = create_new(directory, &temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| directory.rename(&temporary, directory, name));
    if let Err(error) = renamed {
        // The first error is the one to tell; a leftover is swept at the next open.
        let _ = directory.remove_file(&temporary);
        return Err(error);
    }
    sync_directory(directory)
}

/// Writes a file that may be lost or old after a power cut, but is never half written otherwise.
pub(crate) fn write_casually(directory: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_name();
    create_new(directory, &temporary)?.write_all(bytes)?;
    directory.rename(&temporary, directory, name)
}

/// Renames without ever replacing what has the new name.
pub(crate) fn rename_new(from: &Dir, old: &str, to: &Dir, new: &str) -> io::Result<()> {
    renameat2(from, old, to, new, RenameFlags::RENAME_NOREPLACE).map_err(io::Error::from)
}

/// Both digests and the length of what is left to read.
pub(crate) fn digest_reader(mut reader: impl io::Read) -> io::Result<(ContentDigest, u64)> {
    let mut hasher = ContentHasher::new();
    let mut buffer = vec![0; CHUNK];
    let mut length = 0_u64;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), length)),
            Ok(count) => {
                let (read, _) = buffer.split_at(count);
                hasher.update(read);
                length = length.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The BLAKE3 digest of what is left to read.
pub(crate) fn blake3_reader(reader: impl io::Read) -> io::Result<(Blake3Digest, u64)> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(reader)?;
    Ok((Blake3Digest::from_bytes(*hasher.finalize().as_bytes()), hasher.count()))
}
