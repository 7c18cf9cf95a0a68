//! The run itself: one worker process, what it says, and what it leaves behind.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::time::Duration;

use glovebox_contract::grants::Grants;
use glovebox_contract::media::MediaType;
use glovebox_contract::name::Identifier;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::{OutputFile, Usage};
use glovebox_job::descriptors::DescriptorList;
use glovebox_job::event::{Event, LogLevel, OutputSummary, ResourceUsage};
use glovebox_job::job::{
    InputTable, Job, MachineCode, OutputFile as StagedOutput, RunJob, TableFiles, TableRows,
    ViewDefinition, VolumeFile,
};
use glovebox_job::process::{Worker, WorkerError};

use crate::cancel::CancelWatch;
use crate::components::CachedCode;
use crate::crash::CrashPoint;
use crate::error::{Context as _, Result, RoomError};
use crate::inputs::{OpenedFiles, OpenedRows};
use crate::private::{Display, LogLine, RunWords};
use crate::remote::{RemoteInputs, Serving};
use crate::run::{FinishedRun, RunObserver, StartedRun};
use crate::worker::{WorkerSettings, input_files};

/// Most threads of one query.
const MAX_PARTITIONS: usize = 16;

/// Why a run failed.
struct Failure {
    reason: ReasonCode,
    /// For the author of the component.
    detail: Option<String>,
    /// For the operator.
    operator_detail: Option<String>,
    /// Whether the worker says so itself.
    told: bool,
}

/// What a worker gets, and what serves it meanwhile.
struct Handed {
    job: Job,
    descriptors: DescriptorList,
    serving: Option<Box<dyn Serving>>,
}

/// What a worker said on the way.
struct Said {
    log: GuestLog,
    usage: ResourceUsage,
}

/// Runs the worker to its end. Whatever happens is an outcome, not an error.
pub(crate) fn execute(
    settings: &WorkerSettings,
    mut started: StartedRun,
    worker: Result<Worker, WorkerError>,
    observer: &mut dyn RunObserver,
    watch: &mut CancelWatch,
) -> FinishedRun {
    let log = GuestLog::new(started.grants.limits().log_bytes);
    let mut said = Said { log, usage: ResourceUsage::default() };
    let handed = hand_job(settings, &mut started).map_err(Failure::from);
    let outcome = handed.and_then(|Handed { job, descriptors, serving }| {
        let job = (job, descriptors);
        let finished = run_worker(worker, &started, job, observer, watch, &mut said);
        let checked = finished.and_then(|outputs| {
            settings.pass(CrashPoint::WorkerFinished);
            serving.as_ref().map_or(Ok(()), |serving| serving.check_unchanged())?;
            Ok(check(&started, &outputs)?)
        });
        checked.map_err(|failure| failure.explained(serving.as_deref(), &started.inputs.remote))
    });
    if outcome.is_ok() {
        settings.pass(CrashPoint::OutputsSynced);
    }
    let Said { log, usage } = said;
    let (log, displays) = log.finish();
    let mut words = RunWords { log, displays, ..RunWords::default() };
    let outcome = outcome.map_err(|failure| {
        (words.detail, words.operator_detail) = (failure.detail, failure.operator_detail);
        failure.reason
    });
    let wall_ms = u64::try_from(started.started.elapsed().as_millis()).unwrap_or(u64::MAX);
    FinishedRun {
        run: started.run,
        staged: started.staged,
        outcome,
        words,
        used: usage,
        usage: Usage::rounded(usage.cpu_ms, usage.memory_bytes, wall_ms),
    }
}

fn run_worker(
    worker: Result<Worker, WorkerError>,
    started: &StartedRun,
    (job, descriptors): (Job, DescriptorList),
    observer: &mut dyn RunObserver,
    watch: &mut CancelWatch,
    said: &mut Said,
) -> Result<BTreeMap<Identifier, OutputSummary>, Failure> {
    let limits = started.grants.limits();
    let deadline = started.started + Duration::from_secs(limits.wall_seconds);
    let mut worker = worker?;
    worker.send(&job, descriptors, deadline)?;
    let Said { log, usage } = said;
    let notice = |event: &Event| match event {
        Event::Progress { done, total } => observer.progress(*done, *total),
        Event::Log { level, text } => {
            let kept = log.add(*level, text);
            if kept && started.shows_log {
                observer.log(*level, text);
            }
        }
        Event::Display { media_type, data } => log.show(*media_type, data),
        _ => {}
    };
    match worker.wait_unless(deadline, notice, &mut || watch.reason())? {
        Event::Finished { outputs, usage: used } => {
            *usage = used;
            Ok(outputs)
        }
        Event::Failed { reason, detail, usage: used } => {
            *usage = used;
            let detail = Some(detail).filter(|detail| !detail.is_empty());
            Err(Failure { reason, detail, operator_detail: None, told: true })
        }
        other => Err(Failure {
            reason: ReasonCode::WorkerProtocol,
            detail: None,
            operator_detail: Some(format!("`{}` does not end a run", other.name())),
            told: false,
        }),
    }
}

