//! Adding tables and views: what a party's files hold, and what the party offers of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use glovebox_contract::column::Column;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::{Identifier, TableName};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Applied, Refusal};
use glovebox_contract::statement::{AssetStatement, Body, TableAsset};
use glovebox_job::job::FileFormat;

use crate::error::{Result, RoomError};
use crate::private;
use crate::remote::Credential;
use crate::room::Room;
use crate::sources::{self, Files, OpenedSource, Rows, Source};
use crate::worker::{self, WorkerSettings};

/// What the files of a table hold, or what a view makes of files, as a jailed child read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedTable {
    pub(crate) source: Source,
    /// All columns, with the names in the files or in the view.
    pub(crate) columns: Vec<Column>,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    /// What opens a table that is elsewhere.
    pub(crate) credential: Option<Credential>,
}

impl DescribedTable {
    /// Reads the columns of the file or the directory of files at `path`. The format is found by
    /// the files' extensions unless it is given. `table` is for messages.
    ///
    /// # Errors
    /// `input-unreadable` when a file is missing or not to be read, `input-corrupt` when one is
    /// not what its format says, `schema-mismatch` when the files have different columns.
    pub fn read(
        settings: &WorkerSettings,
        table: &TableName,
        path: &Path,
        format: Option<FileFormat>,
    ) -> Result<Self> {
        let (files, opened) = read_files(settings, table, path, format)?;
        Ok(Self {
            columns: files.columns.clone(),
            files: opened.files.len(),
            bytes: bytes(&opened),
            source: Source { aliases: BTreeMap::new(), rows: Rows::Files(files) },
            credential: None,
        })
    }

    /// Plans the view `sql` over the files or directories at `paths`, each by the name that the
    /// SQL has for it, and reads its columns. `view` is for messages.
    ///
    /// # Errors
    /// As [`Self::read`], and with the reason why the SQL is refused: it reads its own tables only,
    /// by the functions that notebooks may call.
    pub fn read_view(
        settings: &WorkerSettings,
        view: &TableName,
        sql: &str,
        paths: &BTreeMap<Identifier, PathBuf>,
    ) -> Result<Self> {
        let mut tables = BTreeMap::new();
        let mut opened = BTreeMap::new();
        let (mut count, mut size) = (0_usize, 0_u64);
        for (name, path) in paths {
            let (files, source) = read_files(settings, view, path, None)?;
            count = count.saturating_add(source.files.len());
            size = size.saturating_add(bytes(&source));
            opened.insert(name.clone(), (source, files.columns.clone()));
            tables.insert(name.clone(), files);
        }
        let columns = worker::describe_view(settings, view, sql, &opened)?;
        let rows = Rows::View { sql: sql.to_owned(), tables };
        let source = Source { aliases: BTreeMap::new(), rows };
        Ok(Self { source, columns, files: count, bytes: size, credential: None })
    }

    /// Digest of the definition; none when this is no view.
    pub fn definition(&self) -> Option<Blake3Digest> {
        match &self.source.rows {
            Rows::Files(_) | Rows::Remote(_) => None,
            Rows::View { sql, .. } => Some(Blake3Digest::of(sql.as_bytes())),
        }
    }

    /// Publishes columns under other names than the files': `aliases` are the published names,
    /// each with the name in the files. The mapping stays with this host.
    ///
    /// # Errors
    /// `not-found` when the files lack a column; `schema-mismatch` when a column would have two
    /// names, or a name two columns.
    pub fn publish_as(mut self, aliases: BTreeMap<String, String>) -> Result<Self> {
        let mismatch = |why: String| Err(RoomError::new(ReasonCode::SchemaMismatch, why));
        let mut named = BTreeSet::new();
        for in_files in aliases.values() {
            let shown = in_files.escape_debug();
            if !self.columns.iter().any(|column| column.name == *in_files) {
                let known = list(&self.columns);
                let what = format!("the files have no column `{shown}`; they have {known}");
                return Err(RoomError::not_found(what));
            }
            if !named.insert(in_files) {
                return mismatch(format!("column `{shown}` of the files has two aliases"));
            }
        }
        self.source.aliases = aliases;
        let mut names = BTreeSet::new();
        match self.columns().into_iter().find(|column| !names.insert(column.name.clone())) {
            None => Ok(self),
            Some(column) => {
                mismatch(format!("two columns would be called `{}`", column.name.escape_debug()))
            }
        }
    }

