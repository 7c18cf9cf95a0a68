//! What a caller submits: a run of one clean room notebook, read strictly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::shown;
use crate::error::Failure;

/// Longest idempotency token, as on Databricks.
const MAX_TOKEN_BYTES: usize = 64;

/// Longest name of a run, and of a task.
const MAX_NAME_BYTES: usize = 100;

/// Members of `runs/submit` that change nothing here: runs queue by themselves, and nobody is sent
/// mail.
const HARMLESS: [&str; 3] = ["queue", "performance_target", "notification_settings"];

/// The same of a task.
const HARMLESS_IN_TASK: [&str; 4] =
    ["description", "disable_auto_optimization", "notification_settings", "run_if"];

/// Members of `runs/submit` that ask for what this gateway does not do; empty they are harmless.
const UNSUPPORTED: [&str; 12] = [
    "access_control_list",
    "budget_policy_id",
    "duration_target",
    "email_notifications",
    "environment_variables",
    "environments",
    "git_source",
    "health",
    "run_as",
    "timeout_seconds",
    "usage_policy_id",
    "webhook_notifications",
];

/// The same of a task: other kinds of tasks above all.
const UNSUPPORTED_IN_TASK: [&str; 35] = [
    "ai_runtime_task",
    "alert_task",
    "compute",
    "condition_task",
    "dashboard_task",
    "dbt_cloud_task",
    "dbt_platform_task",
    "dbt_task",
    "depends_on",
    "disabled",
    "email_notifications",
    "environment_key",
    "environment_variables_key",
    "existing_cluster_id",
    "for_each_task",
    "gen_ai_compute_task",
    "health",
    "job_cluster_key",
    "libraries",
    "max_retries",
    "min_retry_interval_millis",
    "new_cluster",
    "notebook_task",
    "pipeline_task",
    "power_bi_task",
    "python_operator_task",
    "python_wheel_task",
    "retry_on_timeout",
    "run_job_task",
    "spark_jar_task",
    "spark_python_task",
    "spark_submit_task",
    "sql_task",
    "timeout_seconds",
    "webhook_notifications",
];

/// A run to submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submission {
    /// Makes the same submission one run.
    pub(super) token: Option<String>,
    /// The name of the run.
    pub(super) run_name: String,
    /// What to run.
    pub(super) task: Task,
}

/// The task as it is submitted, kept and shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Task {
    /// The task's name in the run.
    pub(super) task_key: String,
    /// What it runs.
    pub(super) clean_rooms_notebook_task: NotebookTask,
}

/// Which notebook to run, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotebookTask {
    /// The room.
    pub(super) clean_room_name: String,
    /// The notebook.
    pub(super) notebook_name: String,
    /// The revision; the newest that is approved when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    /// Values of parameters as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) notebook_base_parameters: BTreeMap<String, String>,
}

impl Submission {
    /// Reads the body of `runs/submit`.
    pub(super) fn read(mut body: Map<String, Value>) -> Result<Self, Failure> {
        let token = text(&mut body, "idempotency_token", MAX_TOKEN_BYTES)?;
        let run_name = text(&mut body, "run_name", MAX_NAME_BYTES)?;
        let tasks = body.remove("tasks").unwrap_or_default();
        check_rest(&body, &HARMLESS, &UNSUPPORTED)?;
        let mut tasks: Vec<Map<String, Value>> =
            serde_json::from_value(tasks).map_err(|error| invalid("tasks", &error))?;
        let (Some(task), true) = (tasks.pop(), tasks.is_empty()) else {
            return Err(Failure::invalid("tasks: exactly one, a clean_rooms_notebook_task"));
        };
        let task = Task::read(task)?;
        let run_name = run_name.unwrap_or_else(|| "Untitled".into());
        Ok(Self { token, run_name, task })
    }
}

