//! A party's files: where they are, which belong to a table, what they held when a run began.
//!
//! Paths are the host's private knowledge. A statement names a table and its columns; this
//! mapping from table to files never leaves the host.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use glovebox_contract::column::Column;
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::name::{Identifier, TableName};
use glovebox_contract::reason::ReasonCode;
use glovebox_job::job::FileFormat;

use crate::error::{Result, RoomError};
use crate::files;
use crate::remote::RemoteRows;

/// A file younger than this when it was read may be written again under the same time stamp, so
/// its digest is not remembered.
const SETTLED: Duration = Duration::from_secs(2);

/// Most files of one table.
pub(crate) const MAX_FILES: usize = 4096;

/// Where the rows of a table or of a view are. Host-private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The files' name of each column that is published under another.
    pub aliases: BTreeMap<String, String>,
    /// Where they are.
    pub rows: Rows,
}

impl Source {
    /// The same, with every place as `place` has it.
    pub(crate) fn with_places(mut self, place: impl Fn(PathBuf) -> PathBuf) -> Self {
        let tables: Vec<&mut Files> = match &mut self.rows {
            Rows::Files(files) => vec![files],
            Rows::View { tables, .. } => tables.values_mut().collect(),
            Rows::Remote(_) => Vec::new(),
        };
        for files in tables {
            files.path = place(std::mem::take(&mut files.path));
        }
        self
    }
}

/// Where rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// In files.
    Files(Files),
    /// In what SQL makes of files.
    View {
        /// One `SELECT`.
        sql: String,
        /// The tables by the names that the SQL has for them.
        tables: BTreeMap<Identifier, Files>,
    },
    /// Elsewhere.
    Remote(Box<RemoteRows>),
}

/// Files of one format and one schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// A file, or a directory of files.
    pub path: PathBuf,
    /// Format of every file.
    pub format: FileFormat,
    /// All columns of the files, offered or not.
    pub columns: Vec<Column>,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) bytes: u64,
    pub(crate) modified_ns: i64,
    pub(crate) changed_ns: i64,
}

impl FileIdentity {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Whether two looks at a file saw the same. A file of this host's `own`, in its home, has names
    /// that come and go, which changes nothing but the time of its last change.
    fn is_same(&self, other: &Self, own: bool) -> bool {
        let other = match own {
            true => Self { changed_ns: self.changed_ns, ..*other },
            false => *other,
        };
        *self == other
    }

    /// Whether the file has been left alone for long enough that any later write shows.
    fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let latest = now.saturating_sub(SETTLED).as_nanos();
        u128::try_from(self.changed_ns.max(self.modified_ns)).is_ok_and(|at| at < latest)
    }
}

/// Remembers digests of files that have not changed.
pub(crate) trait DigestCache {
    fn get(&self, file: &FileIdentity) -> Option<ContentDigest>;
    fn put(&self, file: &FileIdentity, digest: &ContentDigest);
}

/// One file of a table, opened for reading.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    pub(crate) name: OsString,
    pub(crate) file: File,
    pub(crate) identity: FileIdentity,
    /// Whether it is this host's own, in its home.
    pub(crate) own: bool,
}

/// All files of a table, opened, in the order of their names.
#[derive(Debug)]
pub(crate) struct OpenedSource {
    directory: Dir,
    /// The one file of the table; none when every file of the directory belongs to it.
    only: Option<OsString>,
    pub(crate) format: FileFormat,
    pub(crate) files: Vec<OpenedFile>,
}

/// Opens the files of a table. `table` is for messages only; `format` is found by the names of
/// the files when it is not given.
///
/// The text of an error names the table, its cause names the files: they are their owner's secret.
pub(crate) fn open(
    table: &TableName,
    path: &Path,
    format: Option<FileFormat>,
) -> Result<OpenedSource> {
    let at_path = |error: io::Error| {
        unreadable(table, io::Error::new(error.kind(), format!("`{}`: {error}", path.display())))
    };
    let (directory, only) = locate(path).map_err(at_path)?;
    let names = match &only {
        Some(name) => vec![name.clone()],
        None => list(&directory).map_err(at_path)?,
    };
    if names.is_empty() || names.len() > MAX_FILES {
        let count = names.len();
        return Err(unreadable(
            table,
            format!("`{}` holds {count} files, expected 1 to {MAX_FILES}", path.display()),
        ));
    }
    let format = match format {
        Some(format) => format,
        None => common_format(&names).map_err(|why| unreadable(table, why))?,
    };
    let files = names.into_iter().map(|name| open_file(&directory, name));
    let files = files.collect::<io::Result<_>>().map_err(at_path)?;
    Ok(OpenedSource { directory, only, format, files })
}

pub(crate) fn unreadable(
    table: &TableName,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> RoomError {
    RoomError::new(
        ReasonCode::InputUnreadable,
        format!("table {table}: its files on this host cannot be read"),
    )
    .because(cause)
}

/// The directory that bounds what a source can reach, and the file in it when it is one file.
pub(crate) fn locate(path: &Path) -> io::Result<(Dir, Option<OsString>)> {
    match Dir::open_ambient_dir(path, ambient_authority()) {
        Ok(directory) => Ok((directory, None)),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let name = path.file_name().ok_or(error)?;
            let parent = match path.parent() {
                Some(parent) if parent != Path::new("") => parent,
                _ => Path::new("."),
            };
            let directory = Dir::open_ambient_dir(parent, ambient_authority())?;
            Ok((directory, Some(name.to_owned())))
        }
        Err(error) => Err(error),
    }
}

