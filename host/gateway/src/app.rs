//! What every call needs: who asks, which room it is about, what the host says of it.

use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use glovebox_client::RemoteRoom;
use glovebox_contract::key::PublicKey;
use glovebox_contract::name::{Alias, AssetName, RoomId};
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::Body;
use tokio::sync::Semaphore;

use crate::Inspect;
use crate::access::{Access, Action, Principal, Resource};
use crate::call::{Call, shown};
use crate::catalog::Catalog;
use crate::error::Failure;
use crate::host::{Host, OpenRoom};
use crate::page::{Pages, ReadTable};
use crate::paging::Pager;
use crate::store::{RoomNotes, Store};

/// The gateway of one party.
pub(crate) struct App {
    /// Who may do what.
    pub(crate) access: Access,
    /// The host.
    pub(crate) host: Host,
    /// What the gateway keeps for itself.
    pub(crate) store: Store,
    /// Makes and checks page tokens.
    pub(crate) pager: Pager,
    /// Looks into a component.
    pub(crate) inspect: Inspect,
    /// The party's catalog file.
    pub(crate) catalog: Option<PathBuf>,
    /// The directory of what the gateway keeps.
    pub(crate) state: PathBuf,
    /// The sessions of the pages.
    pub(crate) page: Pages,
    /// Reads the first rows of an output.
    pub(crate) preview: Option<ReadTable>,
    /// How many calls may go on at once.
    pub(crate) places: Semaphore,
}

/// A room that the caller may do something in.
pub(crate) struct Entered {
    /// Who asks.
    pub(crate) principal: Principal,
    /// The room's id.
    pub(crate) id: RoomId,
    /// Its name.
    pub(crate) name: AssetName,
    /// What the gateway has noted about it.
    pub(crate) notes: RoomNotes,
    room: Arc<OpenRoom>,
}

impl App {
    /// The party's public key.
    pub(crate) fn public_key(&self) -> PublicKey {
        self.host.key().public()
    }

    /// Lets a call into the room that its path names, if the caller may do `action` there.
    pub(crate) fn enter(&self, call: &Call, action: Action) -> Result<Entered, Failure> {
        self.enter_named(call, call.part("room"), action)
    }

    /// Lets a call into the room with this name (or id), if the caller may do `action` there.
    pub(crate) fn enter_named(
        &self,
        call: &Call,
        name: &str,
        action: Action,
    ) -> Result<Entered, Failure> {
        // Nobody unknown makes this gateway ask the host for anything.
        self.access.authenticate(&call.headers, call.peer)?;
        let found = self.find(name)?;
        let resource = match &found {
            Some((id, _)) => Resource::Room(*id),
            None => Resource::UnknownRoom(shown(name)),
        };
        let principal = self.access.authorize(&call.headers, call.peer, action, &resource)?;
        let missing = || Failure::missing(format!("clean room `{}` does not exist", shown(name)));
        let (id, name) = found.ok_or_else(missing)?;
        Ok(Entered {
            principal,
            id,
            name,
            notes: self.store.room(&id)?,
            room: self.host.room(&id)?,
        })
    }

    /// The room of this party with a name or an id. Of several with the name, the only one that
    /// the party has accepted; it chose that one, and anyone can invite it to another.
    pub(crate) fn find(&self, name: &str) -> Result<Option<(RoomId, AssetName)>, Failure> {
        let mut found = Vec::new();
        for (id, name) in self.host.named(name)? {
            if !self.store.room(&id)?.deleted {
                found.push((id, name));
            }
        }
        if found.len() < 2 {
            return Ok(found.pop());
        }
        let mut accepted = Vec::new();
        for (id, name) in found {
            let room = self.host.room(&id)?;
            if self.has_accepted(room.fresh()?.state()) {
                accepted.push((id, name));
            }
        }
        match accepted.len() {
            1 => Ok(accepted.pop()),
            _ => Err(Failure::conflict(format!(
                "several rooms of this party have the name `{}`: name the one that you mean by its id",
                shown(name)
            ))),
        }
    }

    /// Whether this party has accepted a room.
    pub(crate) fn has_accepted(&self, state: &RoomState) -> bool {
        let me = self.me(state).ok();
        me.and_then(|alias| state.member(&alias).ok()).is_some_and(|member| member.has_accepted())
    }

    /// This party's alias in a room.
    pub(crate) fn me(&self, state: &RoomState) -> Result<Alias, Failure> {
        state.party_with_key(&self.public_key()).cloned().ok_or_else(|| {
            Failure::denied("the key of this gateway is no collaborator's in this room any more")
        })
    }

    /// The party's catalog as it is now.
    pub(crate) fn catalog(&self) -> Result<Catalog, Failure> {
        let file = self.catalog.as_ref().ok_or_else(|| {
            Failure::state("this gateway has no catalog file, so it knows no local names")
        })?;
        Catalog::read(file)
    }
}

impl Entered {
    /// The room as its log is now.
    pub(crate) fn fresh(&self) -> Result<MutexGuard<'_, RemoteRoom>, Failure> {
        self.room.fresh()
    }

    /// Says something in the room, signed by the party, and returns the room as it is then.
    pub(crate) fn say(&self, body: Body) -> Result<MutexGuard<'_, RemoteRoom>, Failure> {
        let mut room = self.fresh()?;
        room.submit_with(|_| Ok(body.clone()))?;
        room.refresh()?;
        Ok(room)
    }
}

/// This machine's time in milliseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds of a statement as milliseconds, as Databricks writes times.
pub(crate) fn ms(seconds: u64) -> u64 {
    seconds.saturating_mul(1000)
}
