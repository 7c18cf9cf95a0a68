//! What a principal has at the moment of a decision: its groups, and its privileges on the
//! resource.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::Store;
use super::people::parsed;
use crate::access::action::Resource;
use crate::access::error::StoreError;
use crate::access::principal::{Credential, Kind, Principal};
use crate::access::privilege::{Privilege, Scope};

/// A principal's groups and privileges, directly or through groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::access) struct Standing {
    /// The groups it is in, groups of groups included.
    pub(in crate::access) groups: BTreeSet<String>,
    /// What it holds on the gateway.
    pub(in crate::access) gateway: BTreeSet<Privilege>,
    /// What it holds on the room that is asked about.
    pub(in crate::access) room: BTreeSet<Privilege>,
    /// Whether it owns that room.
    pub(in crate::access) owns: bool,
}

impl Store {
    /// The standing now; nothing when the principal or its token is no more.
    pub(in crate::access) fn standing(
        &self,
        principal: &Principal,
        resource: &Resource,
    ) -> Result<Option<Standing>, StoreError> {
        let now = self.clock.now();
        self.read(|transaction| {
            if !still_there(transaction, principal, now)? {
                return Ok(None);
            }
            let mut start = vec![principal.id];
            if let Credential::Oidc { groups } = &principal.credential {
                start.extend(groups);
            }
            let ids = within(transaction, &start)?;
            let mut standing = Standing::default();
            for id in &ids {
                standing.take(transaction, *id, principal, resource)?;
            }
            Ok(Some(standing))
        })
    }
}

impl Standing {
    /// Adds what the principal or group `id` has.
    fn take(
        &mut self,
        transaction: &Transaction<'_>,
        id: i64,
        principal: &Principal,
        resource: &Resource,
    ) -> Result<(), StoreError> {
        let mut one = transaction
            .prepare_cached("SELECT name FROM principal WHERE id = ? AND kind = 'group'")?;
        match one.query_row([id], |row| row.get(0)).optional()? {
            Some(name) => self.groups.extend([name]),
            None if id == principal.id => {}
            // A group that was removed since the issuer's token was read.
            None => return Ok(()),
        }
        self.gateway.extend(held(transaction, id, &Scope::Gateway)?);
        if let Resource::Room(room) = resource {
            self.room.extend(held(transaction, id, &Scope::Room(*room))?);
            self.owns |= transaction
                .prepare_cached("SELECT 1 FROM owner WHERE room = ? AND principal_id = ?")?
                .exists(params![room.to_string(), id])?;
        }
        Ok(())
    }
}

fn held(
    transaction: &Transaction<'_>,
    id: i64,
    scope: &Scope,
) -> Result<Vec<Privilege>, StoreError> {
    let mut some = transaction
        .prepare_cached("SELECT privilege FROM privilege WHERE principal_id = ? AND room = ?")?;
    let found = some.query_map(params![id, scope.column()], |row| parsed(row, 0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The principals `start` and every group that they are in, however deep. A circle of groups,
/// which [`Store::add_member`] refuses to make, ends the search and nothing else.
pub(super) fn within(
    transaction: &Transaction<'_>,
    start: &[i64],
) -> Result<BTreeSet<i64>, StoreError> {
    let mut above =
        transaction.prepare_cached("SELECT group_id FROM member WHERE member_id = ?")?;
    let mut found: BTreeSet<i64> = BTreeSet::new();
    let mut open = start.to_vec();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            for group in above.query_map([id], |row| row.get(0))? {
                open.push(group?);
            }
        }
    }
    Ok(found)
}

fn still_there(
    transaction: &Transaction<'_>,
    principal: &Principal,
    now: u64,
) -> Result<bool, StoreError> {
    let mut one =
        transaction.prepare_cached("SELECT 1 FROM principal WHERE id = ? AND kind = ?")?;
    let there = principal.kind != Kind::Group
        && one.exists(params![principal.id, principal.kind.as_str()])?;
    let Credential::Token(token) = &principal.credential else { return Ok(there) };
    let mut good = transaction.prepare_cached(
        "SELECT 1 FROM token WHERE id = ? AND principal_id = ? AND revoked IS NULL AND expires > ?",
    )?;
    Ok(there && good.exists(params![token.as_str(), principal.id, now])?)
}
