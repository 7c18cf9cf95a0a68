//! Statements that need nothing but themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use glovebox_api::wire::Taken;
use glovebox_contract::digest::Sha256Digest;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::Applied;
use glovebox_contract::statement::{AssetStatement, Body, Share};
use glovebox_room::Room;

use crate::app::App;
use crate::auth::{Member, Signed};
use crate::error::{HttpError, Result};
use crate::slot::View;

/// `POST /v1/rooms/{id}/statements`
pub(crate) async fn submit(State(app): State<Arc<App>>, signed: Signed) -> Result<Json<Taken>> {
    let member = signed.member(&app).await?;
    let envelope = signed.envelope()?;
    let body = envelope.unverified()?.body;
    let own_call = match &body {
        Body::Room(_) => Some("rooms"),
        Body::Asset(AssetStatement::Table(table)) if table.output.is_none() => Some("tables"),
        Body::Asset(AssetStatement::Volume(_)) => Some("volumes"),
        Body::Asset(AssetStatement::Notebook(_)) => Some("notebooks"),
        Body::Asset(AssetStatement::Library(_)) => Some("libraries"),
        Body::RunRequest(_) => Some("runs"),
        Body::OutputRead(_) => Some("outputs"),
        _ => None,
    };
    if let Some(call) = own_call {
        return Err(HttpError::new(
            ReasonCode::InvalidArgument,
            format!("such a statement goes to …/{call}"),
        ));
    }
    if let Body::Share(Share::Recipient(recipient)) = &body {
        check_token(&app, &member, &recipient.token)?;
    }
    let taken = app.with(&member.slot, move |room| {
        let applied = room.submit(&envelope)?;
        taken(room, &applied)
    });
    let taken = taken.await?;
    if let Body::Delete(_) = body {
        let id = member.slot.id;
        tokio::spawn(async move { crate::sharing::after_run(&app, &id).await });
    }
    Ok(Json(taken))
}

/// A recipient's token has to be another than those in other rooms: their parties can read the
/// digest of a token, and whoever puts it in a room of its own would be asked with that token.
fn check_token(app: &App, member: &Member, token: &Sha256Digest) -> Result<()> {
    let is_known = |view: &View| {
        view.state.recipients().any(|recipient| {
            let previous = recipient.previous().map(|(token, _)| token);
            recipient.token() == token || previous == Some(token)
        })
    };
    let others = app.catalog.all().into_iter().filter(|slot| slot.id != member.slot.id);
    if others.map(|slot| slot.view()).any(|view| is_known(&view)) {
        return Err(HttpError::new(ReasonCode::AlreadyExists, "the token is in use: make another"));
    }
    Ok(())
}

/// Where a statement that was just taken stands.
pub(crate) fn taken(room: &Room, applied: &Applied) -> Result<Taken> {
    // The room was locked until it had taken the statement, so its state ends with it.
    let position = room.state().statements().saturating_sub(1);
    Ok(Taken { digest: applied.digest, position })
}
