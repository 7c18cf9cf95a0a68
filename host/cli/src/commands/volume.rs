//! `glovebox volume`: offers files to a room, pinned by their digests.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use glovebox_contract::name::TableName;
use glovebox_contract::statement::{AssetStatement, Body, VolumeAsset};
use glovebox_room::Room;
use glovebox_room::volumes::MeasuredVolume;
use serde_json::json;

use crate::arguments::Volume;
use crate::context::Context;
use crate::terminal::{self, plain, print_json};

pub(crate) fn run(context: &Context, command: &Volume) -> Result<ExitCode> {
    let Volume::Add { room, volume, from, description, signer } = command;
    let mut room = context.room(&room.room)?;
    let party = context.party(&room, &signer.key)?;
    let measured = measure(context, &room, volume, from)?;
    let files = measured.files();
    let body = Body::Asset(AssetStatement::Volume(VolumeAsset {
        description: description.clone(),
        files: files.clone(),
        name: volume.clone(),
    }));
    room.add_volume(&party.sign(&room, body)?, &measured)?;
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

fn measure(
    context: &Context,
    room: &Room,
    volume: &TableName,
    from: &Path,
) -> Result<MeasuredVolume> {
    let what = format!("hashing {}", from.display());
    let bar = terminal::spinner(context.quiet(), what.clone());
    let measured = room.measure_volume(volume, from, &mut |done, all| {
        bar.set_message(format!("{what}: {} of {}", terminal::bytes(done), terminal::bytes(all)));
    });
    bar.finish_and_clear();
    Ok(measured?)
}
