//! Tokens, and who stands behind one.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::Store;
use super::people::{get, parsed};
use crate::access::Unauthenticated;
use crate::access::error::StoreError;
use crate::access::oidc::Identity;
use crate::access::principal::{Credential, Kind, Principal, PrincipalName};
use crate::access::token::{NewToken, TokenHash, TokenId, TokenInfo, hash_of, text_of};

/// Longest life of a token: 400 days.
pub(super) const MAX_LIFETIME: Duration = Duration::from_secs(400 * 24 * 3600);
const MAX_LABEL_BYTES: usize = 100;
/// The last use is written down once a minute, not at every request.
const LAST_USED_STEP: u64 = 60;

impl Store {
    /// Makes a token for a user or service principal. Its text is in the answer and nowhere else.
    pub fn new_token(
        &self,
        principal: &PrincipalName,
        label: &str,
        lifetime: Duration,
    ) -> Result<NewToken, StoreError> {
        if lifetime.as_secs() == 0 || lifetime > MAX_LIFETIME {
            return Err(StoreError::refused("a token lives between a second and 400 days"));
        }
        if label.len() > MAX_LABEL_BYTES || label.contains(char::is_control) {
            return Err(StoreError::refused(format!(
                "a label is at most {MAX_LABEL_BYTES} bytes without control characters"
            )));
        }
        let (secret, id) = (random()?, TokenId::from_random(random()?));
        let text = text_of(&secret);
        let hash = hash_of(&text)
            .ok_or_else(|| StoreError::unavailable("a new token cannot be hashed"))?;
        let created = self.clock.now();
        let expires = created.saturating_add(lifetime.as_secs());
        self.write(|transaction| {
            let found = get(transaction, principal)?;
            if found.kind == Kind::Group {
                return Err(StoreError::refused(format!("{principal} is a group: no tokens")));
            }
            transaction.execute(
                "INSERT INTO token (id, sha256, principal_id, label, created, expires) \
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![id.as_str(), hash, found.id, label, created, expires],
            )?;
            Ok(())
        })?;
        let info = TokenInfo {
            id,
            principal: principal.clone(),
            label: label.into(),
            created,
            expires,
            last_used: None,
            revoked: None,
        };
        Ok(NewToken { text, info })
    }

    /// Every token, the newest first.
    pub fn tokens(&self) -> Result<Vec<TokenInfo>, StoreError> {
        self.read(|transaction| {
            let mut all = transaction.prepare_cached(
                "SELECT token.id, name, label, token.created, expires, last_used, revoked \
                 FROM token JOIN principal ON principal.id = principal_id \
                 ORDER BY token.created DESC, token.id",
            )?;
            Ok(all.query_map([], listed)?.collect::<Result<_, _>>()?)
        })
    }

    /// Revokes a token, from the next request on.
    pub fn revoke_token(&self, id: &TokenId) -> Result<(), StoreError> {
        self.write(|transaction| {
            let revoked = transaction.execute(
                "UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL",
                params![self.clock.now(), id.as_str()],
            )?;
            if revoked == 0 {
                return Err(StoreError::not_found(format!("there is no token {id} to revoke")));
            }
            Ok(())
        })
    }

    /// Who stands behind a token's text.
    pub(in crate::access) fn recognise(&self, text: &str) -> Result<Principal, Unauthenticated> {
        let Some(hash) = hash_of(text) else {
            return Err(Unauthenticated::because("not the form of a token"));
        };
        let Some(shown) = self.read(|transaction| shown(transaction, &hash))? else {
            return Err(Unauthenticated::because("unknown token"));
        };
        let (id, name, now) = (&shown.id, &shown.name, self.clock.now());
        if shown.revoked {
            return Err(Unauthenticated::because(format!("token {id} of {name} is revoked")));
        }
        if shown.expires <= now {
            return Err(Unauthenticated::because(format!("token {id} of {name} is expired")));
        }
        if shown.last_used.is_none_or(|last| now >= last.saturating_add(LAST_USED_STEP)) {
            self.used(id, now);
        }
        Ok(Principal {
            id: shown.principal,
            name: shown.name,
            kind: shown.kind,
            credential: Credential::Token(shown.id),
        })
    }

    /// Who stands behind an identity that the issuer vouched for.
    pub(in crate::access) fn recognise_identity(
        &self,
        identity: &Identity,
    ) -> Result<Principal, Unauthenticated> {
        let found = self.read(|transaction| known(transaction, identity))?;
        found.ok_or_else(|| {
            let subject = super::bounded(&identity.subject, 100);
            Unauthenticated::because(format!("no principal has the subject {subject}"))
        })
    }

    /// A last use that cannot be written down denies nobody.
    fn used(&self, id: &TokenId, now: u64) {
        let written = self.write(|transaction| {
            transaction.execute(
                "UPDATE token SET last_used = ? WHERE id = ?",
                params![now, id.as_str()],
            )?;
            Ok(())
        });
        if let Err(error) = written {
            tracing::warn!(%error, token = %id, "the last use of a token is not written down");
        }
    }
}

/// A token that was shown, with its principal.
struct Shown {
    id: TokenId,
    expires: u64,
    last_used: Option<u64>,
    revoked: bool,
    principal: i64,
    name: PrincipalName,
    kind: Kind,
}

fn shown(transaction: &Transaction<'_>, hash: &TokenHash) -> Result<Option<Shown>, StoreError> {
    let mut one = transaction.prepare_cached(
        "SELECT token.id, expires, last_used, revoked IS NOT NULL, principal.id, name, kind \
         FROM token JOIN principal ON principal.id = principal_id WHERE sha256 = ?",
    )?;
    let row = one.query_row([hash], |row| {
        Ok(Shown {
            id: parsed(row, 0)?,
            expires: row.get(1)?,
            last_used: row.get(2)?,
            revoked: row.get(3)?,
            principal: row.get(4)?,
            name: parsed(row, 5)?,
            kind: parsed(row, 6)?,
        })
    });
    Ok(row.optional()?)
}

fn known(
    transaction: &Transaction<'_>,
    identity: &Identity,
) -> Result<Option<Principal>, StoreError> {
    let mut group = transaction
        .prepare_cached("SELECT id FROM principal WHERE subject = ? AND kind = 'group'")?;
    let mut groups = Vec::new();
    for named in &identity.groups {
        groups.extend(group.query_row([named], |row| row.get::<_, i64>(0)).optional()?);
    }
    let mut one = transaction.prepare_cached(
        "SELECT id, name, kind FROM principal WHERE subject = ? AND kind <> 'group'",
    )?;
    let row = one.query_row([&identity.subject], |row| {
        Ok(Principal {
            id: row.get(0)?,
            name: parsed(row, 1)?,
            kind: parsed(row, 2)?,
            credential: Credential::Oidc { groups },
        })
    });
    Ok(row.optional()?)
}

fn listed(row: &Row<'_>) -> rusqlite::Result<TokenInfo> {
    Ok(TokenInfo {
        id: parsed(row, 0)?,
        principal: parsed(row, 1)?,
        label: row.get(2)?,
        created: row.get(3)?,
        expires: row.get(4)?,
        last_used: row.get(5)?,
        revoked: row.get(6)?,
    })
}

fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|source| StoreError::unavailable("no random bytes").because(source))?;
    Ok(bytes)
}
