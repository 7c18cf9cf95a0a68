//! What an operator decides.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use glovebox_contract::key::PublicKey;
use glovebox_room::clock::{Clock, SystemClock};
use glovebox_room::remote::SealingKey;
use glovebox_room::worker::WorkerSettings;
use url::Url;

/// How the host is served.
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Certificate and key; plain HTTP when absent, for use behind a proxy.
    pub tls: Option<Tls>,
    /// The home directory of the host; made when it does not exist.
    pub home: PathBuf,
    /// How workers are run.
    pub settings: WorkerSettings,
    /// A key that is not in the home, with which credentials of parties are sealed.
    pub sealing_key: Option<SealingKey>,
    /// Where clients reach this host, when that is not where it listens. Stands in the URLs of
    /// files that are shared.
    pub public_url: Option<Url>,
    /// The keys that may create rooms; any key when absent.
    pub creators: Option<Vec<PublicKey>>,
    /// What callers may use.
    pub limits: Limits,
    /// The host's clock.
    pub clock: Arc<dyn Clock>,
    /// Called once, when all addresses are listened on.
    pub bound: Option<Box<dyn FnOnce(Bound) + Send>>,
}

/// Where the host listens and who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The addresses with their real ports, in the order of [`Config::listen`].
    pub addresses: Vec<SocketAddr>,
    /// The host's key, for room documents and for clients to pin.
    pub host_key: PublicKey,
}

/// The files of a certificate. They are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that lead to its root, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// What callers may use of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Requests at once; those that wait for entries of a log have their own number.
    pub requests: usize,
    /// Requests that wait for entries of a log.
    pub waiting_requests: usize,
    /// Bytes of bodies that are being received, of all requests together.
    pub body_bytes: usize,
    /// Time for the head of a request to arrive.
    pub header_time: Duration,
    /// Longest silence within the body of a request, and of a reader of an answer.
    pub idle_time: Duration,
    /// Rooms of this host.
    pub rooms: usize,
    /// Rooms that are kept open, to be fast. Each takes about six file descriptors.
    pub open_rooms: usize,
    /// Runs of one room at once; further ones wait.
    pub runs_per_room: usize,
    /// Runs of all rooms at once; further ones wait.
    pub runs: usize,
    /// Runs of one room that may wait.
    pub waiting_runs_per_room: usize,
    /// What one party may use, over all rooms that it has a key in.
    pub party: PartyLimits,
    /// Calls at once that start a process of their own: to look at files, to compile a component.
    pub jobs: usize,
    /// Calls at once that open tables which are elsewhere: places that take their time hold up
    /// nobody else.
    pub sources: usize,
    /// Nonces of one key that are remembered. Each request uses one for ten minutes at most.
    pub nonces_per_key: usize,
    /// How long running runs may go on when the host is asked to stop.
    pub grace: Duration,
    /// Bytes of uploads of one key.
    pub upload_bytes_per_key: u64,
}

/// What one party may use of this host; what is absent is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartyLimits {
    /// Runs that wait in one room; further ones are not taken, so that others find the room's queue
    /// not full.
    pub waiting_runs_per_room: Option<usize>,
    /// Runs at once; further ones wait.
    pub runs_at_once: Option<usize>,
    /// Runs that start within 24 hours; further ones are refused with `policy-limit`.
    pub runs_per_day: Option<u64>,
    /// Processor time of runs that started within 24 hours, as their receipts say it: rounded up to
    /// powers of two milliseconds. Who has used it up is refused with `policy-limit`; a run that has
    /// started goes on.
    pub cpu_seconds_per_day: Option<u64>,
}

impl Config {
    /// A host at these addresses with everything else as usual.
    pub fn new(listen: Vec<SocketAddr>, home: PathBuf, settings: WorkerSettings) -> Self {
        Self {
            listen,
            tls: None,
            home,
            settings,
            sealing_key: None,
            public_url: None,
            creators: None,
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
            bound: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            requests: 512,
            waiting_requests: 2048,
            body_bytes: 256 << 20,
            header_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(60),
            rooms: 100_000,
            open_rooms: 1024,
            runs_per_room: 10,
            runs: 64,
            waiting_runs_per_room: 100,
            party: PartyLimits { waiting_runs_per_room: Some(50), ..PartyLimits::default() },
            jobs: 8,
            sources: 16,
            nonces_per_key: 1_000_000,
            grace: Duration::from_secs(60),
            upload_bytes_per_key: glovebox_api::limits::UPLOAD_QUOTA_BYTES,
        }
    }
}
