//! Hosts that cheat.

use std::time::{Duration, Instant};

use glovebox_client::{Client, ClientError, RemoteRoom};
use glovebox_contract::checkpoint::Checkpoint;
use glovebox_contract::reason::ReasonCode;

use crate::fake::{Fake, Trick, World};
use crate::http::Reply;
use crate::rooms::{approved, pause};
use crate::support::{Room, component, key, parse};

#[test]
fn a_host_keeps_its_key() {
    let fake = Fake::start(Room::accepted());
    drop(fake.session("airline"));
    drop(fake.session("airline"));
    fake.world().key = key("other host");
    let error = Client::connect(&fake.url(), &fake.options()).unwrap_err();
    let ClientError::HostKey { pinned, found, pin, .. } = &error else { panic!("{error}") };
    assert_eq!(*pinned, key("host").public().to_string());
    assert_eq!(*found, key("other host").public().to_string());
    std::fs::remove_file(pin).unwrap();
    assert!(Client::connect(&fake.url(), &fake.options()).is_ok());
    // The room is not on this host.
    let error = fake.open("airline").unwrap_err();
    assert_eq!(error.reason(), ReasonCode::LogTampered, "{error}");
}

#[test]
fn requests_are_bound_to_the_host_that_was_found() {
    let fake = Fake::start(Room::accepted());
    let session = fake.session("airline");
    fake.world().key = key("other host");
    assert_eq!(session.rooms().unwrap_err().reason(), ReasonCode::Unauthenticated);
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Fake::start(Room::accepted());
    let fake = Fake::start(Room::accepted());
    let mut room = fake.open("airline").unwrap();
    for (line, status) in
        [("GET /v1/rooms", 302), ("GET /v1/rooms", 307), ("POST /statements", 308)]
    {
        let reply =
            Reply::new(status, "").with("location", format!("{}/v1/rooms", elsewhere.url()));
        fake.plan(line, Trick::Reply(reply));
        let error = if line.starts_with("GET") {
            room.session().rooms().unwrap_err()
        } else {
            room.submit_with(|_| Ok(pause())).unwrap_err()
        };
        assert!(matches!(error, ClientError::Answer { .. }), "{error}");
    }
    assert!(elsewhere.world().asked.is_empty());
}

type Cheat = fn(&mut World);

/// What a host may show someone who never saw the room.
const FIRST_SIGHT: [(&str, Cheat); 5] = [
    ("a dropped entry", |world| {
        let mut entries = world.room.entries.clone();
        world.note = Some(world.sign(&entries, &world.key));
        entries.remove(4);
        // One of another kind in its place, so that the number is right.
        entries.push(entries[1].clone());
        world.shown = Some(entries);
    }),
    ("an entry in another order", |world| {
        let mut entries = world.room.entries.clone();
        entries.swap(1, 2);
        world.note = Some(world.sign(&world.room.entries, &world.key));
        world.shown = Some(entries);
    }),
    ("a changed entry", |world| {
        let note = world.sign(&world.room.entries, &world.key);
        world.shown = Some(world.rewritten(5));
        world.note = Some(note);
    }),
    ("another room", |world| {
        let mut document = crate::support::document(&["airline", "weather", "partner"]);
        document.nonce = "ffeeddccbbaa99887766554433221100".into();
        world.shown = Some(Room::create(document).unwrap().entries);
    }),
    ("a forged statement", |world| {
        let mut other = world.room.clone();
        let statement = other.statement("airline", pause());
        // The host signs in the party's place.
        let forged = glovebox_contract::envelope::Envelope::sign(&statement, &key("host")).unwrap();
        other.entries.push(forged);
        world.shown = Some(other.entries);
    }),
];

#[test]
fn a_log_must_hold_up_at_first_sight() {
    for (what, cheat) in FIRST_SIGHT {
        let fake = Fake::start(Room::approved());
        cheat(&mut fake.world());
        let error = fake.open("airline").unwrap_err();
        assert!(matches!(error, ClientError::Tampered { .. }), "{what}: {error}");
        assert_eq!(error.reason(), ReasonCode::LogTampered);
        // Nothing of it was kept.
        fake.world().shown = None;
        fake.world().note = None;
        assert_eq!(fake.open("airline").unwrap().entries().len(), 8, "{what}");
    }
}

