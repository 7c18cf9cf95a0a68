//! Files whose content the approved revision pins.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use crate::backend;
use crate::error::Result;
use crate::room::Room;

/// Bytes that are asked for at once when a whole file is read.
const PIECE: u32 = 1 << 20;

/// A file of a volume, as the revision pins it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Its path in the volume, with `/` between the parts.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// Digest of its content, for example `blake3:9f86…`.
    pub digest: String,
}

/// A set of read-only files: model weights, documents, images.
pub struct Volume<'a> {
    room: &'a Room,
    name: String,
    files: Vec<FileInfo>,
}

/// An open file. Reading it goes to the host each time, so small pieces want a
/// [`BufReader`](std::io::BufReader).
pub struct File {
    inner: backend::File,
    info: FileInfo,
    position: u64,
}

impl Room {
    /// Names of the volumes that this notebook may read.
    pub fn volume_names(&self) -> Vec<String> {
        self.inner.volume_names()
    }

    /// A volume, for example `acme.model`.
    ///
    /// # Errors
    /// When it is not granted.
    pub fn volume(&self, name: &str) -> Result<Volume<'_>> {
        Ok(Volume { room: self, name: name.into(), files: self.inner.volume_files(name)? })
    }
}

impl Volume<'_> {
    /// Its files, in the order of their paths.
    pub fn files(&self) -> &[FileInfo] {
        &self.files
    }

    /// Opens a file by its path in the volume.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(&self, path: &str) -> Result<File> {
        let inner = self.room.inner.open_file(&self.name, path)?;
        Ok(File { info: inner.info(), inner, position: 0 })
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// When there is none, or the host cannot read it.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let file = self.open(path)?;
        let mut content = Vec::with_capacity(usize::try_from(file.info.size).unwrap_or_default());
        loop {
            // A host's error stays as it is: so the run's public reason is the host's too.
            let piece = file.inner.read(content.len() as u64, PIECE)?;
            if piece.is_empty() {
                return Ok(content);
            }
            content.extend_from_slice(&piece);
        }
    }
}

impl File {
    /// Path, length and digest.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("info", &self.info).field("position", &self.position).finish()
    }
}

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = u32::try_from(buffer.len()).unwrap_or(u32::MAX).min(PIECE);
        let piece = self
            .inner
            .read(self.position, wanted)
            .map_err(|error| io::Error::other(error.to_string()))?;
        let part = buffer.get_mut(..piece.len());
        part.ok_or_else(|| io::Error::other("the host sent more than was asked for"))?
            .copy_from_slice(&piece);
        self.position += piece.len() as u64;
        Ok(piece.len())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.info.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
