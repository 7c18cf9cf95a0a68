//! Runs: asked for here, followed in the log.
//!
//! Every run has a thread of its own, for it blocks for as long as it takes. The request is in the
//! log before the caller hears of the run, so whatever happens to the host, the run is neither lost
//! nor doubled: the same request is the same run.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use glovebox_api::wire::{self, DisplayedCell, LogLine, RunProgress, StartedRun};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::statement::Body;
use glovebox_job::event::LogLevel;
use glovebox_room::run::{EndedRun, RunObserver, RunStage};
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};

use crate::app::App;
use crate::auth::{Member, Signed};
use crate::error::{HttpError, Result};
use crate::metrics::Counted;
use crate::quota;
use crate::slot::Slot;

/// The runs that this process has under way.
pub(crate) struct Runs {
    active: Mutex<HashMap<RunId, Arc<Active>>>,
    /// How many there are.
    count: watch::Sender<usize>,
    /// Places for runs at once, of all rooms.
    places: Arc<Semaphore>,
}

/// One of them.
struct Active {
    logged: watch::Sender<Logged>,
    progress: Mutex<RunProgress>,
}

/// Whether the request is in the log.
#[derive(Clone)]
enum Logged {
    NotYet,
    Yes,
    No(HttpError),
}

impl Runs {
    pub(crate) fn new(at_once: usize) -> Self {
        Self {
            active: Mutex::default(),
            count: watch::Sender::new(0),
            places: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// Returns when no run is under way.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as this.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// How many runs are under way.
    pub(crate) fn count(&self) -> usize {
        *self.count.borrow()
    }

    fn get(&self, run: &RunId) -> Option<Arc<Active>> {
        self.lock().get(run).cloned()
    }

    /// The run, which `start` begins when it is not under way.
    fn get_or_start(
        &self,
        run: RunId,
        start: impl FnOnce(Arc<Active>) -> Result<()>,
    ) -> Result<Arc<Active>> {
        let mut all = self.lock();
        if let Some(active) = all.get(&run) {
            return Ok(active.clone());
        }
        let active = Arc::new(Active {
            logged: watch::Sender::new(Logged::NotYet),
            progress: Mutex::default(),
        });
        all.insert(run, active.clone());
        self.count.send_replace(all.len());
        // The thread removes the entry at its end, for which it waits until the lock is free.
        match start(active.clone()) {
            Ok(()) => Ok(active),
            Err(error) => {
                all.remove(&run);
                self.count.send_replace(all.len());
                Err(error)
            }
        }
    }

    fn remove(&self, run: &RunId) {
        let mut all = self.lock();
        all.remove(run);
        self.count.send_replace(all.len());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Arc<Active>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `POST /v1/rooms/{id}/runs`
pub(crate) async fn request(
    State(app): State<Arc<App>>,
    signed: Signed,
) -> Result<(StatusCode, Json<StartedRun>)> {
    let member = signed.member(&app).await?;
    let envelope = signed.envelope()?;
    if !matches!(envelope.unverified()?.body, Body::RunRequest(_)) {
        return Err(HttpError::new(
            ReasonCode::InvalidArgument,
            "the statement does not ask for a run",
        ));
    }
    let run = RunId::of_request(&envelope.digest());
    if !is_known(&member, &run, &envelope) {
        start(&app, &member, run, envelope).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(StartedRun { run })))
}

fn is_known(member: &Member, run: &RunId, envelope: &Envelope) -> bool {
    member.view.state.run(run).is_ok_and(|known| *known.request() == envelope.digest())
}

/// Starts the run, or joins whoever has just started it, and returns when it is in the log.
async fn start(app: &Arc<App>, member: &Member, run: RunId, envelope: Envelope) -> Result<()> {
    if app.is_stopping() {
        return Err(HttpError::unavailable("the host is stopping"));
    }
    let slot = &member.slot;
    let digest = envelope.digest();
    let active = app.runs.get_or_start(run, |active| {
        if !slot.queue(run, &member.alias, &app.limits) {
            return Err(HttpError::too_many("too many runs of this room wait already"));
        }
        let thread =
            Thread { app: app.clone(), slot: slot.clone(), run, active, handle: Handle::current() };
        let spawned = std::thread::Builder::new().name("run".into());
        spawned.spawn(move || thread.work(&envelope)).map(drop).map_err(|error| {
            slot.leave_queue(&run);
            HttpError::internal(&error)
        })
    })?;
    let mut logged = active.logged.subscribe();
    let logged = logged.wait_for(|logged| !matches!(logged, Logged::NotYet)).await;
    let Ok(Logged::No(error)) = logged.map(|logged| logged.clone()) else { return Ok(()) };
    // A run can be refused behind its request, which is then in the log and tells of it.
    let view = app.fresh(slot).await?;
    match view.state.run(&run) {
        Ok(known) if *known.request() == digest => Ok(()),
        _ => Err(error),
    }
}

/// What the thread of a run works with.
struct Thread {
    app: Arc<App>,
    slot: Arc<Slot>,
    run: RunId,
    active: Arc<Active>,
    handle: Handle,
}

impl Thread {
    fn work(self, request: &Envelope) {
        let mut watcher = Watcher {
            thread: &self,
            queued: Some(self.app.metrics.queued()),
            places: None,
            running: None,
        };
        let running = catch_unwind(AssertUnwindSafe(|| {
            self.slot.act(&self.app.catalog, |room| {
                Ok(room.run(&self.app.settings, request, &mut watcher)?)
            })
        }));
        watcher.leave_queue();
        drop(watcher);
        match running {
            Ok(ended) => self.ended(ended),
            Err(_) => self.panicked(),
        }
        self.app.runs.remove(&self.run);
        let (app, id) = (self.app.clone(), self.slot.id);
        self.handle.spawn(async move { crate::sharing::after_run(&app, &id).await });
    }

    fn ended(&self, ended: Result<EndedRun>) {
        let room = &self.slot.id;
        let run = &self.run;
        match ended {
            Ok(ended) => {
                self.tell(Logged::Yes);
                let (outcome, reason) = match ended.receipt.outcome {
                    Outcome::Succeeded { .. } => ("succeeded", None),
                    Outcome::Failed { reason } => ("failed", Some(reason.as_str())),
                };
                self.app.metrics.run_ended(outcome);
                let used = ended.used;
                let (cpu_ms, memory_bytes) = (used.cpu_ms, used.memory_bytes);
                tracing::info!(%room, %run, outcome, reason, cpu_ms, memory_bytes, "run ended");
                if let Some(detail) = ended.host_detail {
                    tracing::error!(%room, %run, detail, "this machine cannot run notebooks");
                }
            }
            Err(error) => {
                self.app.metrics.run_ended("refused");
                tracing::info!(%room, %run, reason = %error.reason(), "run refused");
                self.tell(Logged::No(error));
            }
        }
    }

    /// The run has no end in the log yet; opening the room anew gives it one.
    fn panicked(&self) {
        tracing::error!(room = %self.slot.id, run = %self.run, "a run panicked");
        if let Ok(room) = self.app.home.room_by_id(&self.slot.id) {
            self.slot.keep(&self.app.catalog, room);
        }
        self.app.metrics.run_ended("failed");
        self.tell(Logged::No(HttpError::internal(&"a run panicked")));
    }

    /// Tells those who wait for the request to be in the log. The first word stands.
    fn tell(&self, word: Logged) {
        self.active.logged.send_if_modified(|logged| {
            let first = matches!(logged, Logged::NotYet);
            if first {
                *logged = word;
            }
            first
        });
    }
}

/// Watches a run for the party that asked for it, and gives it its turn.
struct Watcher<'a> {
    thread: &'a Thread,
    queued: Option<Counted>,
    places: Option<Places>,
    running: Option<Counted>,
}

/// What a run holds until it has ended.
struct Places {
    _admitted: Option<quota::Admitted>,
    _of_party: Option<OwnedSemaphorePermit>,
    _of_room: OwnedSemaphorePermit,
    _of_host: OwnedSemaphorePermit,
}

impl Watcher<'_> {
    fn leave_queue(&mut self) {
        if self.queued.take().is_some() {
            self.thread.slot.leave_queue(&self.thread.run);
        }
    }

    /// Whoever waits for the log sees what this run has added to it.
    fn show(&self) {
        // A failure is not this run's; the next call on the room meets it again.
        let _ = self.thread.slot.act(&self.thread.app.catalog, |_| Ok(()));
    }

    /// Waits for a place in the order of asking; for one of the party's first and then for one of
    /// the room's, so that a busy party or room takes no places that it cannot use.
    async fn wait_for_place(&mut self) -> Result<(), ReasonCode> {
        let Thread { app, slot, run, .. } = self.thread;
        quota::check(app, slot, run)?;
        let of_party = app.quotas.places(slot, run);
        let places = async {
            let of_party = match of_party {
                Some(places) => Some(places.acquire_owned().await?),
                None => None,
            };
            let of_room = slot.places.clone().acquire_owned().await?;
            let of_host = app.runs.places.clone().acquire_owned().await?;
            Ok::<_, AcquireError>((of_party, of_room, of_host))
        };
        let mut stopping = app.stopping.subscribe();
        tokio::select! {
            // Whoever finds a place starts, even when the host is just asked to stop.
            biased;
            places = places => {
                let (of_party, of_room, of_host) = places.map_err(|_| ReasonCode::Internal)?;
                self.places = Some(Places {
                    _admitted: quota::admit(app, slot, run)?,
                    _of_party: of_party,
                    _of_room: of_room,
                    _of_host: of_host,
                });
                Ok(())
            }
            () = self.cancelled() => Err(ReasonCode::Cancelled),
            _ = stopping.wait_for(|stopping| *stopping) => Err(ReasonCode::HostRestarted),
        }
    }

    /// Returns when the run has been cancelled.
    async fn cancelled(&self) {
        let Thread { slot, run, .. } = self.thread;
        let mut views = slot.subscribe();
        let cancelled = |view: &crate::slot::View| {
            view.state.run(run).is_ok_and(glovebox_contract::state::Run::cancelled)
        };
        if views.wait_for(cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn set(&self, progress: RunProgress) {
        *self.thread.active.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

impl RunObserver for Watcher<'_> {
    fn waits(&self) -> bool {
        true
    }

    fn admit(&mut self, _: &RunId) -> Result<(), ReasonCode> {
        self.show();
        self.thread.tell(Logged::Yes);
        let handle = self.thread.handle.clone();
        let admitted = handle.block_on(self.wait_for_place());
        self.leave_queue();
        self.running = admitted.is_ok().then(|| self.thread.app.metrics.running());
        admitted
    }

    fn stage(&mut self, stage: RunStage) {
        let shown = match stage {
            RunStage::ReadingInputs => wire::RunStage::ReadingInputs,
            RunStage::Compiling => wire::RunStage::Compiling,
            RunStage::Running => wire::RunStage::Running,
            RunStage::Publishing => wire::RunStage::Publishing,
        };
        self.set(RunProgress { stage: Some(shown), ..RunProgress::default() });
        if stage == RunStage::Running {
            self.show();
        }
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        let stage = Some(wire::RunStage::Running);
        self.set(RunProgress { ahead: None, done: Some(done), stage, total });
    }
}

/// `GET /v1/rooms/{id}/runs/{run}`: how far it is, for its runner only; the log tells everyone
/// that it started and ended.
pub(crate) async fn progress(
    State(app): State<Arc<App>>,
    signed: Signed,
) -> Result<Json<RunProgress>> {
    let member = signed.member(&app).await?;
    let run = signed.run()?;
    if *member.view.state.run(&run)?.runner() != member.alias {
        return Err(HttpError::new(
            ReasonCode::NotPermitted,
            "how far a run is, only its runner may know",
        ));
    }
    let active = app.runs.get(&run);
    let progress = active
        .map(|active| *active.progress.lock().unwrap_or_else(PoisonError::into_inner))
        .unwrap_or_default();
    Ok(Json(RunProgress { ahead: member.slot.ahead(&run), ..progress }))
}

/// `GET /v1/rooms/{id}/runs/{run}/text`
pub(crate) async fn text(
    State(app): State<Arc<App>>,
    signed: Signed,
) -> Result<Json<wire::RunText>> {
    let member = signed.member(&app).await?;
    let run = signed.run()?;
    let alias = member.alias;
    let said = app.with(&member.slot, move |room| Ok(room.run_text(&run, &alias)?)).await?;
    let displays = said.displays.iter();
    let log = said.log.into_iter();
    Ok(Json(wire::RunText {
        detail: said.detail,
        displays: displays.map(|shown| DisplayedCell::new(shown.media_type, &shown.data)).collect(),
        log: log.map(|line| LogLine { level: level(line.level), message: line.message }).collect(),
    }))
}

fn level(level: LogLevel) -> wire::LogLevel {
    match level {
        LogLevel::Debug => wire::LogLevel::Debug,
        LogLevel::Info => wire::LogLevel::Info,
        LogLevel::Warn => wire::LogLevel::Warn,
        LogLevel::Error => wire::LogLevel::Error,
    }
}
