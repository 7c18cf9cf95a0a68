//! Files as the readers of heads and footers take them: read at positions, from wherever they are.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::reader::{ChunkReader, Length};

use crate::broker::{Broker, BrokerFailure, FileNumber, wait_here};
use crate::input::{BrokeredFiles, InputFile};
use crate::store::FileShrank;

/// A file with a known size.
pub(crate) trait ReadAt: Send + Sync {
    /// Its size in bytes.
    fn bytes(&self) -> u64;

    /// Reads at `position`, which lies inside the file. Less than asked for is an answer.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> std::io::Result<usize>;

    /// Fails when it is known to be shorter by now.
    fn check_length(&self) -> Result<(), DataFusionError>;

    /// Why it could not be read, when a reader's error no longer says so.
    fn failure(&self) -> Option<BrokerFailure> {
        None
    }

    /// Reads all of `buffer`.
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> std::io::Result<()> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, position.saturating_add(filled as u64))? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        Ok(())
    }
}

impl ReadAt for InputFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> std::io::Result<usize> {
        self.file.read_at(buffer, position)
    }

    fn check_length(&self) -> Result<(), DataFusionError> {
        if self.file.metadata()?.len() < self.bytes {
            return Err(DataFusionError::External(Box::new(FileShrank)));
        }
        Ok(())
    }
}

/// Bytes that are fetched at once: a footer, or a good part of the rows that types are inferred
/// from.
const WINDOW_BYTES: u64 = 256 << 10;

/// A file that a broker reads, on a thread that may wait.
#[derive(Debug)]
pub(crate) struct Fetched {
    broker: Arc<dyn Broker>,
    number: FileNumber,
    bytes: u64,
    window: Mutex<Window>,
}

/// The part of a file that was fetched last, and the first failure to fetch one.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    content: Vec<u8>,
    failure: Option<BrokerFailure>,
}

impl Fetched {
    /// All of `files`.
    pub(crate) fn all(files: &BrokeredFiles) -> Vec<Self> {
        let BrokeredFiles { broker, table, files, .. } = files;
        let fetched = files.iter().zip(0..).map(|(file, number)| Self {
            broker: Arc::clone(broker),
            number: FileNumber { table: *table, file: number },
            bytes: file.bytes,
            window: Mutex::default(),
        });
        fetched.collect()
    }

    /// Fetches a part that begins at `position`, or before it when the end of the file is near.
    fn fetch(&self, position: u64, window: &mut Window) -> Result<(), BrokerFailure> {
        let last = self.bytes.saturating_sub(WINDOW_BYTES);
        let start = position.min(last);
        let end = start.saturating_add(WINDOW_BYTES).min(self.bytes);
        let ranges = std::iter::once(start..end).collect();
        let content = wait_here(self.broker.ranges(self.number, ranges))?;
        if content.len() as u64 != end - start {
            return Err(BrokerFailure::ASTRAY);
        }
        (window.start, window.content) = (start, content);
        Ok(())
    }
}

impl ReadAt for Fetched {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> std::io::Result<usize> {
        if buffer.is_empty() || position >= self.bytes {
            return Ok(0);
        }
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let end = window.start.saturating_add(window.content.len() as u64);
        if position < window.start || position >= end {
            self.fetch(position, &mut window).map_err(|failure| {
                window.failure.get_or_insert(failure);
                std::io::Error::other(failure)
            })?;
        }
        let from = usize::try_from(position.saturating_sub(window.start)).unwrap_or(usize::MAX);
        let found = window.content.get(from..).unwrap_or_default();
        let read = found.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(found) {
            *to = *from;
        }
        Ok(read)
    }

    fn check_length(&self) -> Result<(), DataFusionError> {
        // The broker reads one version of it only.
        Ok(())
    }

    fn failure(&self) -> Option<BrokerFailure> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner).failure
    }
}

/// Reads a file from its start, at positions, without moving a shared cursor.
pub(crate) struct Positioned<'a> {
    file: &'a dyn ReadAt,
    bytes: u64,
    position: u64,
}

impl<'a> Positioned<'a> {
    pub(crate) fn new(file: &'a dyn ReadAt) -> Result<Self, DataFusionError> {
        file.check_length()?;
        Ok(Self { file, bytes: file.bytes(), position: 0 })
    }
}

impl Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.bytes.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        let read = self.file.read_at(part, self.position)?;
        self.position = self.position.saturating_add(read as u64);
        Ok(read)
    }
}

impl Seek for Positioned<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl Length for Positioned<'_> {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Positioned<'_> {
    type T = BufReader<std::io::Cursor<bytes::Bytes>>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let length = usize::try_from(self.bytes.saturating_sub(start))
            .map_err(|_| ParquetError::EOF("file too large".into()))?;
        Ok(BufReader::new(std::io::Cursor::new(self.get_bytes(start, length)?)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes, ParquetError> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.bytes) {
            return Err(ParquetError::EOF("range outside the file".into()));
        }
        let mut buffer = vec![0; length];
        self.file
            .read_exact_at(&mut buffer, start)
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(buffer.into())
    }
}
