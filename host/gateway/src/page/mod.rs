//! Pages for people who would rather look: rooms, notebooks with a form, runs, outputs.
//!
//! They are made here, whole, without a script and without anything from elsewhere; what is in
//! them came from other parties and is written as text ([`html`]). Whoever comes logs in with a
//! token of the gateway; the token stays in memory, the browser gets the name of a session. Every
//! page asks the same [`crate::access`] as the REST calls do, with the same token.
//!
//! No page shows code: a notebook is its name, its version and what its author says of it.

mod form;
mod html;
mod login;
mod notebook;
mod output;
mod room;
mod rooms;
mod run;
mod session;
#[cfg(test)]
mod tests;
mod visit;
mod words;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::app::App;
use visit::{look, send};

pub(crate) use session::Pages;

/// Most bytes of a form.
const FORM_BYTES: usize = 1 << 20;
const STYLE: &str = include_str!("style.css");

/// Reads the first rows of a Parquet file. Comes from outside, so that this crate links no engine.
pub type ReadTable = fn(&Path, usize) -> Result<TablePreview, String>;

/// The first rows of a table, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePreview {
    /// Its columns.
    pub columns: Vec<PreviewColumn>,
    /// The first rows, one value a column; none where there is no value.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many rows the table has.
    pub total_rows: u64,
}

/// A column of a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewColumn {
    /// Its name.
    pub name: String,
    /// Its type, in words.
    pub kind: String,
    /// Whether it holds numbers, which stand on the right.
    pub numeric: bool,
}

/// All pages.
pub(crate) fn router() -> Router<Arc<App>> {
    let run = "/rooms/{room}/runs/{run}";
    Router::new()
        .route("/", get(look(rooms::show)))
        .route("/login", get(login::show).post(login::enter))
        .route("/logout", post(send(login::leave)))
        .route("/rooms/{room}", get(look(room::show)))
        .route(
            "/rooms/{room}/notebooks/{notebook}",
            get(look(notebook::show)).post(send(notebook::run)),
        )
        .route(run, get(look(run::show)))
        .route(&format!("{run}/cancel"), post(send(run::cancel)))
        .route(&format!("{run}/outputs/{{output}}"), get(look(output::show)))
        .route(&format!("{run}/outputs/{{output}}/parquet"), get(look(output::download)))
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .route("/style.css", get(style))
}

async fn style() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("max-age=3600")),
    ];
    (headers, STYLE)
}
