//! Pages of a room full of hostile text, and visits over HTTP to a gateway whose host is away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use glovebox_contract::statement::{Body as Said, Pause};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::{Pages, notebook, room, router, run};
use crate::access::{Access, Config, Kind, NewPrincipal};
use crate::app::App;
use crate::host::Host;
use crate::paging::Pager;
use crate::store::Store;
use crate::world::{self, Room, add_notebook, add_table, key, parse, table};

const SCRIPT: &str = "</script><script>alert('x')</script>\"><img src=x onerror=alert(1)>";

/// No tag of a page comes from anybody's text.
fn is_harmless(html: &str) {
    for bad in ["<script", "<img", "alert('x')", "onerror=alert(1)>"] {
        assert!(!html.contains(bad), "{bad} in {html}");
    }
}

/// A room whose texts are as bad as the contract lets them be.
fn hostile_room() -> Room {
    let mut document = world::document(&["airline", "weather", "partner"]);
    document.collaborators[1].organisation = SCRIPT.into();
    document.region = SCRIPT.into();
    let mut room = Room::create(document).unwrap();
    room.says("weather", Said::Accept);
    room.says("partner", Said::Accept);
    let mut flights = world::flights();
    flights.description = SCRIPT.into();
    flights.columns.push(table("x.y", &[(SCRIPT, "utf8")]).columns.remove(0));
    room.says("airline", add_table(flights));
    room.says("weather", add_table(world::hourly()));
    let mut notebook = world::notebook("1.0.0");
    notebook.manifest.description = format!("Read me.\n{SCRIPT}");
    let parameter = notebook.manifest.parameters.values_mut().next().unwrap();
    parameter.description = SCRIPT.into();
    room.says("partner", add_notebook(notebook));
    room
}

fn form(problem: Option<&str>) -> notebook::Form<'_> {
    notebook::Form {
        may_run: true,
        form_key: "key",
        once: "once".into(),
        entered: [("min_group".to_owned(), SCRIPT.to_owned())].into(),
        problem,
    }
}

#[test]
fn a_room_shows_what_is_in_it_and_no_text_becomes_markup() {
    let mut world = hostile_room();
    world.says("weather", Said::Pause(Pause { comment: SCRIPT.into(), notebook: None }));
    let html = room::page(&world.state, world.now, &parse("weather"), Some(SCRIPT)).body;
    let html = html.into_string();
    is_harmless(&html);
    for part in [
        "you are weather",
        "paused by weather",
        "airline.flights",
        "<td>dep_delay<td>float64",
        "delay-by-wind",
        "1.0.0 by partner",
        "Read me.\n",
        "waits for airline, weather",
        "<dt>Network of a run<dd>none",
        "airline Ltd",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
}

#[test]
fn a_notebook_has_its_form_when_it_may_run() {
    let mut world = hostile_room();
    let (now, weather, airline) = (world.now + 10, parse("weather"), parse("airline"));
    let shown = |world: &Room, me, form: &notebook::Form<'_>| {
        notebook::page(&world.state, now, me, &world::name(), form).unwrap().body.into_string()
    };
    let before = shown(&world, &weather, &form(None));
    assert!(before.contains("It cannot be run now") && !before.contains("<form"), "{before}");
    world.review("airline", glovebox_contract::statement::Decision::Approve);
    world.review("weather", glovebox_contract::statement::Decision::Approve);
    let html = shown(&world, &weather, &form(Some(SCRIPT)));
    is_harmless(&html);
    for part in [
        format!("name=\"etag\" value=\"{}\"", world.revision()),
        "name=\"form_key\" value=\"key\"".into(),
        "name=\"once\" value=\"once\"".into(),
        "name=\"p.min_group\" type=\"number\" step=\"1\" min=\"20\" value=\"&lt;/script".into(),
        "class=\"problem\"".into(),
        "Run delay-by-wind 1.0.0".into(),
        "<td>airline<td><span class=\"badge good\">approved".into(),
    ] {
        assert!(html.contains(&part), "{part}: {html}");
    }
    // Somebody who is no runner, and a visitor without the privilege, have no form.
    assert!(!shown(&world, &airline, &form(None)).contains("<form"));
    let may_not = notebook::Form { may_run: false, ..form(None) };
    assert!(!shown(&world, &weather, &may_not).contains("<form"));
    assert!(notebook::page(&world.state, now, &weather, &parse("other"), &form(None)).is_err());
}

fn seen(me: &glovebox_contract::name::Alias, now: u64) -> run::Seen<'_> {
    run::Seen {
        me,
        now,
        may_read: true,
        may_run: true,
        form_key: "key",
        progress: None,
        text: None,
    }
}

