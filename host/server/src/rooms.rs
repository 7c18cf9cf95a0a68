//! The rooms of a key: to list and to create.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use glovebox_api::limits::{MAX_ROOMS_PAGE, ROOMS_PAGE};
use glovebox_api::wire::{CreatedRoom, RoomList, RoomSummary, RoomsQuery};
use glovebox_contract::reason::ReasonCode;

use crate::app::{App, blocking};
use crate::auth::Signed;
use crate::error::{HttpError, Result};
use crate::slot::Slot;

/// `GET /v1/rooms`
pub(crate) async fn list(State(app): State<Arc<App>>, signed: Signed) -> Result<Json<RoomList>> {
    let query: RoomsQuery = signed.query()?;
    let size = query.page_size.unwrap_or(ROOMS_PAGE);
    if !(1..=MAX_ROOMS_PAGE).contains(&size) {
        return Err(HttpError::malformed(format!("page_size: it is 1 to {MAX_ROOMS_PAGE}")));
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let token = query.page_token.as_deref();
    let after = token.map(|token| app.page_tokens.read(token, &signed.key)).transpose()?;
    // One more than asked for tells whether there is another page.
    let mut slots = app.catalog.rooms_of(&signed.key, after, size.saturating_add(1));
    let more = slots.len() > size;
    slots.truncate(size);
    let last = slots.last().filter(|_| more);
    let next_page_token = last.map(|last| app.page_tokens.after(&last.id, &signed.key));
    Ok(Json(RoomList { next_page_token, rooms: slots.iter().map(|slot| summary(slot)).collect() }))
}

fn summary(slot: &Slot) -> RoomSummary {
    RoomSummary { id: slot.id, name: slot.name.clone(), statements: slot.view().size() }
}

/// `POST /v1/rooms`: anyone may make a room that names this host's key, unless the operator lists
/// who may. It gives no power over the room, only a place for it.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    signed: Signed,
) -> Result<(StatusCode, Json<CreatedRoom>)> {
    let envelope = signed.envelope()?;
    if app.creators.as_ref().is_some_and(|creators| !creators.contains(&signed.key)) {
        return Err(HttpError::new(
            ReasonCode::NotPermitted,
            "this host lets only keys that its operator lists create rooms",
        ));
    }
    if app.catalog.len() >= app.limits.rooms {
        return Err(HttpError::new(ReasonCode::PolicyLimit, "this host takes no more rooms"));
    }
    let created = blocking(move || {
        let room = app.home.create_room(&envelope)?;
        let created = CreatedRoom { id: *room.id(), name: room.name().clone() };
        app.catalog.add(room, app.limits.runs_per_room);
        Ok(created)
    });
    Ok((StatusCode::CREATED, Json(created.await?)))
}
