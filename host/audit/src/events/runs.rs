//! Runs and their outputs.

use glovebox_contract::name::RunId;
use glovebox_contract::receipt::{Outcome, Receipt};
use glovebox_contract::state::Run;
use glovebox_contract::statement::HOST_ALIAS;
use serde_json::{Value, json};

use super::Event;
use crate::runs;
use crate::said::Said;
use crate::values::{digest, micros, number_of};

/// An event about a run.
pub(super) fn event(said: &Said<'_>, name: &'static str, id: &RunId) -> Event {
    let event = Event::new(name).with("run_id", json!(id));
    let Ok(run) = said.state.run(id) else { return event };
    let event = event
        .with("requested_by", json!(run.runner()))
        .with("notebook_name", json!(run.notebook()));
    match said.runs.get(id) {
        None => event,
        Some(asked) => event
            .with("parameters_digest", asked.parameters.clone())
            .with("library_digests", asked.libraries.clone()),
    }
}

/// The run that the statement asks for.
pub(super) fn requested(said: &Said<'_>) -> Event {
    event(said, "RUN_NOTEBOOK_REQUESTED", &RunId::of_request(&said.applied.digest))
}

/// A run started; followed by each rule that approved it.
pub(super) fn started(said: &Said<'_>, id: &RunId) -> Vec<Event> {
    let started = event(said, "RUN_NOTEBOOK_STARTED", id);
    let Ok(run) = said.state.run(id) else { return vec![started] };
    let started = started.with(
        "run_notebook_started_metadata",
        json!({
            "notebook_name": run.notebook(),
            "notebook_checksum": digest(&run.component().blake3),
            "run_id": id,
            "notebook_etag": digest(run.revision()),
            "notebook_update_time": said.runs.get(id).map(|asked| micros(asked.added_at)),
        }),
    );
    let used = run.rules().iter().flat_map(|(owner, rules)| {
        rules.iter().map(move |rule| {
            let used = json!({ "owner": owner, "rule_id": rule, "action": "USED" });
            event(said, "AUTO_APPROVAL_RULE_USED", id).by(owner).with("rule_metadata", used)
        })
    });
    [started].into_iter().chain(used).collect()
}

/// A run ended.
pub(super) fn ended(said: &Said<'_>, receipt: &Receipt) -> Event {
    let id = &receipt.run;
    let ended = event(said, "RUN_NOTEBOOK_COMPLETED", id);
    let reason = match &receipt.outcome {
        Outcome::Succeeded { .. } => Value::Null,
        Outcome::Failed { reason } => json!(reason),
    };
    let ended = ended.with("reason", reason);
    let Ok(run) = said.state.run(id) else { return ended };
    let started = run.started_at().unwrap_or(receipt.finished_at);
    ended.with(
        "run_notebook_completed_metadata",
        json!({
            "notebook_name": run.notebook(),
            "run_id": id,
            "state": runs::state(run).0,
            "duration_in_seconds": number_of(receipt.finished_at.saturating_sub(started)),
            "output_schema": receipt.outputs().map(|_| schema(id)),
        }),
    )
}

/// The outputs of a run are gone: its runner deleted them, or they expired.
pub(super) fn outputs_deleted(said: &Said<'_>, id: &RunId) -> Event {
    let by_host = said.statement().party.as_str() == HOST_ALIAS;
    let run = said.state.run(id).ok();
    let receipt = run.and_then(Run::receipt);
    event(said, "OUTPUT_SCHEMA_DELETED", id).with(
        "output_schema_deleted_metadata",
        json!({
            "name": schema(id),
            "owner_global_metastore_id": run.and_then(|run| said.metastore_of(run.runner())),
            "action": if by_host { "EXPIRED" } else { "DELETED" },
            "expire_time": receipt.map(|receipt| micros(said.state.expires_at(receipt))),
        }),
    )
}

/// What the gateway calls the schema of a run's outputs.
fn schema(run: &RunId) -> String {
    format!("run_{run}")
}
