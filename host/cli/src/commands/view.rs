//! `glovebox view`: offers what a query makes of a party's files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use glovebox_contract::name::Identifier;

use super::table::Offer;
use crate::arguments::View;
use crate::context::Context;
use crate::host::{RowSource, Rows};

pub(crate) fn run(context: &Context, command: &View) -> Result<ExitCode> {
    let View::Add { room, view, sql, tables, columns, join_keys, description, signer } = command;
    let (mut room, party) = context.act(room, signer)?;
    let file = sql.display();
    let sql = std::fs::read_to_string(sql).with_context(|| format!("cannot read {file}"))?;
    let rows = Rows::View { sql: &sql, tables: named(tables)? };
    let source = RowSource { name: view, aliases: BTreeMap::new(), rows };
    let described = room.describe(context, source, &format!("planning {file}"))?;
    let columns = columns.as_deref().unwrap_or_default();
    let offer = Offer { name: view, columns, join_keys, description };
    offer.make(context, &mut room, &party, &described)?;
    Ok(ExitCode::SUCCESS)
}

/// The tables by name, each given once.
fn named(tables: &[(Identifier, PathBuf)]) -> Result<BTreeMap<Identifier, PathBuf>> {
    let mut named = BTreeMap::new();
    for (name, path) in tables {
        if named.insert(name.clone(), path.clone()).is_some() {
            bail!("`--from` gives the name {name} to two tables");
        }
    }
    Ok(named)
}
