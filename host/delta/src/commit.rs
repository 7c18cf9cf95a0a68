//! A version as the actions of a commit, and back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use deltalake_core::kernel::{Action, Add, CommitInfo, Remove};
use deltalake_core::logstore::get_actions;
use glovebox_contract::digest::Blake3Digest;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{Context as _, DeltaError};
use crate::event::{Event, Mode, Removal, Write};
use crate::files;
use crate::history::{Change, Commit, DataFile, Format, Metadata, Protocol, Walk};
use crate::schema::{Schema, sorted};

/// Named in every commit as its writer.
const ENGINE: &str = "glovebox";

/// Keys of our own in `commitInfo`.
const EVENT: &str = "gloveboxStatement";
const GONE: &str = "gloveboxGone";
const REFUSED: &str = "gloveboxRefused";
const REMOVED: &str = "gloveboxRemoved";

/// A file that was put into the table for a commit.
pub(crate) struct Placed {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) stats: Option<String>,
}

/// What became of the rows of a write.
pub(crate) enum Rows {
    /// They are in these files.
    Here(Vec<Placed>),
    /// Their files are gone.
    Gone,
}

/// The version after those that `walk` went through.
pub(crate) fn next(walk: &Walk, version: u64, timestamp: i64, event: &Event, rows: Rows) -> Commit {
    let mut commit = Commit {
        version,
        timestamp,
        event: *event.id(),
        change: Change::Append,
        protocol: None,
        metadata: None,
        added: Vec::new(),
        removed: Vec::new(),
    };
    match event {
        Event::Write(write) => write_into(&mut commit, walk, write, rows),
        Event::Removal(Removal { of, .. }) => {
            commit.change = Change::Removal { of: *of };
            let went = walk.files.iter().filter(|file| file.write == *of);
            commit.removed = went.cloned().collect();
        }
    }
    commit
}

fn write_into(commit: &mut Commit, walk: &Walk, write: &Write, rows: Rows) {
    let replace = write.mode == Mode::Replace;
    if replace {
        commit.removed.clone_from(&walk.files);
    }
    let schema = match (Schema::of(&write.columns), &walk.metadata) {
        (Ok(schema), Some(before))
            if !replace && !is_empty(before) && before.schema_string != schema.text =>
        {
            Err("the run has other columns than the runs before, and the output appends; \
                 let a run replace it"
                .to_owned())
        }
        (schema, _) => schema,
    };
    let schema = match schema {
        Ok(schema) => {
            commit.change = match rows {
                Rows::Gone => Change::Gone { replace },
                Rows::Here(placed) => {
                    commit.added = placed.into_iter().map(|file| data_file(commit, file)).collect();
                    if replace { Change::Replace } else { Change::Append }
                }
            };
            Some(schema)
        }
        Err(why) => {
            commit.change = Change::Refused { replace, why };
            walk.metadata.is_none().then(Schema::empty)
        }
    };
    if let Some(schema) = schema {
        set_schema(commit, walk, &schema);
    }
}

fn data_file(commit: &Commit, placed: Placed) -> Arc<DataFile> {
    Arc::new(DataFile {
        name: placed.name,
        bytes: placed.bytes,
        stats: placed.stats,
        write: commit.event,
        version: commit.version,
        timestamp: commit.timestamp,
    })
}

fn is_empty(metadata: &Metadata) -> bool {
    metadata.schema_string == Schema::empty().text
}

fn set_schema(commit: &mut Commit, walk: &Walk, schema: &Schema) {
    let protocol = protocol(schema.has_timestamp_ntz);
    let has_features = |protocol: &Protocol| protocol.reader_features.is_some();
    // A protocol is never taken back.
    if walk.protocol.as_deref().is_none_or(|before| !has_features(before) && *before != protocol) {
        commit.protocol = Some(Arc::new(protocol));
    }
    let before = walk.metadata.as_deref();
    if before.is_some_and(|before| before.schema_string == schema.text) {
        return;
    }
    let id = before.map_or_else(|| table_id(&commit.event), |before| before.id.clone());
    let created_time = before.map_or(Some(commit.timestamp), |before| before.created_time);
    commit.metadata = Some(Arc::new(Metadata {
        id,
        format: Format { provider: "parquet".into(), options: BTreeMap::new() },
        schema_string: schema.text.clone(),
        partition_columns: Vec::new(),
        configuration: BTreeMap::from([("delta.enableChangeDataFeed".into(), "true".into())]),
        created_time,
    }));
}

/// The lowest protocol that has a change data feed and what the schema needs.
fn protocol(has_timestamp_ntz: bool) -> Protocol {
    let features = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    if has_timestamp_ntz {
        Protocol {
            min_reader_version: 3,
            min_writer_version: 7,
            reader_features: features(&["timestampNtz"]),
            writer_features: features(&[
                "appendOnly",
                "changeDataFeed",
                "invariants",
                "timestampNtz",
            ]),
        }
    } else {
        Protocol {
            min_reader_version: 1,
            min_writer_version: 4,
            reader_features: None,
            writer_features: None,
        }
    }
}

/// The same for the same first event, in the form of a UUID.
pub(crate) fn table_id(first: &Blake3Digest) -> String {
    let hex = first.to_hex();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
}

