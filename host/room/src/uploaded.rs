//! Assets whose files came as uploads: what `glovebox serve` adds for a party that is elsewhere.
//!
//! A file is named by the party and by its digest. The names become names in a directory of the
//! room, so they are checked here; the digests are checked before the files get them, and again
//! before each run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use glovebox_contract::column::Column;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PublicKey;
use glovebox_contract::name::{Alias, Identifier, TableName};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Applied, Refusal};
use glovebox_contract::statement::{AssetStatement, Body, FileDigest};
use glovebox_job::job::FileFormat;

use crate::error::{Context as _, Result, RoomError};
use crate::files;
use crate::home::Home;
use crate::kept::{HeldFiles, Pins};
use crate::room::Room;
use crate::sources::MAX_FILES;
use crate::tables::DescribedTable;
use crate::uploads::Uploads;
use crate::volumes::MeasuredVolume;
use crate::worker::WorkerSettings;

/// Longest name of a file, as file systems have it.
const MAX_NAME_BYTES: usize = 255;

/// Deepest nesting of directories in a volume.
const MAX_DEPTH: usize = 16;

/// Where the files of each kind are in a set of kept files.
const ROWS: &str = "rows";
const TABLES: &str = "tables";
const FILES: &str = "files";

/// A table or a view over uploaded files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedTable {
    /// Where its rows are.
    pub rows: UploadedRows,
    /// The files' name of each column that is published under another.
    pub aliases: BTreeMap<String, String>,
}

/// The uploaded files of a table or of a view, each by the name that its party gives it. The
/// name's extension tells the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadedRows {
    /// Files of one format and one schema.
    Files(BTreeMap<String, FileDigest>),
    /// What SQL makes of files.
    View {
        /// One `SELECT`.
        sql: String,
        /// The tables by the names that the SQL has for them.
        tables: BTreeMap<Identifier, BTreeMap<String, FileDigest>>,
    },
}

/// What uploaded files hold, or what a view makes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedColumns {
    /// All columns with the names under which they would be published.
    pub columns: Vec<Column>,
    /// How many files there are.
    pub files: usize,
    /// Bytes of all files together.
    pub bytes: u64,
    /// Digest of the view's definition; none when this is no view.
    pub definition: Option<Blake3Digest>,
}

impl UploadedTable {
    /// The files by their paths in a set.
    fn pins(&self) -> Result<Pins> {
        let mut pins = Pins::new();
        let mut add = |folder: &str, files: &BTreeMap<String, FileDigest>| {
            if files.is_empty() || files.len() > MAX_FILES {
                let why = format!("a table has 1 to {MAX_FILES} files, not {}", files.len());
                return Err(RoomError::new(ReasonCode::InputUnreadable, why));
            }
            for (name, file) in files {
                check_table_file(name)?;
                pins.insert(format!("{folder}/{name}"), *file);
            }
            Ok(())
        };
        match &self.rows {
            UploadedRows::Files(files) => add(ROWS, files)?,
            UploadedRows::View { tables, .. } => tables
                .iter()
                .try_for_each(|(table, files)| add(&format!("{TABLES}/{table}"), files))?,
        }
        Ok(pins)
    }

    /// Reads the files that lie in a set at `root`.
    fn describe(
        &self,
        settings: &WorkerSettings,
        table: &TableName,
        root: &Path,
    ) -> Result<DescribedTable> {
        let described = match &self.rows {
            UploadedRows::Files(_) => {
                DescribedTable::read(settings, table, &root.join(ROWS), None)?
            }
            UploadedRows::View { sql, tables } => {
                let place = |name: &Identifier| root.join(TABLES).join(name.as_str());
                let paths = tables.keys().map(|name| (name.clone(), place(name))).collect();
                DescribedTable::read_view(settings, table, sql, &paths)?
            }
        };
        described.publish_as(self.aliases.clone())
    }
}

/// A name of a file of a table: one that shows, in one directory, with a known format.
fn check_table_file(name: &str) -> Result<()> {
    check_name(name)?;
    let refused = |why: &str| {
        let what = format!("the file `{}` {why}", name.escape_debug());
        Err(RoomError::new(ReasonCode::InputUnreadable, what))
    };
    // Such names are marks of tools: their rows would be left out.
    if name.starts_with(['.', '_']) {
        return refused("has a name that begins with a dot or an underscore");
    }
    let extension = Path::new(name).extension().and_then(std::ffi::OsStr::to_str);
    if extension.and_then(FileFormat::of_extension).is_none() {
        return refused(
            "has no known extension; expected .parquet, .csv, .ndjson, .jsonl, .arrow or .feather",
        );
    }
    Ok(())
}

