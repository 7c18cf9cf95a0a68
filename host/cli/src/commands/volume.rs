//! `glovebox volume`: offers files to a room, pinned by their digests.

use std::process::ExitCode;

use anyhow::Result;
use glovebox_contract::statement::VolumeAsset;
use serde_json::json;

use crate::arguments::Volume;
use crate::context::Context;
use crate::terminal::{self, plain, print_json};

pub(crate) fn run(context: &Context, command: &Volume) -> Result<ExitCode> {
    let Volume::Add { room, volume, from, description, signer } = command;
    let (mut room, party) = context.act(room, signer)?;
    let offered = room.measure_volume(context, volume, from)?;
    let files = &offered.files;
    let asset = VolumeAsset {
        description: description.clone(),
        files: files.clone(),
        name: volume.clone(),
    };
    room.add_volume(&party, asset, &offered)?;
    let bytes = files.values().fold(0_u64, |all, file| all.saturating_add(file.bytes));
    if context.json() {
        print_json(&json!({ "volume": volume, "files": files, "bytes": bytes }))?;
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} offers {volume} ({} in {} file{})",
        party.alias,
        terminal::bytes(bytes),
        files.len(),
        if files.len() == 1 { "" } else { "s" }
    );
    for (path, file) in files {
        println!("  {} {} ({})", file.digest, plain(path), terminal::bytes(file.bytes));
    }
    Ok(ExitCode::SUCCESS)
}
