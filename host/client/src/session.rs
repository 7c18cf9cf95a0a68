//! A host as one party sees it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use glovebox_api::path::{self, RoomPart};
use glovebox_api::wire::{CreatedRoom, LogPage, RoomList, RoomSummary};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::{PrivateKey, PublicKey};
use glovebox_contract::name::RoomId;
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::error::{ClientError, Result};
use crate::http::{Answer, Call, Signer};
use crate::patience::patiently;
use crate::room::RemoteRoom;

/// Fewest digits of an id that find a room.
const MIN_ID_DIGITS: usize = 4;

/// More rooms, and more pages of them, than one party has.
const MAX_ROOMS: usize = 1_000_000;
const MAX_PAGES: usize = 10_000;

/// A host as the party with one key sees it. Its copies share one connection pool and one key.
#[derive(Debug, Clone)]
pub struct Session {
    client: Client,
    key: Arc<PrivateKey>,
}

impl Session {
    pub(crate) fn new(client: Client, key: PrivateKey) -> Self {
        Self { client, key: Arc::new(key) }
    }

    /// The host.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The party's public key.
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// The party's key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The rooms that this key is a member of, as the host lists them.
    ///
    /// # Errors
    /// When the host does not answer, or without end.
    pub fn rooms(&self) -> Result<Vec<RoomSummary>> {
        let mut rooms = Vec::new();
        let mut tokens = BTreeSet::new();
        let mut token = String::new();
        for _ in 0..MAX_PAGES {
            let query = match token.as_str() {
                "" => String::new(),
                token => path::query(&[("page_token", token)]),
            };
            let page: RoomList = self.get(path::ROOMS, &query)?;
            rooms.extend(page.rooms);
            if rooms.len() > MAX_ROOMS {
                break;
            }
            match page.next_page_token {
                None => return Ok(rooms),
                Some(next) if next.is_empty() || !tokens.insert(next.clone()) => break,
                Some(next) => token = next,
            }
        }
        Err(ClientError::answer(format!("GET {}", path::ROOMS), "the list of rooms has no end"))
    }

    /// Creates a room with the envelope of the statement that creates it.
    ///
    /// # Errors
    /// With the host's reason when it does not take it.
    pub fn create_room(&self, envelope: &Envelope) -> Result<RemoteRoom> {
        let id = RoomId(envelope.digest());
        let body = envelope.to_bytes();
        let call = Call::post(path::ROOMS, &body);
        let mut tries = 0_u32;
        // The id is the digest of the envelope, so a room that exists already is this very one.
        let created = patiently(self.client.patience(), || {
            tries = tries.saturating_add(1);
            match self.ask(&call) {
                Err(error) if tries > 1 && error.is_race_of_creation() => Ok(None),
                other => other?.json::<CreatedRoom>().map(Some),
            }
        })?;
        match created {
            Some(created) if created.id != id => Err(ClientError::answer(
                format!("POST {}", path::ROOMS),
                "the host created another room than the one asked for",
            )),
            _ => self.open_room(&id),
        }
    }

    /// Opens the room with this name, this id, or an id that begins so (with or without
    /// `blake3:`, at least four digits). Fetches its log and checks all of it.
    ///
    /// # Errors
    /// `not-found` when there is none, or more than one, [`ClientError::Fork`] when the log is not
    /// the one that was seen before.
    pub fn room(&self, wanted: &str) -> Result<RemoteRoom> {
        if let Ok(id) = wanted.parse::<RoomId>() {
            return self.open_room(&id);
        }
        let shown = wanted.escape_debug();
        let rooms = self.rooms()?;
        let named: Vec<&RoomSummary> =
            rooms.iter().filter(|room| room.name.as_str() == wanted).collect();
        let digits = wanted.strip_prefix("blake3:").unwrap_or(wanted);
        let found: Vec<&RoomSummary> = if named.is_empty() && digits.len() >= MIN_ID_DIGITS {
            rooms.iter().filter(|room| room.id.0.to_hex().starts_with(digits)).collect()
        } else {
            named
        };
        match found.as_slice() {
            [] => {
                Err(ClientError::NotFound(format!("the host has no room `{shown}` for this key")))
            }
            [one] => self.open_room(&one.id)?.called(&one.name),
            several => Err(ClientError::NotFound(format!(
                "`{shown}` may be any of {} rooms: {}",
                several.len(),
                several.iter().map(|room| room.id.to_string()).collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    /// Opens the room with this id, as [`Session::room`].
    ///
    /// # Errors
    /// As [`Session::room`].
    pub fn open_room(&self, id: &RoomId) -> Result<RemoteRoom> {
        RemoteRoom::open(self.clone(), id)
    }

    /// Asks once, signed.
    pub(crate) fn ask(&self, call: &Call<'_>) -> Result<Answer> {
        let signer = Signer { key: &self.key, host: self.client.host_key() };
        self.client.transport().ask(Some(signer), call)
    }

    /// Gets JSON, patiently.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str, query: &str) -> Result<T> {
        self.ask_again(&Call::get(path, query))
    }

    /// Asks for JSON what may be asked twice, patiently.
    pub(crate) fn ask_again<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        patiently(self.client.patience(), || self.ask(call)?.json())
    }

    /// Gets bytes, patiently.
    pub(crate) fn get_bytes(&self, path: &str, limit: u64) -> Result<Vec<u8>> {
        patiently(self.client.patience(), || self.ask(&Call::get(path, ""))?.bytes(limit))
    }

    /// Gets the part of a log that begins at `from`; waits for it when there is none yet.
    pub(crate) fn log_page(&self, room: &RoomId, from: u64, wait: Duration) -> Result<LogPage> {
        // Rounded up: who waits for a moment is not answered at once.
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        let (from, seconds) = (from.to_string(), seconds.to_string());
        let query = path::query(&[("from", &from), ("wait_seconds", &seconds)]);
        self.get(&path::room(room, RoomPart::Log), &query)
    }
}