/// One part of a path: no other directory, nothing that plays tricks on a screen, not too long.
fn check_name(name: &str) -> Result<()> {
    let plain = !matches!(name, "" | "." | "..")
        && name.len() <= MAX_NAME_BYTES
        && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\'));
    if plain {
        return Ok(());
    }
    // Whatever it is, it may be long.
    let shown: String = name.chars().take(40).collect();
    let what = format!("`{}` is not the plain name of a file", shown.escape_debug());
    Err(RoomError::new(ReasonCode::Malformed, what))
}

/// The files of a volume by their paths in a set.
fn volume_pins(files: &BTreeMap<String, FileDigest>) -> Result<Pins> {
    let malformed = |path: &str, why: &str| {
        let what = format!("the path `{}` {why}", path.escape_debug());
        Err(RoomError::new(ReasonCode::Malformed, what))
    };
    for path in files.keys() {
        path.split('/').try_for_each(check_name)?;
        if path.split('/').count() > MAX_DEPTH {
            return malformed(path, "lies too deep");
        }
        let mut parents = Path::new(path).ancestors().skip(1).filter_map(Path::to_str);
        if parents.any(|parent| files.contains_key(parent)) {
            return malformed(path, "is in a folder that is a file");
        }
    }
    Ok(files.iter().map(|(path, file)| (format!("{FILES}/{path}"), *file)).collect())
}

/// A directory for a short look, gone with this value.
struct Look {
    staging: Dir,
    name: String,
    path: PathBuf,
}

impl Drop for Look {
    fn drop(&mut self) {
        // What stays is swept with the staging area.
        let _ = self.staging.remove_dir_all(&self.name);
    }
}

impl Home {
    /// Looks at uploads of `key` in a jailed child: what [`Room::add_uploaded_table`] would offer.
    /// `table` is for messages. Nothing is kept.
    ///
    /// # Errors
    /// As [`DescribedTable::read`] and [`Uploads::open`]; `malformed` when a name is not the plain
    /// name of a file.
    pub fn describe_uploaded(
        &self,
        settings: &WorkerSettings,
        uploads: &Uploads,
        key: &PublicKey,
        table: &TableName,
        uploaded: &UploadedTable,
    ) -> Result<UploadedColumns> {
        let looking = || "look at uploaded files".into();
        let pins = uploaded.pins()?;
        let (staging, name) = (self.directory("staging")?, files::temporary_name());
        files::create_new_directory(&staging, &name).trying(looking)?;
        let path = self.path().join("staging").join(&name);
        let look = Look { staging, name, path };
        let root = look.staging.open_dir(&look.name).trying(looking)?;
        for (path, file) in &pins {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            root.create_dir_all(folder).trying(looking)?;
            uploads.link(key, file, &root.open_dir(folder).trying(looking)?, name)?;
        }
        let described = uploaded.describe(settings, table, &look.path)?;
        Ok(UploadedColumns {
            columns: described.columns(),
            files: described.files(),
            bytes: described.bytes(),
            definition: described.definition(),
        })
    }
}

impl Room {
    /// Adds a table or a view over uploads of the statement's signer, or replaces its own: keeps
    /// the files in the room, reads them in a jailed child, and takes the statement. The files of
    /// what is replaced are removed when no run reads them any more.
    ///
    /// # Errors
    /// As [`Room::add_table`] and [`Home::describe_uploaded`]; `policy-limit` when the party's
    /// files in this room would take more than its share. The statement is as good as before when
    /// an upload is missing or the disk is full: that is not logged.
    pub fn add_uploaded_table(
        &mut self,
        settings: &WorkerSettings,
        uploads: &Uploads,
        envelope: &Envelope,
        uploaded: &UploadedTable,
    ) -> Result<Applied> {
        let statement = envelope.unverified().map_err(Refusal::from)?;
        let Body::Asset(AssetStatement::Table(asset)) = statement.body else {
            return Err(RoomError::internal("the statement does not add a table"));
        };
        let pins = uploaded.pins()?;
        let kept = self.keep(uploads, envelope, pins)?;
        let added = uploaded
            .describe(settings, &asset.name, &kept.path)
            .and_then(|described| self.add_table(envelope, &described));
        self.let_go(kept);
        added
    }

