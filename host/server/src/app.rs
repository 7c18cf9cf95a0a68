//! What all calls share.

use std::sync::Arc;

use glovebox_contract::key::PublicKey;
use glovebox_contract::name::RoomId;
use glovebox_room::clock::Clock;
use glovebox_room::worker::WorkerSettings;
use glovebox_room::{Home, Room};
use tokio::sync::{Semaphore, watch};
use url::Url;

use crate::catalog::Catalog;
use crate::config::{Config, Limits};
use crate::error::{HttpError, Result};
use crate::metrics::Metrics;
use crate::nonces::Nonces;
use crate::page::PageTokens;
use crate::quota::Quotas;
use crate::runs::Runs;
use crate::sharing::Sharing;
use crate::slot::{Slot, View};

/// Nonces that are remembered of keys that are in no room: their requests change nothing that
/// could be changed twice.
const STRANGERS: usize = 100_000;

/// The running host.
pub(crate) struct App {
    pub(crate) home: Home,
    pub(crate) settings: WorkerSettings,
    pub(crate) limits: Limits,
    pub(crate) creators: Option<Vec<PublicKey>>,
    pub(crate) catalog: Catalog,
    pub(crate) metrics: Metrics,
    pub(crate) nonces: Nonces,
    pub(crate) strangers: Nonces,
    pub(crate) page_tokens: PageTokens,
    pub(crate) runs: Runs,
    pub(crate) quotas: Quotas,
    /// Bytes of bodies that may be received at the moment, in units of [`crate::body::UNIT`].
    pub(crate) body_budget: Semaphore,
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) waiting_requests: Semaphore,
    pub(crate) jobs: Semaphore,
    pub(crate) sources: Semaphore,
    /// Requests signed before this second may have been made to the process before this one.
    pub(crate) started: u64,
    pub(crate) stopping: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
    public_url: Option<Url>,
    is_tls: bool,
    sharing: Sharing,
}

impl App {
    /// Opens the home and every room in it, which ends what a dead process left half done. Blocks.
    pub(crate) fn open(config: &Config) -> Result<Arc<Self>, glovebox_room::RoomError> {
        let home = Home::open_or_create_with(&config.home, config.clock.clone())?;
        if let Some(key) = &config.sealing_key {
            home.use_sealing_key(key.clone())?;
        }
        let limits = config.limits.clone();
        let secret = |context: &str| home.derive_secret(context);
        let app = Self {
            catalog: Catalog::new(home.clone(), limits.open_rooms),
            metrics: Metrics::new(),
            nonces: Nonces::new(secret("glovebox nonces"), limits.nonces_per_key),
            strangers: Nonces::forgetful(secret("glovebox nonces"), STRANGERS),
            page_tokens: PageTokens::new(secret("glovebox page tokens")),
            runs: Runs::new(limits.runs),
            quotas: Quotas::new(limits.party),
            body_budget: Semaphore::new(limits.body_bytes / crate::body::UNIT),
            requests: Arc::new(Semaphore::new(limits.requests)),
            waiting_requests: Semaphore::new(limits.waiting_requests),
            jobs: Semaphore::new(limits.jobs),
            sources: Semaphore::new(limits.sources),
            started: config.clock.unix_seconds(),
            stopping: watch::Sender::new(false),
            clock: config.clock.clone(),
            public_url: config.public_url.clone(),
            is_tls: config.tls.is_some(),
            sharing: Sharing::new(secret("glovebox sharing"), home.path()),
            settings: config.settings.clone(),
            creators: config.creators.clone(),
            limits,
            home,
        };
        app.find_rooms()?;
        Ok(Arc::new(app))
    }

    /// Opens the rooms of the home that are not in the catalog. Blocks.
    pub(crate) fn find_rooms(&self) -> Result<(), glovebox_room::RoomError> {
        for id in self.directories() {
            if self.catalog.get(&id).is_some() {
                continue;
            }
            match self.home.room_by_id(&id) {
                Ok(room) => {
                    self.catalog.add(room, self.limits.runs_per_room);
                }
                // One damaged room is no reason to serve none.
                Err(error) => tracing::error!(room = %id, %error, "a room cannot be opened"),
            }
        }
        Ok(())
    }

    /// Ids of the rooms that have a directory, in no order.
    fn directories(&self) -> Vec<RoomId> {
        let entries = std::fs::read_dir(self.home.path().join("rooms")).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| glovebox_api::path::parse_room(&name)).collect()
    }

    /// The host's time, in seconds since 1970-01-01T00:00:00Z.
    pub(crate) fn now(&self) -> u64 {
        self.clock.unix_seconds()
    }

    /// Where clients reach the host, if the operator says so.
    pub(crate) fn public_url(&self) -> Option<&Url> {
        self.public_url.as_ref()
    }

    /// Whether the host speaks TLS itself.
    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// What Delta Sharing keeps.
    pub(crate) fn sharing(&self) -> &Sharing {
        &self.sharing
    }

    /// Whether the host has been asked to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// The ids of all rooms.
    pub(crate) fn room_ids(&self) -> Vec<RoomId> {
        self.catalog.all().into_iter().map(|slot| slot.id).collect()
    }

    /// The room with this id, also when another process has just made it.
    pub(crate) async fn slot(self: &Arc<Self>, id: &RoomId) -> Result<Arc<Slot>> {
        if let Some(slot) = self.catalog.get(id) {
            return Ok(slot);
        }
        let directory = self.home.path().join("rooms").join(id.0.to_hex());
        if !directory.is_dir() {
            return Err(HttpError::no_such_room());
        }
        let (app, id) = (self.clone(), *id);
        blocking(move || {
            let room = app.home.room_by_id(&id)?;
            Ok(app.catalog.add(room, app.limits.runs_per_room))
        })
        .await
    }

    /// Works with a room as it is now, on a thread that may block.
    pub(crate) async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        act: impl FnOnce(&mut Room) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (app, slot) = (self.clone(), slot.clone());
        blocking(move || slot.act(&app.catalog, act)).await
    }

    /// The room's state as it is now.
    pub(crate) async fn fresh(self: &Arc<Self>, slot: &Arc<Slot>) -> Result<View> {
        if slot.is_stale() {
            self.with(slot, |_| Ok(())).await?;
        }
        Ok(slot.view())
    }
}

/// Calls what may block. It goes on to its end when the caller goes away meanwhile, so nothing is
/// left half done.
pub(crate) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(act)).await?
}
