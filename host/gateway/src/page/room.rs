//! One room: who is in it, what is in it, what ran in it.

use std::sync::Arc;

use glovebox_contract::column::Column;
use glovebox_contract::name::Alias;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::OutputReaders;

use super::html::Markup;
use super::visit::{Answer, Page, Visit};
use super::words;
use crate::access::Action;
use crate::app::App;
use crate::error::Failure;

/// Runs that are listed, the newest.
const RUNS: usize = 50;

/// Shows it.
pub(super) fn show(app: &Arc<App>, visit: &Visit) -> Result<Answer, Failure> {
    let entered = app.enter(&visit.call, Action::ReadRoom)?;
    let room = entered.fresh()?;
    let me = app.me(room.state())?;
    Ok(Answer::Page(page(room.state(), room.now(), &me, entered.notes.comment.as_deref())))
}

pub(super) fn page(state: &RoomState, now: u64, me: &Alias, comment: Option<&str>) -> Page {
    let name = &state.document().name;
    let mut body = Markup::new();
    body.raw("<h1>").text(name).raw("</h1><p>");
    words::plain(&mut body, &format!("you are {me}"));
    standing(&mut body, state);
    body.raw("</p>");
    if let Some(comment) = comment {
        body.raw("<p>").text(comment).raw("</p>");
    }
    notebooks(&mut body, state, now);
    tables(&mut body, state);
    volumes(&mut body, state);
    libraries(&mut body, state);
    runs(&mut body, state);
    collaborators(&mut body, state);
    facts(&mut body, state);
    Page::new(name.as_str(), body)
}

fn standing(body: &mut Markup, state: &RoomState) {
    if let Some(provider) = &state.document().package_provider {
        words::plain(body, &format!("packaged by {provider}"));
    }
    if let Some(pause) = state.pause() {
        let since = words::time(pause.since());
        words::bad(body, &format!("paused by {} {since}: {}", pause.by(), pause.comment()));
    }
}

fn notebooks(body: &mut Markup, state: &RoomState, now: u64) {
    let mut notebooks = state.notebooks().filter(|it| it.latest().is_some()).peekable();
    body.raw("<h2>Notebooks</h2>");
    if notebooks.peek().is_none() {
        body.raw("<p class=\"hint\">None.</p>");
        return;
    }
    for notebook in notebooks {
        let Some(version) = notebook.latest() else { continue };
        let manifest = &version.asset().manifest;
        body.raw("<section class=\"card\"><h3>");
        body.link(
            format_args!("/rooms/{}/notebooks/{}", state.id(), notebook.name()),
            notebook.name(),
        );
        body.raw(" <small>")
            .text(&manifest.version)
            .raw(" by ")
            .text(notebook.author())
            .raw("</small></h3>");
        words::readme(body, manifest);
        body.raw("<p>");
        match version.revision_digest() {
            Some(digest) => {
                if let Ok(status) = state.status(notebook.name(), digest, now) {
                    words::revision(body, &status);
                }
                body.raw(" revision ").digest(digest);
            }
            None => words::waiting(body, "its tables are not all there"),
        }
        if let Some(pause) = notebook.pause() {
            words::bad(body, &format!("paused by {}: {}", pause.by(), pause.comment()));
        }
        if version.asset().hidden {
            words::plain(body, "code hidden");
        }
        body.raw("</p></section>");
    }
}

fn tables(body: &mut Markup, state: &RoomState) {
    body.raw("<h2>Tables</h2>");
    if state.tables().next().is_none() {
        body.raw("<p class=\"hint\">None.</p>");
    }
    for table in state.tables() {
        body.raw("<details><summary><strong>").text(&table.name).raw("</strong>");
        if table.view.is_some() {
            words::plain(body, "view");
        }
        body.raw(" <small>").text(words::count(table.columns.len(), "column"));
        body.raw("</small></summary>");
        if !table.description.is_empty() {
            body.raw("<div class=\"readme\">").text(&table.description).raw("</div>");
        }
        columns(body, &table.columns);
        body.raw("</details>");
    }
}

