//! `glovebox table show`: where the host of this home reads the tables of a room.

use std::process::ExitCode;

use anyhow::{Result, bail};
use glovebox_contract::name::TableName;
use glovebox_contract::statement::TableAsset;
use glovebox_room::remote::Origin;
use glovebox_room::{Room, Rows};
use serde_json::{Value, json};

use crate::arguments::RoomOnly;
use crate::context::Context;
use crate::host::OpenRoom;
use crate::terminal::{self, plain, print_json};

pub(super) fn run(
    context: &Context,
    room: &RoomOnly,
    table: Option<&TableName>,
) -> Result<ExitCode> {
    if context.host_url().is_some() {
        bail!("where tables are stays with their host, and goes over no network");
    }
    let OpenRoom::Local(room) = context.room(&room.room, None)? else {
        bail!("the room is another host's");
    };
    let wanted = |asset: &&TableAsset| table.is_none_or(|table| asset.name == *table);
    let tables: Vec<&TableAsset> = room.state().tables().filter(wanted).collect();
    if let (Some(table), true) = (table, tables.is_empty()) {
        bail!("the room has no table {table}");
    }
    let shown = tables.iter().map(|asset| describe(&room, asset));
    let shown = shown.collect::<Result<Vec<_>>>()?;
    if context.json() {
        print_json(&json!(shown))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (asset, shown) in tables.iter().zip(&shown) {
        let text = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default();
        println!("{}: {}", asset.name, plain(text("place")));
        println!("  columns:     {}", plain(&terminal::columns(&asset.columns)));
        for name in ["partitions", "credentials", "told by"] {
            if !text(name).is_empty() {
                println!("  {:<12} {}", format!("{name}:"), plain(text(name)));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What this host knows of a table. Never a credential.
fn describe(room: &Room, asset: &TableAsset) -> Result<Value> {
    if let Some(output) = &asset.output {
        return Ok(json!({ "table": asset.name, "place": format!("the newest output {output}") }));
    }
    let Some(source) = room.table_source(&asset.name)? else {
        return Ok(json!({ "table": asset.name, "place": "unknown to this host" }));
    };
    Ok(match source.rows {
        Rows::Files(files) => {
            json!({ "table": asset.name, "place": files.path.display().to_string() })
        }
        Rows::View { tables, .. } => {
            let tables =
                tables.iter().map(|(name, files)| format!("{name}={}", files.path.display()));
            let place = format!("a view of {}", tables.collect::<Vec<_>>().join(", "));
            json!({ "table": asset.name, "place": place })
        }
        Rows::Remote(remote) => {
            let partitions = remote.table.partitions.iter();
            let partitions: Vec<_> = partitions
                .map(|filter| format!("{}={}", filter.column, filter.values.join(",")))
                .collect();
            json!({
                "table": asset.name,
                "place": remote.table.location.to_string(),
                "partitions": partitions.join(" "),
                "credentials": if remote.has_credential() { "sealed" } else { "none" },
                "told by": match remote.origin {
                    Origin::Operator => "somebody at this machine",
                    Origin::Network => "its owner over the network",
                },
            })
        }
    })
}