#[test]
fn a_checkpoint_must_be_the_hosts() {
    let cheats: [(&str, Cheat); 5] = [
        ("signed by another", |world| {
            world.note = Some(world.sign(&world.room.entries, &key("airline")));
        }),
        ("of another size", |world| {
            world.note = Some(world.sign(&world.room.entries[..4], &world.key));
        }),
        ("no checkpoint", |world| world.note = Some("trust me".into())),
        ("a changed size", |world| {
            let note = world.sign(&world.room.entries, &world.key);
            world.note = Some(note.replace("\n8\n", "\n9\n"));
        }),
        ("no entries", |world| {
            world.note = Some(world.sign(&world.room.entries, &world.key));
            world.page_entries = 0;
        }),
    ];
    for (what, cheat) in cheats {
        let fake = Fake::start(Room::approved());
        cheat(&mut fake.world());
        let error = fake.open("airline").unwrap_err();
        assert!(matches!(error, ClientError::Answer { .. }), "{what}: {error}");
    }
}

/// What a host may show someone who knows the first eight entries.
const FORKS: [(&str, Cheat); 5] = [
    ("a shorter log", |world| world.shown = Some(world.room.entries[..6].to_vec())),
    ("another log of the same size", |world| world.shown = Some(world.rewritten(6))),
    ("another log, longer", |world| {
        for _ in 0..3 {
            world.room.says("partner", pause());
        }
        world.shown = Some(world.rewritten(6));
    }),
    ("another log, signed over, that goes on rightly", |world| {
        world.room.says("partner", pause());
        let other = world.rewritten(5);
        world.note = Some(world.sign(&other, &world.key));
    }),
    ("an entry that the room refuses", |world| {
        let again = world.room.entries[7].clone();
        world.shown = Some([world.room.entries.clone(), vec![again]].concat());
    }),
];

fn check_fork(what: &str, error: &ClientError) {
    let ClientError::Fork { evidence, .. } = error else { panic!("{what}: {error}") };
    assert_eq!(error.reason(), ReasonCode::LogTampered);
    let id = *Room::approved().state.id();
    let note = |name: &str| {
        let text = std::fs::read_to_string(evidence.join(name)).unwrap();
        Checkpoint::verify(&text, &id, &key("host").public()).unwrap()
    };
    let (mirrored, received) = (note("mirrored.checkpoint"), note("received.checkpoint"));
    assert_eq!(mirrored.size(), 8);
    if what.contains("another log") {
        assert_ne!(mirrored, received, "{what}");
    }
    assert!(evidence.join("received.entries").exists());
}

#[test]
fn a_log_only_grows() {
    for (what, cheat) in FORKS {
        let fake = Fake::start(Room::approved());
        let mut room = fake.open("airline").unwrap();
        cheat(&mut fake.world());
        check_fork(what, &room.refresh().unwrap_err());
        check_fork(what, &room.refresh().unwrap_err());
        assert_eq!(room.entries().len(), 8, "{what}: what was known stays");
        // Another process knows it too.
        check_fork(what, &fake.open("weather").unwrap_err());
        let error = room.submit_with(|_| Ok(pause())).map(|taken| taken.position);
        assert!(error.is_err(), "{what}");
    }
}

/// A host that has lost its log can still not show another one, even when this side has lost its
/// copy and has the checkpoint only.
#[test]
fn a_checkpoint_alone_binds_the_host() {
    for (what, cheat) in FORKS {
        if what.contains("refuses") {
            continue;
        }
        let fake = Fake::start(Room::approved());
        drop(fake.open("airline").unwrap());
        let log = find(&fake, "log");
        std::fs::write(&log, "").unwrap();
        cheat(&mut fake.world());
        match fake.open("airline") {
            Err(error @ ClientError::Fork { .. }) => check_fork(what, &error),
            other => panic!("{what}: {other:?}"),
        }
    }
}

