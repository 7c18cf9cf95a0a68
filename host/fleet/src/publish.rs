//! A version of a notebook, brought to every room.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use glovebox_client::{ClientError, RemoteRoom};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{Alias, TableName};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{RevisionStatus, RoomState};
use glovebox_contract::statement::{AssetStatement, Body, NotebookAsset, TableBinding};
use serde::Serialize;

use crate::error::{FleetError, Result};
use crate::hosts::Hosts;
use crate::parallel::each;
use crate::registry::Customer;

/// What is published.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The notebook, with the cutover date of the roll-out. Its bindings are for all rooms; those
    /// of a customer come on top.
    pub asset: NotebookAsset,
    /// The bytes of its component.
    pub component: Vec<u8>,
    /// Who may run it, in all rooms, in place of what the registry says.
    pub runners: BTreeSet<Alias>,
    /// Whether it may come after a newer version.
    pub downgrade: bool,
    /// Whether to find out only what would be done.
    pub dry_run: bool,
}

/// What was done in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The version is new in the room.
    Published,
    /// The room had it already.
    AlreadyThere,
    /// It would be new in the room, and the room's rules allow it.
    WouldPublish,
}

/// How the version stands in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// What was done.
    pub outcome: Outcome,
    /// What an approval covers; none when the notebook does not fit the room's tables yet.
    pub revision: Option<Blake3Digest>,
    /// What does not fit.
    pub does_not_fit: Option<String>,
    /// Whether it may run.
    pub approved: bool,
    /// Who has yet to approve it.
    pub missing: BTreeSet<Alias>,
}

impl Outcome {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::AlreadyThere => "already-there",
            Self::WouldPublish => "would-publish",
        }
    }
}

/// Publishes the offer in the rooms of `customers`, `at_once` at a time. `done` hears of each room
/// when it is dealt with, on any thread. Results are in the order of the customers.
pub fn publish(
    hosts: &Hosts,
    customers: &[&Customer],
    offer: &Offer,
    at_once: usize,
    done: &(dyn Fn(&Customer, &Result<Published>) + Sync),
) -> Vec<Result<Published>> {
    each(customers, at_once, |customer| {
        let result = publish_to(hosts, customer, offer);
        done(customer, &result);
        result
    })
}

fn publish_to(hosts: &Hosts, customer: &Customer, offer: &Offer) -> Result<Published> {
    let asset = asset_for(customer, offer)?;
    hosts.with_room(customer, |room| {
        if is_there(room, &asset, offer.downgrade)? {
            return Ok(standing(room, &asset, Outcome::AlreadyThere));
        }
        let body = Body::Asset(AssetStatement::Notebook(Box::new(asset.clone())));
        // What the room refuses anyway costs no upload.
        room.state().check(&room.next_statement(body.clone())?).map_err(ClientError::from)?;
        if offer.dry_run {
            return Ok(standing(room, &asset, Outcome::WouldPublish));
        }
        hosts.upload(customer, &offer.component)?;
        let outcome = match say(room, &asset, &body, offer.downgrade) {
            Err(FleetError::Room(error)) if error.reason() == ReasonCode::UploadIncomplete => {
                hosts.forget_upload(customer)?;
                hosts.upload(customer, &offer.component)?;
                say(room, &asset, &body, offer.downgrade)
            }
            said => said,
        }?;
        Ok(standing(room, &asset, outcome))
    })
}

/// Says it in the room, unless another process of the same party does so first.
fn say(
    room: &mut RemoteRoom,
    asset: &NotebookAsset,
    body: &Body,
    downgrade: bool,
) -> Result<Outcome> {
    let meanwhile = Cell::new(None);
    let said = room.submit_with(|room| match is_there(room, asset, downgrade) {
        Ok(false) => Ok(body.clone()),
        other => {
            meanwhile.set(Some(other));
            Err(ClientError::Invalid("the room has changed meanwhile".into()))
        }
    });
    match (said, meanwhile.into_inner()) {
        (Ok(_), _) => Ok(Outcome::Published),
        (Err(_), Some(Ok(_))) => Ok(Outcome::AlreadyThere),
        (Err(_), Some(Err(error))) => Err(error),
        (Err(error), None) => Err(error.into()),
    }
}

