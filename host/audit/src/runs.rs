//! What was run, what it used and what it costs.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::canonical;
use glovebox_contract::name::{Alias, RunId, TableName};
use glovebox_contract::receipt::{Outcome, Receipt};
use glovebox_contract::state::{RoomState, Run, RunStatus};
use glovebox_contract::statement::{JailMode, Pin, RunStart, Snapshot};
use serde_json::{Value, json};

use crate::error::AuditError;
use crate::values::{digest, micros, number_of};

/// What the room said of a run when it was asked for. Later its notebook may be gone.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    author: Alias,
    version: String,
    /// When the version was added.
    pub(crate) added_at: u64,
    /// Name, owner and digest of each library.
    pub(crate) libraries: Value,
    owners: BTreeMap<TableName, Alias>,
    pub(crate) parameters: Value,
}

/// All runs of a room.
pub(crate) type Known = BTreeMap<RunId, Asked>;

impl Asked {
    /// Looks at a run in the room that has just taken the request.
    pub(crate) fn of(state: &RoomState, run: &Run) -> Result<Option<Self>, AuditError> {
        let version = state.notebook(run.notebook()).ok();
        let version = version.and_then(|notebook| notebook.version(run.revision()));
        let Some((version, bound)) = version.and_then(|it| Some((it, it.revision().ok()?))) else {
            return Ok(None);
        };
        let revision = bound.revision();
        let library = |(name, library): (_, &glovebox_contract::revision::RevisionLibrary)| {
            let component = library.component.blake3;
            json!({ "name": name, "owner": library.owner, "digest": component.to_string() })
        };
        let owner = |input: &glovebox_contract::revision::RevisionInput| {
            (input.table.clone(), input.owner.clone())
        };
        Ok(Some(Self {
            author: revision.author.clone(),
            version: version.asset().manifest.version.clone(),
            added_at: version.added_at(),
            libraries: revision.libraries.iter().map(library).collect(),
            owners: revision.inputs.iter().map(owner).collect(),
            parameters: digest(&canonical::digest(run.parameters())?),
        }))
    }
}

/// In which state a run is, in words like those of Databricks, and why.
pub(crate) fn state(run: &Run) -> (&'static str, Value) {
    match run.status() {
        RunStatus::Requested => ("REQUESTED", Value::Null),
        RunStatus::Started => ("RUNNING", Value::Null),
        RunStatus::Refused { reason } => ("REFUSED", json!(reason)),
        RunStatus::Ended { receipt, .. } => match &receipt.outcome {
            Outcome::Succeeded { .. } => ("SUCCESS", Value::Null),
            Outcome::Failed { reason } if run.cancelled() => ("CANCELED", json!(reason)),
            Outcome::Failed { reason } => ("FAILED", json!(reason)),
        },
    }
}

/// The row of a run.
pub(crate) fn row(room: &RoomState, known: &Known, run: &Run) -> Result<Value, AuditError> {
    let document = room.document();
    let (state, reason) = state(run);
    let payer = document.billing.as_ref().map_or(run.runner(), |it| it.payer_of(run.runner()));
    let mut row = json!({
        "clean_room_name": document.name,
        "central_clean_room_id": room.id().to_string(),
        "run_id": run.id(),
        "notebook_name": run.notebook(),
        "notebook_etag": digest(run.revision()),
        "notebook_checksum": digest(&run.component().blake3),
        "runner": run.runner(),
        "payer": payer,
        "state": state,
        "reason": reason,
        "requested_at": micros(run.requested_at()),
        "started_at": run.started_at().map(micros),
        "auto_approvals": rules(run),
        "outputs_deleted": run.outputs_deleted(),
    });
    let asked = known.get(run.id());
    if let Some(asked) = asked {
        add(
            &mut row,
            [
                ("author", json!(asked.author)),
                ("notebook_version", json!(asked.version)),
                ("library_digests", asked.libraries.clone()),
                ("parameters_digest", asked.parameters.clone()),
                ("data_owners", json!(asked.owners.values().collect::<BTreeSet<_>>())),
            ],
        );
    }
    if let Some(start) = run.start() {
        let jail = match start.jail {
            JailMode::Full => "full",
            JailMode::Off => "off",
        };
        add(&mut row, [("inputs", inputs(start, asked)?), ("jail", json!(jail))]);
    }
    if let Some(receipt) = run.receipt() {
        metered(&mut row, room, run, receipt);
    }
    Ok(row)
}

/// What the receipt says, and what that costs.
fn metered(row: &mut Value, room: &RoomState, run: &Run, receipt: &Receipt) {
    let outputs = receipt.outputs().into_iter().flatten();
    let rows = outputs.clone().map(|(_, file)| file.rows).fold(0, u64::saturating_add);
    let output = |(name, file): (_, &glovebox_contract::receipt::OutputFile)| {
        json!({
            "name": name,
            "rows": number_of(file.rows),
            "bytes": number_of(file.bytes),
            "digest": digest(&file.digest.blake3),
        })
    };
    let usage = receipt.usage;
    add(
        row,
        [
            ("finished_at", micros(receipt.finished_at)),
            ("cpu_seconds", thousandths(usage.cpu_ms)),
            ("wall_seconds", thousandths(usage.wall_ms)),
            ("peak_memory_bytes", number_of(usage.memory_bytes)),
            ("bytes_in", number_of(receipt.bytes_in())),
            ("bytes_out", number_of(receipt.bytes_out())),
            ("rows_out", number_of(rows)),
            ("outputs", outputs.map(output).collect()),
            ("evidence", json!(receipt.evidence)),
            ("receipt_digest", run.receipt_digest().map_or(Value::Null, digest)),
        ],
    );
    if let Some(billing) = &room.document().billing {
        add(
            row,
            [
                ("cost", json!(billing.cost(receipt).to_string())),
                ("currency", json!(billing.currency)),
            ],
        );
    }
}

/// The tables that were read, each with the digest of what was read.
fn inputs(start: &RunStart, asked: Option<&Asked>) -> Result<Value, AuditError> {
    let mut inputs = Vec::new();
    for (name, snapshot) in &start.inputs {
        let Snapshot { files, pin, .. } = snapshot;
        let bytes = files.iter().map(|file| file.bytes).fold(0, u64::saturating_add);
        let pinned_by = match pin {
            Pin::Content => "content",
            Pin::Version => "version",
        };
        inputs.push(json!({
            "name": name,
            "owner": asked.and_then(|asked| asked.owners.get(name)),
            "digest": digest(&canonical::digest(snapshot)?),
            "bytes": number_of(bytes),
            "pinned_by": pinned_by,
        }));
    }
    Ok(inputs.into())
}

/// The rules by which a run that has started was approved.
pub(crate) fn rules(run: &Run) -> Value {
    let of = |(owner, rules): (&Alias, &BTreeSet<_>)| {
        let rule = |rule| json!({ "owner": owner, "rule_id": rule });
        rules.iter().map(rule).collect::<Vec<_>>()
    };
    run.rules().iter().flat_map(of).collect()
}

/// `1234` as `1.234`, which JSON numbers do not keep.
fn thousandths(count: u64) -> Value {
    json!(format!("{}.{:03}", count / 1000, count % 1000))
}

fn add<const N: usize>(row: &mut Value, columns: [(&str, Value); N]) {
    if let Value::Object(members) = row {
        members.extend(columns.map(|(name, value)| (name.to_owned(), value)));
    }
}
