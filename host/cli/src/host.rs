//! A host and its rooms, in this machine's home or in the network: the same calls for both, so that
//! every command is written once.
//!
//! Whatever a party says is signed in this process. A remote room is folded and verified here as
//! well: what it shows is what its log says.

mod files;
mod rows;
mod runs;

use std::path::Path;

use anyhow::{Result, anyhow};
use glovebox_client::{Client, RemoteRoom};
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::{PrivateKey, PublicKey};
use glovebox_contract::name::{AssetName, RoomId};
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{AssetStatement, Body};
use glovebox_room::room::LogEntry;
use glovebox_room::{Home, Room, RoomError};

pub(crate) use rows::{OfferedRows, RowSource, Rows, select};
pub(crate) use runs::EndedRun;

use crate::context::{Context, Party};
use crate::terminal;

/// Who keeps the rooms.
pub(crate) enum Host {
    Local(Home),
    Remote(Client),
}

/// A room of a list.
pub(crate) struct ListedRoom {
    pub(crate) id: RoomId,
    pub(crate) name: AssetName,
}

/// A room that is open.
pub(crate) enum OpenRoom {
    Local(Box<Room>),
    Remote(Box<RemoteRoom>),
}

impl Host {
    /// The key with which the host signs.
    pub(crate) fn key(&self) -> PublicKey {
        match self {
            Self::Local(home) => home.host_key(),
            Self::Remote(client) => *client.host_key(),
        }
    }

    /// Creates the room that `envelope`, signed with `key`, says.
    pub(crate) fn create_room(&self, envelope: &Envelope, key: PrivateKey) -> Result<OpenRoom> {
        Ok(match self {
            Self::Local(home) => OpenRoom::Local(Box::new(home.create_room(envelope)?)),
            Self::Remote(client) => {
                OpenRoom::Remote(Box::new(client.party(key).create_room(envelope)?))
            }
        })
    }

    /// The rooms: all of a home, or those that the party with `key` is in.
    pub(crate) fn rooms(&self, key: Option<PrivateKey>) -> Result<Vec<ListedRoom>> {
        Ok(match self {
            Self::Local(home) => {
                let rooms = home.rooms()?.into_iter();
                rooms.map(|room| ListedRoom { id: room.id, name: room.name }).collect()
            }
            Self::Remote(client) => {
                let rooms = client.party(party(key)?).rooms()?.into_iter();
                rooms.map(|room| ListedRoom { id: room.id, name: room.name }).collect()
            }
        })
    }

    /// A room by name or by the beginning of its id, for the party with `key`.
    pub(crate) fn room(&self, name: &str, key: Option<PrivateKey>) -> Result<OpenRoom> {
        Ok(match self {
            Self::Local(home) => OpenRoom::Local(Box::new(home.room(name)?)),
            Self::Remote(client) => {
                OpenRoom::Remote(Box::new(client.party(party(key)?).room(name)?))
            }
        })
    }
}

/// See [`Context::key_for_host`].
fn party(key: Option<PrivateKey>) -> Result<PrivateKey> {
    key.ok_or_else(|| anyhow!("a host in the network has to be asked by somebody"))
}

impl OpenRoom {
    /// The state that the log gives.
    pub(crate) fn state(&self) -> &RoomState {
        match self {
            Self::Local(room) => room.state(),
            Self::Remote(room) => room.state(),
        }
    }

    pub(crate) fn name(&self) -> &AssetName {
        &self.state().document().name
    }

    /// The host's time, in Unix seconds.
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Local(room) => room.now(),
            Self::Remote(room) => room.now(),
        }
    }

    /// Every entry of the log, oldest first.
    pub(crate) fn entries(&self) -> Result<Vec<LogEntry>> {
        match self {
            Self::Local(room) => Ok(room.entries()?),
            Self::Remote(room) => {
                let entries = room.entries().iter().zip(0..);
                entries.map(|(envelope, position)| log_entry(envelope, position)).collect()
            }
        }
    }

    /// The bytes of a bundle.
    pub(crate) fn bundle(&self) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Local(room) => room.bundle()?,
            Self::Remote(room) => room.bundle()?,
        })
    }

    /// The newest checkpoint, signed by the host.
    pub(crate) fn checkpoint(&self) -> &str {
        match self {
            Self::Local(room) => room.checkpoint(),
            Self::Remote(room) => room.checkpoint(),
        }
    }

    /// The bytes of a component.
    pub(crate) fn component(&self, component: &ContentDigest) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Local(room) => room.component(component)?,
            Self::Remote(room) => room.component(component)?,
        })
    }

    /// Signs and hands in what needs nothing but the statement.
    pub(crate) fn say(&mut self, party: &Party, body: Body) -> Result<()> {
        match self {
            // Should another process of this party come first, it is signed again.
            Self::Remote(room) => drop(room.submit_with(|_| Ok(body.clone()))?),
            Self::Local(room) => drop(room.submit(&party.sign(room.state(), body)?)?),
        }
        Ok(())
    }

    /// Adds the notebook or the library that `asset` offers. Its bytes are called `file` in
    /// messages.
    pub(crate) fn add_component(
        &mut self,
        context: &Context,
        party: &Party,
        asset: AssetStatement,
        (file, bytes): (&Path, &[u8]),
    ) -> Result<()> {
        let text = format!("checking and compiling {}", file.display());
        let bar = terminal::spinner(context.quiet(), text);
        let added = self.add_component_quietly(context, party, asset, bytes);
        bar.finish_and_clear();
        added
    }

    fn add_component_quietly(
        &mut self,
        context: &Context,
        party: &Party,
        asset: AssetStatement,
        bytes: &[u8],
    ) -> Result<()> {
        match self {
            Self::Local(room) => {
                let settings = context.worker_settings()?;
                let is_library = matches!(asset, AssetStatement::Library(_));
                let envelope = party.sign(room.state(), Body::Asset(asset))?;
                if is_library {
                    room.add_library(&settings, &envelope, bytes)?;
                } else {
                    room.add_notebook(&settings, &envelope, bytes)?;
                }
            }
            Self::Remote(room) => {
                room.session().upload_bytes(bytes)?;
                let body = Body::Asset(asset);
                room.submit_with(|_| Ok(body.clone()))?;
            }
        }
        Ok(())
    }
}

fn log_entry(envelope: &Envelope, position: u64) -> Result<LogEntry> {
    let statement = envelope
        .unverified()
        .map_err(|error| RoomError::from(glovebox_contract::state::Refusal::from(error)))?;
    Ok(LogEntry { position, digest: envelope.digest(), envelope: envelope.clone(), statement })
}
