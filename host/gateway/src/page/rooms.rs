//! The rooms that the visitor may see.

use std::sync::Arc;

use super::html::Markup;
use super::visit::{Answer, Page, Visit};
use super::words;
use crate::access::{Action, Resource};
use crate::app::App;
use crate::error::Failure;

/// Rooms of one page.
const A_PAGE: usize = 50;

/// Shows them, some at a time.
pub(super) fn show(app: &Arc<App>, visit: &Visit) -> Result<Answer, Failure> {
    let call = &visit.call;
    let principal = app.access.authenticate(&call.headers, call.peer)?;
    let first = call.query(&["from"])?.parsed::<usize>("from")?.unwrap_or(0);
    let mut rooms = Vec::new();
    for room in app.host.rooms()? {
        let seen = app.access.permits(&principal, Action::ReadRoom, &Resource::Room(room.id));
        if seen && !app.store.room(&room.id)?.deleted {
            rooms.push(room);
        }
    }
    let mut body = Markup::new();
    body.raw("<h1>Rooms</h1><p class=\"hint\">You are <strong>").text(principal.name());
    body.raw("</strong>.</p>");
    if rooms.is_empty() {
        body.raw("<p>There is no room that you may see.</p>");
        return Ok(Answer::Page(Page::new("Rooms", body)));
    }
    body.raw(
        "<table><thead><tr><th>Room<th>Collaborators<th class=\"number\">Notebooks<th class=\"number\">Runs<th></tr></thead><tbody>",
    );
    for room in rooms.iter().skip(first).take(A_PAGE) {
        let open = app.host.room(&room.id)?;
        let open = open.with_at_least(room.statements)?;
        let state = open.state();
        body.raw("<tr><td>").link(format_args!("/rooms/{}", room.id), &room.name);
        body.raw("<td>").text(words::list(state.members().map(|member| member.alias())));
        body.raw("<td class=\"number\">").text(state.notebooks().count());
        body.raw("<td class=\"number\">").text(state.runs().count()).raw("<td>");
        let missing: Vec<_> =
            state.members().filter(|it| !it.has_accepted()).map(|it| it.alias()).collect();
        match state.pause() {
            Some(pause) => words::bad(&mut body, &format!("paused by {}", pause.by())),
            None if missing.is_empty() => words::good(&mut body, "open"),
            None => words::waiting(&mut body, &format!("waits for {}", words::list(missing))),
        }
        if state.document().package_provider.is_some() {
            words::plain(&mut body, "packaged");
        }
        body.raw("</tr>");
    }
    body.raw("</tbody></table>");
    around(&mut body, first, rooms.len());
    Ok(Answer::Page(Page::new("Rooms", body)))
}

/// Links to the rooms before and after.
fn around(body: &mut Markup, first: usize, all: usize) {
    let next = first.saturating_add(A_PAGE);
    if first == 0 && next >= all {
        return;
    }
    body.raw("<p>");
    if first > 0 {
        body.link(format_args!("/?from={}", first.saturating_sub(A_PAGE)), "Earlier").raw(" ");
    }
    if next < all {
        body.link(format_args!("/?from={next}"), "More");
    }
    body.raw("</p>");
}
