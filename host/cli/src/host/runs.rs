//! Runs, and what they let out.

use std::fs::File;
use std::io::Seek as _;

use anyhow::{Context as _, Result, anyhow};
use glovebox_api::wire;
use glovebox_client::RemoteRoom;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{Alias, Identifier, RunId};
use glovebox_contract::receipt::Receipt;
use glovebox_contract::statement::{Body, OutputRead, RunRequest};
use glovebox_job::event::LogLevel;
use glovebox_room::outputs::RunText;
use glovebox_room::run::{RunObserver, RunStage};
use glovebox_room::{Display, LogLine, RoomError};

use super::OpenRoom;
use crate::context::{Context, Party};

/// A run that has ended: its receipt is in the log.
pub(crate) struct EndedRun {
    pub(crate) run: RunId,
    pub(crate) receipt: Receipt,
    pub(crate) receipt_digest: Blake3Digest,
    /// What this machine lacks, when it could not confine the worker.
    pub(crate) host_detail: Option<String>,
}

impl OpenRoom {
    /// Asks for a run and waits for its end.
    pub(crate) fn run(
        &mut self,
        context: &Context,
        party: &Party,
        request: RunRequest,
        observer: &mut dyn RunObserver,
    ) -> Result<EndedRun> {
        match self {
            Self::Local(room) => {
                let settings = context.worker_settings()?;
                let request = party.sign(room.state(), Body::RunRequest(request))?;
                let ended = room.run(&settings, &request, observer)?;
                Ok(EndedRun {
                    run: ended.run,
                    receipt: ended.receipt,
                    receipt_digest: ended.receipt_digest,
                    host_detail: ended.host_detail,
                })
            }
            Self::Remote(room) => run_there(context, room, &request, observer),
        }
    }

    /// What a run said, for `reader`, who is the party at this machine.
    pub(crate) fn run_text(&self, run: &RunId, reader: &Alias) -> Result<RunText> {
        match self {
            Self::Local(room) => Ok(room.run_text(run, reader)?),
            Self::Remote(room) => read_text(room.run_text(run)?),
        }
    }

    /// Opens an output. That the party reads it is in the log, signed, before the first byte.
    pub(crate) fn read_output(
        &mut self,
        party: &Party,
        run: RunId,
        output: &Identifier,
    ) -> Result<File> {
        match self {
            Self::Local(room) => {
                let body = Body::OutputRead(OutputRead { output: output.clone(), run });
                Ok(room.read_output(&party.sign(room.state(), body)?)?.file)
            }
            Self::Remote(room) => {
                let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
                room.read_output_with(&run, output, &mut file)?;
                file.rewind()?;
                Ok(file)
            }
        }
    }
}

fn run_there(
    context: &Context,
    room: &mut RemoteRoom,
    request: &RunRequest,
    observer: &mut dyn RunObserver,
) -> Result<EndedRun> {
    let run = room.start_run_with(|_| Ok(request.clone()))?;
    context
        .hint(format!("run {run} goes on when this command is stopped; `glovebox cancel` ends it"));
    let receipt = room.wait_run(&run, &mut |progress| tell(observer, progress))?;
    let record = room.state().run(&run).map_err(RoomError::from)?;
    let receipt_digest =
        *record.receipt_digest().ok_or_else(|| anyhow!("run {run} has no receipt"))?;
    Ok(EndedRun { run, receipt, receipt_digest, host_detail: None })
}

/// Tells an observer what the host says of a run.
fn tell(observer: &mut dyn RunObserver, progress: &wire::RunProgress) {
    match (progress.done, progress.stage) {
        (Some(done), Some(wire::RunStage::Running)) => observer.progress(done, progress.total),
        (_, Some(stage)) => observer.stage(match stage {
            wire::RunStage::ReadingInputs => RunStage::ReadingInputs,
            wire::RunStage::Compiling => RunStage::Compiling,
            wire::RunStage::Running => RunStage::Running,
            wire::RunStage::Publishing => RunStage::Publishing,
        }),
        (_, None) => {
            if let Some(runs) = progress.ahead {
                observer.waits_behind(runs);
            }
        }
    }
}

fn read_text(text: wire::RunText) -> Result<RunText> {
    let mut displays = Vec::new();
    for cell in text.displays {
        let data = cell.data().context("the host sent a display that is not in base64")?;
        displays.push(Display { media_type: cell.media_type, data });
    }
    let level = |level| match level {
        wire::LogLevel::Debug => LogLevel::Debug,
        wire::LogLevel::Info => LogLevel::Info,
        wire::LogLevel::Warn => LogLevel::Warn,
        wire::LogLevel::Error => LogLevel::Error,
    };
    let lines = text.log.into_iter();
    let log =
        lines.map(|line| LogLine { level: level(line.level), message: line.message }).collect();
    Ok(RunText { detail: text.detail, displays, log })
}
