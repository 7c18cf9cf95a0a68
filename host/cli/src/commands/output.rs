//! `glovebox output`: the tables that a run let out.

use std::fs::File;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use glovebox_contract::name::{Identifier, RunId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::OutputFile;
use glovebox_contract::state::{RoomState, Run};
use glovebox_room::RoomError;
use serde_json::{Map, json};

use crate::arguments::{Output, OutputOf};
use crate::context::{Context, Party};
use crate::host::OpenRoom;
use crate::output_file;
use crate::terminal::{self, print_json};

pub(crate) fn run(context: &Context, command: &Output) -> Result<ExitCode> {
    match command {
        Output::List(of) => list(context, of)?,
        Output::Log(of) => log(context, of)?,
        Output::Show { of, table, rows } => show(context, of, table.as_ref(), *rows)?,
        Output::Export { of, table, output, format } => {
            let mut opened = Opened::new(context, of, with_outputs)?;
            let file = opened.read(table)?;
            let format = format.unwrap_or_else(|| output_file::format_of(output));
            output_file::export(file, format, output)?;
            if context.json() {
                print_json(&json!({ "run": opened.run, "table": table, "file": output }))?;
            } else {
                println!("{table} of run {} → {}", opened.run, output.display());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A room, a run in it, and the party that reads.
pub(crate) struct Opened {
    pub(crate) room: OpenRoom,
    pub(crate) party: Party,
    pub(crate) run: RunId,
}

impl Opened {
    pub(crate) fn new(context: &Context, of: &OutputOf, counts: fn(&Run) -> bool) -> Result<Self> {
        let (room, party) = context.act(&of.room, &of.signer)?;
        let run = find_run(room.state(), &of.run, counts)?;
        Ok(Self { room, party, run })
    }

    /// The outputs of the run, whoever may read them.
    fn outputs(&self) -> Result<Vec<(Identifier, OutputFile)>> {
        let run = self.room.state().run(&self.run).map_err(RoomError::from)?;
        let receipt = run.receipt().and_then(|receipt| receipt.outputs());
        let outputs = receipt.ok_or_else(|| {
            RoomError::new(ReasonCode::NotFound, format!("run {} has no outputs", self.run))
        })?;
        Ok(outputs.iter().map(|(name, file)| (name.clone(), *file)).collect())
    }

    /// Opens one output. The read is in the log, signed by the party, before the first byte.
    fn read(&mut self, table: &Identifier) -> Result<File> {
        self.room.read_output(&self.party, self.run, table)
    }
}

fn with_outputs(run: &Run) -> bool {
    run.receipt().is_some_and(|receipt| receipt.outputs().is_some())
}

/// A run by id, by the beginning of its id, or `latest`: the latest that counts.
pub(crate) fn find_run(state: &RoomState, text: &str, counts: fn(&Run) -> bool) -> Result<RunId> {
    let runs = state.runs();
    if text == "latest" {
        let latest = runs.rev().find(|run| counts(run));
        return latest.map(|run| *run.id()).ok_or_else(|| {
            RoomError::new(ReasonCode::NotFound, "the room has no such run yet").into()
        });
    }
    let mut found = runs.map(|run| *run.id()).filter(|id| id.to_string().starts_with(text));
    match (found.next(), found.next()) {
        (Some(run), None) => Ok(run),
        (None, _) => {
            Err(RoomError::new(ReasonCode::NotFound, format!("the room has no run `{text}`"))
                .into())
        }
        (Some(_), Some(_)) => Err(anyhow!("`{text}` is the beginning of more than one run")),
    }
}

fn list(context: &Context, of: &OutputOf) -> Result<()> {
    let opened = Opened::new(context, of, with_outputs)?;
    let (state, now) = (opened.room.state(), opened.room.now());
    state.may_read_output(&opened.run, &opened.party.alias, now).map_err(RoomError::from)?;
    let outputs = opened.outputs()?;
    if context.json() {
        let outputs: Map<_, _> =
            outputs.iter().map(|(name, file)| (name.to_string(), json!(file))).collect();
        return print_json(&json!({ "run": opened.run, "outputs": outputs }));
    }
    let rows = outputs.iter().map(|(name, file)| {
        [
            name.to_string(),
            file.rows.to_string(),
            terminal::bytes(file.bytes),
            file.digest.to_string(),
        ]
    });
    println!("{}", terminal::table(&["table", "rows", "size", "digest"], &["rows", "size"], rows));
    Ok(())
}

/// What the notebook logged and why it failed, for those who may know.
fn log(context: &Context, of: &OutputOf) -> Result<()> {
    let Opened { room, party, run } = Opened::new(context, of, |_| true)?;
    let text = room.run_text(&run, &party.alias)?;
    if context.json() {
        let lines: Vec<_> = text
            .log
            .iter()
            .map(|line| json!({ "level": line.level, "message": line.message }))
            .collect();
        return print_json(&json!({ "run": run, "detail": text.detail, "log": lines }));
    }
    for line in &text.log {
        println!("{:5} {}", line.level.as_str(), terminal::plain(&line.message));
    }
    if let Some(detail) = &text.detail {
        println!("failed: {}", terminal::plain(detail));
    }
    Ok(())
}

fn show(context: &Context, of: &OutputOf, table: Option<&Identifier>, rows: usize) -> Result<()> {
    let mut opened = Opened::new(context, of, with_outputs)?;
    let tables = match table {
        Some(table) => vec![table.clone()],
        None => opened.outputs()?.into_iter().map(|(name, _)| name).collect(),
    };
    let mut as_json = Map::new();
    for table in tables {
        let file = opened.read(&table)?;
        if context.json() {
            as_json.insert(table.to_string(), output_file::json_rows(file)?.into());
            continue;
        }
        let (text, total) = output_file::preview(file, rows)?;
        println!("{table} of run {}", opened.run);
        println!("{text}");
        if total > rows {
            println!("{rows} of {total} rows; `--rows N` shows more, `output export` writes all");
        } else {
            println!("{total} rows");
        }
    }
    if context.json() { print_json(&as_json) } else { Ok(()) }
}
