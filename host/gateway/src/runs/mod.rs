//! Runs: of the room for its lists, of the party for the Jobs API.

pub(crate) mod jobs;
mod json;
mod task;

use std::sync::Arc;

use glovebox_contract::state::Run;
use serde_json::{Value, json};

pub(crate) use self::json::{run_of_schema, schema_name};
use crate::access::Action;
use crate::app::App;
use crate::call::{Call, Reply};
use crate::error::Failure;
use crate::paging::Sizes;

/// All runs of a room, newest first, in the words of the older list.
pub(crate) fn list_old(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let query = call.query(&["notebook_name", "page_size", "page_token"])?;
    list(app, call, query.text("notebook_name"), true, true)
}

/// All runs of a room, newest first.
pub(crate) fn list_new(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let query = call.query(&["name", "page_size", "page_token", "task_type"])?;
    let notebooks = match query.text("task_type") {
        None | Some("NOTEBOOK") => true,
        Some("JAR") => false,
        Some(_) => return Err(Failure::invalid("task_type: NOTEBOOK or JAR")),
    };
    list(app, call, query.text("name"), notebooks, false)
}

fn list(
    app: &App,
    call: &Call,
    name: Option<&str>,
    notebooks: bool,
    old: bool,
) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ReadRoom)?;
    let query = call.query(&["name", "notebook_name", "page_size", "page_token", "task_type"])?;
    let id = entered.id.to_string();
    let principal = entered.principal.name().as_str();
    let list = if old { "runs" } else { "task-runs" };
    let kind = if notebooks { "NOTEBOOK" } else { "JAR" };
    let scope = [list, kind, id.as_str(), name.unwrap_or_default(), principal];
    let page = app.pager.page(query, "page_size", &scope, Sizes { usual: 100, most: 100 })?;
    let room = entered.fresh()?;
    let state = room.state();
    let me = app.me(state)?;
    let wanted = |run: &&Run| notebooks && name.is_none_or(|name| run.notebook().as_str() == name);
    let numbered: Vec<(usize, &Run)> = state.runs().filter(wanted).enumerate().collect();
    // Numbers that grow from the newest to the oldest, and stay when newer ones come.
    let key = |(at, _): &(usize, &Run)| format!("{:020}", usize::MAX.saturating_sub(*at));
    let (runs, next) = page.cut(numbered.into_iter().rev(), key);
    let runs: Vec<Value> =
        runs.into_iter().map(|(_, run)| json::task_run(state, run, &me, room.now(), old)).collect();
    Ok(Reply::json(json!({ "runs": runs, "next_page_token": next })))
}

#[cfg(test)]
pub(crate) mod tests {
    use glovebox_contract::name::{Alias, RunId};
    use glovebox_contract::state::RoomState;

    use super::*;
    use crate::call::without_nulls;
    use crate::store::Job;

    /// A run as it was submitted to the Jobs API.
    pub(crate) fn job_of(run: &RunId, failure: Option<&str>) -> Job {
        Job {
            number: json::number(run),
            room: crate::world::Room::accepted().state.id().to_owned(),
            run: *run,
            creator: "alice".into(),
            token: None,
            task: r#"{"task_key":"only"}"#.into(),
            run_name: "nightly".into(),
            envelope: None,
            submitted_at: 1,
            failure: failure.map(ToOwned::to_owned),
        }
    }

    pub(crate) fn rendered(job: &Job, state: &RoomState) -> Value {
        let task = serde_json::from_str(&job.task).unwrap();
        without_nulls(json::job_run(job, state.run(&job.run).ok(), &task, true))
    }

    pub(crate) fn run_of(state: &RoomState, run: &RunId) -> Value {
        rendered(&job_of(run, None), state)
    }

    pub(crate) fn task_run_of(
        state: &RoomState,
        run: &RunId,
        me: &Alias,
        now: u64,
        old: bool,
    ) -> Value {
        without_nulls(json::task_run(state, state.run(run).unwrap(), me, now, old))
    }
}
