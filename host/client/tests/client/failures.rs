//! A host that fails and comes back.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use glovebox_client::{Client, ClientError};
use glovebox_contract::reason::ReasonCode;

use crate::fake::{Fake, Trick, error};
use crate::http::Reply;
use crate::rooms::{approved, pause};
use crate::support::{OUTPUT, Room, parse};

/// What passes by itself when the same is asked again.
fn passing() -> Vec<Trick> {
    vec![
        Trick::HangUp,
        Trick::HalfAnAnswer,
        Trick::Reply(Reply::new(503, "")),
        Trick::Reply(Reply::new(502, "<html>bad gateway</html>")),
        Trick::Reply(error(ReasonCode::Unavailable, "it starts")),
        Trick::Reply(error(ReasonCode::RateLimited, "too fast").with("retry-after", 1)),
        Trick::Reply(error(ReasonCode::HomeBusy, "busy")),
    ]
}

#[test]
fn what_may_be_asked_twice_is() {
    for trick in passing() {
        let fake = Fake::start(Room::accepted());
        fake.plan("GET /v1/host", trick.clone());
        let session = fake.session("airline");
        fake.plan("GET /v1/rooms", trick.clone());
        assert_eq!(session.rooms().unwrap().len(), 1);
        fake.plan("GET /log", trick);
        assert_eq!(fake.open("airline").unwrap().entries().len(), 3);
    }
}

#[test]
fn patience_ends() {
    let fake = Fake::start(Room::accepted());
    let session = fake.session("airline");
    for _ in 0..100 {
        fake.plan("GET /v1/rooms", Trick::Reply(Reply::new(503, "")));
    }
    let started = Instant::now();
    let error = session.rooms().unwrap_err();
    assert_eq!(error.reason(), ReasonCode::Unavailable);
    assert!(error.is_passing());
    let took = started.elapsed();
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(4), "{took:?}");
    assert!(fake.count("GET /v1/rooms") < 20, "pauses grow");
    // A host that asks for a longer pause than there is patience for.
    let later = error_with_retry(1000);
    fake.world().asked.clear();
    let fake = Fake::start(Room::accepted());
    let session = fake.session("airline");
    fake.plan("GET /v1/rooms", later);
    let started = Instant::now();
    assert_eq!(session.rooms().unwrap_err().reason(), ReasonCode::RateLimited);
    assert!(started.elapsed() < Duration::from_secs(1));
}

fn error_with_retry(seconds: u64) -> Trick {
    Trick::Reply(error(ReasonCode::RateLimited, "later").with("retry-after", seconds))
}

#[test]
fn a_refusal_is_not_asked_again() {
    let fake = Fake::start(Room::accepted());
    let session = fake.session("airline");
    for reason in [ReasonCode::NotPermitted, ReasonCode::Internal, ReasonCode::Unauthenticated] {
        fake.world().asked.clear();
        fake.plan("GET /v1/rooms", Trick::Reply(error(reason, "no")));
        assert_eq!(session.rooms().unwrap_err().reason(), reason);
        assert_eq!(fake.count("GET /v1/rooms"), 1);
    }
}

#[test]
fn a_host_may_come_late() {
    // The port is known, and nobody listens until later.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let patient = Fake::start(Room::accepted());
    let fake = std::thread::scope(|scope| {
        let late = scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            Fake::on(TcpListener::bind(address).unwrap(), Room::accepted())
        });
        let client = Client::connect(&format!("http://{address}"), &patient.options());
        assert!(client.is_ok(), "{:?}", client.err());
        late.join().unwrap()
    });
    assert_eq!(fake.address(), address);
}

#[test]
fn a_statement_is_sent_once_whatever_happens() {
    let uncertain = [Trick::DoAndHangUp, Trick::HalfAnAnswer];
    for trick in passing().into_iter().chain(uncertain) {
        let fake = Fake::start(Room::accepted());
        let mut room = fake.open("airline").unwrap();
        let envelope = room.sign(pause()).unwrap();
        fake.plan("POST /statements", trick);
        let taken = room.submit(&envelope).unwrap();
        assert_eq!((taken.digest, taken.position), (envelope.digest(), 3));
        assert_eq!(fake.world().room.entries.len(), 4, "it is in the log once");
    }
}

/// The answer is lost, and the log does not show the statement yet when it is asked.
#[test]
fn replayed_means_done_when_the_log_has_this_very_statement() {
    let fake = Fake::start(Room::accepted());
    let mut room = fake.open("airline").unwrap();
    let envelope = room.sign(pause()).unwrap();
    fake.plan("POST /statements", Trick::DoAndHangUp);
    // An old answer: signed, of the same size as what the client has.
    let entries = fake.world().room.entries.clone();
    let old = {
        let world = fake.world();
        let checkpoint = world.sign(&entries, &world.key);
        let page = glovebox_api::wire::LogPage { checkpoint, entries: vec![], size: 3 };
        Reply::new(200, serde_json::to_vec(&page).unwrap())
    };
    fake.plan("GET /log", Trick::Reply(old));
    let taken = room.submit(&envelope).unwrap();
    assert_eq!(taken.position, 3);
    assert_eq!(fake.count("POST /statements"), 2);
    assert_eq!(fake.world().room.entries.len(), 4);
}

