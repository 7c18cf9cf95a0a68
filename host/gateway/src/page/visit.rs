//! A visit: a request of a browser that is logged in, and the page that answers it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, RawPathParams, RawQuery, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, HOST, LOCATION, ORIGIN, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio_util::io::ReaderStream;

use super::html::Markup;
use super::session::Session;
use super::{login, words};
use crate::app::App;
use crate::call::{self, Call};
use crate::error::Failure;

/// Nothing but this site's own style; forms go nowhere else, nobody frames a page.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// A request of a browser that is logged in.
pub(super) struct Visit {
    /// The request as the REST calls take it, with the token of the session.
    pub(super) call: Call,
    /// What came with a form.
    pub(super) form: BTreeMap<String, String>,
    pub(super) session: Session,
    peer: SocketAddr,
    cookies: HeaderMap,
}

/// What answers it.
pub(super) enum Answer {
    /// A page.
    Page(Page),
    /// The address of another page.
    To(String),
    /// The same, and the browser forgets its session.
    Away(String),
    /// A file to keep.
    Parquet { content: std::fs::File, bytes: u64, name: String },
}

/// A page, without what all pages have.
pub(super) struct Page {
    pub(super) title: String,
    pub(super) status: StatusCode,
    /// Seconds until the browser asks for it again.
    pub(super) again: Option<u8>,
    pub(super) body: Markup,
}

impl Page {
    /// A page that was found.
    pub(super) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self { title: title.into(), status: StatusCode::OK, again: None, body }
    }
}

impl Visit {
    /// A REST call of the same caller, with this body.
    pub(super) fn rest(&self, body: &serde_json::Value) -> Result<Call, Failure> {
        let body = Bytes::from(body.to_string());
        call::read(self.peer, BTreeMap::new(), None, self.call.headers.clone(), Ok(body))
    }

    /// Ends the session; the cookie for the browser.
    pub(super) fn end(&self, app: &App) -> String {
        app.page.end(&self.cookies)
    }
}

type Show = fn(&Arc<App>, &Visit) -> Result<Answer, Failure>;
type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;
type Came = Result<Bytes, BytesRejection>;

/// Makes a handler of a function that shows something.
pub(super) fn look(
    show: Show,
) -> impl Fn(State<Arc<App>>, ConnectInfo<SocketAddr>, RawPathParams, RawQuery, HeaderMap) -> Answering
+ Clone
+ Send
+ Sync
+ 'static {
    move |State(app), ConnectInfo(peer), path, RawQuery(query), headers| {
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Box::pin(async move {
            let Some(session) = app.page.of(&headers) else { return to_login() };
            match visit(peer, path, query.as_deref(), &headers, session, BTreeMap::new()) {
                Ok(visit) => answer(app, visit, show).await,
                Err(failure) => failed(None, &failure),
            }
        })
    }
}

/// Makes a handler of a function that does something that a form asks for.
pub(super) fn send(
    act: Show,
) -> impl Fn(State<Arc<App>>, ConnectInfo<SocketAddr>, RawPathParams, HeaderMap, Came) -> Answering
+ Clone
+ Send
+ Sync
+ 'static {
    move |State(app), ConnectInfo(peer), path, headers, body| {
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Box::pin(async move {
            let Some(session) = app.page.of(&headers) else { return to_login() };
            let form = match same_site(&headers).and_then(|()| form(body)) {
                Ok(form) => form,
                Err(failure) => return failed(Some(&session), &failure),
            };
            let key = form.get("form_key").map_or("", String::as_str);
            if !same(key, &session.form_key) {
                let failure = Failure::denied("the form is not of this session; open it again");
                return failed(Some(&session), &failure);
            }
            match visit(peer, path, None, &headers, session, form) {
                Ok(visit) => answer(app, visit, act).await,
                Err(failure) => failed(None, &failure),
            }
        })
    }
}

fn visit(
    peer: SocketAddr,
    path: BTreeMap<String, String>,
    query: Option<&str>,
    headers: &HeaderMap,
    session: Session,
    form: BTreeMap<String, String>,
) -> Result<Visit, Failure> {
    let mut token = HeaderValue::from_str(&format!("Bearer {}", session.token))
        .map_err(|_| Failure::invalid("the token cannot be one"))?;
    token.set_sensitive(true);
    let known = HeaderMap::from_iter([(AUTHORIZATION, token)]);
    let call = call::read(peer, path, query, known, Ok(Bytes::new()))?;
    Ok(Visit { call, form, session, peer, cookies: headers.clone() })
}

