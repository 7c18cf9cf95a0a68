//! Outputs where a Databricks client looks for them: the schema of a run in the room's output
//! catalog, and files of a volume.
//!
//! | what | call |
//! |---|---|
//! | runs with outputs | `GET /api/2.1/unity-catalog/schemas?catalog_name=C` |
//! | output tables of a run | `GET /api/2.1/unity-catalog/tables?catalog_name=C&schema_name=run_…` |
//! | one of them | `GET /api/2.1/unity-catalog/tables/C.run_….T` |
//! | its Parquet file | `GET /api/2.0/fs/files/Volumes/C/run_…/outputs/T.parquet` |
//! | the same | `GET /api/glovebox/outputs/C.run_….T` |
//!
//! The last but one is `files.download("/Volumes/…")` of the client. Each download is a signed output-read
//! in the room's log; the length (`HEAD`) is not.

use std::sync::Arc;

use chrono::DateTime;
use glovebox_contract::name::{Alias, Identifier, RunId};
use glovebox_contract::receipt::{OutputFile, Receipt};
use glovebox_contract::state::{RoomState, Run};
use serde_json::{Value, json};

use crate::access::{Action, Resource};
use crate::app::{App, Entered, ms};
use crate::call::{Call, Reply, shown};
use crate::columns;
use crate::error::Failure;
use crate::paging::Sizes;
use crate::runs::{run_of_schema, schema_name};

const SIZES: Sizes = Sizes { usual: 100, most: 1000 };

/// The runs whose outputs the party may read.
pub(crate) fn schemas(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let query = call.query(&["catalog_name", "include_browse", "max_results", "page_token"])?;
    let catalog = query.needed("catalog_name")?;
    let entered = enter(app, call, catalog)?;
    let scope = ["schemas", catalog, entered.principal.name().as_str()];
    let page = app.pager.page(query, "max_results", &scope, SIZES)?;
    let room = entered.fresh()?;
    let (state, me) = (room.state(), app.me(room.state())?);
    let readable = |run: &&Run| state.may_read_output(run.id(), &me, room.now()).is_ok();
    let mut runs: Vec<&Run> = state.runs().filter(readable).collect();
    runs.sort_by_key(|run| run.id().to_string());
    let (runs, next) = page.cut(runs, |run| run.id().to_string());
    let schemas: Vec<Value> = runs
        .into_iter()
        .map(|run| {
            let schema = schema_name(run.id());
            json!({
                "name": schema,
                "catalog_name": catalog,
                "full_name": format!("{catalog}.{schema}"),
                "comment": format!("outputs of {} run by {}", run.notebook(), run.runner()),
                "created_at": run.receipt().map(|receipt| ms(receipt.finished_at)),
            })
        })
        .collect();
    Ok(Reply::json(json!({ "schemas": schemas, "next_page_token": next })))
}

/// The output tables of a run.
pub(crate) fn tables(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let query = call.query(&[
        "catalog_name",
        "schema_name",
        "include_browse",
        "include_delta_metadata",
        "include_manifest_capabilities",
        "max_results",
        "omit_columns",
        "omit_properties",
        "omit_username",
        "page_token",
    ])?;
    let (catalog, schema) = (query.needed("catalog_name")?, query.needed("schema_name")?);
    let entered = enter(app, call, catalog)?;
    let scope = ["tables", catalog, schema, entered.principal.name().as_str()];
    let page = app.pager.page(query, "max_results", &scope, SIZES)?;
    let with_columns = !query.flag("omit_columns")?;
    let room = entered.fresh()?;
    let state = room.state();
    let (run, receipt) = readable(state, &app.me(state)?, schema, room.now())?;
    let outputs = receipt.outputs().into_iter().flatten();
    let (outputs, next) = page.cut(outputs, |(name, _)| name.to_string());
    let tables: Vec<Value> = outputs
        .into_iter()
        .map(|(name, file)| table(state, run, receipt, (catalog, name, file), with_columns))
        .collect();
    Ok(Reply::json(json!({ "tables": tables, "next_page_token": next })))
}

/// One output table, by `catalog.schema.table`.
pub(crate) fn get_table(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    call.query(&["include_browse", "include_delta_metadata", "include_manifest_capabilities"])?;
    let (catalog, schema, output) = full_name(call)?;
    let entered = enter(app, call, catalog)?;
    let room = entered.fresh()?;
    let state = room.state();
    let (run, receipt) = readable(state, &app.me(state)?, schema, room.now())?;
    let (name, file) = output_of(receipt, output)?;
    Ok(Reply::json(table(state, run, receipt, (catalog, name, file), true)))
}

fn full_name(call: &Call) -> Result<(&str, &str, &str), Failure> {
    let mut parts = call.part("full_name").split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(catalog), Some(schema), Some(output), None) => Ok((catalog, schema, output)),
        _ => Err(Failure::invalid("a table is named catalog.schema.table")),
    }
}

