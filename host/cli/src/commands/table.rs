//! `glovebox table`: offers a table to a room.

mod credentials;
mod derived;
mod place;
mod show;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, bail};
use glovebox_contract::column::{Column, ColumnType};
use glovebox_contract::join_key::JoinKey;
use glovebox_contract::name::TableName;
use glovebox_contract::statement::TableAsset;
use serde_json::json;

use crate::arguments::{AddTable, JoinKeyOption, Table};
use crate::commands::keys;
use crate::context::{Context, Party};
use crate::host::{OfferedRows, OpenRoom, RowSource, select};
use crate::terminal::{self, plain, print_json};

pub(crate) fn run(context: &Context, command: &Table) -> Result<ExitCode> {
    match command {
        Table::Add(add) => self::add(context, add)?,
        Table::Credentials { room, table, credentials, signer } => {
            let credential = credentials::read(credentials)?;
            let (mut room, party) = context.act(room, signer)?;
            room.replace_credential(context, &party, table, credential)?;
            match context.json() {
                true => print_json(&json!({ "table": table }))?,
                false => println!("{table} is opened with these credentials from now on"),
            }
        }
        Table::Show { room, table } => return show::run(context, room, table.as_ref()),
    }
    Ok(ExitCode::SUCCESS)
}

fn add(context: &Context, add: &AddTable) -> Result<()> {
    let AddTable { room, table, from, aliases, columns, join_keys, description, signer } = add;
    let (mut room, party) = context.act(room, signer)?;
    let columns = columns.as_deref().unwrap_or_default();
    let offer = Offer { name: table, columns, join_keys, description };
    match (&from.from_output, &from.from) {
        (Some(output), _) => derived::make(context, &mut room, &party, &offer, output),
        (None, Some(path)) => {
            let rows = place::find(from, path, matches!(room, OpenRoom::Local(_)))?;
            let source = RowSource { name: table, aliases: published(aliases)?, rows };
            let doing = format!("reading the columns of {}", path.display());
            let described = room.describe(context, source, &doing)?;
            offer.make(context, &mut room, &party, &described)
        }
        (None, None) => bail!("where the table is, `--from` says"),
    }
}

/// What a party offers of a table or a view.
pub(super) struct Offer<'a> {
    pub(super) name: &'a TableName,
    /// All when there is none.
    pub(super) columns: &'a [String],
    pub(super) join_keys: &'a [JoinKeyOption],
    pub(super) description: &'a str,
}

impl Offer<'_> {
    /// The offered ones of `columns`.
    fn select_from(&self, columns: &[Column]) -> Result<Vec<Column>> {
        select(columns, self.columns)
    }

    /// Signs the offer, makes it, and says what is offered.
    pub(super) fn make(
        &self,
        context: &Context,
        room: &mut OpenRoom,
        party: &Party,
        described: &OfferedRows,
    ) -> Result<()> {
        let offered = self.select_from(&described.columns)?;
        let join_keys = keys::declarations(self.join_keys)?;
        check_join_keys(&join_keys, &offered)?;
        let asset = TableAsset {
            columns: offered,
            description: self.description.to_owned(),
            join_keys,
            name: self.name.clone(),
            output: None,
            view: described.definition,
        };
        room.add_table(party, asset.clone(), described)?;
        report(context, party, &asset, described)
    }
}

fn report(
    context: &Context,
    party: &Party,
    asset: &TableAsset,
    described: &OfferedRows,
) -> Result<()> {
    let TableAsset { name, columns: offered, join_keys, view, .. } = asset;
    let columns = described.columns.iter();
    let withheld: Vec<_> = columns
        .filter(|column| !offered.contains(column))
        .map(|column| column.name.clone())
        .collect();
    if context.json() {
        return print_json(&json!({
            "table": name,
            "view": view,
            "columns": offered,
            "withheld": withheld,
            "aliases": described.aliases,
            "join_keys": join_keys,
            "files": described.files,
            "bytes": described.bytes,
            "pin": if described.elsewhere { "version" } else { "content" },
        }));
    }
    println!(
        "{} offers {}{name} ({})",
        party.alias,
        if view.is_some() { "the view " } else { "" },
        size(described)
    );
    println!("  offered:  {}", plain(&terminal::columns(offered)));
    if let Some(definition) = view {
        println!("  query:    {definition}; nobody else is told its text");
    }
    for (name, column) in &described.aliases {
        println!("  {} is `{}` in the files; nobody else is told", plain(name), plain(column));
    }
    if described.elsewhere {
        println!("  pinned:   by version; the host reads it where it is, at each run");
    }
    if !withheld.is_empty() {
        println!("  withheld: {}", plain(&withheld.join(", ")));
    }
    for (column, declared) in join_keys {
        println!("  {}: {}", plain(column), keys::described(declared));
    }
    Ok(())
}

/// How much there is, as far as anybody has counted.
fn size(described: &OfferedRows) -> String {
    match described.files {
        0 => "in a database".into(),
        1 => format!("{} in 1 file", terminal::bytes(described.bytes)),
        files => format!("{} in {files} files", terminal::bytes(described.bytes)),
    }
}

/// The aliases by published name, each given once.
fn published(aliases: &[(String, String)]) -> Result<BTreeMap<String, String>> {
    let mut published = BTreeMap::new();
    for (name, column) in aliases {
        if published.insert(name.clone(), column.clone()).is_some() {
            bail!("`--alias` gives the name `{name}` to two columns");
        }
    }
    Ok(published)
}

/// Hashes are text: a declaration of another column is a slip of the pen.
fn check_join_keys(join_keys: &BTreeMap<String, JoinKey>, offered: &[Column]) -> Result<()> {
    for name in join_keys.keys() {
        let Some(column) = offered.iter().find(|column| column.name == *name) else {
            bail!("`--join-key` is about column `{name}`, which is not offered");
        };
        if !ColumnType::Utf8.is_compatible(&column.column_type) {
            let found = &column.column_type;
            bail!("`--join-key` is about column `{name}`, which is {found}; hashes are utf8");
        }
    }
    Ok(())
}
