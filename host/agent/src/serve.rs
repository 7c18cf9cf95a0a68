//! The agent's threads.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use glovebox_client::Options;
use glovebox_contract::key::PrivateKey;

use crate::alerts::Alerts;
use crate::book::{self, Book, Store};
use crate::clock::Clock;
use crate::desk::{Access, Desk as _, Problem, RemoteDesk};
use crate::error::{AgentError, Context as _, Result};
use crate::files;
use crate::orders::{Alert, Orders};
use crate::outbox::{self, Endpoint, Outbox};
use crate::planner;
use crate::room::{RoomWorker, Stop};
use crate::stopper::Stopper;
use crate::triggers;

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(250);

/// How long to wait after a host was away, and after anything else went wrong.
const AWAY: Duration = Duration::from_secs(2);
const TROUBLE: Duration = Duration::from_secs(10);

/// How long a call of a host is tried again within the call.
const PATIENCE: Duration = Duration::from_secs(3);

/// What an agent needs.
pub struct Config {
    /// What the party wants done.
    pub orders: Orders,
    /// The party's key.
    pub key: PrivateKey,
    /// The host's address.
    pub host: String,
    /// How the host is reached.
    pub options: Options,
    /// The agent's directory. Made when missing; for one agent at a time.
    pub state: PathBuf,
    /// Where triggers are taken; not at all when there is none.
    pub listen: Option<SocketAddr>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Called when the agent works.
    pub bound: Option<Box<dyn FnOnce(Bound) + Send>>,
}

/// Where triggers are taken.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// The address.
    pub address: Option<SocketAddr>,
}

/// What all threads share.
struct Shared {
    orders: Arc<Orders>,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    access: Access,
    stop: Stopper,
}

/// Carries the orders out until `stop` ends. What is under way then goes on with the next start.
///
/// # Errors
/// When another agent uses the directory, or its files cannot be read.
pub async fn serve(config: Config, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    let Config { orders, key, host, mut options, state, listen, clock, bound } = config;
    files::create_directory(&state).trying(|| format!("make `{}`", state.display()))?;
    let _lock = lock(&state)?;
    let orders = Arc::new(orders);
    let outbox = Arc::new(Outbox::open(&state));
    let alerts = Alerts::new(Arc::clone(&orders), Arc::clone(&outbox));
    let store = Arc::new(Store::open(&state, alerts)?);
    planner::forget(&orders, &store, clock.now())?;
    options.patience = options.patience.min(PATIENCE);
    let listener = match listen {
        Some(address) => Some(
            tokio::net::TcpListener::bind(address)
                .await
                .trying(|| format!("take triggers at {address}"))?,
        ),
        None => None,
    };
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let access = Access { host, key, options };
    let shared = Arc::new(Shared { orders, store, clock, access, stop: Stopper::default() });
    start(&shared, &outbox)?;
    if let Some(bound) = bound {
        bound(Bound { address });
    }
    match listener {
        Some(listener) => {
            let desk = triggers::Desk {
                orders: Arc::clone(&shared.orders),
                store: Arc::clone(&shared.store),
                clock: Arc::clone(&shared.clock),
            };
            let server = axum::serve(listener, triggers::router(Arc::new(desk)));
            server.with_graceful_shutdown(stop).await.trying(|| "take triggers".into())?;
        }
        None => stop.await,
    }
    // Threads that wait for a host are not waited for: what they have to do is in the book.
    shared.stop.stop();
    Ok(())
}

/// Held as long as the agent lives.
fn lock(state: &Path) -> Result<File> {
    let path = state.join("lock");
    let locking = || format!("lock `{}`", path.display());
    let file = files::open_lock(&path).trying(locking)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AgentError::State(format!(
            "another agent works with `{}`: two would do everything twice",
            state.display()
        ))),
        Err(TryLockError::Error(error)) => Err(error).trying(locking),
    }
}