/// The job of a run, with every descriptor that the worker gets.
fn hand_job(settings: &WorkerSettings, started: &mut StartedRun) -> Result<Handed> {
    let mut descriptors = DescriptorList::new();
    let mut inputs = Vec::new();
    for (table, input) in &started.inputs.tables {
        let rows = match &input.rows {
            OpenedRows::Files(files) => TableRows::Files(table_files(files, &mut descriptors)?),
            OpenedRows::View { sql, tables } => {
                let tables = tables
                    .iter()
                    .map(|(name, files)| Ok((name.clone(), table_files(files, &mut descriptors)?)));
                let tables = tables.collect::<Result<_>>()?;
                TableRows::View(ViewDefinition { sql: sql.clone(), tables })
            }
            OpenedRows::Remote(remote) => remote.rows.clone(),
        };
        inputs.push(InputTable { renamed: input.renamed.clone(), rows, table: table.clone() });
    }
    let mut outputs = Vec::new();
    for name in started.grants.outputs().keys() {
        let descriptor = descriptors.push(started.staged.create(name)?);
        outputs.push(StagedOutput { descriptor, name: name.clone() });
    }
    let machine_code = hand_over(&started.code.notebook, &mut descriptors)?;
    let functions = started.code.functions.iter();
    let functions = functions
        .map(|(library, code)| Ok((library.clone(), hand_over(code, &mut descriptors)?)))
        .collect::<Result<_>>()?;
    let partitions = partitions(&started.grants);
    let (broker, serving) = started.inputs.remote.serve(settings, partitions, &mut descriptors)?;
    let job = Job::Run(Box::new(RunJob {
        broker,
        computation: started.computation,
        functions,
        grants: started.grants.clone(),
        inputs,
        machine_code,
        outputs,
        partitions,
        volumes: volume_files(started, &mut descriptors)?,
    }));
    Ok(Handed { job, descriptors, serving })
}

fn table_files(files: &OpenedFiles, descriptors: &mut DescriptorList) -> Result<TableFiles> {
    Ok(TableFiles {
        file_columns: files.columns.clone(),
        files: input_files(&files.opened, descriptors)?,
        format: files.opened.format,
    })
}

fn volume_files(started: &StartedRun, descriptors: &mut DescriptorList) -> Result<Vec<VolumeFile>> {
    let mut files = Vec::new();
    for (volume, opened) in &started.inputs.volumes {
        for (path, opened) in &opened.files {
            let file = opened.file.try_clone().trying(|| "hand over a volume's file".into())?;
            files.push(VolumeFile {
                descriptor: descriptors.push(file),
                path: path.clone(),
                volume: volume.clone(),
            });
        }
    }
    Ok(files)
}

fn hand_over(code: &CachedCode, descriptors: &mut DescriptorList) -> Result<MachineCode> {
    let file = code.file.try_clone().trying(|| "hand over the machine code".into())?;
    Ok(MachineCode {
        bytes: code.code.bytes,
        descriptor: descriptors.push(file),
        digest: code.code.digest,
    })
}

/// Threads of a query: those of the machine, as far as the room's limit leaves room for the
/// worker's own.
fn partitions(grants: &Grants) -> u32 {
    let machine = std::thread::available_parallelism().map_or(1, NonZero::get);
    let allowed = usize::try_from(grants.limits().threads / 4).unwrap_or(MAX_PARTITIONS);
    u32::try_from(machine.min(allowed).clamp(1, MAX_PARTITIONS)).unwrap_or(1)
}