async fn answer(app: Arc<App>, visit: Visit, show: Show) -> Response {
    let Ok(_place) = app.places.acquire().await else {
        return failed(None, &Failure::unavailable("the gateway is stopping"));
    };
    let working = Arc::clone(&app);
    let work = tokio::task::spawn_blocking(move || {
        let answer = show(&working, &visit);
        (visit, answer)
    });
    match work.await {
        Ok((visit, Ok(answer))) => answered(&visit, &app, answer),
        Ok((visit, Err(failure))) if status_of(&failure) == StatusCode::UNAUTHORIZED => {
            answered(&visit, &app, Answer::Away("/login".into()))
        }
        Ok((visit, Err(failure))) => failed(Some(&visit.session), &failure),
        Err(error) => failed(None, &Failure::internal(error)),
    }
}

fn answered(visit: &Visit, app: &App, answer: Answer) -> Response {
    match answer {
        Answer::Page(page) => rendered(page, Some(&visit.session)),
        Answer::To(address) => to(&address),
        Answer::Away(address) => {
            let mut response = to(&address);
            if let Ok(cookie) = visit.end(app).parse() {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            response
        }
        Answer::Parquet { content, bytes, name } => {
            let body = Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(content)));
            let mut response = guarded(Response::new(body));
            let headers = response.headers_mut();
            let kind = HeaderValue::from_static("application/vnd.apache.parquet");
            headers.insert(CONTENT_TYPE, kind);
            headers.insert(CONTENT_LENGTH, bytes.into());
            if let Ok(name) = format!("attachment; filename=\"{name}\"").parse() {
                headers.insert(CONTENT_DISPOSITION, name);
            }
            response
        }
    }
}

/// Answers with another address.
pub(super) fn to(address: &str) -> Response {
    let mut response = guarded(StatusCode::SEE_OTHER.into_response());
    if let Ok(address) = address.parse() {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

fn to_login() -> Response {
    to("/login")
}

fn status_of(failure: &Failure) -> StatusCode {
    failure.clone().into_response().status()
}

/// A page that says what is wrong.
pub(super) fn failed(session: Option<&Session>, failure: &Failure) -> Response {
    let status = status_of(failure);
    let mut body = Markup::new();
    body.raw("<h1>").text(words::of_status(status)).raw("</h1><p>").text(failure.message());
    body.raw("</p><p><a href=\"/\">All rooms</a></p>");
    let page = Page { status, ..Page::new(words::of_status(status), body) };
    rendered(page, session)
}

/// A whole page, with what keeps it to itself.
pub(super) fn rendered(page: Page, session: Option<&Session>) -> Response {
    let mut html = Markup::new();
    html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    if let Some(seconds) = page.again {
        html.raw("<meta http-equiv=\"refresh\"").attribute("content", seconds).raw(">");
    }
    html.raw("<title>").text(&page.title).raw(" · Glovebox</title>");
    html.raw("<link rel=\"stylesheet\" href=\"/style.css\"></head><body><header>");
    html.raw("<a class=\"brand\" href=\"/\">Glovebox</a>");
    if let Some(session) = session {
        login::leave_form(&mut html, session);
    }
    html.raw("</header><main>").markup(&page.body).raw("</main></body></html>");
    let mut response = guarded(html.into_string().into_response());
    *response.status_mut() = page.status;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Reads a form: every field once.
pub(super) fn form(body: Came) -> Result<BTreeMap<String, String>, Failure> {
    let body = body.map_err(|_| Failure::too_large("the form is too long"))?;
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(&body) {
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Failure::invalid("the form has a field twice"));
        }
    }
    Ok(fields)
}

/// Refuses what the browser says comes from another site.
pub(super) fn same_site(headers: &HeaderMap) -> Result<(), Failure> {
    let foreign = || Err(Failure::denied("the form was sent by another site"));
    let said = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match said(HeaderName::from_static("sec-fetch-site")) {
        None | Some("same-origin" | "none") => {}
        Some(_) => return foreign(),
    }
    match (said(ORIGIN), said(HOST)) {
        (None, _) => Ok(()),
        (Some(origin), Some(host)) => match origin.split_once("://") {
            Some((_, of)) if of.eq_ignore_ascii_case(host) => Ok(()),
            _ => foreign(),
        },
        (Some(_), None) => foreign(),
    }
}

/// Compares secrets without telling by the time it takes where they differ.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one.bytes().zip(other.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_other_sites_are_refused() {
        for (headers, good) in [
            (vec![], true),
            (vec![("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")], true),
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("origin", "http://127.0.0.1:9090"), ("host", "127.0.0.1:8080")], false),
            (vec![("origin", "https://evil.example"), ("host", "127.0.0.1:8080")], false),
            (vec![("origin", "null"), ("host", "127.0.0.1:8080")], false),
            (vec![("origin", "http://127.0.0.1:8080")], false),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(same_site(&map).is_ok(), good, "{headers:?}");
        }
    }

    #[test]
    fn secrets_are_compared_whole() {
        for (one, other, equal) in
            [("ab", "ab", true), ("ab", "ac", false), ("ab", "a", false), ("", "a", false)]
        {
            assert_eq!(same(one, other), equal);
        }
    }
}