/// The commit as the bytes of its log entry: the same bytes for the same commit.
pub(crate) fn encode(commit: &Commit) -> Result<Bytes, DeltaError> {
    let mut actions = vec![Action::CommitInfo(commit_info(commit))];
    if let Some(protocol) = &commit.protocol {
        actions.push(Action::Protocol(convert(protocol.as_ref())?));
    }
    if let Some(metadata) = &commit.metadata {
        actions.push(Action::Metadata(convert(metadata.as_ref())?));
    }
    let data_change = !matches!(commit.change, Change::Removal { .. });
    for file in &commit.removed {
        actions.push(Action::Remove(Remove {
            path: file.name.clone(),
            data_change,
            deletion_timestamp: Some(commit.timestamp),
            extended_file_metadata: Some(true),
            partition_values: Some(HashMap::new()),
            size: i64::try_from(file.bytes).ok(),
            ..Remove::default()
        }));
    }
    for file in &commit.added {
        actions.push(Action::Add(Add {
            path: file.name.clone(),
            size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
            modification_time: commit.timestamp,
            data_change: true,
            stats: file.stats.clone(),
            ..Add::default()
        }));
    }
    let mut text = String::new();
    for action in &actions {
        let value = serde_json::to_value(action).trying(|| "write a commit".into())?;
        text.push_str(&sorted(value).to_string());
        text.push('\n');
    }
    Ok(text.into())
}

fn commit_info(commit: &Commit) -> CommitInfo {
    let mut info = HashMap::from([(EVENT.to_owned(), json!(commit.event))]);
    let (operation, mode) = match &commit.change {
        Change::Removal { of } => {
            info.insert(REMOVED.into(), json!(of));
            ("DELETE", None)
        }
        Change::Replace => ("WRITE", Some("Overwrite")),
        Change::Append => ("WRITE", Some("Append")),
        Change::Gone { replace } => {
            info.insert(GONE.into(), json!(true));
            ("WRITE", Some(if *replace { "Overwrite" } else { "Append" }))
        }
        Change::Refused { replace, why } => {
            info.insert(REFUSED.into(), json!(why));
            ("WRITE", Some(if *replace { "Overwrite" } else { "Append" }))
        }
    };
    CommitInfo {
        timestamp: Some(commit.timestamp),
        operation: Some(operation.into()),
        operation_parameters: mode.map(|mode| HashMap::from([("mode".into(), json!(mode))])),
        is_blind_append: Some(commit.change == Change::Append),
        engine_info: Some(ENGINE.into()),
        info,
        ..CommitInfo::default()
    }
}

/// Between our form of an action and that of `deltalake`.
fn convert<T: Serialize, U: serde::de::DeserializeOwned>(from: &T) -> Result<U, DeltaError> {
    serde_json::to_value(from)
        .and_then(serde_json::from_value)
        .trying(|| "bring an action into another form".into())
}

/// Reads a log entry back. None when this crate did not write it.
pub(crate) fn decode(
    walk: &Walk,
    version: u64,
    bytes: &Bytes,
) -> Result<Option<Commit>, DeltaError> {
    let actions = get_actions(version, bytes).trying(|| "read the log of a table".into())?;
    let mut actions = actions.into_iter();
    let Some(Action::CommitInfo(info)) = actions.next() else { return Ok(None) };
    let Some((event, timestamp)) = digest(&info, EVENT).zip(info.timestamp) else {
        return Ok(None);
    };
    let mut commit = Commit {
        version,
        timestamp,
        event,
        change: change(&info),
        protocol: None,
        metadata: None,
        added: Vec::new(),
        removed: Vec::new(),
    };
    for action in actions {
        match action {
            Action::Protocol(protocol) => commit.protocol = Some(Arc::new(convert(&protocol)?)),
            Action::Metadata(metadata) => commit.metadata = Some(Arc::new(convert(&metadata)?)),
            Action::Remove(remove) => {
                let Some(file) = walk.files.iter().find(|file| file.name == remove.path) else {
                    return Ok(None);
                };
                commit.removed.push(file.clone());
            }
            Action::Add(add) if files::write_of(&add.path) == Some(event) => {
                let bytes = u64::try_from(add.size).unwrap_or_default();
                let placed = Placed { name: add.path, bytes, stats: add.stats };
                commit.added.push(data_file(&commit, placed));
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(commit))
}

fn digest(info: &CommitInfo, key: &str) -> Option<Blake3Digest> {
    info.info.get(key)?.as_str()?.parse().ok()
}

fn change(info: &CommitInfo) -> Change {
    let mode = info.operation_parameters.as_ref().and_then(|parameters| parameters.get("mode"));
    let replace = mode.and_then(Value::as_str) == Some("Overwrite");
    if let Some(of) = digest(info, REMOVED) {
        return Change::Removal { of };
    }
    if let Some(why) = info.info.get(REFUSED).and_then(Value::as_str) {
        return Change::Refused { replace, why: why.to_owned() };
    }
    if info.info.contains_key(GONE) {
        return Change::Gone { replace };
    }
    if replace { Change::Replace } else { Change::Append }
}