/// Names of the files of a directory, sorted. Names with a `.` or `_` in front are the marks that
/// tools leave beside data, so they are skipped; a subdirectory is an error, not skipped rows.
fn list(directory: &Dir) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in directory.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_')) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                format!("`{}` is a directory; a table's files lie side by side", name.display()),
            ));
        }
        names.push(name);
    }
    names.sort();
    Ok(names)
}

fn open_file(directory: &Dir, name: OsString) -> io::Result<OpenedFile> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("`{}`: {error}", name.display()));
    let file = files::open_regular(directory, &name).map_err(named)?.into_std();
    let identity = FileIdentity::of(&file).map_err(named)?;
    Ok(OpenedFile { name, file, identity, own: false })
}

fn common_format(names: &[OsString]) -> Result<FileFormat, String> {
    let mut common = None;
    for name in names {
        let extension = Path::new(name).extension().and_then(OsStr::to_str);
        let Some(format) = extension.and_then(FileFormat::of_extension) else {
            return Err(format!(
                "`{}` has no known extension; expected .parquet, .csv, .ndjson, .jsonl, .arrow or \
                 .feather",
                name.display()
            ));
        };
        if common.is_some_and(|common| common != format) {
            return Err(format!(
                "`{}` has another format than the files before it",
                name.display()
            ));
        }
        common = Some(format);
    }
    common.ok_or_else(|| "there are no files".into())
}

fn changed(what: &str) -> RoomError {
    RoomError::new(ReasonCode::InputChanged, what)
}

impl OpenedSource {
    /// The same files, which are this host's own.
    pub(crate) fn owned(mut self) -> Self {
        self.files.iter_mut().for_each(|file| file.own = true);
        self
    }

    /// Digests of all files in order, from the cache where a file has not changed.
    pub(crate) fn digests(
        &self,
        table: &TableName,
        cache: &dyn DigestCache,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<(ContentDigest, u64)>> {
        let digest = |file: &OpenedFile| {
            file.digest(cache, progress).map_err(|error| match error {
                DigestError::Io(error) => unreadable(table, error),
                DigestError::Changed => changed("a file changed while its digest was computed"),
            })
        };
        self.files.iter().map(digest).collect()
    }

    /// Fails when a file or the list of files is not what it was when this was opened. Both are
    /// looked up by name again, so a file put in another's place shows as well.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let gone = |_| changed("a file of the table was removed during the run");
        if self.only.is_none() {
            let names = list(&self.directory)
                .map_err(|_| changed("the table's directory cannot be listed any more"))?;
            if !names.iter().eq(self.files.iter().map(|file| &file.name)) {
                return Err(changed("files of the table were added or removed during the run"));
            }
        }
        for before in &self.files {
            let after = open_file(&self.directory, before.name.clone()).map_err(gone)?;
            let held = FileIdentity::of(&before.file).map_err(gone)?;
            if !before.is_unchanged(&after.identity) || !before.is_unchanged(&held) {
                return Err(changed("a file of the table changed during the run"));
            }
        }
        Ok(())
    }
}

/// Told how many bytes of a file were read; an error ends the reading.
pub(crate) type Progress<'a> = dyn FnMut(u64) -> io::Result<()> + 'a;

/// Why an open file has no digest.
#[derive(Debug)]
pub(crate) enum DigestError {
    Io(io::Error),
    /// It changed while it was read.
    Changed,
}

impl From<io::Error> for DigestError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl OpenedFile {
    /// Whether it was this file that a later look saw.
    pub(crate) fn is_unchanged(&self, now: &FileIdentity) -> bool {
        self.identity.is_same(now, self.own)
    }

    /// Its digest and its length. `progress` is told how many bytes were read, and may end it.
    pub(crate) fn digest(
        &self,
        cache: &dyn DigestCache,
        progress: &mut Progress<'_>,
    ) -> Result<(ContentDigest, u64), DigestError> {
        if let Some(digest) = cache.get(&self.identity) {
            return Ok((digest, self.identity.bytes));
        }
        // Positioned reads leave the shared offset alone.
        let reader = PositionedReader { file: &self.file, offset: 0, progress };
        let (digest, bytes) = files::digest_reader(reader)?;
        if !self.is_unchanged(&FileIdentity::of(&self.file)?) || bytes != self.identity.bytes {
            return Err(DigestError::Changed);
        }
        if self.identity.is_settled() {
            cache.put(&self.identity, &digest);
        }
        Ok((digest, bytes))
    }
}

/// Reads a file from a place of its own.
struct PositionedReader<'a> {
    file: &'a File,
    offset: u64,
    progress: &'a mut Progress<'a>,
}

impl io::Read for PositionedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.offset)?;
        self.offset = self.offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        (self.progress)(self.offset)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