#[test]
fn a_host_that_stays_away_is_an_error() {
    let fake = Fake::start(Room::accepted());
    let mut room = fake.open("airline").unwrap();
    let envelope = room.sign(pause()).unwrap();
    for _ in 0..100 {
        fake.plan("POST /statements", Trick::HangUp);
    }
    let error = room.submit(&envelope).unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert_eq!(fake.world().room.entries.len(), 3);
}

#[test]
fn a_broken_download_is_signed_and_read_again() {
    for trick in [Trick::HalfAnAnswer, Trick::DoAndHangUp, Trick::HangUp] {
        let fake = Fake::start(approved());
        let mut room = fake.open("weather").unwrap();
        let request = fake.world().room.request();
        let run = room.start_run(&room.sign(request).unwrap()).unwrap();
        room.wait_run(&run, &mut |_| {}).unwrap();
        fake.plan("POST /outputs", trick.clone());
        let mut out = Vec::new();
        room.read_output_with(&run, &parse("delay_by_wind"), &mut out).unwrap();
        assert_eq!(out, OUTPUT);
        // A given statement cannot be signed again.
        room.refresh().unwrap();
        fake.plan("POST /outputs", trick);
        let read = glovebox_contract::statement::OutputRead { output: parse("delay_by_wind"), run };
        let envelope = room.sign(glovebox_contract::statement::Body::OutputRead(read)).unwrap();
        let mut out = Vec::new();
        let error = room.read_output(&envelope, &mut out).unwrap_err();
        assert!(error.is_passing(), "{error}");
        assert!(out.is_empty(), "nothing half comes out");
    }
}

#[test]
fn creation_and_runs_survive_lost_answers() {
    let fake = Fake::start(approved());
    let mut room = fake.open("weather").unwrap();
    fake.plan("POST /runs", Trick::DoAndHangUp);
    let request = fake.world().room.request();
    let run = room.start_run(&room.sign(request).unwrap()).unwrap();
    room.wait_run(&run, &mut |_| {}).unwrap();
    assert_eq!(fake.world().room.state.runs().count(), 1);

    let document = crate::support::document(&["weather", "airline"]);
    let statement = glovebox_contract::statement::Statement {
        body: glovebox_contract::statement::Body::Room(document),
        issued_at: 1,
        party: parse("weather"),
        room: None,
        sequence: 1,
    };
    let envelope =
        glovebox_contract::envelope::Envelope::sign(&statement, &crate::support::key("weather"))
            .unwrap();
    fake.plan("POST /v1/rooms", Trick::DoAndHangUp);
    let room = fake.session("weather").create_room(&envelope).unwrap();
    assert_eq!(room.id().0, envelope.digest());
    // Without a lost answer, a room that is there already is what it says.
    let error = fake.session("weather").create_room(&envelope).unwrap_err();
    assert_eq!(error.reason(), ReasonCode::AlreadyExists);
}

#[test]
fn a_silent_host_is_given_up() {
    let fake = Fake::start(Room::accepted());
    let session = fake.session("airline");
    fake.plan("GET /v1/rooms", Trick::Late(Duration::from_secs(60)));
    let started = Instant::now();
    let error = session.rooms().unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_key_is_changed_whatever_happens() {
    let uncertain = [Trick::DoAndHangUp, Trick::HalfAnAnswer];
    for trick in passing().into_iter().chain(uncertain) {
        let fake = Fake::start(Room::accepted());
        let mut room = fake.open("airline").unwrap();
        fake.plan("POST /statements", trick);
        let taken = room.rotate(crate::support::key("airline again")).unwrap();
        assert_eq!(taken.position, 3);
        assert_eq!(room.party().unwrap().as_str(), "airline");
        room.submit_with(|_| Ok(pause())).unwrap();
        assert_eq!(fake.world().room.entries.len(), 5);
        // The old key is nobody's.
        assert_eq!(fake.open("airline").unwrap_err().reason(), ReasonCode::NotFound);
    }
    let fake = Fake::start(Room::accepted());
    let mut room = fake.open("airline").unwrap();
    let error = room.rotate(crate::support::key("weather")).unwrap_err();
    assert_eq!(error.status(), Some(409), "{error}");
    assert!(room.submit_with(|_| Ok(pause())).is_ok(), "the old key is still good");
}
