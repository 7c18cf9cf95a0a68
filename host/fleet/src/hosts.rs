//! The hosts of a fleet: found once each, and left alone when they stop answering.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use glovebox_client::{Client, ClientError, Options, RemoteRoom, Session};
use glovebox_contract::key::PrivateKey;
use glovebox_contract::name::RoomId;

use crate::error::{FleetError, Result};
use crate::registry::Customer;

/// How many calls in a row may go unanswered before a host's other rooms are not tried any more.
/// Each has waited for the client's patience.
const MISSES: u32 = 3;

/// The hosts, as the owner of the fleet sees them.
#[derive(Debug)]
pub struct Hosts {
    key: PrivateKey,
    options: Options,
    usual: Option<String>,
    found: Mutex<BTreeMap<String, Arc<Host>>>,
}

/// One of them.
#[derive(Debug)]
struct Host {
    url: String,
    session: OnceLock<Result<Session, Arc<ClientError>>>,
    misses: AtomicU32,
    /// Whether the component of this command is there.
    uploaded: Mutex<bool>,
}

impl Hosts {
    /// The hosts for the party with `key`. Customers that name none are on the `usual` one.
    pub fn new(key: PrivateKey, options: Options, usual: Option<String>) -> Self {
        Self { key, options, usual, found: Mutex::default() }
    }

    /// Where a customer's room is.
    ///
    /// # Errors
    /// [`FleetError::NoHost`] when nothing says so.
    pub fn url<'a>(&'a self, customer: &'a Customer) -> Result<&'a str> {
        customer.host.as_deref().or(self.usual.as_deref()).ok_or(FleetError::NoHost)
    }

    /// Works on the host of a customer.
    pub(crate) fn with<T>(
        &self,
        customer: &Customer,
        work: impl FnOnce(&Session) -> Result<T>,
    ) -> Result<T> {
        let host = self.host(self.url(customer)?);
        if host.misses.load(Ordering::Relaxed) >= MISSES {
            return Err(FleetError::Away { url: host.url.clone() });
        }
        let result = work(&self.session(&host)?);
        match &result {
            Err(FleetError::Room(ClientError::Unreachable { .. })) => {
                host.misses.fetch_add(1, Ordering::Relaxed);
            }
            _ => host.misses.store(0, Ordering::Relaxed),
        }
        result
    }

    /// Opens the room of a customer and works on it.
    pub(crate) fn with_room<T>(
        &self,
        customer: &Customer,
        work: impl FnOnce(&mut RemoteRoom) -> Result<T>,
    ) -> Result<T> {
        let id: RoomId = customer.room.ok_or(FleetError::NoRoom)?;
        self.with(customer, |session| work(&mut session.open_room(&id)?))
    }

    /// Sees that the host of `customer` has these bytes, which are the same for all customers.
    pub(crate) fn upload(&self, customer: &Customer, bytes: &[u8]) -> Result<()> {
        let host = self.host(self.url(customer)?);
        let session = self.session(&host)?;
        // The others wait: they need the same bytes.
        let mut uploaded = host.uploaded.lock().unwrap_or_else(PoisonError::into_inner);
        if !*uploaded {
            session.upload_bytes(bytes)?;
            *uploaded = true;
        }
        Ok(())
    }

    /// Forgets that the bytes are there: the host says that they are not.
    pub(crate) fn forget_upload(&self, customer: &Customer) -> Result<()> {
        let host = self.host(self.url(customer)?);
        *host.uploaded.lock().unwrap_or_else(PoisonError::into_inner) = false;
        Ok(())
    }

    fn host(&self, url: &str) -> Arc<Host> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let host = found.entry(url.to_owned()).or_insert_with(|| {
            Arc::new(Host {
                url: url.to_owned(),
                session: OnceLock::new(),
                misses: AtomicU32::new(0),
                uploaded: Mutex::default(),
            })
        });
        host.clone()
    }

    /// Finds the host, the first time; whoever else needs it waits for that.
    fn session(&self, host: &Host) -> Result<Session> {
        let found = host.session.get_or_init(|| {
            let client = Client::connect(&host.url, &self.options).map_err(Arc::new)?;
            Ok(client.party(self.key.clone()))
        });
        found.clone().map_err(|source| FleetError::Host { url: host.url.clone(), source })
    }
}
