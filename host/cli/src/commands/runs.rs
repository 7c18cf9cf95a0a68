//! `glovebox runs`: what was run, and what came of it.

use std::process::ExitCode;

use anyhow::Result;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::state::{Run, RunStatus};
use serde_json::{Value, json};

use crate::arguments::ReadRoom;
use crate::context::Context;
use crate::terminal::{self, print_json};

pub(crate) fn run(context: &Context, room: &ReadRoom) -> Result<ExitCode> {
    let room = context.read_room(room)?;
    let runs = room.state().runs();
    if context.json() {
        print_json(&runs.map(as_json).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = runs.map(row).collect();
    if rows.is_empty() {
        println!("no runs yet");
        return Ok(ExitCode::SUCCESS);
    }
    let header = ["run", "notebook", "by", "asked", "outcome", "outputs", "time"];
    println!("{}", terminal::table(&header, &[], rows));
    Ok(ExitCode::SUCCESS)
}

fn row(run: &Run) -> [String; 7] {
    let outputs = run.receipt().and_then(|receipt| receipt.outputs());
    let outputs = outputs.map(|outputs| {
        let texts: Vec<_> =
            outputs.iter().map(|(name, file)| format!("{name} ({} rows)", file.rows)).collect();
        texts.join(", ")
    });
    let usage = run.receipt().map(|receipt| format!("≤ {} ms", receipt.usage.wall_ms));
    [
        run.id().to_string(),
        run.notebook().to_string(),
        run.runner().to_string(),
        terminal::time(run.requested_at()),
        outcome(run),
        outputs.unwrap_or_default(),
        usage.unwrap_or_default(),
    ]
}

fn outcome(run: &Run) -> String {
    match run.status() {
        RunStatus::Ended { receipt, .. } => receipt.outcome.to_string(),
        RunStatus::Started if run.cancelled() => "cancelled, ending".into(),
        RunStatus::Started => "running".into(),
        RunStatus::Requested if run.cancelled() => "cancelled".into(),
        RunStatus::Requested => "queued".into(),
        RunStatus::Refused { reason, .. } => format!("refused: {reason}"),
    }
}

/// A run as `--json` shows it: what the log says, nothing private.
pub(crate) fn as_json(run: &Run) -> Value {
    let (word, reason) = match run.status() {
        RunStatus::Ended { receipt, .. } => match &receipt.outcome {
            Outcome::Succeeded { .. } => ("succeeded", None),
            Outcome::Failed { reason } => ("failed", Some(*reason)),
        },
        RunStatus::Started => ("running", None),
        RunStatus::Requested => ("queued", None),
        RunStatus::Refused { reason, .. } => ("refused", Some(*reason)),
    };
    json!({
        "run": run.id(),
        "notebook": run.notebook(),
        "revision": run.revision(),
        "runner": run.runner(),
        "parameters": run.parameters(),
        "requested_at": run.requested_at(),
        "started_at": run.started_at(),
        "cancelled_at": run.cancelled_at(),
        "jail": run.start().map(|start| start.jail),
        "rules": run.rules(),
        "outcome": word,
        "reason": reason,
        "outputs": run.receipt().and_then(|receipt| receipt.outputs()),
        "receipt": run.receipt(),
        "receipt_id": run.receipt_digest(),
    })
}
