//! `glovebox run`: asks for a run and waits for its receipt.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{AssetName, Identifier};
use glovebox_contract::receipt::{Outcome, Receipt};
use glovebox_contract::state::Version;
use glovebox_contract::statement::{Pin, RunRequest};
use glovebox_job::event::LogLevel;
use glovebox_room::RoomError;
use glovebox_room::run::{RunObserver, RunStage};
use indicatif::ProgressBar;
use serde_json::json;

use crate::arguments::Run;
use crate::commands::room::deprecated;
use crate::context::{Context, Party};
use crate::failure::Refused;
use crate::host::{EndedRun, OpenRoom};
use crate::terminal::{self, plain, print_json};

pub(crate) fn run(context: &Context, run: &Run) -> Result<ExitCode> {
    let (room, party) = context.act(&run.room, &run.signer)?;
    let wanted =
        Wanted { notebook: &run.notebook, parameters: &run.parameters, revision: run.revision };
    run_in(context, room, &party, &wanted)
}

/// What a party wants to run.
pub(super) struct Wanted<'a> {
    pub(super) notebook: &'a AssetName,
    pub(super) parameters: &'a [(Identifier, String)],
    /// The newest approved one when there is none.
    pub(super) revision: Option<Blake3Digest>,
}

/// Runs in a room that is open.
pub(super) fn run_in(
    context: &Context,
    mut room: OpenRoom,
    party: &Party,
    run: &Wanted<'_>,
) -> Result<ExitCode> {
    let request = request(&room, party, run)?;
    warn_of_end(context, &room, &request);
    let mut watch = Watch::new(context.quiet(), run.notebook.as_str());
    let started = Instant::now();
    let ended = room.run(context, party, request, &mut watch);
    let request_to_receipt = started.elapsed();
    watch.bar.finish_and_clear();
    let ended = ended?;
    let text = room.run_text(&ended.run, &party.alias).ok();
    if context.json() {
        let micros = u64::try_from(request_to_receipt.as_micros()).unwrap_or(u64::MAX);
        print_json(&json!({
            "run": ended.run,
            "receipt_id": ended.receipt_digest,
            "receipt": ended.receipt,
            "detail": text.as_ref().and_then(|text| text.detail.as_deref()),
            "request_to_receipt_us": micros,
        }))?;
    } else {
        print_receipt(&ended);
    }
    match &ended.receipt.outcome {
        Outcome::Succeeded { .. } => Ok(ExitCode::SUCCESS),
        Outcome::Failed { reason } => {
            let detail = text.and_then(|text| text.detail).unwrap_or_default();
            if let Some(lacks) = &ended.host_detail {
                eprintln!("this machine: {}", plain(lacks));
            }
            let what = format!("run {} failed", ended.run);
            let error = anyhow::Error::new(Refused { reason: *reason, what: plain(&detail) });
            Err(error.context(what))
        }
    }
}

/// The request to sign. What the room would refuse is asked all the same, as far as it can be
/// said: the room answers, and its log has the refusal.
fn request(room: &OpenRoom, party: &Party, run: &Wanted<'_>) -> Result<RunRequest, RoomError> {
    let state = room.state();
    let given: BTreeMap<String, String> =
        run.parameters.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    let (revision, parameters) =
        match state.approved(run.notebook, run.revision.as_ref(), &party.alias, room.now()) {
            Ok(approved) => (*approved.revision().digest(), approved.read_parameters(&given)?),
            Err(refusal) => {
                let newest =
                    || state.notebook(run.notebook).ok()?.latest()?.revision_digest().copied();
                let revision = run.revision.or_else(newest).ok_or(refusal)?;
                (revision, BTreeMap::new())
            }
        };
    Ok(RunRequest { notebook: run.notebook.clone(), parameters, revision })
}

/// Says when the author gives the revision up.
fn warn_of_end(context: &Context, room: &OpenRoom, request: &RunRequest) {
    let notebook = room.state().notebook(&request.notebook).ok();
    let version = notebook.and_then(|notebook| notebook.version(&request.revision));
    if let Some(deprecation) = version.and_then(Version::deprecation)
        && !context.quiet()
    {
        eprintln!("warning: {} is {}", request.notebook, deprecated(deprecation));
    }
}

fn print_receipt(ended: &EndedRun) {
    let receipt: &Receipt = &ended.receipt;
    println!("run      {} of {}: {}", ended.run, receipt.notebook, receipt.outcome);
    println!("revision {}", receipt.revision);
    for (table, snapshot) in &receipt.inputs {
        for file in &snapshot.files {
            let pinned = match snapshot.pin {
                Pin::Content => terminal::bytes(file.bytes),
                // How much a database has, nobody counted.
                Pin::Version if file.bytes == 0 => "at version".into(),
                Pin::Version => format!("{} at version", terminal::bytes(file.bytes)),
            };
            println!("read     {table}: {pinned} {}", file.digest);
        }
    }
    for (name, file) in receipt.outputs().into_iter().flatten() {
        println!(
            "wrote    {name}: {} rows, {} {}",
            file.rows,
            terminal::bytes(file.bytes),
            file.digest
        );
    }
    let usage = &receipt.usage;
    println!(
        "used     at most {} ms of processor time, {}, {} ms",
        usage.cpu_ms,
        terminal::bytes(usage.memory_bytes),
        usage.wall_ms
    );
    println!("receipt  {} (evidence: {})", ended.receipt_digest, receipt.evidence);
}

/// Shows on the terminal how a run goes on.
struct Watch {
    bar: ProgressBar,
    notebook: String,
}

impl Watch {
    fn new(quiet: bool, notebook: &str) -> Self {
        Self { bar: terminal::spinner(quiet, notebook), notebook: notebook.to_owned() }
    }
}

impl RunObserver for Watch {
    fn stage(&mut self, stage: RunStage) {
        let text = match stage {
            RunStage::ReadingInputs => "computing the digests of its inputs",
            RunStage::Compiling => "compiling",
            RunStage::Running => "running",
            RunStage::Publishing => "checking and publishing outputs",
        };
        self.bar.set_message(format!("{}: {text}", self.notebook));
    }

    fn waits_behind(&mut self, runs: u64) {
        let before = if runs == 0 { String::new() } else { format!(", {runs} before it") };
        self.bar.set_message(format!("{}: queued{before}", self.notebook));
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
        self.bar.set_message(format!("{}: {done}{of}", self.notebook));
    }

    fn log(&mut self, level: LogLevel, message: &str) {
        let line = format!("{:5} {}", level.as_str(), plain(message));
        self.bar.suspend(|| eprintln!("{line}"));
    }
}
