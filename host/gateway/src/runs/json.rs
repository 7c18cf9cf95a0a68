//! Runs as the Jobs API and the clean room lists write them.

use glovebox_contract::name::{Alias, RunId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::state::{RoomState, Run, RunStatus};
use glovebox_contract::statement::OutputReaders;
use serde_json::{Value, json};

use crate::app::ms;
use crate::store::Job;

/// How a run stands, in Databricks' words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    life_cycle: &'static str,
    result: Option<&'static str>,
    reason: Option<ReasonCode>,
    message: String,
}

impl Standing {
    fn going(life_cycle: &'static str, message: &str) -> Self {
        Self { life_cycle, result: None, reason: None, message: message.into() }
    }

    fn ended(result: &'static str, reason: Option<ReasonCode>, message: String) -> Self {
        Self { life_cycle: "TERMINATED", result: Some(result), reason, message }
    }

    /// How a run in the log stands.
    pub(crate) fn of(run: &Run) -> Self {
        match run.status() {
            RunStatus::Requested if run.cancelled() => {
                Self::going("TERMINATING", "being cancelled")
            }
            RunStatus::Requested => Self::going("QUEUED", "waiting for its turn at the host"),
            RunStatus::Started if run.cancelled() => Self::going("TERMINATING", "being cancelled"),
            RunStatus::Started => Self::going("RUNNING", "in run"),
            RunStatus::Refused { reason } => Self::failed(*reason, "was refused", run.cancelled()),
            RunStatus::Ended { receipt, .. } => match &receipt.outcome {
                Outcome::Succeeded { .. } => Self::ended("SUCCESS", None, String::new()),
                Outcome::Failed { reason } => Self::failed(*reason, "failed", run.cancelled()),
            },
        }
    }

    fn failed(reason: ReasonCode, what: &str, cancelled: bool) -> Self {
        let result = match reason {
            _ if cancelled => "CANCELED",
            ReasonCode::Cancelled => "CANCELED",
            ReasonCode::Deadline | ReasonCode::CpuLimit => "TIMEDOUT",
            _ => "FAILED",
        };
        Self::ended(result, Some(reason), format!("the run {what}: {reason}"))
    }

    /// How a run stands whose request never came to the log.
    pub(crate) fn not_in_log(job: &Job) -> Self {
        match &job.failure {
            Some(failure) => Self::ended("FAILED", None, failure.clone()),
            None => Self::going("PENDING", "being sent to the host"),
        }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.result.is_some()
    }

    /// The reason or the message of a failure.
    pub(crate) fn error(&self) -> Option<&str> {
        self.result.filter(|result| *result != "SUCCESS").map(|_| self.message.as_str())
    }

    /// The `state` of the Jobs API.
    fn state(&self) -> Value {
        json!({
            "life_cycle_state": self.life_cycle,
            "result_state": self.result,
            "state_message": self.message,
            "user_cancelled_or_timedout": matches!(self.result, Some("CANCELED" | "TIMEDOUT")),
        })
    }

    /// The `status` of the Jobs API, which says the same in newer words.
    fn status(&self) -> Value {
        let Some(result) = self.result else {
            return json!({ "state": self.life_cycle });
        };
        let ours = [
            ReasonCode::Internal,
            ReasonCode::WorkerDied,
            ReasonCode::WorkerProtocol,
            ReasonCode::JailUnavailable,
            ReasonCode::StorageFull,
            ReasonCode::HostRestarted,
        ];
        let (code, kind) = match result {
            "SUCCESS" => ("SUCCESS", "SUCCESS"),
            "CANCELED" => ("USER_CANCELED", "SUCCESS"),
            _ if self.reason.is_some_and(|reason| ours.contains(&reason)) => {
                ("INTERNAL_ERROR", "INTERNAL_ERROR")
            }
            _ => ("RUN_EXECUTION_ERROR", "CLIENT_ERROR"),
        };
        json!({
            "state": self.life_cycle,
            "termination_details": { "code": code, "type": kind, "message": self.message },
        })
    }

    /// The state in lists of clean room runs.
    pub(super) fn task_run_state(&self) -> Value {
        json!({ "life_cycle_state": self.life_cycle, "result_state": self.result })
    }
}

/// The number by which the Jobs API knows a run: the first 53 bits of its id, so that every program
/// can hold it and it is the same wherever it is computed.
pub(crate) fn number(run: &RunId) -> u64 {
    let digits: String = run.to_string().chars().take(14).collect();
    (u64::from_str_radix(&digits, 16).unwrap_or(0) >> 3).max(1)
}

/// The schema of a run's outputs.
pub(crate) fn schema_name(run: &RunId) -> String {
    format!("run_{run}")
}

/// The run whose outputs a schema has.
pub(crate) fn run_of_schema(schema: &str) -> Option<RunId> {
    schema.strip_prefix("run_")?.parse().ok()
}

/// When a run began and ended and how long it took, in milliseconds.
struct Times {
    start: u64,
    end: Option<u64>,
    queued: Option<u64>,
    execution: Option<u64>,
}

impl Times {
    fn of(run: Option<&Run>, job: Option<&Job>) -> Self {
        let asked = run.map(|run| ms(run.requested_at()));
        let start = asked.or(job.map(|job| job.submitted_at)).unwrap_or_default();
        let receipt = run.and_then(Run::receipt);
        let end = receipt.map(|receipt| ms(receipt.finished_at).max(start));
        let started = run.and_then(Run::started_at).map(|at| ms(at).max(start));
        Self {
            start,
            end,
            queued: started.map(|at| at.saturating_sub(start)),
            execution: started.zip(end).map(|(from, to)| to.saturating_sub(from)),
        }
    }

