//! One run, from the signed request to the receipt.
//!
//! Each step takes what the step before it made and nobody else can make, so no step can be left
//! out: `RequestedRun` → `PreparedRun` → `StartedRun` → `FinishedRun` → [`EndedRun`].

use std::collections::BTreeMap;
use std::time::Instant;

use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::grants::Grants;
use glovebox_contract::name::{AssetName, Identifier, RunId, TableName};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::{Computation, OutputFile, Receipt, Usage};
use glovebox_contract::state::{Refusal, Run};
use glovebox_contract::statement::{Body, Kind, Refused, RunStart, Snapshot};
use glovebox_job::event::{LogLevel, ResourceUsage};

use crate::cancel::CancelWatch;
use crate::components::{CachedCode, CodeCache, ComponentStore, code_key};
use crate::crash::CrashPoint;
use crate::error::{Result, RoomError};
use crate::execute;
use crate::inputs::OpenedInputs;
use crate::libraries::Libraries;
use crate::private::RunWords;
use crate::room::Room;
use crate::staging::StagedRun;
use crate::worker::{self, WorkerSettings};

/// Watches a run for the party that asked for it.
pub trait RunObserver {
    /// Whether [`RunObserver::admit`] may block. If so, the run's process is started after it.
    fn waits(&self) -> bool {
        false
    }

    /// The request is in the log, durably, and nothing has been opened yet: from here on the run
    /// ends in the log, whatever happens. Called once, before every other call but
    /// [`RunObserver::waits`], and never for a request that is refused at once. May block until it
    /// is the run's turn.
    ///
    /// # Errors
    /// With the reason why the run shall not start. The run is refused with it in the log.
    fn admit(&mut self, run: &RunId) -> Result<(), ReasonCode> {
        let _ = run;
        Ok(())
    }

    /// The run has come to this stage.
    fn stage(&mut self, stage: RunStage) {
        let _ = stage;
    }

    /// The run is queued, and so many runs of the room were asked for before it and wait, too.
    fn waits_behind(&mut self, runs: u64) {
        let _ = runs;
    }

    /// How far the notebook says it is, in its own unit.
    fn progress(&mut self, done: u64, total: Option<u64>) {
        let _ = (done, total);
    }

    /// A line of the notebook's log. Called only when the runner may read it: the runner is the
    /// author of the notebook, or the room shows log lines to all.
    fn log(&mut self, level: LogLevel, message: &str) {
        let _ = (level, message);
    }
}

/// Watches nothing.
impl RunObserver for () {}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStage {
    /// Digests of the input files are computed.
    ReadingInputs,
    /// The component is compiled, because its machine code is not in the cache.
    Compiling,
    /// The notebook runs in its jail.
    Running,
    /// Outputs are checked and published.
    Publishing,
}

/// A run that has ended: its receipt is in the log.
#[derive(Debug, Clone)]
pub struct EndedRun {
    /// The run.
    pub run: RunId,
    /// What the host says about it. A failed run has a receipt too.
    pub receipt: Receipt,
    /// Digest of the envelope of the receipt: the receipt's id.
    pub receipt_digest: Blake3Digest,
    /// What the run used, exactly, for the operator of this host: exact figures tell about the data,
    /// so the receipt has them rounded.
    pub used: ResourceUsage,
    /// What this machine lacks, when it could not confine the worker (`jail-unavailable`): that
    /// has nothing to do with anyone's data, and the operator can mend it.
    pub host_detail: Option<String>,
}

/// The request is in the log, and the run's staging directory is locked by this process.
struct RequestedRun {
    run: RunId,
    staged: StagedRun,
}

/// All that the run needs is opened and has the digests it must have.
struct PreparedRun {
    requested: RequestedRun,
    inputs: OpenedInputs,
    snapshots: BTreeMap<TableName, Snapshot>,
    code: RunCode,
}

/// Machine code of one run.
pub(crate) struct RunCode {
    /// The notebook's, composed with its libraries.
    pub(crate) notebook: CachedCode,
    /// Of the libraries whose functions SQL may call.
    pub(crate) functions: BTreeMap<AssetName, CachedCode>,
}

