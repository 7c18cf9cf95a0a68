//! What a bundle says of people outside the room: what was shared with them and what they read.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::name::{Alias, AssetName};
use crate::state::{Applied, RoomState};
use crate::statement::{Body, Grant};

/// A share of a recipient: at the end of the log, and what the host says was read of it before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShareReport {
    /// What is in it at the end of the log; nothing when it was revoked.
    pub grants: Vec<Grant>,
    /// The party whose recipient it is.
    pub owner: Alias,
    /// How many reads of it the host has put down.
    pub reads: u64,
    /// The recipient.
    pub recipient: AssetName,
    /// The share.
    pub share: AssetName,
}

/// Every share that there is or that was read, by owner, recipient and name.
pub(super) fn report_shares(state: &RoomState, applied: &[Applied]) -> Vec<ShareReport> {
    let mut shares: BTreeMap<_, (Vec<Grant>, u64)> = BTreeMap::new();
    for recipient in state.recipients() {
        for grant in recipient.grants() {
            let key = (recipient.owner(), recipient.name(), &grant.share);
            shares.entry(key).or_default().0.push(grant.clone());
        }
    }
    for entry in applied {
        if let Body::SharedRead(read) = &entry.statement.body {
            let share = shares.entry((&read.owner, &read.recipient, &read.share)).or_default();
            share.1 = share.1.saturating_add(1);
        }
    }
    let report = |((owner, recipient, share), (grants, reads)): ((&Alias, _, _), _)| {
        let (recipient, share): (&AssetName, &AssetName) = (recipient, share);
        let (owner, recipient, share) = (owner.clone(), recipient.clone(), share.clone());
        ShareReport { grants, owner, reads, recipient, share }
    };
    shares.into_iter().map(report).collect()
}
