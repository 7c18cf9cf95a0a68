//! `glovebox audit`: what happened in rooms, by SQL.

mod tables;

use std::io::Seek as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use glovebox_audit::{Table, columns, write_parquet};
use glovebox_query::local::{LocalTable, select};
use serde_json::json;

use self::tables::Tables;
use crate::arguments::Audit;
use crate::context::Context;
use crate::failure::Refused;
use crate::host::Host;
use crate::output_file;
use crate::terminal::{self, plain, print_json};

/// What is shown when nothing was asked.
const EVENTS: &str = "SELECT event_time AS time, clean_room_name AS room, \
    initiator_collaborator_alias AS by, event_type AS event, summary AS says, reason \
    FROM events ORDER BY event_time, central_clean_room_id, position";

/// What is written to a file when nothing was asked.
const ALL_OF_EVENTS: &str =
    "SELECT * FROM events ORDER BY event_time, central_clean_room_id, position";

pub(crate) fn run(context: &Context, audit: &Audit) -> Result<ExitCode> {
    if audit.columns {
        list_columns(context)?;
        return Ok(ExitCode::SUCCESS);
    }
    let sql = match (&audit.sql, &audit.sql_file) {
        (Some(sql), _) => sql.clone(),
        (None, Some(file)) => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the query in {}", file.display()))?,
        (None, None) if audit.output.is_some() => ALL_OF_EVENTS.into(),
        (None, None) => EVENTS.into(),
    };
    let Read { tables, whole } = read(context, audit)?;
    let (schema, batches) = select(tables, &sql).map_err(|failure| Refused {
        reason: failure.reason(),
        what: format!("the query: {}", plain(failure.detail())),
    })?;
    let answer = Table { schema, batches };
    match &audit.output {
        Some(file) => write(context, &answer, file)?,
        None => show(context, &answer)?,
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The tables of all rooms that were asked for.
struct Read {
    tables: Vec<LocalTable>,
    /// Whether every room could be read.
    whole: bool,
}

fn read(context: &Context, audit: &Audit) -> Result<Read> {
    let mut all = Tables::empty()?;
    for file in &audit.bundles {
        let tables = Tables::of_bundle(file);
        all = all.and(tables.with_context(|| format!("no answer from {}", file.display()))?);
    }
    let mut whole = true;
    if audit.all || !audit.rooms.is_empty() {
        let (rooms, all_rooms) = read_rooms(context, audit)?;
        all = all.and(rooms);
        whole = all_rooms;
    }
    Ok(Read { tables: all.named()?, whole })
}

/// Reads rooms, and says whether all of them could be read.
fn read_rooms(context: &Context, audit: &Audit) -> Result<(Tables, bool)> {
    let host = context.host()?;
    let key = || context.key_for_host(audit.key.as_deref());
    let mut names = audit.rooms.clone();
    let mut whole = true;
    let mut failed = |room: &str, error: &anyhow::Error| {
        // The answer is about the others, and says so.
        let why = plain(&format!("{error:#}"));
        eprintln!("warning: the room {} is left out: {why}", plain(room));
        whole = false;
    };
    if audit.all {
        names = host.rooms(key()?)?.iter().map(|room| room.id.to_string()).collect();
        if let Host::Local(home) = &host {
            for damaged in home.damaged_rooms()? {
                failed(&damaged.directory, &damaged.error.into());
            }
        }
    }
    let mut all = Tables::empty()?;
    for name in names {
        let read = host.room(&name, key()?).and_then(|room| Tables::of_room(&room));
        match read {
            Ok(tables) => all = all.and(tables),
            Err(error) if audit.all => failed(&name, &error),
            Err(error) => return Err(error),
        }
    }
    Ok((all, whole))
}

fn show(context: &Context, answer: &Table) -> Result<()> {
    if context.json() {
        return print_json(&output_file::json_batches(&answer.batches)?);
    }
    let fields = answer.schema.fields();
    let header: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
    let numeric = fields.iter().filter(|field| field.data_type().is_numeric());
    let right: Vec<_> = numeric.map(|field| field.name().as_str()).collect();
    let mut rows = Vec::new();
    for batch in &answer.batches {
        output_file::append_rows(batch, usize::MAX, &mut rows)?;
    }
    if rows.is_empty() {
        println!("no rows");
        return Ok(());
    }
    println!("{}", terminal::table(&header, &right, rows));
    Ok(())
}

fn write(context: &Context, answer: &Table, path: &Path) -> Result<()> {
    let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
    write_parquet(answer, &mut file)?;
    file.rewind()?;
    output_file::export(file, output_file::format_of(path), path)?;
    if context.json() {
        return print_json(&json!({ "file": path, "rows": answer.rows() }));
    }
    println!("{} rows → {}", answer.rows(), path.display());
    Ok(())
}

fn list_columns(context: &Context) -> Result<()> {
    let now = [("now", "timestamp(us, UTC)")];
    let mut rows = Vec::new();
    for (table, named) in [
        ("events", columns::EVENTS),
        ("runs", columns::RUNS),
        ("statements", columns::STATEMENTS),
        ("clock", now.as_slice()),
    ] {
        for column in columns::columns(named)? {
            rows.push([table.to_owned(), column.name, column.column_type.to_string()]);
        }
    }
    if context.json() {
        let rows = rows
            .iter()
            .map(|[table, column, of]| json!({ "table": table, "column": column, "type": of }));
        return print_json(&rows.collect::<Vec<_>>());
    }
    for [table, column, of] in rows {
        println!("{table}.{column} {of}");
    }
    Ok(())
}
