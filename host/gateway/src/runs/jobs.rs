//! The Jobs API, as far as clean room notebooks need it: submit, get, output, list, cancel.

use std::collections::BTreeSet;
use std::sync::Arc;

use glovebox_client::RemoteRoom;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::RunId;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{RoomState, Run};
use glovebox_contract::statement::{Body, Cancel, RunRequest};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::json::{Standing, job_run, number, output_schema};
use super::task::{NotebookTask, Submission, Task};
use crate::access::{Action, Resource};
use crate::app::{App, Entered, now_ms};
use crate::call::{Call, Reply};
use crate::error::Failure;
use crate::paging::Sizes;
use crate::store::Job;

/// How often a request is signed again because the party said something else at the same time.
const RACES: usize = 8;

/// Most bytes of text that `get-output` shows, as on Databricks.
const MAX_RESULT_BYTES: usize = 5 << 20;

/// Submits a run. The same idempotency token makes one run.
pub(crate) fn submit(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let body: Map<String, Value> = call.body()?;
    let asked = Submission::read(body)?;
    let task = &asked.task.clean_rooms_notebook_task;
    let entered = app.enter_named(call, &task.clean_room_name, Action::ExecuteTask)?;
    let creator = entered.principal.name().as_str();
    if let Some(token) = &asked.token
        && let Some(job) = app.store.job_with_token(creator, token)?
    {
        let room = app.host.room(&job.room)?;
        send_again(app, &mut *room.fresh()?, &job)?;
        return Ok(Reply::json(json!({ "run_id": job.number })));
    }
    let mut room = entered.fresh()?;
    let request = request(app, room.state(), task, room.now())?;
    for _ in 0..RACES {
        let envelope = room.sign(Body::RunRequest(request.clone()))?;
        let run = RunId::of_request(&envelope.digest());
        let job = app.store.add_job(&Job {
            number: number(&run),
            room: entered.id,
            run,
            creator: creator.to_owned(),
            token: asked.token.clone(),
            task: serde_json::to_string(&asked.task).map_err(Failure::internal)?,
            run_name: asked.run_name.clone(),
            envelope: Some(envelope.to_bytes()),
            submitted_at: now_ms(),
            failure: None,
        })?;
        // Another call with the same token came first; its request counts, this one is not sent.
        if job.run == run {
            match room.start_run(&envelope) {
                Ok(_) => app.store.settle_job(job.number, None)?,
                // It may have arrived. It stays at hand and is sent again when somebody asks.
                Err(error) if error.is_passing() => {}
                Err(error) => {
                    app.store.remove_job(job.number)?;
                    if !matches!(error.reason(), ReasonCode::OutOfSequence | ReasonCode::Replayed) {
                        return Err(error.into());
                    }
                    room.refresh()?;
                    continue;
                }
            }
        }
        let notebook = &task.notebook_name;
        tracing::info!(room = %entered.id, principal = creator, notebook, run = %job.run, "submitted a run");
        return Ok(Reply::json(json!({ "run_id": job.number })));
    }
    Err(Failure::conflict("this party says too much at the same time; submit it again"))
}

/// What the party signs: the approved revision, and the parameters by their types.
fn request(
    app: &App,
    state: &RoomState,
    task: &NotebookTask,
    now: u64,
) -> Result<RunRequest, Failure> {
    let me = app.me(state)?;
    let notebook = task
        .notebook_name
        .parse()
        .map_err(|error| Failure::invalid(format!("notebook_name: {error}")))?;
    let etag = task.etag.as_ref().map(|etag| {
        etag.parse().map_err(|_| {
            Failure::invalid("etag: it is no etag of this gateway; it starts with `blake3:`")
        })
    });
    let approved = state.approved(&notebook, etag.transpose()?.as_ref(), &me, now)?;
    Ok(RunRequest {
        notebook,
        parameters: approved.read_parameters(&task.notebook_base_parameters)?,
        revision: *approved.revision().digest(),
    })
}