/// The offer as it is for one customer.
fn asset_for(customer: &Customer, offer: &Offer) -> Result<NotebookAsset> {
    let runners = if offer.runners.is_empty() { &customer.runners } else { &offer.runners };
    if runners.is_empty() {
        return Err(FleetError::NoRunner);
    }
    let mut bindings: BTreeMap<TableName, TableBinding> = offer.asset.bindings.clone();
    // The registry is about all notebooks of the fleet; this one may lack some of their inputs.
    let inputs = &offer.asset.manifest.inputs;
    let own = customer.bindings.iter().filter(|(input, _)| inputs.contains_key(*input));
    bindings.extend(own.map(|(input, binding)| (input.clone(), binding.clone())));
    Ok(NotebookAsset { bindings, runners: runners.clone(), ..offer.asset.clone() })
}

/// Whether the room's newest version is this very one.
fn is_there(room: &RemoteRoom, asset: &NotebookAsset, downgrade: bool) -> Result<bool> {
    let name = &asset.manifest.name;
    let Ok(notebook) = room.state().notebook(name) else { return Ok(false) };
    if notebook.author() != room.party()? {
        return Err(FleetError::NotTheAuthor { notebook: name.clone() });
    }
    let Some(latest) = notebook.latest().map(|latest| latest.asset()) else { return Ok(false) };
    if is_same(latest, asset) {
        return Ok(true);
    }
    let (there, offered) = (&latest.manifest.version, &asset.manifest.version);
    if !downgrade && compare(there, offered) == Some(Ordering::Greater) {
        return Err(FleetError::Older { there: there.clone(), offered: offered.clone() });
    }
    Ok(false)
}

/// Whether nobody would notice a difference. A cutover date that is there already is good enough
/// when no other one is asked for.
fn is_same(there: &NotebookAsset, asset: &NotebookAsset) -> bool {
    there.component == asset.component
        && there.bindings == asset.bindings
        && there.runners == asset.runners
        && (asset.cutover.is_none() || there.cutover == asset.cutover)
}

/// Which of two versions is newer, as far as numbers say: labels behind them are not compared.
fn compare(one: &str, other: &str) -> Option<Ordering> {
    let numbers = |version: &str| {
        let core = version.split('+').next().unwrap_or_default();
        core.split('.').map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<_>>>()
    };
    Some(numbers(one)?.cmp(&numbers(other)?))
}

/// How the version stands in the room now.
fn standing(room: &RemoteRoom, asset: &NotebookAsset, outcome: Outcome) -> Published {
    let unknown = Published {
        outcome,
        revision: None,
        does_not_fit: None,
        approved: false,
        missing: BTreeSet::new(),
    };
    if outcome == Outcome::WouldPublish {
        return unknown;
    }
    let state: &RoomState = room.state();
    let name = &asset.manifest.name;
    let revision = state.notebook(name).ok().and_then(|notebook| notebook.latest());
    let revision = revision.and_then(|latest| latest.revision_digest()).copied();
    let status = state.statuses(name, room.now()).ok().and_then(|mut all| all.pop());
    let known = Published { revision, ..unknown };
    match status {
        Some(RevisionStatus::Approved) => Published { approved: true, ..known },
        Some(RevisionStatus::Waiting { missing }) => Published { missing, ..known },
        Some(RevisionStatus::Rejected { by }) => Published { missing: by, ..known },
        Some(RevisionStatus::Unbound { refusal }) => {
            Published { does_not_fit: Some(refusal.to_string()), ..known }
        }
        _ => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        let check = |one: &str, other: &str, expect: Option<Ordering>| {
            assert_eq!(compare(one, other), expect, "{one} {other}");
        };
        check("1.2.3", "1.2.3", Some(Ordering::Equal));
        check("1.10.0", "1.9.9", Some(Ordering::Greater));
        check("1.0.0", "2.0.0", Some(Ordering::Less));
        check("1.0.0+build.7", "1.0.0", Some(Ordering::Equal));
        check("1.0.0-rc.1", "1.0.0", None);
        check("next", "1.0.0", None);
    }
}