/// A table of columns.
pub(super) fn columns(body: &mut Markup, columns: &[Column]) {
    body.raw("<table><thead><tr><th>Column<th>Type</tr></thead><tbody>");
    for column in columns {
        body.raw("<tr><td>").text(&column.name).raw("<td>").text(&column.column_type);
        if !column.nullable {
            body.raw(" <small>never empty</small>");
        }
        body.raw("</tr>");
    }
    body.raw("</tbody></table>");
}

fn volumes(body: &mut Markup, state: &RoomState) {
    if state.volumes().next().is_none() {
        return;
    }
    body.raw("<h2>Volumes</h2><ul>");
    for volume in state.volumes() {
        body.raw("<li><strong>").text(&volume.name).raw("</strong> <small>");
        body.text(words::count(volume.files.len(), "file"))
            .raw("</small> ")
            .text(&volume.description)
            .raw("</li>");
    }
    body.raw("</ul>");
}

fn libraries(body: &mut Markup, state: &RoomState) {
    if state.libraries().next().is_none() {
        return;
    }
    body.raw("<h2>Libraries</h2><ul>");
    for library in state.libraries() {
        let manifest = &library.asset().manifest;
        body.raw("<li><strong>").text(&manifest.name).raw("</strong> <small>");
        body.text(&manifest.version).raw(" by ").text(library.owner()).raw("</small> ");
        body.text(&manifest.description).raw("</li>");
    }
    body.raw("</ul>");
}

fn runs(body: &mut Markup, state: &RoomState) {
    body.raw("<h2>Runs</h2>");
    if state.runs().next().is_none() {
        body.raw("<p class=\"hint\">None.</p>");
        return;
    }
    body.raw("<table><thead><tr><th>Asked for<th>Notebook<th>By<th></tr></thead><tbody>");
    for run in state.runs().rev().take(RUNS) {
        let at = words::time(run.requested_at());
        body.raw("<tr><td>").link(format_args!("/rooms/{}/runs/{}", state.id(), run.id()), at);
        body.raw("<td>").text(run.notebook()).raw("<td>").text(run.runner()).raw("<td>");
        words::run(body, run);
        body.raw("</tr>");
    }
    body.raw("</tbody></table>");
    let more = state.runs().count().saturating_sub(RUNS);
    if more > 0 {
        body.raw("<p class=\"hint\">and ").text(more).raw(" before them</p>");
    }
}

fn collaborators(body: &mut Markup, state: &RoomState) {
    let document = state.document();
    body.raw("<h2>Collaborators</h2><table><thead><tr><th>Alias<th>Organisation<th>Key<th></tr></thead><tbody>");
    for member in state.members() {
        body.raw("<tr><td>").text(member.alias()).raw("<td>").text(member.organisation());
        body.raw("<td>").digest(member.public_key()).raw("<td>");
        if member.has_accepted() {
            words::good(body, "accepted");
        } else {
            words::waiting(body, "has not accepted");
        }
        if *member.alias() == document.creator {
            words::plain(body, "creator");
        }
        if document.package_provider.as_ref() == Some(member.alias()) {
            words::plain(body, "provider");
        }
        body.raw("</tr>");
    }
    body.raw("</tbody></table>");
}

fn facts(body: &mut Markup, state: &RoomState) {
    let document = state.document();
    let readers = match document.outputs.readers {
        OutputReaders::Runner => "who asked for the run",
        OutputReaders::All => "all collaborators",
    };
    body.raw("<h2>What holds</h2><dl><dt>Outputs are read by<dd>").text(readers);
    body.raw("<dt>Outputs are kept<dd>").text(document.outputs.time_to_live_days).raw(" days");
    body.raw("<dt>Network of a run<dd>none");
    body.raw("<dt>Region<dd>").text(&document.region);
    body.raw("<dt>Created<dd>").text(words::time(document.created));
    body.raw("<dt>Room<dd>").digest(state.id());
    body.raw("<dt>Key of the host<dd>").digest(document.host_key);
    body.raw("<dt>Statements in the log<dd>").text(state.statements()).raw("</dl>");
}