/// What the host finds itself once the worker is gone: the inputs are unchanged, the outputs are
/// those that were announced, within their caps. Leaves them read-only and on disk.
fn check(
    started: &StartedRun,
    said: &BTreeMap<Identifier, OutputSummary>,
) -> Result<BTreeMap<Identifier, OutputFile>> {
    started.inputs.check_unchanged()?;
    let mut files = BTreeMap::new();
    let mut total = 0_u64;
    for (name, declared) in started.grants.outputs() {
        let said = said.get(name).ok_or_else(|| {
            RoomError::new(ReasonCode::OutputUnfinished, format!("output {name} is missing"))
        })?;
        let (digest, bytes) = started.staged.measure(name)?;
        total = total.saturating_add(bytes);
        if bytes != said.bytes {
            return Err(RoomError::new(
                ReasonCode::WorkerProtocol,
                format!("output {name} has {bytes} bytes, the worker says {}", said.bytes),
            ));
        }
        if declared.max_rows.is_some_and(|most| said.rows > most) {
            return Err(too_large(ReasonCode::OutputRows, name));
        }
        if declared.max_bytes.is_some_and(|most| bytes > most)
            || total > started.grants.limits().output_bytes
        {
            return Err(too_large(ReasonCode::OutputBytes, name));
        }
        files.insert(
            name.clone(),
            OutputFile { bytes, content: said.content, digest, rows: said.rows },
        );
    }
    started.staged.seal(files.keys())?;
    Ok(files)
}

fn too_large(reason: ReasonCode, output: &Identifier) -> RoomError {
    RoomError::new(reason, format!("output {output} is larger than the room allows"))
}

impl From<WorkerError> for Failure {
    fn from(error: WorkerError) -> Self {
        // A dying process may say what it was working on, so its words are not the author's.
        Self {
            reason: error.reason(),
            detail: None,
            operator_detail: Some(error.detail().to_owned()),
            told: false,
        }
    }
}

impl From<RoomError> for Failure {
    fn from(error: RoomError) -> Self {
        Self {
            reason: error.reason(),
            detail: Some(error.what().to_owned()),
            operator_detail: Some(error.to_string()),
            told: false,
        }
    }
}

impl Failure {
    /// The same failure with what the broker knows of it. Why rows could not be had is the reason
    /// of a run that the worker gave up; a run that was ended keeps the reason that ended it.
    fn explained(mut self, serving: Option<&dyn Serving>, remote: &RemoteInputs) -> Self {
        if let Some((reason, detail)) = serving.and_then(Serving::failure) {
            if self.told {
                self.reason = reason;
            }
            let before = self.operator_detail.map(|before| format!("{before}; "));
            self.operator_detail = Some(before.unwrap_or_default() + &detail);
        }
        let redact = |text: Option<String>| text.map(|text| remote.redact(&text));
        Self { detail: redact(self.detail), operator_detail: redact(self.operator_detail), ..self }
    }
}

/// Log lines and displays of a guest, up to the room's limit.
struct GuestLog {
    displays: Vec<Display>,
    left: u64,
    lines: Vec<LogLine>,
    dropped: u64,
}

impl GuestLog {
    fn new(limit: u64) -> Self {
        Self { displays: Vec::new(), left: limit, lines: Vec::new(), dropped: 0 }
    }

    /// Keeps a line if there is room. Tells whether it did.
    fn add(&mut self, level: LogLevel, message: &str) -> bool {
        let room = self.charge(message.len());
        if room {
            self.lines.push(LogLine { level, message: message.to_owned() });
        }
        room
    }

    /// Keeps a display if there is room.
    fn show(&mut self, media_type: MediaType, data: &[u8]) {
        if self.charge(data.len()) {
            self.displays.push(Display { media_type, data: data.to_vec() });
        }
    }

    fn charge(&mut self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        match self.left.checked_sub(bytes.saturating_add(1)) {
            Some(left) if self.dropped == 0 => {
                self.left = left;
                true
            }
            _ => {
                self.dropped = self.dropped.saturating_add(1);
                false
            }
        }
    }

    fn finish(mut self) -> (Vec<LogLine>, Vec<Display>) {
        if self.dropped > 0 {
            let message = format!("{} lines were dropped: the log is full", self.dropped);
            self.lines.push(LogLine { level: LogLevel::Warn, message });
        }
        (self.lines, self.displays)
    }
}
