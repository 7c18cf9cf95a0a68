//! One run: how it stands, what it said, what came out.

use std::sync::Arc;

use glovebox_api::wire::{RunProgress, RunStage, RunText};
use glovebox_contract::name::{Alias, RunId};
use glovebox_contract::state::{RoomState, Run};
use glovebox_contract::statement::{Body, Cancel};

use super::html::Markup;
use super::visit::{Answer, Page, Visit};
use super::words;
use crate::access::{Action, Resource};
use crate::app::{App, Entered};
use crate::error::Failure;

/// Seconds between two looks at a run that goes on.
const AGAIN: u8 = 3;
/// Most bytes of what it said.
const MAX_SAID: usize = 256 << 10;

/// Shows it.
pub(super) fn show(app: &Arc<App>, visit: &Visit) -> Result<Answer, Failure> {
    let entered = app.enter(&visit.call, Action::ReadRoom)?;
    let id: RunId = visit.call.name("run")?;
    let may = |action| app.access.permits(&entered.principal, action, &Resource::Room(entered.id));
    let room = entered.fresh()?;
    let state = room.state();
    let me = app.me(state)?;
    let Ok(run) = state.run(&id) else { return unknown(app, &entered, &id) };
    let may_read = may(Action::ReadOutput);
    let said = may_read && run.has_ended() && state.may_read_words(run, &me);
    let looks = !run.has_ended() && *run.runner() == me;
    let seen = Seen {
        me: &me,
        now: room.now(),
        may_read,
        may_run: may(Action::ExecuteTask),
        form_key: &visit.session.form_key,
        progress: if looks { room.run_progress(&id).ok() } else { None },
        text: if said { room.run_text(&id).ok() } else { None },
    };
    Ok(Answer::Page(page(state, run, &seen)))
}

/// What a visitor may see and do of a run.
pub(super) struct Seen<'a> {
    pub(super) me: &'a Alias,
    pub(super) now: u64,
    pub(super) may_read: bool,
    pub(super) may_run: bool,
    pub(super) form_key: &'a str,
    pub(super) progress: Option<RunProgress>,
    pub(super) text: Option<RunText>,
}

pub(super) fn page(state: &RoomState, run: &Run, seen: &Seen<'_>) -> Page {
    let mut body = Markup::new();
    let room = format!("/rooms/{}", state.id());
    body.raw("<nav>").link(&room, &state.document().name).raw("</nav><h1>Run of ");
    body.text(run.notebook()).raw("</h1><p>");
    words::run(&mut body, run);
    if let Some(progress) = &seen.progress {
        body.raw(" ").text(stage(progress));
    }
    body.raw("</p>");
    let going = !run.has_ended();
    if going && run.runner() == seen.me && seen.may_run && !run.cancelled() {
        body.raw("<form method=\"post\"");
        body.attribute("action", format_args!("{room}/runs/{}/cancel", run.id()));
        body.raw("><input type=\"hidden\" name=\"form_key\"");
        body.attribute("value", seen.form_key);
        body.raw("><button class=\"quiet\">Cancel it</button></form>");
    }
    outputs(&mut body, state, run, seen);
    if let Some(text) = &seen.text {
        said(&mut body, text);
    }
    facts(&mut body, run);
    let again = going.then_some(AGAIN);
    Page { again, ..Page::new(format!("Run of {}", run.notebook()), body) }
}

/// Takes it back.
pub(super) fn cancel(app: &Arc<App>, visit: &Visit) -> Result<Answer, Failure> {
    let entered = app.enter(&visit.call, Action::ExecuteTask)?;
    let id: RunId = visit.call.name("run")?;
    let going = {
        let room = entered.fresh()?;
        let run = room.state().run(&id)?;
        !run.has_ended() && !run.cancelled()
    };
    if going {
        drop(entered.say(Body::Cancel(Cancel { run: id }))?);
        tracing::info!(room = %entered.id, principal = %entered.principal.name(), run = %id, "cancelled a run");
    }
    Ok(Answer::To(format!("/rooms/{}/runs/{id}", entered.id)))
}

/// A run that the log does not have: one that was sent a moment ago, or none.
fn unknown(app: &App, entered: &Entered, id: &RunId) -> Result<Answer, Failure> {
    let job = app.store.jobs()?.into_iter().find(|job| job.run == *id && job.room == entered.id);
    let job = job.ok_or_else(|| Failure::missing(format!("run {id} does not exist")))?;
    let mut body = Markup::new();
    body.raw("<nav>").link(format_args!("/rooms/{}", entered.id), &entered.name).raw("</nav>");
    body.raw("<h1>Run</h1><p>");
    match &job.failure {
        Some(failure) => words::bad(&mut body, failure),
        None => words::waiting(&mut body, "being sent to the host"),
    }
    body.raw("</p>");
    let again = job.failure.is_none().then_some(AGAIN);
    Ok(Answer::Page(Page { again, ..Page::new("Run", body) }))
}

