//! `glovebox table`: offers a table to a room.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use glovebox_contract::name::TableName;
use glovebox_contract::statement::{AssetStatement, Body, TableAsset};
use glovebox_room::tables::DescribedTable;
use serde_json::json;

use crate::arguments::Table;
use crate::context::Context;
use crate::terminal::{self, plain, print_json};

pub(crate) fn run(context: &Context, command: &Table) -> Result<ExitCode> {
    let Table::Add { room, table, from, columns, description, signer } = command;
    let mut room = context.room(&room.room)?;
    let party = context.party(&room, &signer.key)?;
    let described = describe(context, table, from)?;
    let offered = described.select(columns.as_deref().unwrap_or_default())?;
    let body = Body::Asset(AssetStatement::Table(TableAsset {
        columns: offered.clone(),
        description: description.clone(),
        join_keys: BTreeMap::new(),
        name: table.clone(),
        view: None,
    }));
    room.add_table(&party.sign(&room, body)?, &described)?;
    let withheld: Vec<_> = described
        .columns()
        .iter()
        .filter(|column| !offered.contains(column))
        .map(|column| column.name.clone())
        .collect();
    if context.json() {
        print_json(&json!({
            "table": table,
            "columns": offered,
            "withheld": withheld,
            "files": described.files(),
            "bytes": described.bytes(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} offers {table} ({} in {} file{})",
        party.alias,
        terminal::bytes(described.bytes()),
        described.files(),
        if described.files() == 1 { "" } else { "s" }
    );
    println!("  offered:  {}", plain(&terminal::columns(&offered)));
    if !withheld.is_empty() {
        println!("  withheld: {}", plain(&withheld.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(context: &Context, table: &TableName, from: &Path) -> Result<DescribedTable> {
    let bar =
        terminal::spinner(context.quiet(), format!("reading the columns of {}", from.display()));
    let described = DescribedTable::read(&context.worker_settings()?, table, from, None);
    bar.finish_and_clear();
    Ok(described?)
}