#[test]
fn a_run_shows_its_outputs_to_those_who_may_read_them() {
    use glovebox_api::wire::{LogLevel, LogLine, RunText};

    let (weather, partner) = (parse("weather"), parse("partner"));
    let (going, id) = Room::started();
    let page = run::page(&going.state, going.state.run(&id).unwrap(), &seen(&weather, going.now));
    assert_eq!(page.again, Some(3));
    let html = page.body.into_string();
    assert!(html.contains("/cancel\"") && html.contains("badge waiting\">runs"), "{html}");
    let others = run::page(&going.state, going.state.run(&id).unwrap(), &seen(&partner, going.now));
    assert!(!others.body.into_string().contains("/cancel"));

    let (done, id) = Room::finished();
    let ended = done.state.run(&id).unwrap();
    let text = RunText {
        detail: Some(SCRIPT.into()),
        log: vec![LogLine { level: LogLevel::Info, message: SCRIPT.into() }],
        ..RunText::default()
    };
    let page =
        run::page(&done.state, ended, &run::Seen { text: Some(text), ..seen(&weather, done.now) });
    assert_eq!(page.again, None);
    let html = page.body.into_string();
    is_harmless(&html);
    for part in
        ["delay_by_wind", "badge good\">done", "/parquet\"", "<dt>min_group<dd>30", "<h2>Log"]
    {
        assert!(html.contains(part), "{part}: {html}");
    }
    let reader = run::page(&done.state, ended, &seen(&partner, done.now)).body.into_string();
    assert!(reader.contains("They cannot be read") && !reader.contains("/parquet"), "{reader}");
    let may_not = run::Seen { may_read: false, ..seen(&weather, done.now) };
    let reader = run::page(&done.state, ended, &may_not).body.into_string();
    assert!(reader.contains("no privilege") && !reader.contains("/parquet"), "{reader}");
}

#[test]
fn in_a_packaged_room_the_consumer_has_the_form_and_the_provider_sees_runs_only() {
    use glovebox_contract::statement::{Decision, LogReaders};

    let mut document = world::document(&["airline", "weather", "partner"]);
    document.package_provider = Some(parse("partner"));
    document.log_readers = LogReaders::Runner;
    let mut room = Room::create(document).unwrap();
    room.says("weather", Said::Accept);
    room.says("partner", Said::Accept);
    room.says("airline", add_table(world::flights()));
    room.says("weather", add_table(world::hourly()));
    let mut notebook = world::notebook("1.0.0");
    notebook.hidden = true;
    room.says("partner", add_notebook(notebook));
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    let (weather, partner) = (parse("weather"), parse("partner"));
    let html = room::page(&room.state, room.now, &weather, None).body.into_string();
    for part in ["packaged by partner", "code hidden", "Mean delay by wind", ">provider<"] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let form_of = |me| {
        let shown = notebook::page(&room.state, room.now, me, &world::name(), &form(None));
        shown.unwrap().body.into_string()
    };
    assert!(form_of(&weather).contains("<form") && form_of(&weather).contains("<dd>hidden"));
    assert!(!form_of(&partner).contains("<form"));
    let request = room.request();
    let id = glovebox_contract::name::RunId::of_request(&room.says("weather", request).digest);
    let start = room.start(&id);
    room.says("host", Said::RunStart(start));
    let receipt = room.receipt(&id);
    room.says("host", Said::RunReceipt(Box::new(receipt)));
    let seen_by = |me| {
        run::page(&room.state, room.state.run(&id).unwrap(), &seen(me, room.now)).body.into_string()
    };
    assert!(seen_by(&weather).contains("/parquet"));
    let provider = seen_by(&partner);
    assert!(provider.contains("badge good\">done") && !provider.contains("/parquet"), "{provider}");
    assert!(provider.contains("They cannot be read"), "{provider}");
}

/// A gateway whose host is nowhere.
struct Site {
    app: Arc<App>,
    router: Router,
    token: String,
    _state: TempDir,
}

impl Site {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().to_path_buf();
        let access = Access::open(Config::new(directory.join("access.sqlite"))).unwrap();
        let alice = parse("alice");
        let new = NewPrincipal { name: parse("alice"), kind: Kind::User, subject: None };
        access.store().add_principal(&new).unwrap();
        let hour = Duration::from_secs(3600);
        let token = access.store().new_token(&alice, "", hour).unwrap().reveal().to_owned();
        let options = glovebox_client::Options {
            patience: Duration::from_millis(1),
            ..glovebox_client::Options::new(directory.join("hosts"))
        };
        let app = Arc::new(App {
            access,
            host: Host::new("http://127.0.0.1:1".into(), options, key("weather")),
            store: Store::open(&directory.join("gateway.sqlite")).unwrap(),
            pager: Pager::new([0; 32]),
            inspect: |_| Err("none".into()),
            catalog: None,
            state: directory,
            page: Pages::new(false),
            preview: None,
            places: tokio::sync::Semaphore::new(4),
        });
        let peer = MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1)));
        let router = router().layer(peer).with_state(Arc::clone(&app));
        Self { app, router, token, _state: state }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(axum::http::HeaderName, &str)],
        body: &str,
    ) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "gateway:1");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Logs in; the cookie and the key of the forms.
    async fn log_in(&self) -> (String, String) {
        let form = format!("token={}", self.token);
        let (status, headers, _) = self.ask(Method::POST, "/login", &[], &form).await;
        assert_eq!((status, &headers[LOCATION]), (StatusCode::SEE_OTHER, &"/".parse().unwrap()));
        let cookie = headers[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
        assert!(!cookie.contains(&self.token[8..24]), "the token is not in the cookie");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let headers = HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())]);
        let form_key = self.app.page.of(&headers).unwrap().form_key;
        (cookie, form_key)
    }
}