/// The file that the path names by catalog, schema and table.
fn file(app: &App, call: &Call, with_content: bool) -> Result<Reply, Failure> {
    let file = call.part("file");
    let output = file.strip_suffix(".parquet").ok_or_else(|| no_file(file))?;
    parquet(app, call, (call.part("catalog"), call.part("schema"), output), with_content)
}

/// The Parquet file of an output, its content included or not.
fn parquet(
    app: &App,
    call: &Call,
    (catalog, schema, output): (&str, &str, &str),
    with_content: bool,
) -> Result<Reply, Failure> {
    let entered = enter(app, call, catalog)?;
    let (run, name, file, modified) = {
        let room = entered.fresh()?;
        let state = room.state();
        let (run, receipt) = readable(state, &app.me(state)?, schema, room.now())?;
        let (name, file) = output_of(receipt, output)?;
        (*run.id(), name.clone(), *file, http_date(receipt.finished_at))
    };
    let content = if with_content { Some(fetch(app, &entered, &run, &name)?) } else { None };
    Ok(Reply::File { content, bytes: file.bytes, modified })
}

/// Downloads an output; the party signs that it reads it.
pub(crate) fn download(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    file(app, call, true)
}

/// Downloads an output by `catalog.schema.table`.
pub(crate) fn download_named(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    parquet(app, call, full_name(call)?, true)
}

/// How long an output is.
pub(crate) fn measure(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    file(app, call, false)
}

fn fetch(
    app: &App,
    entered: &Entered,
    run: &RunId,
    output: &Identifier,
) -> Result<std::fs::File, Failure> {
    use std::io::Seek as _;

    // A room of its own: a large output takes a while, and others go on meanwhile.
    let mut room = app.host.open(&entered.id)?;
    let mut file = tempfile::tempfile_in(&app.state).map_err(Failure::internal)?;
    room.read_output_with(run, output, &mut file)?;
    file.rewind().map_err(Failure::internal)?;
    tracing::info!(
        room = %entered.id, principal = %entered.principal.name(), %run, %output, "read an output"
    );
    Ok(file)
}

/// Lets a call into the room that has this output catalog.
fn enter(app: &App, call: &Call, catalog: &str) -> Result<Entered, Failure> {
    app.access.authenticate(&call.headers, call.peer)?;
    let Some(room) = app.store.room_with_catalog(catalog)? else {
        let unknown = Resource::UnknownRoom(format!("of catalog {}", shown(catalog)));
        app.access.authorize(&call.headers, call.peer, Action::ReadOutput, &unknown)?;
        return Err(Failure::missing(format!("catalog `{}` does not exist", shown(catalog))));
    };
    app.enter_named(call, &room.to_string(), Action::ReadOutput)
}

fn readable<'a>(
    state: &'a RoomState,
    me: &Alias,
    schema: &str,
    now: u64,
) -> Result<(&'a Run, &'a Receipt), Failure> {
    // Whatever the reason, what the party may not read is not there.
    let missing = || Failure::missing(format!("schema `{}` does not exist", shown(schema)));
    let run = run_of_schema(schema).ok_or_else(missing)?;
    let receipt = state.may_read_output(&run, me, now).map_err(|_| missing())?;
    Ok((state.run(&run)?, receipt))
}

fn output_of<'a>(
    receipt: &'a Receipt,
    output: &str,
) -> Result<(&'a Identifier, &'a OutputFile), Failure> {
    let mut outputs = receipt.outputs().into_iter().flatten();
    outputs.find(|(name, _)| name.as_str() == output).ok_or_else(|| no_file(output))
}

fn no_file(name: &str) -> Failure {
    Failure::missing(format!("the run has no output `{}`", shown(name)))
}

fn table(
    state: &RoomState,
    run: &Run,
    receipt: &Receipt,
    (catalog, name, file): (&str, &Identifier, &OutputFile),
    with_columns: bool,
) -> Value {
    let schema = schema_name(run.id());
    let version = state.notebook(run.notebook()).ok().and_then(|it| it.version(run.revision()));
    let declared = version.and_then(|version| version.asset().manifest.outputs.get(name));
    let columns = declared.filter(|_| with_columns).map(|it| columns::infos(&it.columns));
    let finished = ms(receipt.finished_at);
    json!({
        "name": name,
        "catalog_name": catalog,
        "schema_name": schema,
        "full_name": format!("{catalog}.{schema}.{name}"),
        "table_type": "MANAGED",
        "data_source_format": "PARQUET",
        "columns": columns,
        "comment": declared.map(|declared| declared.description.as_str()),
        "created_at": finished,
        "updated_at": finished,
        "properties": {
            "glovebox.rows": file.rows.to_string(),
            "glovebox.bytes": file.bytes.to_string(),
            "glovebox.digest": file.digest.to_string(),
            "glovebox.file": format!("/Volumes/{catalog}/{schema}/outputs/{name}.parquet"),
            "glovebox.expires_at": ms(state.expires_at(receipt)).to_string(),
        },
    })
}

/// A time as HTTP writes it.
fn http_date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(0);
    let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_what_http_wants() {
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(1_795_269_600), "Sat, 21 Nov 2026 14:00:00 GMT");
    }
}
