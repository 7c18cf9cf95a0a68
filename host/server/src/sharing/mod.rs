//! Delta Sharing: outputs and tables for people outside the room, through the clients they have.
//!
//! A recipient belongs to a party of one room and is known by a bearer token, whose digest is in
//! the room's log. It sees what the party granted it: outputs that the party may read itself, as
//! long as it may, the party's own tables, and what happened in the room. Its profile names the room:
//! `<host>/delta-sharing/<room id>`.
//!
//! | module | is |
//! |---|---|
//! | `caller` | who asks |
//! | `names` | what a recipient may read, by the names that it sees |
//! | `events`, `plain`, `tables` | the Delta tables, kept up to date with the logs |
//! | `audit` | tables of what happened in the room, made of its log |
//! | `lists`, `query`, `lines` | the calls and their answers |
//! | `capabilities`, `parameters`, `predicate` | what a client says |
//! | `links`, `download`, `range` | files behind signed URLs |
//! | `seal` | signs page tokens and URLs |
//! | `reads` | every read stands in the log of the room |
//!
//! Everything that is refused is refused in the words of the protocol; what is not granted is
//! missing.

mod audit;
mod caller;
mod capabilities;
mod download;
mod error;
mod events;
mod lines;
mod links;
mod lists;
mod names;
mod parameters;
mod plain;
mod predicate;
mod query;
mod range;
mod reads;
mod seal;
mod tables;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use glovebox_contract::name::RoomId;

use self::caller::Caller;
use self::error::{Result, SharingError};
use self::parameters::Parameters;
use self::query::Asked;
use self::reads::Reads;
use self::seal::Seal;
use self::tables::Tables;
use crate::app::App;

/// What Delta Sharing keeps: where its tables are, the key of its URLs, reads that were logged.
pub(crate) struct Sharing {
    tables: Tables,
    seal: Seal,
    reads: Reads,
}

impl Sharing {
    pub(crate) fn new(secret: [u8; 32], home: &Path) -> Self {
        Self { tables: Tables::new(home), seal: Seal::new(secret), reads: Reads::default() }
    }
}

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path,)*) => {
        /// Method and pattern of every route.
        #[cfg(test)]
        pub(crate) const ROUTES: &[(&str, &str)] = &[$((stringify!($method), concat!("/delta-sharing", $path))),*];

        /// All of them.
        pub(crate) fn router() -> Router<Arc<App>> {
            let routes = Router::new()
                $(.route($path, on(MethodFilter::$method, $handler)))*;
            Router::new().nest("/delta-sharing", routes.fallback(nothing))
        }
    };
}

routes! {
    GET "/{room}/shares" => shares,
    GET "/{room}/shares/{share}" => share,
    GET "/{room}/shares/{share}/schemas" => schemas,
    GET "/{room}/shares/{share}/schemas/{schema}/tables" => tables_of_schema,
    GET "/{room}/shares/{share}/all-tables" => all_tables,
    HEAD "/{room}/shares/{share}/schemas/{schema}/tables/{table}" => version,
    GET "/{room}/shares/{share}/schemas/{schema}/tables/{table}/version" => version,
    GET "/{room}/shares/{share}/schemas/{schema}/tables/{table}/metadata" => metadata,
    POST "/{room}/shares/{share}/schemas/{schema}/tables/{table}/query" => query,
    GET "/{room}/shares/{share}/schemas/{schema}/tables/{table}/changes" => changes,
    POST "/{room}/shares/{share}/schemas/{schema}/tables/{table}/temporary-table-credentials" => credentials,
    GET "/files/{ticket}/{file}" => file,
}

type Host = State<Arc<App>>;
type Parts<T> = std::result::Result<UrlPath<T>, PathRejection>;
type Of3 = (String, String, String);
type Of4 = (String, String, String, String);

/// A path that is no text names nothing.
fn parts<T>(path: Parts<T>) -> Result<T> {
    path.map(|UrlPath(parts)| parts).map_err(|_| SharingError::missing("path"))
}

