//! Tables and views: what their files hold, and what a party offers of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use glovebox_api::wire::{
    PartitionChoice, RemotePlace, Secrets, TableFiles, UploadedFile, ViewFiles,
};
use glovebox_client::RemoteRoom;
use glovebox_contract::column::Column;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{Identifier, TableName};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{AssetStatement, Body, TableAsset};
use glovebox_job::job::FileFormat;
use glovebox_room::RoomError;
use glovebox_room::remote::{Credential, Origin, PartitionFilter, RemoteOffer};
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
    /// In a file or a folder of files, of this format if their names do not say it.
    Files(&'a Path, Option<FileFormat>),
    /// Elsewhere.
    Elsewhere(Box<RemoteOffer>),
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
    /// Whether they are elsewhere: runs pin versions, not the content of files.
    pub(crate) elsewhere: bool,
    place: Place,
}

enum Place {
    Local(Box<DescribedTable>),
    Remote(TableFiles),
}

/// Those of `columns` with these names, in the order of the names; all when none are named.
pub(crate) fn select(columns: &[Column], names: &[String]) -> Result<Vec<Column>> {
    if names.is_empty() {
        return Ok(columns.to_vec());
    }
    let find = |name: &String| {
        columns.iter().find(|column| column.name == *name).cloned().ok_or_else(|| {
            let known: Vec<_> = columns.iter().map(|column| format!("`{}`", column.name)).collect();
            let known = known.join(", ");
            let what = format!("there is no column `{name}`; there are {known}");
            RoomError::new(ReasonCode::NotFound, what).into()
        })
    };
    names.iter().map(find).collect()
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

    /// Gives a table of the party that is elsewhere another credential.
    pub(crate) fn replace_credential(
        &mut self,
        context: &Context,
        party: &Party,
        table: &TableName,
        credential: Credential,
    ) -> Result<()> {
        let bar = terminal::spinner(context.quiet(), "opening the table with them");
        let replaced = match self {
            Self::Remote(room) => {
                room.replace_credential(table, secrets(&credential)).map_err(Into::into)
            }
            Self::Local(room) => {
                let origin = Origin::Operator;
                let new = room.new_credential(&party.alias, table, credential, origin)?;
                let checked = new.checked(&context.worker_settings()?)?;
                room.replace_credential(&checked).map_err(Into::into)
            }
        };
        bar.finish_and_clear();
        replaced
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
        Rows::Files(path, format) => DescribedTable::read(&settings, source.name, path, format)?,
        Rows::Elsewhere(offer) => DescribedTable::read_remote(&settings, source.name, &offer)?,
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
        elsewhere: table.is_remote(),
        place: Place::Local(Box::new(table)),
    })
}

/// What a host in the network is told of a table that is elsewhere.
fn remote_place(RemoteOffer { remote, credential, .. }: RemoteOffer) -> Result<RemotePlace> {
    let choice =
        |filter: PartitionFilter| PartitionChoice { column: filter.column, values: filter.values };
    let format = remote.format.map(serde_json::to_value).transpose()?;
    Ok(RemotePlace {
        credentials: credential.as_ref().map(secrets),
        format: format.and_then(|format| format.as_str().map(str::to_owned)),
        partitions: remote.partitions.into_iter().map(choice).collect(),
        place: remote.location.to_string(),
    })
}

fn secrets(credential: &Credential) -> Secrets {
    let settings = credential.settings();
    Secrets::new(settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Sends the files and asks the host what they hold.
fn describe_there(
    context: &Context,
    room: &RemoteRoom,
    source: RowSource<'_>,
) -> Result<OfferedRows> {
    let mut wanted = TableFiles { aliases: source.aliases, ..TableFiles::default() };
    match source.rows {
        Rows::Files(path, None) => wanted.files = send(context, room, path)?,
        Rows::Files(_, Some(_)) => {
            bail!("a host in the network takes the format of files from their names")
        }
        Rows::Elsewhere(offer) => wanted.remote = Some(remote_place(*offer)?),
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
        elsewhere: wanted.remote.is_some(),
        place: Place::Remote(wanted),
    })
}

fn send(context: &Context, room: &RemoteRoom, from: &Path) -> Result<Vec<UploadedFile>> {
    let (names, places): (Vec<_>, Vec<_>) = files::table_files(from)?.into_iter().unzip();
    let digests = files::send(context, room.session(), &places)?;
    let named = names.into_iter().zip(digests);
    Ok(named.map(|(name, digest)| UploadedFile { digest, name }).collect())
}
