//! One notebook: what it says of itself, who approved it, and the form that runs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use glovebox_contract::manifest::Manifest;
use glovebox_contract::name::{Alias, AssetName};
use glovebox_contract::state::{ApprovedNotebook, Notebook, RoomState, Version};
use glovebox_contract::statement::Decision;
use serde_json::json;

use super::html::Markup;
use super::visit::{Answer, Page, Visit};
use super::{form, room, session, words};
use crate::access::{Action, Resource};
use crate::app::{App, Entered};
use crate::call::Reply;
use crate::error::Failure;
use crate::runs::jobs;

/// Shows it.
pub(super) fn show(app: &Arc<App>, visit: &Visit) -> Result<Answer, Failure> {
    let entered = app.enter(&visit.call, Action::ReadRoom)?;
    shown(app, visit, &entered, None)
}

/// Runs it with what the form has. The same form runs it once, however often it is sent.
pub(super) fn run(app: &Arc<App>, visit: &Visit) -> Result<Answer, Failure> {
    let entered = app.enter(&visit.call, Action::ExecuteTask)?;
    let name: AssetName = visit.call.name("notebook")?;
    let hidden = |field: &str| visit.form.get(field).map(String::as_str).unwrap_or_default();
    let submission = json!({
        "idempotency_token": hidden("once"),
        "run_name": name,
        "tasks": [{
            "task_key": "form",
            "clean_rooms_notebook_task": {
                "clean_room_name": entered.id,
                "notebook_name": name,
                "etag": hidden("etag"),
                "notebook_base_parameters": form::values(&visit.form),
            },
        }],
    });
    let job = match jobs::submit(app, &visit.rest(&submission)?) {
        Ok(Reply::Json(answer)) => answer.get("run_id").and_then(serde_json::Value::as_u64),
        Ok(Reply::File { .. }) => None,
        Err(failure) => return shown(app, visit, &entered, Some(&failure)),
    };
    let job = job.map(|number| app.store.job(number)).transpose()?.flatten();
    let job = job.ok_or_else(|| Failure::internal("a run was submitted that no job knows"))?;
    Ok(Answer::To(format!("/rooms/{}/runs/{}", entered.id, job.run)))
}

fn shown(
    app: &Arc<App>,
    visit: &Visit,
    entered: &Entered,
    problem: Option<&Failure>,
) -> Result<Answer, Failure> {
    let (action, resource) = (Action::ExecuteTask, Resource::Room(entered.id));
    let form = Form {
        may_run: app.access.permits(&entered.principal, action, &resource),
        form_key: &visit.session.form_key,
        once: session::random()?,
        entered: form::values(&visit.form),
        problem: problem.map(Failure::message),
    };
    let room = entered.fresh()?;
    let me = app.me(room.state())?;
    page(room.state(), room.now(), &me, &visit.call.name("notebook")?, &form).map(Answer::Page)
}

/// What the form of a notebook is made of besides the notebook.
pub(super) struct Form<'a> {
    pub(super) may_run: bool,
    pub(super) form_key: &'a str,
    /// Makes what is sent twice one run.
    pub(super) once: String,
    /// What was entered before.
    pub(super) entered: BTreeMap<String, String>,
    /// What was wrong with it.
    pub(super) problem: Option<&'a str>,
}

pub(super) fn page(
    state: &RoomState,
    now: u64,
    me: &Alias,
    name: &AssetName,
    form: &Form<'_>,
) -> Result<Page, Failure> {
    let notebook = state.notebook(name)?;
    let version = notebook
        .latest()
        .ok_or_else(|| Failure::missing(format!("notebook {name} does not exist any more")))?;
    let manifest = &version.asset().manifest;
    let mut body = Markup::new();
    body.raw("<nav>").link(format_args!("/rooms/{}", state.id()), &state.document().name);
    body.raw("</nav><h1>").text(name).raw(" <small>").text(&manifest.version);
    body.raw("</small></h1>");
    words::readme(&mut body, manifest);
    body.raw("<h2>Run it</h2>");
    match (state.approved(name, None, me, now), form.may_run) {
        (_, false) => {
            body.raw("<p class=\"hint\">You have no privilege to run notebooks in this room.</p>");
        }
        (Err(refusal), true) => {
            body.raw("<p class=\"hint\">It cannot be run now: ").text(refusal.detail());
            body.raw(" (").text(refusal.reason()).raw(")</p>");
        }
        (Ok(approved), true) => run_form(&mut body, name, &approved, form),
    }
    standing(&mut body, state, now, notebook, version);
    reads_and_writes(&mut body, manifest);
    Ok(Page::new(name.as_str(), body))
}

