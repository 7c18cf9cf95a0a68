//! `glovebox bundle`: a room in one file, for auditors.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::arguments::Bundle;
use crate::context::Context;
use crate::terminal::{self, print_json};

pub(crate) fn run(context: &Context, bundle: &Bundle) -> Result<ExitCode> {
    let room = context.read_room(&bundle.room)?;
    let bytes = room.bundle()?;
    let file = bundle.output.display();
    std::fs::write(&bundle.output, &bytes).with_context(|| format!("cannot write {file}"))?;
    if context.json() {
        print_json(&json!({
            "file": bundle.output,
            "bytes": bytes.len(),
            "room": room.state().id(),
            "host_key": room.state().document().host_key,
        }))?;
    } else {
        println!("{file} ({})", terminal::bytes(bytes.len() as u64));
        println!("room     {}", room.state().id());
        println!("host key {}", room.state().document().host_key);
        context.hint(format!(
            "an auditor who knows these two runs `glovebox-verify {file} --room … --host-key …`"
        ));
    }
    Ok(ExitCode::SUCCESS)
}
