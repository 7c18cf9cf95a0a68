//! Tables, views, volumes, notebooks and libraries. Their files came before, as uploads of the key
//! that signs; tables that are elsewhere are in `remote`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use glovebox_api::wire::{
    AddAsset, AddTable, Described, TableFiles, Taken, UploadedFile, ViewFiles,
};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::TableName;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Applied, Refusal};
use glovebox_contract::statement::{AssetStatement, Body, FileDigest};
use glovebox_room::uploaded::{UploadedColumns, UploadedRows, UploadedTable};
use glovebox_room::uploads::Uploads;
use glovebox_room::{Room, RoomError};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::app::{App, blocking};
use crate::auth::{Member, Signed};
use crate::error::{HttpError, Result};
use crate::remote;
use crate::statements::taken;
use crate::uploads::uploads;

/// Waits for a place among the calls that start a process of their own.
async fn heavy(app: &App) -> Result<SemaphorePermit<'_>> {
    place(app, &app.jobs).await
}

/// Waits for one of few places.
pub(crate) async fn place<'a>(app: &App, places: &'a Semaphore) -> Result<SemaphorePermit<'a>> {
    let place = tokio::time::timeout(app.limits.idle_time, places.acquire()).await;
    match place {
        Ok(Ok(place)) => Ok(place),
        _ => Err(HttpError::unavailable("the host has too many files to look at")),
    }
}

/// The asset that a statement adds.
fn asset(envelope: &Envelope) -> Result<AssetStatement> {
    match envelope.unverified()?.body {
        Body::Asset(asset) => Ok(asset),
        _ => Err(another("an asset")),
    }
}

fn another(what: &str) -> HttpError {
    HttpError::new(ReasonCode::InvalidArgument, format!("the statement does not add {what}"))
}

/// The files of a table or of a view, by their names.
fn uploaded(files: TableFiles) -> Result<UploadedTable> {
    let TableFiles { aliases, files, remote: _, view } = files;
    let rows = match view {
        None => UploadedRows::Files(by_name(files)?),
        Some(_) if !files.is_empty() => {
            return Err(HttpError::malformed("a view has its files in `view.tables`"));
        }
        Some(ViewFiles { sql, tables }) => {
            let tables = tables.into_iter().map(|(name, files)| Ok((name, by_name(files)?)));
            UploadedRows::View { sql, tables: tables.collect::<Result<_>>()? }
        }
    };
    Ok(UploadedTable { rows, aliases })
}

fn by_name(files: Vec<UploadedFile>) -> Result<BTreeMap<String, FileDigest>> {
    let count = files.len();
    let named: BTreeMap<_, _> = files.into_iter().map(|file| (file.name, file.digest)).collect();
    if named.len() == count {
        return Ok(named);
    }
    Err(HttpError::malformed("two files of a table have the same name"))
}

/// `POST /v1/rooms/{id}/describe`
pub(crate) async fn describe(
    State(app): State<Arc<App>>,
    signed: Signed,
) -> Result<Json<Described>> {
    let member = signed.member(&app).await?;
    let files: TableFiles = signed.json()?;
    // The table has no name yet; this one is for messages.
    let name: TableName = format!("{}.files", member.alias).parse().map_err(Refusal::from)?;
    if files.remote.is_some() {
        return remote::describe(&app, name, files).await.map(Json);
    }
    let table = uploaded(files)?;
    let place = heavy(&app).await?;
    let (key, host) = (signed.key, app.clone());
    let described = blocking(move || {
        let (home, settings) = (&host.home, &host.settings);
        Ok(home.describe_uploaded(settings, &uploads(&host)?, &key, &name, &table)?)
    });
    let described = described.await;
    drop(place);
    let UploadedColumns { columns, files, bytes, definition } = described?;
    let files = u64::try_from(files).unwrap_or(u64::MAX);
    Ok(Json(Described { bytes, columns, definition, files }))
}

/// `POST /v1/rooms/{id}/tables`
pub(crate) async fn add_table(State(app): State<Arc<App>>, signed: Signed) -> Result<Json<Taken>> {
    let member = signed.member(&app).await?;
    let AddTable { source, statement } = signed.json()?;
    let envelope = signed.own(statement)?;
    let AssetStatement::Table(asset) = asset(&envelope)? else { return Err(another("a table")) };
    if source.remote.is_some() {
        return remote::add_table(&app, &member, envelope, asset.name, source).await.map(Json);
    }
    let table = uploaded(source)?;
    add(&app, &member, move |app, room, uploads| {
        room.add_uploaded_table(&app.settings, uploads, &envelope, &table)
    })
    .await
}

/// `POST /v1/rooms/{id}/volumes`
pub(crate) async fn add_volume(State(app): State<Arc<App>>, signed: Signed) -> Result<Json<Taken>> {
    let member = signed.member(&app).await?;
    let AddAsset { statement } = signed.json()?;
    let envelope = signed.own(statement)?;
    let AssetStatement::Volume(_) = asset(&envelope)? else { return Err(another("a volume")) };
    add(&app, &member, move |_, room, uploads| room.add_uploaded_volume(uploads, &envelope)).await
}

/// `POST /v1/rooms/{id}/notebooks`
pub(crate) async fn add_notebook(
    State(app): State<Arc<App>>,
    signed: Signed,
) -> Result<Json<Taken>> {
    let is_notebook = |asset: &AssetStatement| matches!(asset, AssetStatement::Notebook(_));
    add_component(app, signed, "a notebook", is_notebook).await
}

/// `POST /v1/rooms/{id}/libraries`
pub(crate) async fn add_library(
    State(app): State<Arc<App>>,
    signed: Signed,
) -> Result<Json<Taken>> {
    let is_library = |asset: &AssetStatement| matches!(asset, AssetStatement::Library(_));
    add_component(app, signed, "a library", is_library).await
}

async fn add_component(
    app: Arc<App>,
    signed: Signed,
    what: &str,
    fits: fn(&AssetStatement) -> bool,
) -> Result<Json<Taken>> {
    let member = signed.member(&app).await?;
    let AddAsset { statement } = signed.json()?;
    let envelope = signed.own(statement)?;
    if !fits(&asset(&envelope)?) {
        return Err(another(what));
    }
    add(&app, &member, move |app, room, uploads| {
        room.add_uploaded_component(&app.settings, uploads, &envelope)
    })
    .await
}

/// Adds an asset when there is a place to look at it.
async fn add(
    app: &Arc<App>,
    member: &Member,
    act: impl FnOnce(&App, &mut Room, &Uploads) -> Result<Applied, RoomError> + Send + 'static,
) -> Result<Json<Taken>> {
    let place = heavy(app).await?;
    let host = app.clone();
    let added = app.with(&member.slot, move |room| {
        let applied = act(&host, room, &uploads(&host)?)?;
        taken(room, &applied)
    });
    let added = added.await;
    drop(place);
    Ok(Json(added?))
}
