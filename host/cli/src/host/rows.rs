//! Tables and views: what their files hold, and what a party offers of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use glovebox_api::wire::{TableFiles, UploadedFile, ViewFiles};
use glovebox_client::RemoteRoom;
use glovebox_contract::column::Column;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{Identifier, TableName};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{AssetStatement, Body, TableAsset};
use glovebox_room::RoomError;
use glovebox_room::tables::DescribedTable;

use super::{OpenRoom, files};
use crate::context::{Context, Party};
use crate::terminal;

/// Where the rows of a table are, and what its columns are called.
pub(crate) struct RowSource<'a> {
    pub(crate) name: &'a TableName,
    /// The files' name of each column that is published under another.
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) rows: Rows<'a>,
}

/// Where rows are.
pub(crate) enum Rows<'a> {
    /// In a file or a folder of files.
    Files(&'a Path),
    /// In what SQL makes of files.
    View { sql: &'a str, tables: BTreeMap<Identifier, PathBuf> },
}

/// What files hold, and can be offered of them.
pub(crate) struct OfferedRows {
    /// All columns, with the names under which they are published.
    pub(crate) columns: Vec<Column>,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Digest of a view's query.
    pub(crate) definition: Option<Blake3Digest>,
    place: Place,
}

enum Place {
    Local(Box<DescribedTable>),
    Remote(TableFiles),
}

impl OfferedRows {
    /// The columns with these names, in the order of the names; all columns when none are named.
    pub(crate) fn select(&self, names: &[String]) -> Result<Vec<Column>> {
        if names.is_empty() {
            return Ok(self.columns.clone());
        }
        let find = |name: &String| {
            self.columns.iter().find(|column| column.name == *name).cloned().ok_or_else(|| {
                let known: Vec<_> =
                    self.columns.iter().map(|column| format!("`{}`", column.name)).collect();
                let known = known.join(", ");
                let what = format!("the files have no column `{name}`; they have {known}");
                RoomError::new(ReasonCode::NotFound, what).into()
            })
        };
        names.iter().map(find).collect()
    }
}

impl OpenRoom {
    /// Reads what the files of a table hold, or plans a view of them. `doing` says so to people.
    pub(crate) fn describe(
        &mut self,
        context: &Context,
        source: RowSource<'_>,
        doing: &str,
    ) -> Result<OfferedRows> {
        let bar = terminal::spinner(context.quiet(), doing);
        let described = match self {
            Self::Local(_) => describe_here(context, source),
            Self::Remote(room) => bar.suspend(|| describe_there(context, room, source)),
        };
        bar.finish_and_clear();
        described
    }

    /// Adds the table or the view that `asset` offers.
    pub(crate) fn add_table(
        &mut self,
        party: &Party,
        asset: TableAsset,
        rows: &OfferedRows,
    ) -> Result<()> {
        let body = Body::Asset(AssetStatement::Table(asset));
        match (self, &rows.place) {
            (Self::Local(room), Place::Local(table)) => {
                room.add_table(&party.sign(room.state(), body)?, table)?;
            }
            (Self::Remote(room), Place::Remote(files)) => {
                room.add_table_with(files, |_| Ok(body.clone()))?;
            }
            _ => bail!("the files were read for another host"),
        }
        Ok(())
    }
}

fn describe_here(context: &Context, source: RowSource<'_>) -> Result<OfferedRows> {
    let settings = context.worker_settings()?;
    let table = match source.rows {
        Rows::Files(path) => DescribedTable::read(&settings, source.name, path, None)?,
        Rows::View { sql, tables } => {
            DescribedTable::read_view(&settings, source.name, sql, &tables)?
        }
    };
    let table = table.publish_as(source.aliases)?;
    Ok(OfferedRows {
        columns: table.columns(),
        aliases: table.aliases().clone(),
        files: table.files() as u64,
        bytes: table.bytes(),
        definition: table.definition(),
        place: Place::Local(Box::new(table)),
    })
}

/// Sends the files and asks the host what they hold.
fn describe_there(
    context: &Context,
    room: &RemoteRoom,
    source: RowSource<'_>,
) -> Result<OfferedRows> {
    let mut wanted = TableFiles { aliases: source.aliases, ..TableFiles::default() };
    match source.rows {
        Rows::Files(path) => wanted.files = send(context, room, path)?,
        Rows::View { sql, tables } => {
            let mut sent = BTreeMap::new();
            for (name, path) in tables {
                sent.insert(name, send(context, room, &path)?);
            }
            wanted.view = Some(ViewFiles { sql: sql.to_owned(), tables: sent });
        }
    }
    let described = room.describe(&wanted)?;
    Ok(OfferedRows {
        columns: described.columns,
        aliases: wanted.aliases.clone(),
        files: described.files,
        bytes: described.bytes,
        definition: described.definition,
        place: Place::Remote(wanted),
    })
}

fn send(context: &Context, room: &RemoteRoom, from: &Path) -> Result<Vec<UploadedFile>> {
    let (names, places): (Vec<_>, Vec<_>) = files::table_files(from)?.into_iter().unzip();
    let digests = files::send(context, room.session(), &places)?;
    let named = names.into_iter().zip(digests);
    Ok(named.map(|(name, digest)| UploadedFile { digest, name }).collect())
}