/// The start is in the log.
pub(crate) struct StartedRun {
    pub(crate) run: RunId,
    pub(crate) staged: StagedRun,
    pub(crate) grants: Grants,
    pub(crate) computation: Blake3Digest,
    pub(crate) inputs: OpenedInputs,
    pub(crate) code: RunCode,
    pub(crate) shows_log: bool,
    pub(crate) started: Instant,
}

/// The worker is gone. The outputs of a successful run are checked, read-only and on disk.
pub(crate) struct FinishedRun {
    pub(crate) run: RunId,
    pub(crate) staged: StagedRun,
    pub(crate) outcome: Result<BTreeMap<Identifier, OutputFile>, ReasonCode>,
    pub(crate) words: RunWords,
    pub(crate) used: ResourceUsage,
    pub(crate) usage: Usage,
}

impl Room {
    /// Runs what the signed request asks for and waits for the end.
    ///
    /// A run that starts always ends with a receipt, also when it fails: look at
    /// [`Receipt::outcome`]. What the notebook said and why it failed is kept for those who may
    /// read it, see [`Room::run_text`].
    ///
    /// The runner may cancel the run by a statement, through this or any other process: that ends
    /// it within a second or so, with the reason `cancelled`. Several runs of a room go on at once,
    /// each with a value of [`Room`] of its own.
    ///
    /// # Errors
    /// With the reason when the run does not start. The refusal is in the log.
    pub fn run(
        &mut self,
        settings: &WorkerSettings,
        request: &Envelope,
        observer: &mut dyn RunObserver,
    ) -> Result<EndedRun> {
        // The process starts and shuts itself in while the request is written, the inputs are
        // hashed and the start is written. It has nothing to work on before its job, which comes
        // after all of that. A request that the room refuses starts none.
        let limits = &self.state.document().limits;
        let early = !observer.waits() && self.state.clone().apply(request).is_ok();
        let worker = early.then(|| settings.spawn_run(limits));
        let requested = self.request(settings, request)?;
        let run = requested.run;
        let mut watch = CancelWatch::new(self, run);
        let started = self
            .admit(requested, observer, &mut watch)
            .and_then(|requested| self.prepare(settings, requested, observer, &mut watch))
            .and_then(|prepared| self.start(settings, prepared));
        let started = match started {
            Ok(started) => started,
            Err(not_started) => return Err(self.refuse(&run, not_started)?),
        };
        settings.pass(CrashPoint::StartLogged);
        observer.stage(RunStage::Running);
        let worker = worker.unwrap_or_else(|| settings.spawn_run(started.grants.limits()));
        let finished = execute::execute(settings, started, worker, observer, &mut watch);
        observer.stage(RunStage::Publishing);
        self.publish(settings, finished)
    }

    /// Logs the request, if the room's state allows it.
    fn request(&mut self, settings: &WorkerSettings, request: &Envelope) -> Result<RequestedRun> {
        let is_request = |envelope: &Envelope| {
            let body = envelope.unverified().map(|statement| statement.body);
            body.is_ok_and(|body| matches!(body, Body::RunRequest(_)))
        };
        if !is_request(request) {
            return Err(RoomError::internal("the statement does not ask for a run"));
        }
        let run = RunId::of_request(&request.digest());
        let requested = self.locked(|room, _| {
            if room.state.run(&run).is_ok() {
                room.log_refusal(request, ReasonCode::Replayed)?;
                return Err(RoomError::new(
                    ReasonCode::Replayed,
                    "this very request is in the log already; sign a new one",
                ));
            }
            // Locked before the request is logged: whoever finds the request without the lock
            // knows that nobody works on it any more.
            let staged = room.outputs.stage(&run)?;
            settings.pass(CrashPoint::StagingMade);
            match room.take(request, |_| Ok(())) {
                Ok(_) => Ok(RequestedRun { run, staged }),
                Err(error) => {
                    room.outputs.discard(staged)?;
                    Err(error)
                }
            }
        })?;
        settings.pass(CrashPoint::RequestLogged);
        Ok(requested)
    }

