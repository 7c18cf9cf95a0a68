//! Who asks: the recipient whose token came with the request.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use glovebox_contract::digest::Sha256Digest;
use glovebox_contract::name::{Alias, AssetName};
use glovebox_contract::state::{RoomState, SharingRecipient};

use super::error::{Result, SharingError};
use super::names::{self, Listed};
use crate::app::App;
use crate::slot::Slot;

/// Longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 1024;

/// A recipient of a room, as the room was when it asked.
pub(crate) struct Caller {
    pub(crate) app: Arc<App>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) state: Arc<RoomState>,
    /// The party that it belongs to.
    pub(crate) owner: Alias,
    pub(crate) name: AssetName,
    /// When it asked, in seconds since 1970-01-01T00:00:00Z.
    pub(crate) now: u64,
}

impl Caller {
    /// The recipient of the room that the token in the headers belongs to.
    ///
    /// # Errors
    /// One and the same for a token that is not good, and for a room that is not here.
    pub(crate) async fn of(app: &Arc<App>, room: &str, headers: &HeaderMap) -> Result<Self> {
        let token = bearer_token(headers).ok_or_else(SharingError::unauthenticated)?;
        let token = Sha256Digest::of(token.as_bytes());
        let slot = slot(app, room).await.ok_or_else(SharingError::unauthenticated)?;
        let state = app.fresh(&slot).await?.state;
        let now = app.now();
        let found = state.recipient_with_token(&token, now);
        let found = found.map(|found| (found.owner().clone(), found.name().clone()));
        let (owner, name) = found.ok_or_else(SharingError::unauthenticated)?;
        Ok(Self { app: app.clone(), slot, state, owner, name, now })
    }

    /// The recipient with this name, as long as it has a token that is good.
    pub(crate) async fn named(
        app: &Arc<App>,
        room: &str,
        owner: Alias,
        name: AssetName,
    ) -> Result<Option<Self>> {
        let Some(slot) = slot(app, room).await else { return Ok(None) };
        let state = app.fresh(&slot).await?.state;
        let now = app.now();
        let good = state.recipient(&owner, &name).is_ok_and(|recipient| {
            let previous = recipient.previous().is_some_and(|(_, until)| now < until);
            now < recipient.expires() || previous
        });
        Ok(good.then(|| Self { app: app.clone(), slot, state, owner, name, now }))
    }

    /// What the room says about it.
    pub(crate) fn recipient(&self) -> Result<&SharingRecipient> {
        let found = self.state.recipient(&self.owner, &self.name);
        found.map_err(|_| SharingError::unauthenticated())
    }

    /// The table of this name, in any case.
    pub(crate) fn find(&self, path: [&str; 3]) -> Result<Listed> {
        let [share, schema, table] = path.map(str::to_ascii_lowercase);
        names::find(&self.state, self.recipient()?, self.now, [&share, &schema, &table])
            .ok_or_else(|| SharingError::missing("table"))
    }

    /// What tells it from every other recipient of every room.
    pub(crate) fn id(&self) -> [String; 3] {
        [self.slot.id.to_string(), self.owner.to_string(), self.name.to_string()]
    }

    /// The same caller with the room as it is now.
    pub(crate) async fn again(&self) -> Result<Self> {
        let state = self.app.fresh(&self.slot).await?.state;
        Ok(Self {
            app: self.app.clone(),
            slot: self.slot.clone(),
            state,
            owner: self.owner.clone(),
            name: self.name.clone(),
            now: self.app.now(),
        })
    }
}

async fn slot(app: &Arc<App>, room: &str) -> Option<Arc<Slot>> {
    let id = glovebox_api::path::parse_room(room)?;
    app.slot(&id).await.ok()
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let good =
        scheme.eq_ignore_ascii_case("bearer") && (1..=MAX_TOKEN_BYTES).contains(&token.len());
    good.then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_behind_the_word_bearer_once() {
        let headers = |values: &[&str]| {
            let pairs = values.iter().map(|value| (header::AUTHORIZATION, value.parse().unwrap()));
            pairs.collect::<HeaderMap>()
        };
        for good in ["Bearer abc", "bearer abc", "BEARER  abc "] {
            assert_eq!(bearer_token(&headers(&[good])), Some("abc"), "{good}");
        }
        let long = format!("Bearer {}", "a".repeat(2000));
        for bad in [
            &[][..],
            &["abc"],
            &["Basic abc"],
            &["Bearer"],
            &["Bearer "],
            &[&long],
            &["Bearer a", "Bearer b"],
        ] {
            assert_eq!(bearer_token(&headers(bad)), None, "{bad:?}");
        }
    }
}
