//! All calls, against a host that is honest.

use std::time::{Duration, Instant};

use glovebox_api::wire::{RoomList, RoomSummary, TableFiles};
use glovebox_client::{Client, ClientError, Options};
use glovebox_contract::bundle::Bundle;
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{Body, Pause, RunRequest, Statement};

use crate::fake::{Fake, Fate, error};
use crate::http::Reply;
use crate::support::{OUTPUT, Room, add_notebook, add_table, component, document, flights};
use crate::support::{key, name, notebook, parse};

/// An approved room whose clock is today's, so that outputs have not expired.
pub(crate) fn approved() -> Room {
    let mut room = Room::approved();
    room.now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    room
}

pub(crate) fn pause() -> Body {
    Body::Pause(Pause { comment: "a moment".into(), notebook: None })
}

#[test]
fn a_room_is_created_found_and_opened() {
    let fake = Fake::start(Room::accepted());
    let session = fake.session("airline");
    let body = Body::Room(document(&["airline", "weather"]));
    let party = parse("airline");
    let statement = Statement { body, issued_at: 1, party, room: None, sequence: 1 };
    let envelope = Envelope::sign(&statement, &key("airline")).unwrap();
    let room = session.create_room(&envelope).unwrap();
    assert_eq!(room.id().0, envelope.digest());
    assert_eq!(room.entries(), [envelope]);
    let rooms = session.rooms().unwrap();
    assert_eq!(rooms[0].id, *room.id());
    let id = room.id().to_string();
    for wanted in ["delays", &id, &id[7..], &id[..12], &id[7..11]] {
        assert_eq!(session.room(wanted).unwrap().id(), room.id(), "{wanted}");
    }
    for unknown in ["other", &id[7..10], "ffff", "blake3:ff"] {
        let error = session.room(unknown).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::NotFound, "{unknown}: {error}");
    }
}