/// Sends a request again of which it is not known whether it arrived. A request arrives once,
/// however often it is sent.
fn send_again(app: &App, room: &mut RemoteRoom, job: &Job) -> Result<(), Failure> {
    let Some(bytes) = &job.envelope else { return Ok(()) };
    if room.state().run(&job.run).is_ok() {
        return app.store.settle_job(job.number, None);
    }
    let envelope = Envelope::from_bytes(bytes).map_err(Failure::internal)?;
    match room.start_run(&envelope) {
        Ok(_) => app.store.settle_job(job.number, None),
        Err(error) if error.is_passing() => Ok(()),
        // It was not taken, and no other request has its number: it never will be.
        Err(error) => {
            let failure = Failure::from(error);
            app.store.settle_job(job.number, Some(failure.message()))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunNumber {
    run_id: u64,
}

/// The job with a number, and the room that it is in, if the caller may do `action` there.
fn enter_job(
    app: &App,
    call: &Call,
    number: u64,
    action: Action,
) -> Result<(Job, Entered), Failure> {
    app.access.authenticate(&call.headers, call.peer)?;
    let Some(job) = find_job(app, number)? else {
        let unknown = Resource::UnknownRoom(format!("of run {number}"));
        app.access.authorize(&call.headers, call.peer, action, &unknown)?;
        return Err(Failure::missing(format!("run {number} does not exist")));
    };
    let entered = app.enter_named(call, &job.room.to_string(), action)?;
    if job.envelope.is_some() {
        let mut room = entered.fresh()?;
        send_again(app, &mut room, &job)?;
    }
    let job = app.store.job(number)?.unwrap_or(job);
    Ok((job, entered))
}

/// A job of this gateway, or a run that the party asked for in another way.
fn find_job(app: &App, wanted: u64) -> Result<Option<Job>, Failure> {
    if let Some(job) = app.store.job(wanted)? {
        return Ok(Some(job));
    }
    for room in app.host.opened() {
        let room = room.as_it_was();
        let me = app.me(room.state()).ok();
        let found = room.state().runs().find(|run| number(run.id()) == wanted);
        if let Some(run) = found.filter(|run| me.as_ref() == Some(run.runner())) {
            return app.store.add_job(&adopted(room.state(), run)?).map(Some);
        }
    }
    Ok(None)
}

/// A run of the party that was not submitted here, as if it had been.
fn adopted(state: &RoomState, run: &Run) -> Result<Job, Failure> {
    let parameters = run.parameters().iter();
    let task = Task {
        task_key: "run".into(),
        clean_rooms_notebook_task: NotebookTask {
            clean_room_name: state.document().name.to_string(),
            notebook_name: run.notebook().to_string(),
            etag: Some(run.revision().to_string()),
            notebook_base_parameters: parameters
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
        },
    };
    Ok(Job {
        number: number(run.id()),
        room: *state.id(),
        run: *run.id(),
        creator: run.runner().to_string(),
        token: None,
        task: serde_json::to_string(&task).map_err(Failure::internal)?,
        run_name: run.notebook().to_string(),
        envelope: None,
        submitted_at: run.requested_at().saturating_mul(1000),
        failure: None,
    })
}

fn rendered(job: &Job, state: &RoomState, with_tasks: bool) -> Result<Value, Failure> {
    let task: Value = serde_json::from_str(&job.task).map_err(Failure::internal)?;
    Ok(job_run(job, state.run(&job.run).ok(), &task, with_tasks))
}

/// How a run stands.
pub(crate) fn get(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let known = ["run_id", "include_history", "include_resolved_values", "page_token"];
    let query = call.query(&known)?;
    query.needed("run_id")?;
    let number = query.parsed("run_id")?.unwrap_or_default();
    let (job, entered) = enter_job(app, call, number, Action::ReadRoom)?;
    let room = entered.fresh()?;
    Ok(Reply::json(rendered(&job, room.state(), true)?))
}

/// What came of a run: where its outputs are, and its words for those who may read them.
pub(crate) fn get_output(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let query = call.query(&["run_id"])?;
    query.needed("run_id")?;
    let number = query.parsed("run_id")?.unwrap_or_default();
    let (job, entered) = enter_job(app, call, number, Action::ReadRoom)?;
    let room = entered.fresh()?;
    let state = room.state();
    let metadata = rendered(&job, state, true)?;
    let Ok(run) = state.run(&job.run) else {
        let error = Standing::not_in_log(&job);
        return Ok(Reply::json(json!({ "metadata": metadata, "error": error.error() })));
    };
    let standing = Standing::of(run);
    let me = app.me(state)?;
    let words =
        app.access.permits(&entered.principal, Action::ReadOutput, &Resource::Room(entered.id));
    let text = if words && run.has_ended() && state.may_read_words(run, &me) {
        room.run_text(run.id()).ok()
    } else {
        None
    };
    let schema = output_schema(state, run, &me, room.now()).map(|(schema, expires)| {
        json!({
            "catalog_name": entered.notes.output_catalog,
            "schema_name": schema,
            "expiration_time": expires,
        })
    });
    let shared =
        state.document().outputs.readers == glovebox_contract::statement::OutputReaders::All;
    let detail = text.as_ref().and_then(|text| text.detail.clone());
    let result = text.as_ref().map(|text| {
        let (result, truncated) = cut(displayed(text));
        json!({ "result": result, "truncated": truncated })
    });
    let logs = text.as_ref().map(|text| {
        let lines = text.log.iter().map(|line| format!("{:?} {}", line.level, line.message));
        cut(lines.collect::<Vec<_>>().join("\n"))
    });
    let (logs, logs_truncated) = logs.unzip();
    Ok(Reply::json(json!({
        "metadata": metadata,
        "error": detail.or_else(|| standing.error().map(ToOwned::to_owned)),
        "logs": logs,
        "logs_truncated": logs_truncated,
        "clean_rooms_notebook_output": {
            "clean_room_job_run_state": standing.task_run_state(),
            "notebook_output": result,
            "output_schema_info": if shared { None } else { schema.clone() },
            "shared_output_schema_info": if shared { schema } else { None },
        },
    })))
}

/// What the cells displayed, as far as it is text.
fn displayed(text: &glovebox_api::wire::RunText) -> String {
    let texts = text.displays.iter().filter_map(|cell| {
        let data = cell.data()?;
        cell.media_type.text(&data).map(ToOwned::to_owned)
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn cut(mut text: String) -> (String, bool) {
    if text.len() <= MAX_RESULT_BYTES {
        return (text, false);
    }
    text.truncate(text.floor_char_boundary(MAX_RESULT_BYTES));
    (text, true)
}

/// The runs that were submitted here, newest first.
pub(crate) fn list(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let principal = app.access.authenticate(&call.headers, call.peer)?;
    let query = call.query(&[
        "active_only",
        "completed_only",
        "expand_tasks",
        "job_id",
        "limit",
        "offset",
        "page_token",
        "run_type",
        "start_time_from",
        "start_time_to",
    ])?;
    let (active, completed) = (query.flag("active_only")?, query.flag("completed_only")?);
    if active && completed {
        return Err(Failure::invalid("active_only and completed_only exclude each other"));
    }
    if query.parsed::<u64>("offset")?.unwrap_or(0) != 0 {
        return Err(Failure::invalid("offset: use page_token"));
    }
    let tasks = query.flag("expand_tasks")?;
    let job_id = query.parsed::<u64>("job_id")?;
    let from = query.parsed::<u64>("start_time_from")?.unwrap_or(0);
    let to = query.parsed::<u64>("start_time_to")?.unwrap_or(u64::MAX);
    let submitted = query.text("run_type").is_none_or(|kind| kind == "SUBMIT_RUN");
    let filter = format!("{active} {completed} {job_id:?} {from} {to} {submitted}");
    let scope = ["jobs", filter.as_str(), principal.name().as_str()];
    let page = app.pager.page(query, "limit", &scope, Sizes { usual: 20, most: 25 })?;
    let mut found = Vec::new();
    for job in app.store.jobs()? {
        let fits = submitted
            && job_id.is_none_or(|id| id == job.number)
            && (from..=to).contains(&job.submitted_at)
            && app.access.permits(&principal, Action::ReadRoom, &Resource::Room(job.room));
        if fits && (!(active || completed) || has_ended(app, &job)? == completed) {
            found.push(job);
        }
    }
    let newest_first =
        |job: &Job| format!("{:020} {:020}", u64::MAX - job.submitted_at, u64::MAX - job.number);
    let (jobs, next) = page.cut(found, newest_first);
    let mut runs = Vec::new();
    let mut refreshed = BTreeSet::new();
    for job in jobs {
        let room = app.host.room(&job.room)?;
        let room = if refreshed.insert(job.room) { room.fresh()? } else { room.as_it_was() };
        runs.push(rendered(&job, room.state(), tasks)?);
    }
    let more = next.is_some();
    Ok(Reply::json(json!({ "runs": runs, "has_more": more, "next_page_token": next })))
}

fn has_ended(app: &App, job: &Job) -> Result<bool, Failure> {
    let room = app.host.room(&job.room)?;
    let known = room.as_it_was().state().run(&job.run).is_ok_and(Run::has_ended);
    if known || job.failure.is_some() {
        return Ok(true);
    }
    Ok(room.fresh()?.state().run(&job.run).is_ok_and(Run::has_ended))
}

/// Takes a run back. One that has ended stays as it is.
pub(crate) fn cancel(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let RunNumber { run_id } = call.body()?;
    let (job, entered) = enter_job(app, call, run_id, Action::ExecuteTask)?;
    let going = {
        let room = entered.fresh()?;
        match room.state().run(&job.run) {
            Ok(run) => Some(!run.has_ended() && !run.cancelled()),
            Err(_) => None,
        }
    };
    match going {
        Some(true) => drop(entered.say(Body::Cancel(Cancel { run: job.run }))?),
        Some(false) => {}
        None if job.failure.is_some() => {}
        None => {
            return Err(Failure::unavailable(
                "it is not known yet whether the host has the request of this run; cancel it again",
            ));
        }
    }
    tracing::info!(room = %entered.id, principal = %entered.principal.name(), run = %job.run, "cancelled a run");
    Ok(Reply::empty())
}
