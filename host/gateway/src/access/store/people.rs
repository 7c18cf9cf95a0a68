//! Principals, groups, privileges, owners.

use glovebox_contract::name::RoomId;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::Store;
use crate::access::error::StoreError;
use crate::access::principal::{
    Kind, MAX_SUBJECT_BYTES, NewPrincipal, PrincipalInfo, PrincipalName,
};
use crate::access::privilege::{Grant, Privilege, Scope};

impl Store {
    /// Adds a principal. Names are one whatever their case; so are subjects within users and
    /// service principals, and within groups.
    pub fn add_principal(&self, new: &NewPrincipal) -> Result<(), StoreError> {
        check_subject(new.subject.as_deref())?;
        self.write(|transaction| {
            if find(transaction, &new.name)?.is_some() {
                return Err(StoreError::already_exists(format!("{} exists already", new.name)));
            }
            if let Some(subject) = &new.subject
                && transaction
                    .prepare_cached(
                        "SELECT 1 FROM principal WHERE subject = ? AND (kind = 'group') = ?",
                    )?
                    .exists(params![subject, new.kind == Kind::Group])?
            {
                return Err(StoreError::already_exists("another principal has this subject"));
            }
            transaction.execute(
                "INSERT INTO principal (name, kind, subject, created) VALUES (?, ?, ?, ?)",
                params![new.name.as_str(), new.kind.as_str(), new.subject, self.clock.now()],
            )?;
            Ok(())
        })
    }

    /// Removes a principal with its tokens, privileges, memberships and ownerships.
    pub fn remove_principal(&self, name: &PrincipalName) -> Result<(), StoreError> {
        self.write(|transaction| {
            let found = get(transaction, name)?;
            transaction.execute("DELETE FROM principal WHERE id = ?", [found.id])?;
            Ok(())
        })
    }

    /// Every principal, by name.
    pub fn principals(&self) -> Result<Vec<PrincipalInfo>, StoreError> {
        self.read(|transaction| {
            let mut members = transaction.prepare_cached(
                "SELECT name FROM member JOIN principal ON id = member_id WHERE group_id = ? \
                 ORDER BY name",
            )?;
            let mut all = transaction.prepare_cached(
                "SELECT id, name, kind, subject, created FROM principal ORDER BY name",
            )?;
            let mut rows = all.query([])?;
            let mut listed = Vec::new();
            while let Some(row) = rows.next()? {
                let inside = members
                    .query_map([row.get::<_, i64>(0)?], |row| parsed(row, 0))?
                    .collect::<Result<_, _>>()?;
                listed.push(PrincipalInfo {
                    name: parsed(row, 1)?,
                    kind: parsed(row, 2)?,
                    subject: row.get(3)?,
                    created: row.get(4)?,
                    members: inside,
                });
            }
            Ok(listed)
        })
    }