fn start(shared: &Arc<Shared>, outbox: &Arc<Outbox>) -> Result<()> {
    let spawn = |name: String, work: Box<dyn FnOnce() + Send>| {
        let spawned = thread::Builder::new().name(name).spawn(work);
        spawned.map(drop).trying(|| "start a thread".into())
    };
    for alert in shared.orders.alerts.values().cloned() {
        let (shared, outbox) = (Arc::clone(shared), Arc::clone(outbox));
        spawn("webhooks".into(), Box::new(move || tell(&shared, alert, &outbox)))?;
    }
    for room in shared.orders.rooms() {
        let (shared, room) = (Arc::clone(shared), room.to_owned());
        spawn("room".into(), Box::new(move || attend(&shared, &room)))?;
    }
    let shared = Arc::clone(shared);
    spawn("clock".into(), Box::new(move || keep_time(&shared)))
}

/// Delivers the webhooks of one endpoint. Its client blocks, so it is made and dropped here.
fn tell(shared: &Shared, alert: Alert, outbox: &Outbox) {
    let name = alert.name.clone();
    match Endpoint::new(alert) {
        Ok(endpoint) => {
            outbox::run(&endpoint, outbox, shared.clock.as_ref(), |time| shared.stop.wait(time));
        }
        Err(error) => tracing::error!(alert = %name, "webhooks wait: {error}"),
    }
}

/// Sees which orders fall due.
fn keep_time(shared: &Shared) {
    loop {
        let now = shared.clock.now();
        let planned = shared.store.change(|book| ((), planner::plan(&shared.orders, book, now)));
        let pause = match planned {
            Ok(()) => TICK,
            Err(error) => {
                tracing::error!("orders wait: {error}");
                TROUBLE
            }
        };
        if shared.stop.wait(pause) {
            return;
        }
    }
}

/// Works in one room.
fn attend(shared: &Shared, room: &str) {
    let worker = RoomWorker {
        name: room,
        orders: &shared.orders,
        store: &shared.store,
        clock: shared.clock.as_ref(),
    };
    let mut desk = None;
    loop {
        let turned = turn(shared, &worker, &mut desk);
        let gone = match &turned {
            Ok(()) => Ok(()),
            Err(_) => worker.expire(),
        };
        let pause = turned.map_or_else(|stop| trouble(&worker, &mut desk, &stop), |()| TICK);
        if let Err(error) = gone.and_then(|()| worker.silence()) {
            tracing::error!(room, "{error}");
        }
        if shared.stop.wait(pause) {
            return;
        }
    }
}

fn turn(
    shared: &Shared,
    worker: &RoomWorker<'_>,
    desk: &mut Option<RemoteDesk>,
) -> Result<(), Stop> {
    let desk = match desk {
        Some(desk) => {
            desk.wait(worker.pause())?;
            desk
        }
        None => desk.insert(shared.access.open(worker.name, worker.record().as_ref())?),
    };
    worker.step(desk)
}

/// Says what is wrong, and how long to wait.
fn trouble(worker: &RoomWorker<'_>, desk: &mut Option<RemoteDesk>, stop: &Stop) -> Duration {
    let room = worker.name;
    match stop {
        Stop::Room(Problem::Away(why)) => {
            tracing::warn!(room, "the host is away: {why}");
            return AWAY;
        }
        Stop::Room(Problem::Forked(why)) => {
            tracing::error!(room, "nothing is run here any more: {why}");
            if let Err(error) = worker.forked(why) {
                tracing::error!(room, "{error}");
            }
        }
        Stop::Room(problem) => tracing::error!(room, "{problem}"),
        Stop::Agent(error) => tracing::error!(room, "{error}"),
    }
    *desk = None;
    TROUBLE
}

/// What the agent with this directory has done and has to do, as it is on the disk. None when there
/// never was one.
///
/// # Errors
/// When the book cannot be read.
pub fn read_book(state: &Path) -> Result<Option<Book>> {
    book::read(state)
}