pub(crate) fn find(fake: &Fake, name: &str) -> std::path::PathBuf {
    let id = fake.world().room.state.id().0.to_hex();
    fake.state.path().join("rooms").join(id).join(name)
}

#[test]
fn what_the_host_says_it_took_must_be_in_the_log() {
    let fake = Fake::start(Room::accepted());
    let mut room = fake.open("airline").unwrap();
    let envelope = room.sign(pause()).unwrap();
    let said = format!(r#"{{"digest":"{}","position":3}}"#, envelope.digest());
    fake.plan("POST /statements", Trick::Reply(Reply::new(200, said)));
    let error = room.submit(&envelope).unwrap_err();
    assert!(matches!(error, ClientError::Answer { .. }), "{error}");
    let elsewhere = format!(r#"{{"digest":"{}","position":2}}"#, envelope.digest());
    fake.plan("POST /statements", Trick::Reply(Reply::new(200, elsewhere)));
    assert!(room.submit(&envelope).is_err());
}

#[test]
fn another_run_or_room_is_noticed() {
    let fake = Fake::start(approved());
    let mut room = fake.open("weather").unwrap();
    let request = fake.world().room.request();
    let other = r#"{"run":"00112233445566778899aabbccddeeff"}"#;
    fake.plan("POST /runs", Trick::Reply(Reply::new(202, other)));
    let error = room.start_run(&room.sign(request).unwrap()).unwrap_err();
    assert!(matches!(error, ClientError::Answer { .. }), "{error}");
}

fn finished(fake: &Fake) -> (RemoteRoom, glovebox_contract::name::RunId) {
    let mut room = fake.open("weather").unwrap();
    let request = fake.world().room.request();
    let run = room.start_run(&room.sign(request).unwrap()).unwrap();
    room.wait_run(&run, &mut |_| {}).unwrap();
    (room, run)
}

#[test]
fn content_is_what_its_digest_says() {
    let outputs: [&[u8]; 4] =
        [b"", b"delay_by_wind.parquex", b"delay_by_wind.parque", b"delay_by_wind.parquet."];
    for output in outputs {
        let fake = Fake::start(approved());
        let (mut room, run) = finished(&fake);
        fake.world().output = output.to_vec();
        let mut out = Vec::new();
        let error = room.read_output_with(&run, &parse("delay_by_wind"), &mut out).unwrap_err();
        assert!(matches!(error, ClientError::Answer { .. }), "{error}");
        assert!(out.is_empty(), "nothing of it comes out");
    }
    let fake = Fake::start(Room::approved());
    let room = fake.open("weather").unwrap();
    fake.world().component = component("2.0.0");
    let digest = glovebox_contract::digest::ContentDigest::of(&component("1.0.0"));
    let error = room.component(&digest).unwrap_err();
    assert!(matches!(error, ClientError::Answer { .. }), "{error}");
}

#[test]
fn bodies_without_end_are_cut_off() {
    let fake = Fake::start(approved());
    let (mut room, run) = finished(&fake);
    for line in ["GET /v1/rooms", "GET /log", "GET /components"] {
        fake.plan(line, Trick::Endless);
    }
    fake.plan("POST /outputs", Trick::Endless);
    let is_cut = |error: ClientError| {
        assert!(matches!(error, ClientError::Answer { .. }), "{error}");
        assert!(error.to_string().contains("longer than"), "{error}");
    };
    is_cut(room.session().rooms().unwrap_err());
    is_cut(room.refresh().unwrap_err());
    let digest = glovebox_contract::digest::ContentDigest::of(b"a");
    is_cut(room.component(&digest).unwrap_err());
    is_cut(room.read_output_with(&run, &parse("delay_by_wind"), &mut Vec::new()).unwrap_err());
}

#[test]
fn a_trickle_is_given_up() {
    let fake = Fake::start(Room::approved());
    let session = fake.session("airline");
    fake.plan("GET /v1/rooms", Trick::Slow(Duration::from_millis(500)));
    let started = Instant::now();
    let error = session.rooms().unwrap_err();
    assert!(error.to_string().contains("too slowly"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(8));
}
