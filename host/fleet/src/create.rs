//! Rooms for the customers that have none.
//!
//! A room's id is the digest of the signed statement that creates it. That statement is on this disk
//! before the host sees it, and the id is in the registry before the statement is removed, so
//! however often this is interrupted, a customer gets one room.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use glovebox_client::{ClientError, Session};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PublicKey;
use glovebox_contract::name::RoomId;
use glovebox_contract::reason::ReasonCode;
use serde::Serialize;

use crate::error::{FleetError, Result, Trying as _};
use crate::files;
use crate::hosts::Hosts;
use crate::journal::Journal;
use crate::parallel::each;
use crate::registry::{Customer, Registry};

/// Makes the signed statement that creates a room, from the room file of a customer and the key of
/// its host.
pub type Sign<'a> = dyn Fn(&str, &PublicKey) -> Result<Envelope, Box<dyn std::error::Error + Send + Sync>>
    + Sync
    + 'a;

/// How the rooms are described.
pub struct Founding<'a> {
    /// A room file, with placeholders.
    pub template: &'a str,
    /// What signs for the fleet's owner.
    pub sign: &'a Sign<'a>,
}

/// What was done for a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Created {
    /// Its room.
    pub room: RoomId,
    /// Whether it is new.
    pub new: bool,
}

/// Makes a room for each of `customers` that has none, `at_once` at a time, and writes its id to the
/// registry. The journal is there so that no other command does the same. Results are in the order
/// of the customers.
///
/// # Errors
/// When there is no place for the statements that are under way.
pub fn create(
    hosts: &Hosts,
    registry: &mut Registry,
    customers: &[&Customer],
    founding: &Founding<'_>,
    _journal: &Journal,
    at_once: usize,
) -> Result<Vec<Result<Created>>> {
    let pending = files::beside(registry.path(), "creating");
    std::fs::create_dir_all(&pending).trying(|| format!("make `{}`", pending.display()))?;
    let registry = Mutex::new(registry);
    Ok(each(customers, at_once, |customer| {
        create_one(hosts, &registry, customer, founding, &pending)
    }))
}

fn create_one(
    hosts: &Hosts,
    registry: &Mutex<&mut Registry>,
    customer: &Customer,
    founding: &Founding<'_>,
    pending: &Path,
) -> Result<Created> {
    let pending = pending.join(format!("{}.json", customer.name));
    if let Some(room) = customer.room {
        // An earlier command had written the id down and nothing more.
        remove(&pending)?;
        return Ok(Created { room, new: false });
    }
    let room = hosts.with(customer, |session| {
        let host_key = session.client().host_key();
        let envelope = statement(&pending, || {
            let file = customer.fill(founding.template)?;
            (founding.sign)(&file, host_key).map_err(FleetError::Document)
        })?;
        found(session, &envelope, &pending)
    })?;
    let mut registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
    registry.record_room(&customer.name, &room)?;
    drop(registry);
    remove(&pending)?;
    Ok(Created { room, new: true })
}

/// The statement that is under way, or a new one, kept before it is used.
fn statement(pending: &PathBuf, new: impl FnOnce() -> Result<Envelope>) -> Result<Envelope> {
    match std::fs::read(pending) {
        Ok(bytes) => Envelope::from_bytes(&bytes).map_err(|error| {
            FleetError::file(pending.display().to_string(), format!("{error}; remove it"))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let envelope = new()?;
            files::write(pending, &envelope.to_bytes())
                .trying(|| format!("write `{}`", pending.display()))?;
            Ok(envelope)
        }
        Err(error) => Err(error).trying(|| format!("read `{}`", pending.display())),
    }
}

/// Has the host create the room, unless it has.
fn found(session: &Session, envelope: &Envelope, pending: &Path) -> Result<RoomId> {
    let id = RoomId(envelope.digest());
    let error = match session.create_room(envelope) {
        Ok(_) => return Ok(id),
        Err(error) => error,
    };
    match error.reason() {
        ReasonCode::AlreadyExists | ReasonCode::Replayed => {
            session.open_room(&id)?;
            Ok(id)
        }
        // It is not there and never will be: the next try may say something better.
        _ if matches!(error, ClientError::Refused { .. }) && !error.is_passing() => {
            remove(pending)?;
            Err(error.into())
        }
        _ => Err(error.into()),
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).trying(|| format!("remove `{}`", path.display()))
        }
        _ => Ok(()),
    }
}