fn run_form(body: &mut Markup, name: &AssetName, approved: &ApprovedNotebook, form: &Form<'_>) {
    if let Some(problem) = form.problem {
        body.raw("<p class=\"problem\" role=\"alert\">").text(problem).raw("</p>");
    }
    let manifest = approved.manifest();
    let digest = approved.revision().digest();
    body.raw("<form class=\"card\" method=\"post\"><input type=\"hidden\" name=\"form_key\"");
    body.attribute("value", form.form_key).raw("><input type=\"hidden\" name=\"once\"");
    body.attribute("value", &form.once).raw("><input type=\"hidden\" name=\"etag\"");
    body.attribute("value", digest).raw(">");
    for (parameter, declared) in &manifest.parameters {
        let before = form.entered.get(parameter.as_str()).map(String::as_str);
        super::form::field(body, parameter, declared, before);
    }
    if manifest.parameters.is_empty() {
        body.raw("<p class=\"hint\">It takes no parameters.</p>");
    }
    body.raw("<button>Run ").text(name).raw(" ").text(&manifest.version).raw("</button>");
    body.raw("<p class=\"hint\">Revision ").digest(digest);
    body.raw(" · your organisation's key signs the request</p></form>");
}

fn standing(
    body: &mut Markup,
    state: &RoomState,
    now: u64,
    notebook: &Notebook,
    version: &Version,
) {
    let asset = version.asset();
    body.raw("<h2>Revision</h2><dl><dt>State<dd>");
    match version.revision_digest() {
        Some(digest) => {
            if let Ok(status) = state.status(notebook.name(), digest, now) {
                words::revision(body, &status);
            }
            body.raw("<dt>Digest<dd><code>").text(digest).raw("</code>");
        }
        None => {
            words::waiting(body, "it does not fit the tables of the room as they are now");
        }
    }
    if let Some(deprecation) = version.deprecation() {
        body.raw("<dt>Deprecated<dd>");
        let ends = deprecation.until.map(|until| format!("it ends on {}", words::time(until)));
        words::waiting(body, ends.as_deref().unwrap_or("by its author"));
        body.raw(" ").text(&deprecation.note);
    }
    body.raw("<dt>Component<dd><code>").text(asset.component.blake3).raw("</code> ");
    body.text(words::size(asset.component_bytes));
    body.raw("<dt>Author<dd>").text(notebook.author());
    body.raw("<dt>Who may run it<dd>").text(words::list(&asset.runners));
    body.raw("<dt>Code<dd>").text(if asset.hidden { "hidden" } else { "visible to reviewers" });
    body.raw("<dt>Added<dd>").text(words::time(version.added_at())).raw("</dl>");
    let Some(digest) = version.revision_digest() else { return };
    let reviews = state.reviews(notebook.name(), digest, now).unwrap_or_default();
    let mut latest: BTreeMap<&Alias, usize> = BTreeMap::new();
    for (at, review) in reviews.iter().enumerate() {
        latest.insert(&review.party, at);
    }
    if latest.is_empty() {
        return;
    }
    body.raw("<table><thead><tr><th>Collaborator<th>Review<th>When<th>Comment</tr></thead><tbody>");
    for review in latest.values().filter_map(|at| reviews.get(*at)) {
        body.raw("<tr><td>").text(&review.party).raw("<td>");
        match (review.decision, &review.auto_approved) {
            (Decision::Approve, Some(rule)) => {
                words::good(body, &format!("approved by rule {rule}"))
            }
            (Decision::Approve, None) => words::good(body, "approved"),
            (Decision::Comment, _) => words::plain(body, "commented"),
            _ => words::bad(body, "rejected"),
        }
        body.raw("<td>")
            .text(words::time(review.at))
            .raw("<td>")
            .text(&review.comment)
            .raw("</tr>");
    }
    body.raw("</tbody></table>");
}

fn reads_and_writes(body: &mut Markup, manifest: &Manifest) {
    body.raw("<h2>Reads</h2>");
    if manifest.inputs.is_empty() {
        body.raw("<p class=\"hint\">No tables.</p>");
    }
    for (table, input) in &manifest.inputs {
        body.raw("<details><summary><strong>").text(table).raw("</strong> <small>");
        body.text(words::count(input.columns.len(), "column")).raw("</small></summary><ul>");
        for (column, kind) in &input.columns {
            body.raw("<li>").text(column).raw(" <small>").text(kind).raw("</small></li>");
        }
        body.raw("</ul></details>");
    }
    body.raw("<h2>Writes</h2>");
    for (output, declared) in &manifest.outputs {
        body.raw("<details><summary><strong>").text(output).raw("</strong> <small>");
        body.text(words::count(declared.columns.len(), "column")).raw(", ").text(declared.mode);
        body.raw("</small></summary>");
        if !declared.description.is_empty() {
            body.raw("<div class=\"readme\">").text(&declared.description).raw("</div>");
        }
        room::columns(body, &declared.columns);
        body.raw("</details>");
    }
}