    /// The files' name of each column that is published under another.
    pub fn aliases(&self) -> &BTreeMap<String, String> {
        &self.source.aliases
    }

    /// All columns, in the order of the files, with the names under which they are published.
    pub fn columns(&self) -> Vec<Column> {
        let aliases = self.source.aliases.iter();
        let published: BTreeMap<&String, &String> =
            aliases.map(|(published, in_files)| (in_files, published)).collect();
        let publish = |column: &Column| match published.get(&column.name) {
            None => column.clone(),
            Some(name) => Column { name: (*name).clone(), ..column.clone() },
        };
        self.columns.iter().map(publish).collect()
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.files
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The columns with these names, in the order of the names; all columns when none are named.
    ///
    /// # Errors
    /// `not-found` when the files lack one of them.
    pub fn select(&self, names: &[String]) -> Result<Vec<Column>> {
        let columns = self.columns();
        if names.is_empty() {
            return Ok(columns);
        }
        let find = |name: &String| {
            columns.iter().find(|column| column.name == *name).cloned().ok_or_else(|| {
                RoomError::not_found(format!(
                    "the files have no column `{}`; they have {}",
                    name.escape_debug(),
                    list(&columns)
                ))
            })
        };
        names.iter().map(find).collect()
    }

    /// Fails unless every column of the statement is a column of the files, and a view's
    /// definition is this one.
    fn check_offers(&self, table: &TableAsset) -> Result<()> {
        if table.view != self.definition() {
            return Err(RoomError::new(
                ReasonCode::SchemaMismatch,
                format!("view {}: the statement is about another definition", table.name),
            ));
        }
        let columns = self.columns();
        match table.columns.iter().find(|offered| !columns.contains(offered)) {
            None => Ok(()),
            Some(column) => Err(RoomError::new(
                ReasonCode::SchemaMismatch,
                format!(
                    "table {}: the files have no column `{}` of type {}",
                    table.name,
                    column.name.escape_debug(),
                    column.column_type
                ),
            )),
        }
    }
}

/// Opens the files at `path` and reads their columns.
fn read_files(
    settings: &WorkerSettings,
    table: &TableName,
    path: &Path,
    format: Option<FileFormat>,
) -> Result<(Files, OpenedSource)> {
    // The place is remembered as it is now, whatever becomes of the working directory.
    let path = path.canonicalize().map_err(|error| {
        RoomError::new(
            ReasonCode::InputUnreadable,
            format!("table {table}: cannot read `{}`", path.display()),
        )
        .because(error)
    })?;
    let opened = sources::open(table, &path, format)?;
    let columns = worker::describe(settings, &opened)?;
    Ok((Files { path, format: opened.format, columns }, opened))
}

fn bytes(opened: &OpenedSource) -> u64 {
    opened.files.iter().fold(0, |all, file| all.saturating_add(file.identity.bytes))
}

fn list(columns: &[Column]) -> String {
    let names = columns.iter().map(|column| format!("`{}`", column.name.escape_debug()));
    names.collect::<Vec<_>>().join(", ")
}

impl Room {
    /// Adds a table, or replaces the party's own: takes the signed statement and remembers where
    /// the rows are, both or neither. The place stays with this host.
    ///
    /// # Errors
    /// With the reason when the statement is refused; `schema-mismatch` when it offers a column
    /// that the files do not have.
    pub fn add_table(&mut self, envelope: &Envelope, table: &DescribedTable) -> Result<Applied> {
        let statement = envelope.unverified().map_err(Refusal::from)?;
        let Body::Asset(AssetStatement::Table(asset)) = statement.body else {
            return Err(RoomError::internal("the statement does not add a table"));
        };
        self.locked(|room, _| {
            if let Err(error) = table.check_offers(&asset) {
                room.log_refusal(envelope, error.reason())?;
                return Err(error);
            }
            let source = table.source.clone().with_places(|place| room.kept.stored_place(&place));
            let source = room.with_sealed(source, &asset.name, table.credential.as_ref())?;
            let applied = room.take(envelope, |transaction| {
                private::put_source(transaction, &asset.name, &source)
            })?;
            // The table may have been one of uploaded files. What stays now goes at the next change.
            let _ = room.remove_unused_files();
            Ok(applied)
        })
    }

    /// Where a table of this room is on this host. For its owner and the operator only.
    pub fn table_source(&self, table: &TableName) -> Result<Option<Source>> {
        let source = self.store.source(table)?;
        Ok(source.map(|source| source.with_places(|place| self.kept.place_of(place))))
    }
}
