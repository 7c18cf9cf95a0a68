//! Logging in with a token, and out.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::html::Markup;
use super::session::Session;
use super::visit::{Answer, Page, Visit, failed, form, rendered, same_site, to};
use crate::app::App;
use crate::error::Failure;

/// The form.
pub(super) async fn show(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match app.page.of(&headers) {
        Some(_) => to("/"),
        None => rendered(page(StatusCode::OK, None), None),
    }
}

/// Takes a token, and begins a session when it is good.
pub(super) async fn enter(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let fields = match same_site(&headers).and_then(|()| form(body)) {
        Ok(fields) => fields,
        Err(failure) => return failed(None, &failure),
    };
    let token = fields.get("token").map_or("", String::as_str).trim().to_owned();
    let working = Arc::clone(&app);
    let asked = tokio::task::spawn_blocking(move || {
        working.access.authenticate_token(&token, peer.ip()).map(|_| token)
    });
    let token = match asked.await {
        Ok(Ok(token)) => token,
        Ok(Err(error)) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::UNAUTHORIZED);
            return rendered(page(status, Some(&error.to_string())), None);
        }
        Err(error) => return failed(None, &Failure::internal(error)),
    };
    // A session that was there is not taken over by the new one.
    app.page.end(&headers);
    match app.page.begin(token).map(|cookie| cookie.parse()) {
        Ok(Ok(cookie)) => {
            let mut response = to("/");
            response.headers_mut().insert(SET_COOKIE, cookie);
            response
        }
        Ok(Err(error)) => failed(None, &Failure::internal(error)),
        Err(failure) => failed(None, &failure),
    }
}

/// Logs out.
#[expect(clippy::unnecessary_wraps, reason = "the form of every act of a page")]
pub(super) fn leave(_: &Arc<App>, _: &Visit) -> Result<Answer, Failure> {
    Ok(Answer::Away("/login".into()))
}

/// The button on every page.
pub(super) fn leave_form(html: &mut Markup, session: &Session) {
    html.raw("<form method=\"post\" action=\"/logout\"><input type=\"hidden\" name=\"form_key\"");
    html.attribute("value", &session.form_key)
        .raw("><button class=\"quiet\">Log out</button></form>");
}

fn page(status: StatusCode, problem: Option<&str>) -> Page {
    let mut body = Markup::new();
    body.raw("<h1>Log in</h1>");
    if let Some(problem) = problem {
        body.raw("<p class=\"problem\" role=\"alert\">").text(problem).raw("</p>");
    }
    body.raw(
        "<form class=\"card\" method=\"post\" action=\"/login\">\
         <label for=\"token\">Token</label>\
         <input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"off\" required autofocus>\
         <p class=\"hint\">A token of this gateway begins with <code>gbx_</code>. Whoever runs the \
         gateway makes one: <code>glovebox gateway token new</code>. It stays in the gateway's \
         memory until you log out.</p><button>Log in</button></form>",
    );
    Page { status, ..Page::new("Log in", body) }
}
