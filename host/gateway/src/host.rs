//! The host, as this party sees it: one session, and the rooms that were opened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glovebox_api::wire::RoomSummary;
use glovebox_client::{Client, ClientError, Options, RemoteRoom, Session};
use glovebox_contract::key::{PrivateKey, PublicKey};
use glovebox_contract::name::{AssetName, RoomId};

use crate::error::Failure;

/// The host, and the rooms of this party that were opened.
pub(crate) struct Host {
    url: String,
    options: Options,
    key: PrivateKey,
    session: Mutex<Option<Session>>,
    rooms: Mutex<BTreeMap<RoomId, Arc<OpenRoom>>>,
    listed: Mutex<Vec<(RoomId, AssetName)>>,
}

/// A room whose log is folded here and goes on where it was.
pub(crate) struct OpenRoom(Mutex<RemoteRoom>);

impl Host {
    /// The host at `url`, which is asked when it is first needed: a gateway starts without it.
    pub(crate) fn new(url: String, options: Options, key: PrivateKey) -> Self {
        Self {
            url,
            options,
            key,
            session: Mutex::new(None),
            rooms: Mutex::default(),
            listed: Mutex::default(),
        }
    }

    /// The party's key, which signs what it says.
    pub(crate) fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The party's session.
    pub(crate) fn session(&self) -> Result<Session, Failure> {
        if let Some(session) = lock(&self.session).as_ref() {
            return Ok(session.clone());
        }
        // Not under the lock: the host may take its time.
        let session = Client::connect(&self.url, &self.options)?.party(self.key.clone());
        Ok(lock(&self.session).get_or_insert(session).clone())
    }

    /// The host's key, which rooms name.
    pub(crate) fn host_key(&self) -> Result<PublicKey, Failure> {
        Ok(*self.session()?.client().host_key())
    }

    /// All rooms that the party is a member of, by name.
    pub(crate) fn rooms(&self) -> Result<Vec<RoomSummary>, Failure> {
        let mut rooms = self.session()?.rooms()?;
        rooms.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        *lock(&self.listed) = rooms.iter().map(|room| (room.id, room.name.clone())).collect();
        Ok(rooms)
    }

    /// The rooms with this name, or the one with this id. The host is asked for its list only when
    /// none is known.
    pub(crate) fn named(&self, name: &str) -> Result<Vec<(RoomId, AssetName)>, Failure> {
        let wanted: Option<RoomId> = name.parse().ok();
        let known = || -> Vec<(RoomId, AssetName)> {
            let listed = lock(&self.listed);
            let named =
                |(id, known): &&(RoomId, AssetName)| known.as_str() == name || Some(*id) == wanted;
            listed.iter().filter(named).cloned().collect()
        };
        let found = known();
        if !found.is_empty() {
            return Ok(found);
        }
        self.rooms()?;
        Ok(known())
    }

    /// The room with this id, opened once.
    pub(crate) fn room(&self, id: &RoomId) -> Result<Arc<OpenRoom>, Failure> {
        if let Some(room) = lock(&self.rooms).get(id) {
            return Ok(Arc::clone(room));
        }
        let room = self.open(id)?;
        Ok(self.keep(*id, room))
    }

    /// The room with this id, opened for one piece of work that may take long, so that it holds up
    /// nobody.
    pub(crate) fn open(&self, id: &RoomId) -> Result<RemoteRoom, Failure> {
        Ok(self.session()?.open_room(id)?)
    }

    /// The rooms that were opened since the gateway started.
    pub(crate) fn opened(&self) -> Vec<Arc<OpenRoom>> {
        lock(&self.rooms).values().map(Arc::clone).collect()
    }

    /// Keeps a room that was just opened or created.
    pub(crate) fn keep(&self, id: RoomId, room: RemoteRoom) -> Arc<OpenRoom> {
        let known = (id, room.state().document().name.clone());
        let mut listed = lock(&self.listed);
        if !listed.contains(&known) {
            listed.push(known);
        }
        drop(listed);
        let room = Arc::new(OpenRoom(Mutex::new(room)));
        Arc::clone(lock(&self.rooms).entry(id).or_insert(room))
    }
}

impl OpenRoom {
    /// The room as its log was when it was last asked for.
    pub(crate) fn as_it_was(&self) -> MutexGuard<'_, RemoteRoom> {
        lock(&self.0)
    }

    /// The room as its log is now.
    pub(crate) fn fresh(&self) -> Result<MutexGuard<'_, RemoteRoom>, Failure> {
        let mut room = lock(&self.0);
        room.refresh()?;
        Ok(room)
    }

    /// The room as its log was when it had `statements` statements, or later.
    pub(crate) fn with_at_least(
        &self,
        statements: u64,
    ) -> Result<MutexGuard<'_, RemoteRoom>, Failure> {
        let mut room = lock(&self.0);
        if room.state().statements() < statements {
            room.refresh()?;
        }
        Ok(room)
    }
}

/// The folded state is replaced as a whole, so a panic in between leaves the one before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            _ if error.is_passing() => {
                tracing::warn!(%error, "the host is away");
                Self::unavailable("the host of the room cannot be reached at the moment")
            }
            ClientError::Refused { reason, message, .. } => Self::of_reason(*reason, message),
            ClientError::Rule(refusal) => refusal.clone().into(),
            ClientError::NotFound(what) => Self::missing(what.clone()),
            ClientError::RunRefused { .. } => {
                Self::of_reason(error.reason(), "the run was refused")
            }
            ClientError::Unreachable { .. } => {
                tracing::error!(%error, "the host cannot be reached");
                Self::unavailable("the host of the room cannot be reached")
            }
            ClientError::HostKey { .. }
            | ClientError::Fork { .. }
            | ClientError::Tampered { .. } => {
                tracing::error!(%error, "the host is not trusted");
                Self::distrusted()
            }
            _ => Self::internal(error),
        }
    }
}