impl Task {
    fn read(mut task: Map<String, Value>) -> Result<Self, Failure> {
        let task_key = text(&mut task, "task_key", MAX_NAME_BYTES)?
            .ok_or_else(|| Failure::invalid("task_key is needed"))?;
        let notebook = task.remove("clean_rooms_notebook_task");
        check_rest(&task, &HARMLESS_IN_TASK, &UNSUPPORTED_IN_TASK)?;
        let notebook =
            notebook.ok_or_else(|| Failure::invalid("a task has a clean_rooms_notebook_task"))?;
        let mut notebook: NotebookTask = serde_json::from_value(notebook)
            .map_err(|error| invalid("clean_rooms_notebook_task", &error))?;
        notebook.etag = notebook.etag.filter(|etag| !etag.is_empty());
        Ok(Self { task_key, clean_rooms_notebook_task: notebook })
    }
}

fn text(body: &mut Map<String, Value>, name: &str, most: usize) -> Result<Option<String>, Failure> {
    match body.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.len() <= most => Ok(Some(text)),
        Some(_) => Err(Failure::invalid(format!("{name}: a text of at most {most} bytes"))),
    }
}

fn check_rest(
    body: &Map<String, Value>,
    harmless: &[&str],
    unsupported: &[&str],
) -> Result<(), Failure> {
    for (name, value) in body {
        let known = unsupported.contains(&name.as_str());
        if harmless.contains(&name.as_str()) || (known && is_empty(value)) {
            continue;
        }
        let name = shown(name);
        return Err(Failure::invalid(if known {
            format!("`{name}` is not supported: a run is one approved notebook at the host")
        } else {
            format!("the body has `{name}`, which this call does not know")
        }));
    }
    Ok(())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(members) => members.values().all(is_empty),
        Value::Bool(true) => false,
    }
}

fn invalid(what: &str, error: &serde_json::Error) -> Failure {
    Failure::invalid(format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Submission, Failure> {
        Submission::read(serde_json::from_value(body).unwrap())
    }

    fn task() -> Value {
        let notebook = json!({
            "clean_room_name": "r", "notebook_name": "n", "notebook_base_parameters": { "a": "1" },
        });
        json!({ "task_key": "t", "clean_rooms_notebook_task": notebook })
    }

    #[test]
    fn what_the_client_sends_is_read() {
        let body = json!({
            "run_name": "nightly", "tasks": [task()], "idempotency_token": "x",
            "queue": { "enabled": true }, "timeout_seconds": 0, "email_notifications": {},
        });
        let read = read(body).unwrap();
        assert_eq!((read.run_name.as_str(), read.token.as_deref()), ("nightly", Some("x")));
        let notebook = &read.task.clean_rooms_notebook_task;
        assert_eq!(notebook.notebook_base_parameters["a"], "1");
        assert_eq!(serde_json::to_value(&read.task).unwrap(), task());
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        let with = |name: &str, value: Value| {
            let mut body = json!({ "tasks": [task()] });
            body[name] = value;
            read(body)
        };
        let in_task = |name: &str, value: Value| {
            let mut task = task();
            task[name] = value;
            read(json!({ "tasks": [task] }))
        };
        assert!(with("timeout_seconds", json!(60)).is_err());
        assert!(with("run_as", json!({ "user_name": "bob" })).is_err());
        assert!(with("tasks", json!([task(), task()])).is_err());
        assert!(with("tasks", json!([])).is_err());
        assert!(with("more", json!(null)).is_err());
        assert!(with("idempotency_token", json!("x".repeat(65))).is_err());
        assert!(in_task("spark_python_task", json!({ "python_file": "a.py" })).is_err());
        assert!(in_task("max_retries", json!(3)).is_err());
        assert!(in_task("max_retries", json!(0)).is_ok());
        assert!(in_task("more", json!(0)).is_err());
        let extra = json!({ "clean_room_name": "r", "notebook_name": "n", "path": "/" });
        assert!(in_task("clean_rooms_notebook_task", extra).is_err());
        assert!(in_task("clean_rooms_notebook_task", json!({ "clean_room_name": "r" })).is_err());
    }
}