    fn duration(&self) -> Option<u64> {
        self.end.map(|end| end.saturating_sub(self.start))
    }
}

/// A run as `jobs/runs/get` and `list` write it. `run` is absent until it is in the log.
pub(super) fn job_run(job: &Job, run: Option<&Run>, task: &Value, with_tasks: bool) -> Value {
    let standing = run.map_or_else(|| Standing::not_in_log(job), Standing::of);
    let times = Times::of(run, Some(job));
    let common = json!({
        "run_id": job.number,
        "start_time": times.start,
        "end_time": times.end.or(standing.has_ended().then_some(times.start)),
        "setup_duration": 0,
        "cleanup_duration": 0,
        "execution_duration": times.execution.unwrap_or(0),
        "queue_duration": times.queued,
        "run_duration": times.duration(),
        "attempt_number": 0,
        "state": standing.state(),
        "status": standing.status(),
    });
    let join = |more: Value| match (common.clone(), more) {
        (Value::Object(mut all), Value::Object(more)) => {
            all.extend(more);
            Value::Object(all)
        }
        (_, other) => other,
    };
    let tasks = with_tasks.then(|| vec![join(task.clone())]);
    join(json!({
        "job_id": job.number,
        "job_run_id": job.number,
        "number_in_job": job.number,
        "original_attempt_run_id": job.number,
        "creator_user_name": job.creator,
        "run_name": job.run_name,
        "run_type": "SUBMIT_RUN",
        "trigger": "ONE_TIME",
        "format": "MULTI_TASK",
        "tasks": tasks,
    }))
}

/// Where the outputs of a run are listed, if the party may read them.
pub(super) fn output_schema(
    state: &RoomState,
    run: &Run,
    me: &Alias,
    now: u64,
) -> Option<(String, u64)> {
    let receipt = state.may_read_output(run.id(), me, now).ok()?;
    Some((schema_name(run.id()), ms(state.expires_at(receipt))))
}

/// A run as the lists of a clean room write it, in the words of `old` or of the newer list.
pub(super) fn task_run(state: &RoomState, run: &Run, me: &Alias, now: u64, old: bool) -> Value {
    let times = Times::of(Some(run), None);
    let own = (run.runner() == me).then(|| number(run.id()));
    let collaborator = json!({
        "collaborator_alias": run.runner(),
        "collaborator_job_id": own,
        "collaborator_job_run_id": own,
        "collaborator_task_run_id": own,
    });
    let updated_at = state
        .notebook(run.notebook())
        .ok()
        .and_then(|notebook| notebook.version(run.revision()))
        .map(|version| ms(version.added_at()));
    let readable = output_schema(state, run, me, now);
    let shared = state.document().outputs.readers == OutputReaders::All;
    let (output, shared_output) = if shared { (None, readable) } else { (readable, None) };
    let running = Standing::of(run).task_run_state();
    if old {
        let (name, expires) = output.unzip();
        let (shared_name, shared_expires) = shared_output.unzip();
        return json!({
            "notebook_name": run.notebook(),
            "notebook_etag": run.revision(),
            "notebook_updated_at": updated_at,
            "notebook_job_run_state": running,
            "start_time": times.start,
            "run_duration": times.duration(),
            "output_schema_name": name,
            "output_schema_expiration_time": expires,
            "shared_output_schema_name": shared_name,
            "shared_output_schema_expiration_time": shared_expires,
            "collaborator_job_run_info": collaborator,
        });
    }
    let info = |output: Option<(String, u64)>| {
        output.map(|(name, expires)| {
            json!({ "output_schema_name": name, "output_schema_expiration_time": expires })
        })
    };
    json!({
        "name": run.notebook(),
        "task_type": "NOTEBOOK",
        "task_run_state": running,
        "analysis_details": { "etag": run.revision(), "updated_at": updated_at },
        "start_time": times.start,
        "run_duration": times.duration(),
        "output_info": info(output),
        "shared_output_info": info(shared_output),
        "collaborator_job_run_info": collaborator,
    })
}

#[cfg(test)]
mod tests {
    use glovebox_contract::digest::Blake3Digest;

    use super::*;

    #[test]
    fn numbers_fit_every_program_and_schemas_lead_back() {
        for seed in 0..1000_u32 {
            let run = RunId::of_request(&Blake3Digest::of(&seed.to_le_bytes()));
            let number = number(&run);
            assert!((1..1 << 53).contains(&number), "{number}");
            assert_eq!(run_of_schema(&schema_name(&run)), Some(run));
        }
        for wrong in ["run_", "run_../x", "default", "RUN_00"] {
            assert_eq!(run_of_schema(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn failures_have_the_words_that_the_client_waits_for() {
        let check = |reason, cancelled, result: &str, code: &str| {
            let standing = Standing::failed(reason, "failed", cancelled);
            let state = standing.state();
            assert_eq!(state["life_cycle_state"], "TERMINATED");
            assert_eq!(state["result_state"], result, "{reason}");
            assert_eq!(standing.status()["termination_details"]["code"], code, "{reason}");
        };
        check(ReasonCode::GuestError, false, "FAILED", "RUN_EXECUTION_ERROR");
        check(ReasonCode::Cancelled, false, "CANCELED", "USER_CANCELED");
        check(ReasonCode::WorkerDied, true, "CANCELED", "USER_CANCELED");
        check(ReasonCode::HostRestarted, false, "FAILED", "INTERNAL_ERROR");
    }
}