    /// Adds a volume of uploads of the statement's signer, or replaces its own: the files that the
    /// statement pins.
    ///
    /// # Errors
    /// As [`Room::add_uploaded_table`].
    pub fn add_uploaded_volume(
        &mut self,
        uploads: &Uploads,
        envelope: &Envelope,
    ) -> Result<Applied> {
        let statement = envelope.unverified().map_err(Refusal::from)?;
        let Body::Asset(AssetStatement::Volume(asset)) = statement.body else {
            return Err(RoomError::internal("the statement does not add a volume"));
        };
        let kept = self.keep(uploads, envelope, volume_pins(&asset.files)?)?;
        let measured = MeasuredVolume::new(kept.path.join(FILES), asset.files);
        let added = self.add_volume(envelope, &measured);
        self.let_go(kept);
        added
    }

    /// Adds a notebook or a library whose component is an upload of the statement's signer.
    ///
    /// # Errors
    /// As [`Room::add_notebook`], [`Room::add_library`] and [`Uploads::read`].
    pub fn add_uploaded_component(
        &mut self,
        settings: &WorkerSettings,
        uploads: &Uploads,
        envelope: &Envelope,
    ) -> Result<Applied> {
        let statement = envelope.unverified().map_err(Refusal::from)?;
        let (bytes, digest, is_notebook) = match &statement.body {
            Body::Asset(AssetStatement::Notebook(asset)) => {
                (asset.component_bytes, asset.component, true)
            }
            Body::Asset(AssetStatement::Library(asset)) => {
                (asset.component_bytes, asset.component, false)
            }
            _ => return Err(RoomError::internal("the statement does not add a component")),
        };
        let (_, key) = self.signer_of_acceptable(envelope)?;
        let most = self.state.document().limits.component_bytes;
        let component = uploads.read(&key, &FileDigest { bytes, digest }, most)?;
        match is_notebook {
            true => self.add_notebook(settings, envelope, &component),
            false => self.add_library(settings, envelope, &component),
        }
    }

    /// The party that signed a statement that the room would take, with its key. One that it would
    /// not take is refused and logged here: nobody makes the host work in vain.
    pub(crate) fn signer_of_acceptable(
        &mut self,
        envelope: &Envelope,
    ) -> Result<(Alias, PublicKey)> {
        let applied = self.locked(|room, _| room.judge(envelope))?;
        let member = self.state.member(&applied.statement.party)?;
        Ok((member.alias().clone(), *member.public_key()))
    }

    /// Whether the room would take the statement; the refusal is logged. Call it under the room's
    /// lock.
    fn judge(&mut self, envelope: &Envelope) -> Result<Applied> {
        match self.state.clone().apply(envelope) {
            Ok(applied) => Ok(applied),
            Err(refusal) => {
                self.log_refusal(envelope, refusal.reason())?;
                Err(refusal.into())
            }
        }
    }

    /// Keeps uploads of the signer for a statement that is to be taken.
    fn keep(&mut self, uploads: &Uploads, envelope: &Envelope, pins: Pins) -> Result<HeldFiles> {
        let (party, key) = self.signer_of_acceptable(envelope)?;
        for file in pins.values() {
            uploads.open(&key, file)?;
        }
        let (digest, most) = (envelope.digest(), uploads.limits().kept_bytes);
        let kept = self.locked(|room, _| {
            // Once the statement is taken, the files of its name are in use.
            room.judge(envelope)?;
            room.kept.begin(&party, &digest, pins, most)
        })?;
        match self.kept.fill(&kept, uploads, &key) {
            Ok(()) => Ok(kept),
            Err(error) => {
                self.let_go(kept);
                Err(error)
            }
        }
    }

    /// Lets go of kept files, and removes what no table or volume of the room uses. What fails here
    /// is done at the next change or the next start.
    fn let_go(&mut self, kept: HeldFiles) {
        drop(kept);
        let _ = self.locked(|room, _| room.remove_unused_files());
    }

    /// Removes kept files that nothing uses. Call it under the room's lock.
    pub(crate) fn remove_unused_files(&self) -> Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        self.kept.remove_unused(&self.store.places()?)
    }
}
