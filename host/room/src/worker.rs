//! Jobs for the jailed child: describe files, compile a component, run a notebook.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glovebox_contract::column::Column;
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::limits::Limits;
use glovebox_contract::name::{Identifier, TableName};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::JailMode;
use glovebox_job::descriptors::DescriptorList;
use glovebox_job::event::{Compiled, Event};
use glovebox_job::job::{
    CompileJob, DescribeBrokeredJob, DescribeJob, DescribeViewJob, InputFile, Job, LibraryFile,
    TableFiles, TableRows, ViewDefinition,
};
use glovebox_job::limits::ProcessLimits;
use glovebox_job::process::{Worker, WorkerError, WorkerProgram};

use crate::components::{CodeCache, ComponentStore, MachineCodeFile, code_key};
use crate::crash::{CrashHook, CrashPoint};
use crate::error::{Context as _, Result, RoomError};
use crate::home::Home;
use crate::libraries::Libraries;
use crate::remote::{Broker, BrokeredTable, sockets};
use crate::sources::OpenedSource;

/// How long describing a table may take.
pub(crate) const DESCRIBE_TIME: Duration = Duration::from_secs(120);

/// Sockets to the broker of a look at files.
const DESCRIBE_SOCKETS: usize = 4;

/// How long a compilation may take at most, whatever the room allows a run.
const COMPILE_TIME: Duration = Duration::from_secs(300);

/// How long a compilation may take in every room. A room that allows a run few seconds may still
/// hold a notebook in Python: its interpreter takes half a minute on a busy machine.
const LEAST_COMPILE_TIME: Duration = Duration::from_secs(120);

/// How this host runs its workers, and what it says about itself in every run-start.
#[derive(Clone)]
pub struct WorkerSettings {
    /// The program that is launcher and worker both.
    pub program: WorkerProgram,
    /// How a worker is confined.
    pub jail: JailMode,
    /// Digest of the engine's version and settings, `Engine::configuration_digest` of the sandbox.
    pub engine: Blake3Digest,
    /// Digest of this host's program.
    pub host_binary: Blake3Digest,
    /// Reads tables that are elsewhere; none on a host that reads no such tables.
    pub broker: Option<Arc<dyn Broker>>,
    /// Called at each step of a run; for tests that stop the host there.
    pub crash_hook: Option<CrashHook>,
}

impl WorkerSettings {
    pub(crate) fn pass(&self, point: CrashPoint) {
        if let Some(hook) = &self.crash_hook {
            hook(point);
        }
    }

    /// What reads tables that are elsewhere.
    pub(crate) fn broker(&self) -> Result<&dyn Broker> {
        self.broker.as_deref().ok_or_else(|| {
            let what = "this host reads no tables that are elsewhere";
            RoomError::new(ReasonCode::SourceRefused, what)
        })
    }

    /// Starts the process of a run.
    pub(crate) fn spawn_run(&self, limits: &Limits) -> Result<Worker, WorkerError> {
        Worker::spawn(&self.program, self.jail, ProcessLimits::of_run(limits))
    }

    pub(crate) fn spawn(&self, limits: ProcessLimits) -> Result<Worker> {
        Ok(Worker::spawn(&self.program, self.jail, limits)?)
    }
}

impl From<WorkerError> for RoomError {
    fn from(error: WorkerError) -> Self {
        Self::new(error.reason(), error.detail())
    }
}

/// Reads the columns of a table's files in a jailed child.
pub(crate) fn describe(settings: &WorkerSettings, source: &OpenedSource) -> Result<Vec<Column>> {
    let deadline = Instant::now() + DESCRIBE_TIME;
    let mut worker = settings.spawn(ProcessLimits::of_description(source.files.len()))?;
    let mut descriptors = DescriptorList::new();
    let job = Job::Describe(DescribeJob {
        files: input_files(source, &mut descriptors)?,
        format: source.format,
    });
    worker.send(&job, descriptors, deadline)?;
    match worker.wait(deadline, |_| {})? {
        Event::Described { columns, .. } => Ok(columns),
        other => Err(failure(other)),
    }
}

/// Reads the columns of files that the broker reads, in a jailed child. `table` is for messages.
pub(crate) fn describe_brokered(
    settings: &WorkerSettings,
    table: &TableName,
    brokered: Box<dyn BrokeredTable>,
) -> Result<Vec<Column>> {
    let TableRows::Brokered(files) = brokered.rows(0, &[]) else {
        return Err(RoomError::internal(format!("table {table} has neither columns nor files")));
    };
    let partition_columns = files.partition_columns.clone();
    let deadline = Instant::now() + DESCRIBE_TIME;
    let mut worker = settings.spawn(ProcessLimits::of_description(0))?;
    let mut descriptors = DescriptorList::new();
    let (broker, ours) = sockets(DESCRIBE_SOCKETS, &mut descriptors)?;
    let serving = settings.broker()?.serve(vec![brokered], ours)?;
    let job = Job::DescribeBrokered(DescribeBrokeredJob { broker, files });
    worker.send(&job, descriptors, deadline)?;
    let error = match worker.wait(deadline, |_| {}) {
        Ok(Event::Described { mut columns, .. }) => {
            let is_new = |column: &Column| columns.iter().all(|known| known.name != column.name);
            let further: Vec<_> = partition_columns.into_iter().filter(is_new).collect();
            columns.extend(further);
            return Ok(columns);
        }
        Ok(other) => failure(other),
        Err(error) => error.into(),
    };
    // Why a place did not give what it should, the broker knows.
    Err(match serving.failure() {
        None => error,
        Some((reason, detail)) => {
            let what = format!("table {table}: its files cannot be read");
            RoomError::new(reason, what).because(detail)
        }
    })
}