#[test]
fn lists_of_several_pages_are_read_to_the_end() {
    let fake = Fake::start(Room::accepted());
    let id = *fake.world().room.state.id();
    let page = |name: &str, next: Option<&str>| RoomList {
        rooms: vec![RoomSummary { id, name: parse(name), statements: 1 }],
        next_page_token: next.map(Into::into),
    };
    let session = fake.session("airline");
    fake.world().rooms = Some(vec![page("a", Some("1")), page("b", Some("2")), page("c", None)]);
    let names: Vec<String> =
        session.rooms().unwrap().iter().map(|room| room.name.to_string()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    // Ends of lists that never come.
    for token in ["0", ""] {
        fake.world().rooms = Some(vec![page("a", Some(token))]);
        let error = session.rooms().unwrap_err();
        assert!(matches!(error, ClientError::Answer { .. }), "{error}");
    }
    // What a host lists a room as is not what it is called.
    fake.world().rooms = Some(vec![page("other", None)]);
    let error = session.room("other").unwrap_err();
    assert!(matches!(error, ClientError::Answer { .. }), "{error}");
    let two = RoomList {
        rooms: [page("b", None).rooms, page("b", None).rooms].concat(),
        ..page("b", None)
    };
    fake.world().rooms = Some(vec![two]);
    assert_eq!(session.room("b").unwrap_err().reason(), ReasonCode::NotFound);
}

#[test]
fn the_log_is_folded_page_by_page() {
    let fake = Fake::start(Room::approved());
    let room = fake.open("weather").unwrap();
    assert_eq!(room.entries(), fake.world().room.entries);
    assert_eq!(room.state().statements(), 8);
    assert_eq!(room.party().unwrap().as_str(), "weather");
    assert_eq!(fake.count("GET /log"), 3);
    let bundle = Bundle::from_bytes(&room.bundle().unwrap()).unwrap();
    assert!(bundle == fake.world().room.bundle());
    let stranger = fake.open("nobody").unwrap();
    assert_eq!(stranger.party().unwrap_err().reason(), ReasonCode::UnknownSigner);
}

#[test]
fn statements_and_assets_are_taken() {
    let mut accepted = Room::accepted();
    accepted.says("weather", add_table(crate::support::hourly()));
    let fake = Fake::start(accepted);
    let mut room = fake.open("airline").unwrap();
    let table = room.sign(add_table(flights())).unwrap();
    let taken = room.add_table(&table, &TableFiles::default()).unwrap();
    assert_eq!((taken.digest, taken.position), (table.digest(), 4));
    assert!(room.state().table(&flights().name).is_some());
    let taken = room.add_notebook(&room.sign(add_notebook(notebook("1.0.0"))).unwrap()).unwrap();
    assert_eq!(taken.position, 5);
    let taken = room.submit(&room.sign(pause()).unwrap()).unwrap();
    assert_eq!(taken.position, 6);
    assert!(room.state().pause().is_some());
    assert_eq!(room.entries(), fake.world().room.entries);
    assert_eq!(room.describe(&TableFiles::default()).unwrap().files, 1);
    // What the room does not take comes back with its reason.
    let not_mine = add_table(crate::support::hourly());
    let error = room.add_table_with(&TableFiles::default(), |_| Ok(not_mine.clone())).unwrap_err();
    assert_eq!((error.reason(), error.status()), (ReasonCode::NotPermitted, Some(403)));
}

#[test]
fn a_run_is_waited_for_and_its_output_read() {
    let fake = Fake::start(approved());
    let mut room = fake.open("weather").unwrap();
    let request = fake.world().room.request();
    let envelope = room.sign(request).unwrap();
    let run = room.start_run(&envelope).unwrap();
    assert_eq!(room.start_run(&envelope).unwrap(), run, "the same request is the same run");
    let receipt = room.wait_run(&run, &mut |_| {}).unwrap();
    assert_eq!(receipt.run, run);
    let mut out = Vec::new();
    room.read_output_with(&run, &parse("delay_by_wind"), &mut out).unwrap();
    assert_eq!(out, OUTPUT);
    assert_eq!(room.entries(), fake.world().room.entries, "the read is in the log");
    assert_eq!(room.run_text(&run).unwrap().detail.as_deref(), Some("why"));
    let error = room.read_output_with(&run, &parse("other"), &mut out).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::NotFound);
    let bytes = room.component(&ContentDigest::of(&component("1.0.0"))).unwrap();
    assert_eq!(bytes, component("1.0.0"));
}

#[test]
fn a_run_that_takes_its_time_is_waited_for() {
    let fake = Fake::start(approved());
    fake.world().fate = Fate::Waits;
    let mut room = fake.open("weather").unwrap();
    let Body::RunRequest(request) = fake.world().room.request() else { panic!() };
    let run = room.start_run_with(|_| Ok(request.clone())).unwrap();
    let started = Instant::now();
    let mut told = Vec::new();
    let receipt = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(1500));
            fake.world().finish(&run);
        });
        room.wait_run(&run, &mut |progress| told.push(*progress))
    });
    assert_eq!(receipt.unwrap().run, run);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(told.len(), 1, "the same is not told twice: {told:?}");
    assert_eq!((told[0].done, told[0].total), (Some(1), Some(2)));
}

#[test]
fn a_run_may_be_refused_or_unknown() {
    let fake = Fake::start(approved());
    fake.world().fate = Fate::Refused;
    let mut room = fake.open("weather").unwrap();
    let request = fake.world().room.request();
    let run = room.start_run(&room.sign(request).unwrap()).unwrap();
    let error = room.wait_run(&run, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ClientError::RunRefused { .. }), "{error}");
    assert_eq!(error.reason(), ReasonCode::InputChanged);
    let unknown = "00112233445566778899aabbccddeeff".parse().unwrap();
    let error = room.wait_run(&unknown, &mut |_| {}).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::NotFound);
    // What is against the room's rules is refused at once.
    let other = RunRequest {
        notebook: name(),
        parameters: [].into(),
        revision: glovebox_contract::digest::Blake3Digest::of(b"other"),
    };
    let error = room.start_run_with(|_| Ok(other.clone())).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::NotFound);
}