    /// The run of this very request, when the log has it: a request that is sent again because its
    /// answer was lost is answered with its run.
    pub fn run_of_request(&mut self, request: &Envelope) -> Result<Option<RunId>> {
        self.refresh()?;
        let run = RunId::of_request(&request.digest());
        Ok(self.state.run(&run).is_ok().then_some(run))
    }

    /// Waits until the observer lets the run start.
    fn admit(
        &mut self,
        requested: RequestedRun,
        observer: &mut dyn RunObserver,
        watch: &mut CancelWatch,
    ) -> Result<RequestedRun, NotStarted> {
        let waited = observer.waits();
        let admitted = observer.admit(&requested.run).map_err(|reason| {
            let what = format!("the host did not let the run start: {reason}");
            watch.explain(RoomError::new(reason, what))
        });
        // Much may have happened meanwhile.
        let admitted = admitted.and_then(|()| match waited {
            true => watch.ask_now().and_then(|()| self.refresh()),
            false => Ok(()),
        });
        match admitted {
            Ok(()) => Ok(requested),
            Err(error) => Err(NotStarted { error, staged: requested.staged }),
        }
    }

    /// Opens and checks everything, before any data is handed out.
    fn prepare(
        &self,
        settings: &WorkerSettings,
        requested: RequestedRun,
        observer: &mut dyn RunObserver,
        watch: &mut CancelWatch,
    ) -> Result<PreparedRun, NotStarted> {
        let opened = self.open_all(settings, &requested.run, observer, watch);
        match opened {
            Ok((inputs, snapshots, code)) => Ok(PreparedRun { requested, inputs, snapshots, code }),
            Err(error) => Err(NotStarted { error: watch.explain(error), staged: requested.staged }),
        }
    }

    fn open_all(
        &self,
        settings: &WorkerSettings,
        run: &RunId,
        observer: &mut dyn RunObserver,
        watch: &mut CancelWatch,
    ) -> Result<(OpenedInputs, BTreeMap<TableName, Snapshot>, RunCode)> {
        let grants = self.state.grants_for(run, self.now())?;
        observer.stage(RunStage::ReadingInputs);
        let inputs = self.open_inputs(settings, &grants, &mut |_| watch.check())?;
        let mut snapshots = BTreeMap::new();
        for (name, input) in &inputs.tables {
            let table = source(&grants, name)?;
            let snapshot = input.snapshot(table, &self.store, &mut |_| watch.check())?;
            snapshots.insert(table.clone(), snapshot);
        }
        let code = self.run_code(settings, &grants, observer, watch)?;
        Ok((inputs, snapshots, code))
    }

    /// The machine code of a notebook, and of the libraries whose functions its SQL may call.
    fn run_code(
        &self,
        settings: &WorkerSettings,
        grants: &Grants,
        observer: &mut dyn RunObserver,
        watch: &mut CancelWatch,
    ) -> Result<RunCode> {
        let libraries = grants.libraries_for(grants.requirements());
        let component = (grants.component(), &libraries);
        let notebook = self.machine_code(settings, grants, component, observer, watch)?;
        let mut functions = BTreeMap::new();
        for name in grants.requirements().keys() {
            let Some(library) = grants.libraries().get(name) else { continue };
            if !library.functions.is_empty() {
                let needs = grants.libraries_for(&library.requirements);
                let component = (&library.component, &needs);
                let code = self.machine_code(settings, grants, component, observer, watch)?;
                functions.insert(name.clone(), code);
            }
        }
        Ok(RunCode { notebook, functions })
    }