/// Plans a view in a jailed child and reads its columns. Each table comes with its opened files
/// and the columns that they have.
pub(crate) fn describe_view(
    settings: &WorkerSettings,
    view: &TableName,
    sql: &str,
    tables: &BTreeMap<Identifier, (OpenedSource, Vec<Column>)>,
) -> Result<Vec<Column>> {
    let deadline = Instant::now() + DESCRIBE_TIME;
    let files = tables.values().map(|(source, _)| source.files.len()).sum();
    let mut worker = settings.spawn(ProcessLimits::of_description(files))?;
    let mut descriptors = DescriptorList::new();
    let tables = tables.iter().map(|(name, (source, columns))| {
        let files = TableFiles {
            file_columns: columns.clone(),
            files: input_files(source, &mut descriptors)?,
            format: source.format,
        };
        Ok((name.clone(), files))
    });
    let definition = ViewDefinition { sql: sql.to_owned(), tables: tables.collect::<Result<_>>()? };
    let job = Job::DescribeView(DescribeViewJob { definition, view: view.clone() });
    worker.send(&job, descriptors, deadline)?;
    match worker.wait(deadline, |_| {})? {
        Event::Described { columns, .. } => Ok(columns),
        other => Err(failure(other)),
    }
}

/// Hands every file of a table over, in order.
pub(crate) fn input_files(
    source: &OpenedSource,
    descriptors: &mut DescriptorList,
) -> Result<Vec<InputFile>> {
    let handing = || "hand a table's file to the worker".into();
    let files = source.files.iter().map(|opened| {
        let file = opened.file.try_clone().trying(handing)?;
        Ok(InputFile { bytes: opened.identity.bytes, descriptor: descriptors.push(file) })
    });
    files.collect()
}

/// Admits and compiles a component in a jailed child and keeps the machine code. `stop` may give a
/// reason to end that.
pub(crate) fn compile(
    home: &Home,
    settings: &WorkerSettings,
    component: &ContentDigest,
    libraries: &Libraries,
    limits: &Limits,
    stop: &mut dyn FnMut() -> Option<ReasonCode>,
) -> Result<Compiled> {
    let time = Duration::from_secs(limits.wall_seconds).clamp(LEAST_COMPILE_TIME, COMPILE_TIME);
    let deadline = Instant::now() + time;
    let store = ComponentStore::open(home)?;
    let cache = CodeCache::open(home)?;
    let staged = cache.stage()?;
    let compiled = compile_job(&store, component, libraries, limits, &staged.file)
        .and_then(|(job, files)| compile_with(settings, &job, files, limits, deadline, stop));
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(error) => {
            cache.discard(staged);
            return Err(error);
        }
    };
    if compiled.engine != settings.engine {
        cache.discard(staged);
        return Err(RoomError::new(
            ReasonCode::WorkerProtocol,
            "the worker compiled with another engine than this host's",
        ));
    }
    let code = MachineCodeFile {
        digest: compiled.machine_code_digest,
        bytes: compiled.machine_code_bytes,
    };
    cache.put(staged, &code_key(component, libraries)?, &settings.engine, &code)?;
    Ok(compiled)
}

/// The job of a compilation, with every file that the worker gets.
fn compile_job(
    store: &ComponentStore,
    component: &ContentDigest,
    libraries: &Libraries,
    limits: &Limits,
    machine_code: &File,
) -> Result<(Job, DescriptorList)> {
    let mut descriptors = DescriptorList::new();
    let mut open = |digest: &ContentDigest| -> Result<InputFile> {
        let (file, bytes) = store.open_file(digest)?;
        Ok(InputFile { bytes, descriptor: descriptors.push(file) })
    };
    let opened = open(component)?;
    let libraries = libraries
        .iter()
        .map(|(name, digest)| {
            Ok((name.clone(), LibraryFile { component: open(digest)?, digest: *digest }))
        })
        .collect::<Result<_>>()?;
    let copy = machine_code.try_clone();
    let job = Job::Compile(CompileJob {
        component: opened,
        digest: *component,
        libraries,
        limits: limits.clone(),
        machine_code: descriptors.push(copy.map_err(|error: io::Error| {
            RoomError::io("cannot hand over the file for machine code", error)
        })?),
    });
    Ok((job, descriptors))
}

fn compile_with(
    settings: &WorkerSettings,
    job: &Job,
    descriptors: DescriptorList,
    limits: &Limits,
    deadline: Instant,
    stop: &mut dyn FnMut() -> Option<ReasonCode>,
) -> Result<Compiled> {
    let mut worker = settings.spawn(ProcessLimits::of_compilation(limits))?;
    worker.send(job, descriptors, deadline)?;
    match worker.wait_unless(deadline, |_| {}, stop)? {
        Event::Compiled(compiled) => Ok(*compiled),
        other => Err(failure(other)),
    }
}

/// The error of a job that ended with `Failed`.
fn failure(event: Event) -> RoomError {
    match event {
        Event::Failed { reason, detail, .. } => RoomError::new(reason, detail),
        other => RoomError::new(
            ReasonCode::WorkerProtocol,
            format!("`{}` does not answer the job", other.name()),
        ),
    }
}