async fn shares(
    State(app): Host,
    path: Parts<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let caller = Caller::of(&app, &parts(path)?, &headers).await?;
    lists::shares(&caller, &Parameters::of(uri.query())?)
}

async fn share(
    State(app): Host,
    path: Parts<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let (room, share) = parts(path)?;
    lists::share(&Caller::of(&app, &room, &headers).await?, &share)
}

async fn schemas(
    State(app): Host,
    path: Parts<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let (room, share) = parts(path)?;
    let caller = Caller::of(&app, &room, &headers).await?;
    lists::schemas(&caller, &share, &Parameters::of(uri.query())?)
}

async fn tables_of_schema(
    State(app): Host,
    path: Parts<Of3>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let (room, share, schema) = parts(path)?;
    let caller = Caller::of(&app, &room, &headers).await?;
    lists::tables(&caller, &share, Some(&schema), &Parameters::of(uri.query())?)
}

async fn all_tables(
    State(app): Host,
    path: Parts<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let (room, share) = parts(path)?;
    let caller = Caller::of(&app, &room, &headers).await?;
    lists::tables(&caller, &share, None, &Parameters::of(uri.query())?)
}

async fn asked(app: &Arc<App>, path: Parts<Of4>, headers: &HeaderMap) -> Result<Asked> {
    let (room, share, schema, table) = parts(path)?;
    let caller = Caller::of(app, &room, headers).await?;
    capabilities::file_ids(headers)?;
    Asked::at(caller, [&share, &schema, &table]).await
}

async fn version(
    State(app): Host,
    path: Parts<Of4>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    asked(&app, path, &headers).await?.version(&Parameters::of(uri.query())?)
}

async fn metadata(
    State(app): Host,
    path: Parts<Of4>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    asked(&app, path, &headers).await?.metadata(&Parameters::of(uri.query())?, &headers)
}

async fn query(
    State(app): Host,
    path: Parts<Of4>,
    uri: Uri,
    headers: HeaderMap,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<Response> {
    let asked = asked(&app, path, &headers).await?;
    let body = body.map_err(|_| SharingError::malformed("the body is too long or broke off"))?;
    asked.query(&uri, &headers, &body).await
}

async fn changes(
    State(app): Host,
    path: Parts<Of4>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let asked = asked(&app, path, &headers).await?;
    asked.changes(&uri, &headers, &Parameters::of(uri.query())?).await
}

/// Tables are read file by file: nobody gets the run of a directory.
async fn credentials(State(app): Host, path: Parts<Of4>, headers: HeaderMap) -> Result<Response> {
    let (room, share, schema, table) = parts(path)?;
    Caller::of(&app, &room, &headers).await?.find([&share, &schema, &table])?;
    Err(SharingError::unsupported("this server gives out files by URL, and no credentials"))
}

async fn file(
    State(app): Host,
    path: Parts<(String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let (ticket, file) = parts(path).map_err(|_| SharingError::forbidden())?;
    let query = uri.query().unwrap_or_default();
    download::serve(&app, [&ticket, &file], query, &method, &headers).await
}

/// What is at no path is missing for those who have a token, and the others learn nothing.
async fn nothing(State(app): Host, uri: Uri, headers: HeaderMap) -> SharingError {
    // The prefix is off already.
    let room = uri.path().split('/').nth(1).unwrap_or_default();
    match Caller::of(&app, room, &headers).await {
        Ok(_) => SharingError::missing("path"),
        Err(error) => error,
    }
}

/// Brings the tables of a room up to date after its log has grown. What fails is tried again at
/// the next time, or when a recipient asks.
pub(crate) async fn after_run(app: &Arc<App>, room: &RoomId) {
    if tables::sync_room(app, room).await.is_err() {
        tracing::warn!(%room, "tables of a room could not be brought up to date");
    }
}

/// Brings the tables of all rooms up to date, which removes what has expired.
pub(crate) async fn housekeep(app: &Arc<App>) {
    for room in app.room_ids() {
        after_run(app, &room).await;
    }
}