    /// Whether there is no principal, so that everything is denied.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        self.read(|transaction| {
            Ok(!transaction.prepare_cached("SELECT 1 FROM principal")?.exists([])?)
        })
    }

    /// Puts a principal into a group. A group may be in groups, never in itself.
    pub fn add_member(
        &self,
        group: &PrincipalName,
        member: &PrincipalName,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let (into, of) = (get_group(transaction, group)?, get(transaction, member)?);
            if super::standing::within(transaction, &[into.id])?.contains(&of.id) {
                let what = format!("{group} is in {member} already: groups cannot go in circles");
                return Err(StoreError::refused(what));
            }
            let added = transaction.execute(
                "INSERT OR IGNORE INTO member (group_id, member_id) VALUES (?, ?)",
                params![into.id, of.id],
            )?;
            if added == 0 {
                return Err(StoreError::already_exists(format!("{member} is in {group} already")));
            }
            Ok(())
        })
    }

    /// Takes a principal out of a group.
    pub fn remove_member(
        &self,
        group: &PrincipalName,
        member: &PrincipalName,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let (from, of) = (get_group(transaction, group)?, get(transaction, member)?);
            let removed = transaction.execute(
                "DELETE FROM member WHERE group_id = ? AND member_id = ?",
                params![from.id, of.id],
            )?;
            one(removed, || format!("{member} is not in {group}"))
        })
    }

    /// Gives a privilege.
    pub fn grant(
        &self,
        name: &PrincipalName,
        privilege: Privilege,
        scope: &Scope,
    ) -> Result<(), StoreError> {
        if privilege == Privilege::Create && *scope != Scope::Gateway {
            return Err(StoreError::refused("CREATE is a privilege on the gateway, not on a room"));
        }
        self.write(|transaction| {
            let given = transaction.execute(
                "INSERT OR IGNORE INTO privilege (principal_id, privilege, room) VALUES (?, ?, ?)",
                params![get(transaction, name)?.id, privilege.as_str(), scope.column()],
            )?;
            if given == 0 {
                return Err(StoreError::already_exists(format!(
                    "{name} has {privilege} there already"
                )));
            }
            Ok(())
        })
    }

    /// Takes a privilege.
    pub fn revoke(
        &self,
        name: &PrincipalName,
        privilege: Privilege,
        scope: &Scope,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let taken = transaction.execute(
                "DELETE FROM privilege WHERE principal_id = ? AND privilege = ? AND room = ?",
                params![get(transaction, name)?.id, privilege.as_str(), scope.column()],
            )?;
            one(taken, || format!("{name} has no {privilege} of its own there"))
        })
    }

    /// Every privilege given, by principal. Ownerships are not among them.
    pub fn grants(&self) -> Result<Vec<Grant>, StoreError> {
        self.read(|transaction| {
            let mut all = transaction.prepare_cached(
                "SELECT name, privilege, room FROM privilege JOIN principal ON id = principal_id \
                 ORDER BY name, room, privilege",
            )?;
            let listed = all.query_map([], |row| {
                Ok(Grant {
                    principal: parsed(row, 0)?,
                    privilege: parsed(row, 1)?,
                    scope: match row.get_ref(2)?.as_str()? {
                        "" => Scope::Gateway,
                        _ => Scope::Room(parsed(row, 2)?),
                    },
                })
            })?;
            Ok(listed.collect::<Result<_, _>>()?)
        })
    }

    /// Makes a principal the owner of a room, in place of the one before.
    pub fn set_owner(&self, room: &RoomId, name: &PrincipalName) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR REPLACE INTO owner (room, principal_id) VALUES (?, ?)",
                params![room.to_string(), get(transaction, name)?.id],
            )?;
            Ok(())
        })
    }

    /// The owner of a room, when it has one at this gateway.
    pub fn owner(&self, room: &RoomId) -> Result<Option<PrincipalName>, StoreError> {
        self.read(|transaction| {
            let mut one = transaction.prepare_cached(
                "SELECT name FROM owner JOIN principal ON id = principal_id WHERE room = ?",
            )?;
            Ok(one.query_row([room.to_string()], |row| parsed(row, 0)).optional()?)
        })
    }
}

/// A principal's row, as far as the calls here need it.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) kind: Kind,
}

fn find(transaction: &Transaction<'_>, name: &PrincipalName) -> Result<Option<Found>, StoreError> {
    let mut one = transaction.prepare_cached("SELECT id, kind FROM principal WHERE name = ?")?;
    Ok(one
        .query_row([name.as_str()], |row| Ok(Found { id: row.get(0)?, kind: parsed(row, 1)? }))
        .optional()?)
}

pub(super) fn get(
    transaction: &Transaction<'_>,
    name: &PrincipalName,
) -> Result<Found, StoreError> {
    find(transaction, name)?
        .ok_or_else(|| StoreError::not_found(format!("there is no principal {name}")))
}

fn get_group(transaction: &Transaction<'_>, name: &PrincipalName) -> Result<Found, StoreError> {
    let found = get(transaction, name)?;
    if found.kind == Kind::Group {
        Ok(found)
    } else {
        Err(StoreError::refused(format!("{name} is a {}, not a group", found.kind)))
    }
}

/// Reads a column whose text was checked when it was written.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get_ref(column)?.as_str()?.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

fn one(changed: usize, none: impl FnOnce() -> String) -> Result<(), StoreError> {
    if changed == 0 { Err(StoreError::not_found(none())) } else { Ok(()) }
}

fn check_subject(subject: Option<&str>) -> Result<(), StoreError> {
    let fits = |subject: &str| {
        (1..=MAX_SUBJECT_BYTES).contains(&subject.len()) && !subject.contains(char::is_control)
    };
    if subject.is_none_or(fits) {
        Ok(())
    } else {
        Err(StoreError::refused(format!(
            "a subject is 1 to {MAX_SUBJECT_BYTES} bytes without control characters"
        )))
    }
}