#[test]
fn waiting_ends_with_news_or_with_patience() {
    let fake = Fake::start(Room::accepted());
    let mut room = fake.open("airline").unwrap();
    let started = Instant::now();
    assert!(!room.wait_for_more(Duration::from_millis(700)).unwrap());
    assert!(started.elapsed() >= Duration::from_millis(700));
    assert!(fake.count("GET /log") < 10, "it does not spin");
    let news = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            fake.world().room.says("weather", pause());
        });
        room.wait_for_more(Duration::from_secs(20))
    });
    assert!(news.unwrap());
    assert!(room.state().pause().is_some());
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(!room.refresh().unwrap());
}

#[test]
fn two_of_the_same_party_do_not_lose_statements() {
    let fake = Fake::start(Room::accepted());
    std::thread::scope(|scope| {
        for who in 0..2 {
            let fake = &fake;
            scope.spawn(move || {
                let mut room = fake.open("airline").unwrap();
                for turn in 0..5 {
                    // The same words at the same time would be the same statement.
                    let comment = format!("{who} {turn}");
                    let pause = Body::Pause(Pause { comment, notebook: None });
                    room.submit_with(|_| Ok(pause.clone())).unwrap();
                }
            });
        }
    });
    assert_eq!(fake.world().room.entries.len(), 3 + 10);
    // Without signing again, the second of two statements with one number is refused.
    let mut room = fake.open("airline").unwrap();
    let envelope = room.sign(pause()).unwrap();
    fake.world().room.says("airline", pause());
    assert_eq!(room.submit(&envelope).unwrap_err().reason(), ReasonCode::Replayed);
}

#[test]
fn only_addresses_of_hosts_are_taken() {
    let fake = Fake::start(Room::accepted());
    for url in [
        "",
        "host",
        "host:80",
        "ftp://host",
        "file:///etc/passwd",
        "http://user:secret@host",
        "http://host/path",
        "http://host/?query",
        "http://host/#part",
    ] {
        let error = Client::connect(url, &fake.options()).unwrap_err();
        assert_eq!(error.reason(), ReasonCode::InvalidArgument, "{url}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let nowhere = Options { patience: Duration::from_secs(1), ..Options::default() };
    let error = Client::connect(&fake.url(), &nowhere).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::InvalidArgument);
    let ca = Some(fake.state.path().join("none.pem"));
    let error = Client::connect(&fake.url(), &Options { ca, ..fake.options() }).unwrap_err();
    assert!(matches!(error, ClientError::Local { .. }), "{error}");
    let ca = fake.state.path().join("no.pem");
    std::fs::write(&ca, "not a certificate").unwrap();
    let error = Client::connect(&fake.url(), &Options { ca: Some(ca), ..fake.options() });
    assert_eq!(error.unwrap_err().reason(), ReasonCode::InvalidArgument);
}

#[test]
fn errors_say_what_was_asked_and_nothing_secret() {
    let fake = Fake::start(Room::accepted());
    let session = fake.session("airline");
    let message = "no\u{1b}[2J \u{202e}such";
    fake.plan("GET /rooms", crate::fake::Trick::Reply(error(ReasonCode::NotPermitted, message)));
    let error = session.rooms().unwrap_err();
    assert_eq!((error.reason(), error.status()), (ReasonCode::NotPermitted, Some(403)));
    assert_eq!(error.at().unwrap(), format!("GET {}/v1/rooms", fake.url()));
    assert_eq!(error.to_string(), r"no\u{1b}[2J \u{202e}such");
    for reply in [
        Reply::new(418, "I am a teapot"),
        Reply::new(400, r#"{"error":{"reason":"made-up","message":"x"}}"#),
        Reply::new(404, ""),
        Reply::new(200, "{"),
        Reply::new(200, r#"{"rooms":[],"more":1}"#),
    ] {
        fake.plan("GET /rooms", crate::fake::Trick::Reply(reply));
        let error = session.rooms().unwrap_err();
        assert!(matches!(error, ClientError::Answer { .. }), "{error}");
    }
    assert!(!format!("{session:?}").contains(&key("airline").to_file()[30..60]));
}
