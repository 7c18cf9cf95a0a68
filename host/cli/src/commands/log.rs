//! `glovebox log`: every statement of a room, refusals included.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::arguments::ReadRoom;
use crate::context::Context;
use crate::terminal::{self, plain, print_json};

pub(crate) fn run(context: &Context, room: &ReadRoom) -> Result<ExitCode> {
    let room = context.read_room(room)?;
    let entries = room.entries()?;
    if context.json() {
        let entries: Vec<_> = entries
            .iter()
            .map(|entry| {
                json!({
                    "position": entry.position,
                    "digest": entry.digest,
                    "kind": entry.statement.body.kind().as_str(),
                    "party": entry.statement.party,
                    "issued_at": entry.statement.issued_at,
                    "summary": entry.statement.body.summary(),
                    "statement": entry.statement,
                })
            })
            .collect();
        print_json(
            &json!({ "room": room.state().id(), "checkpoint": room.checkpoint(), "entries": entries }),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = entries.iter().map(|entry| {
        let statement = &entry.statement;
        [
            entry.position.to_string(),
            terminal::time(statement.issued_at),
            statement.party.to_string(),
            statement.body.kind().to_string(),
            plain(&statement.body.summary()),
        ]
    });
    println!("{}", terminal::table(&["#", "time", "by", "statement", "says"], &["#"], rows));
    println!("\n{}", room.checkpoint().trim_end());
    Ok(ExitCode::SUCCESS)
}
