//! Tables that are outputs: nothing is read to offer one, for what it holds stands in the log.

use anyhow::Result;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{AssetStatement, Body, TableAsset, TableOutput};
use serde_json::json;

use super::{Offer, check_join_keys};
use crate::commands::keys;
use crate::context::{Context, Party};
use crate::failure::Refused;
use crate::host::OpenRoom;
use crate::terminal::{self, plain, print_json};

/// Offers the newest output of a notebook as a table.
pub(super) fn make(
    context: &Context,
    room: &mut OpenRoom,
    party: &Party,
    offer: &Offer<'_>,
    output: &TableOutput,
) -> Result<()> {
    let columns = offer.select_from(&columns(room.state(), output)?)?;
    let join_keys = keys::declarations(offer.join_keys)?;
    check_join_keys(&join_keys, &columns)?;
    let asset = TableAsset {
        columns,
        description: offer.description.to_owned(),
        join_keys,
        name: offer.name.clone(),
        output: Some(output.clone()),
        view: None,
    };
    room.say(party, Body::Asset(AssetStatement::Table(asset.clone())))?;
    let TableAsset { name, columns, join_keys, .. } = &asset;
    if context.json() {
        return print_json(&json!({
            "table": name, "output": output, "columns": columns, "join_keys": join_keys,
        }));
    }
    println!("{} offers {name}, the newest output {output}", party.alias);
    println!("  offered:  {}", plain(&terminal::columns(columns)));
    Ok(())
}

/// The columns of an output in the newest version of its notebook that has it.
fn columns(
    state: &RoomState,
    TableOutput { notebook, output }: &TableOutput,
) -> Result<Vec<glovebox_contract::column::Column>> {
    let found = state.notebook(notebook).map_err(glovebox_room::RoomError::from)?;
    let mut versions = found.versions().iter().rev();
    let declared = versions.find_map(|version| version.asset().manifest.outputs.get(output));
    let declared = declared.ok_or_else(|| Refused {
        reason: ReasonCode::NotFound,
        what: format!("notebook {notebook} has no output {output}"),
    })?;
    Ok(declared.columns.clone())
}