fn id() -> String {
    world::document(&["airline"]).nonce.repeat(2)
}

#[tokio::test]
async fn every_page_is_guarded() {
    let site = Site::new();
    let (cookie, _) = site.log_in().await;
    let room = format!("/rooms/{}", id());
    for (path, with, expected) in [
        ("/login", false, StatusCode::OK),
        ("/", false, StatusCode::SEE_OTHER),
        (room.as_str(), false, StatusCode::SEE_OTHER),
        ("/", true, StatusCode::SERVICE_UNAVAILABLE),
        (room.as_str(), true, StatusCode::SERVICE_UNAVAILABLE),
        ("/?from=x", true, StatusCode::BAD_REQUEST),
        ("/?other=1", true, StatusCode::BAD_REQUEST),
    ] {
        let cookies = [(COOKIE, cookie.as_str())];
        let headers = if with { &cookies[..] } else { &[] };
        let (status, headers, body) = site.ask(Method::GET, path, headers, "").await;
        assert_eq!(status, expected, "{path}: {body}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; form-action 'self'"));
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(headers[name], value, "{path}");
        }
        if status == StatusCode::SEE_OTHER {
            assert_eq!(headers[LOCATION], "/login");
        } else {
            assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8");
            assert!(!body.contains("<script") && !body.contains(" style="), "{body}");
            assert_eq!(body.contains("/logout"), with, "{body}");
        }
    }
    let (status, headers, _) = site.ask(Method::GET, "/style.css", &[], "").await;
    assert_eq!(
        (status, headers[CONTENT_TYPE].to_str().unwrap()),
        (StatusCode::OK, "text/css; charset=utf-8")
    );
}

#[tokio::test]
async fn wrong_tokens_begin_nothing() {
    let site = Site::new();
    let wrong = format!("{}x", site.token);
    for form in ["", "token=", &format!("token={wrong}"), "token=%3Cscript%3E", "tok%65n=a"] {
        let (status, headers, body) = site.ask(Method::POST, "/login", &[], form).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{form}");
        assert!(!headers.contains_key(SET_COOKIE) && !body.contains(&wrong), "{body}");
        is_harmless(&body);
    }
    let twice = format!("token={0}&token={0}", site.token);
    let (status, ..) = site.ask(Method::POST, "/login", &[], &twice).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let good = format!("token={}", site.token);
    for other in ["https://evil.example", "null", "http://gateway:2"] {
        let (status, headers, _) =
            site.ask(Method::POST, "/login", &[(ORIGIN, other)], &good).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{other}");
        assert!(!headers.contains_key(SET_COOKIE));
    }
    let (status, ..) =
        site.ask(Method::POST, "/login", &[(ORIGIN, "http://gateway:1")], &good).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn forms_need_the_key_of_the_session() {
    let site = Site::new();
    let (cookie, form_key) = site.log_in().await;
    let (_, other_key) = site.log_in().await;
    let run = format!("/rooms/{}/notebooks/delays", id());
    for path in ["/logout", run.as_str(), &format!("/rooms/{0}/runs/{0}/cancel", id())] {
        for form in
            ["", "form_key=", &format!("form_key={other_key}"), &format!("form_key={form_key}x")]
        {
            let (status, headers, _) =
                site.ask(Method::POST, path, &[(COOKIE, &cookie)], form).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {form}");
            assert!(!headers.contains_key(SET_COOKIE));
        }
        let form = format!("form_key={form_key}");
        let foreign = [(COOKIE, cookie.as_str()), (ORIGIN, "https://evil.example")];
        let (status, ..) = site.ask(Method::POST, path, &foreign, &form).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
    let form = format!("form_key={form_key}&p.min_group=30");
    let (status, ..) = site.ask(Method::POST, &run, &[(COOKIE, &cookie)], &form).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "only the host is missing");
    let form = format!("form_key={form_key}");
    let (status, headers, _) = site.ask(Method::POST, "/logout", &[(COOKIE, &cookie)], &form).await;
    assert_eq!((status, headers[LOCATION].to_str().unwrap()), (StatusCode::SEE_OTHER, "/login"));
    assert!(headers[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    let (status, ..) = site.ask(Method::GET, "/", &[(COOKIE, &cookie)], "").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "the session is over");
}

#[tokio::test]
async fn a_revoked_token_ends_its_sessions() {
    let site = Site::new();
    let (cookie, _) = site.log_in().await;
    let store = site.app.access.store();
    let token = store.tokens().unwrap().remove(0);
    store.revoke_token(&token.id).unwrap();
    let (status, headers, _) = site.ask(Method::GET, "/", &[(COOKIE, &cookie)], "").await;
    assert_eq!((status, headers[LOCATION].to_str().unwrap()), (StatusCode::SEE_OTHER, "/login"));
    assert!(headers[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert!(site.app.page.of(&HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())])).is_none());
}