fn stage(progress: &RunProgress) -> String {
    let stage = match progress.stage {
        None => {
            return match progress.ahead {
                Some(ahead) if ahead > 0 => format!("waits for its turn, {ahead} before it"),
                _ => "waits for its turn".into(),
            };
        }
        Some(RunStage::ReadingInputs) => "reads its inputs",
        Some(RunStage::Compiling) => "compiles",
        Some(RunStage::Running) => "runs",
        Some(RunStage::Publishing) => "publishes",
    };
    match (progress.done, progress.total) {
        (Some(done), Some(total)) if total > 0 => {
            format!("{stage}: {}%", done.saturating_mul(100) / total)
        }
        _ => stage.into(),
    }
}

fn outputs(body: &mut Markup, state: &RoomState, run: &Run, seen: &Seen<'_>) {
    let Some(receipt) = run.receipt() else { return };
    let Some(files) = receipt.outputs() else { return };
    body.raw("<h2>Outputs</h2>");
    let readable = state.may_read_output(run.id(), seen.me, seen.now);
    let why = match &readable {
        _ if !seen.may_read => {
            Some("You have no privilege to read outputs in this room.".to_owned())
        }
        Err(refusal) => Some(format!("They cannot be read: {}.", refusal.detail())),
        Ok(_) => None,
    };
    if let Some(why) = &why {
        body.raw("<p class=\"hint\">").text(why).raw("</p>");
    }
    body.raw("<table><thead><tr><th>Table<th class=\"number\">Rows<th class=\"number\">Size<th>File<th></tr></thead><tbody>");
    for (name, file) in files {
        body.raw("<tr><td>").text(name).raw("<td class=\"number\">").text(file.rows);
        body.raw("<td class=\"number\">").text(words::size(file.bytes));
        body.raw("<td>").digest(file.digest.blake3).raw("<td>");
        if why.is_none() {
            let at = format!("/rooms/{}/runs/{}/outputs/{name}", state.id(), run.id());
            body.link(&at, "Look").raw(" · ").link(format_args!("{at}/parquet"), "Parquet");
        }
        body.raw("</tr>");
    }
    body.raw("</tbody></table>");
    if why.is_none() {
        body.raw("<p class=\"hint\">Each reading is a signed entry in the room's log. They are kept until ");
        body.text(words::time(state.expires_at(receipt))).raw(".</p>");
    }
}

/// What it said, as text: it comes from code of another party.
fn said(body: &mut Markup, text: &RunText) {
    let mut left = MAX_SAID;
    let mut block = |body: &mut Markup, text: &str| {
        let cut = text.floor_char_boundary(left.min(text.len()));
        left = left.saturating_sub(cut);
        body.raw("<pre>").text(text.get(..cut).unwrap_or_default()).raw("</pre>");
    };
    if let Some(detail) = &text.detail {
        body.raw("<h2>Why it failed</h2>");
        block(body, detail);
    }
    if !text.displays.is_empty() {
        body.raw("<h2>Displayed</h2>");
    }
    for cell in &text.displays {
        let data = cell.data().unwrap_or_default();
        match cell.media_type.text(&data) {
            Some(text) => block(body, text),
            None => {
                body.raw("<p class=\"hint\">A picture, which is not shown here.</p>");
            }
        }
    }
    if !text.log.is_empty() {
        body.raw("<h2>Log</h2>");
        let lines = text.log.iter().map(|line| format!("{:?} {}", line.level, line.message));
        block(body, &lines.collect::<Vec<_>>().join("\n"));
    }
}

fn facts(body: &mut Markup, run: &Run) {
    body.raw("<h2>What ran</h2><dl><dt>Asked for by<dd>").text(run.runner());
    body.raw("<dt>Asked for<dd>").text(words::time(run.requested_at()));
    if let Some(at) = run.started_at() {
        body.raw("<dt>Started<dd>").text(words::time(at));
    }
    if let Some(receipt) = run.receipt() {
        body.raw("<dt>Ended<dd>").text(words::time(receipt.finished_at));
    }
    for (name, value) in run.parameters() {
        body.raw("<dt>").text(name).raw("<dd>").text(value);
    }
    body.raw("<dt>Revision<dd><code>").text(run.revision()).raw("</code><dt>Run<dd><code>");
    body.text(run.id()).raw("</code>");
    if let Some(digest) = run.receipt_digest() {
        body.raw("<dt>Receipt<dd><code>").text(digest).raw("</code>");
    }
    body.raw("</dl>");
}