    /// A component's machine code: from the cache if it is whole, else compiled again.
    fn machine_code(
        &self,
        settings: &WorkerSettings,
        grants: &Grants,
        (component, libraries): (&ContentDigest, &Libraries),
        observer: &mut dyn RunObserver,
        watch: &mut CancelWatch,
    ) -> Result<CachedCode> {
        let components = ComponentStore::open(&self.home)?;
        components.read(component, grants.limits().component_bytes)?;
        let cache = CodeCache::open(&self.home)?;
        let key = code_key(component, libraries)?;
        if let Some(code) = cache.get(&key, &settings.engine) {
            return Ok(code);
        }
        observer.stage(RunStage::Compiling);
        let stop = &mut || watch.reason();
        worker::compile(&self.home, settings, component, libraries, grants.limits(), stop)?;
        cache
            .get(&key, &settings.engine)
            .ok_or_else(|| RoomError::internal("the cache lost the machine code just made"))
    }

    /// Logs the start, which checks the approval a last time.
    fn start(
        &mut self,
        settings: &WorkerSettings,
        prepared: PreparedRun,
    ) -> Result<StartedRun, NotStarted> {
        let PreparedRun { requested: RequestedRun { run, staged }, inputs, snapshots, code } =
            prepared;
        let logged = self.locked(|room, _| {
            let now = room.now();
            let record = room.state.run(&run)?;
            let (request, shows_log) = (*record.request(), room.shows_log(record));
            // Tables with another schema make another revision, so what is granted now are still
            // the tables that were opened.
            let grants = room.state.grants_for(&run, now)?;
            let computation = computation(&grants, &snapshots)?;
            let rules = room.state.approving_rules(&run, now)?;
            let start = RunStart {
                engine: settings.engine,
                grants_digest: grants.digest().map_err(Refusal::from)?,
                host_binary: settings.host_binary,
                inputs: snapshots,
                jail: settings.jail,
                request,
                rules,
                run,
            };
            room.append_own_with(Body::RunStart(start), now, |_| Ok(()))?;
            Ok((grants, computation, shows_log))
        });
        match logged {
            Ok((grants, computation, shows_log)) => Ok(StartedRun {
                run,
                staged,
                grants,
                computation,
                inputs,
                code,
                shows_log,
                started: Instant::now(),
            }),
            Err(error) => Err(NotStarted { error, staged }),
        }
    }

    /// Whether the runner may read the log lines of its run.
    fn shows_log(&self, run: &Run) -> bool {
        self.may_read_words(run, run.runner())
    }

    /// Logs that the run does not start, and gives the error that the runner may see: without its
    /// cause, which may name another party's files.
    fn refuse(&mut self, run: &RunId, not_started: NotStarted) -> Result<RoomError> {
        let NotStarted { error, staged } = not_started;
        let words = RunWords { operator_detail: Some(error.to_string()), ..RunWords::default() };
        self.locked(|room, _| room.refuse_run(run, error.reason(), &words))?;
        self.outputs.discard(staged)?;
        Ok(RoomError::new(error.reason(), error.what()))
    }

    /// Logs under the lock that a requested run does not start.
    pub(crate) fn refuse_run(
        &mut self,
        run: &RunId,
        reason: ReasonCode,
        words: &RunWords,
    ) -> Result<()> {
        let record = self.state.run(run)?;
        let refused = Refused {
            party: Some(record.runner().clone()),
            reason,
            run: Some(*run),
            statement: Some(*record.request()),
            what: Kind::RunRequest.as_str().into(),
        };
        self.append_end(run, Body::Refused(refused), words).map(drop)
    }
}

/// Why a run did not start, with its staging directory.
struct NotStarted {
    error: RoomError,
    staged: StagedRun,
}

/// The table of the room behind an input.
fn source<'a>(grants: &'a Grants, input: &TableName) -> Result<&'a TableName> {
    let source = grants.sources().get(input).map(|source| &source.table);
    source.ok_or_else(|| RoomError::internal(format!("input {input} has no table")))
}

/// The digest of what determines the outputs.
pub(crate) fn computation(
    grants: &Grants,
    inputs: &BTreeMap<TableName, Snapshot>,
) -> Result<Blake3Digest> {
    let computation = Computation {
        component: *grants.component(),
        inputs: inputs.clone(),
        parameters: grants.parameters().clone(),
        revision: *grants.revision(),
    };
    Ok(computation.digest().map_err(Refusal::from)?)
}
