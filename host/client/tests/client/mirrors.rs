//! The mirrored log: what it survives.

use std::io::Write as _;

use glovebox_client::ClientError;

use crate::cheats::find;
use crate::fake::Fake;
use crate::rooms::pause;
use crate::support::{Room, key};

fn append(path: &std::path::Path, bytes: &[u8]) {
    std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn only_what_came_since_is_fetched() {
    let fake = Fake::start(Room::approved());
    drop(fake.open("airline").unwrap());
    fake.world().asked.clear();
    fake.world().room.says("partner", pause());
    let room = fake.open("weather").unwrap();
    assert_eq!(room.entries(), fake.world().room.entries);
    let asked = fake.world().asked.join("\n");
    assert!(asked.contains("from=8&"), "{asked}");
    assert!(!asked.contains("from=0&"), "{asked}");
}

#[test]
fn a_torn_tail_is_cut_off() {
    let fake = Fake::start(Room::approved());
    drop(fake.open("airline").unwrap());
    let log = find(&fake, "log");
    let whole = std::fs::read(&log).unwrap();
    let line = whole.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    for tail in [&b"{\"payl"[..], b"\n", b"\xff\xff\n", line, &line[..line.len() - 1]] {
        append(&log, tail);
        fake.world().asked.clear();
        assert_eq!(fake.open("airline").unwrap().entries().len(), 8);
        assert_eq!(std::fs::read(&log).unwrap(), whole);
        assert_eq!(fake.count("GET /log"), 1, "nothing is fetched again");
    }
}

#[test]
fn a_damaged_log_is_fetched_again() {
    let fake = Fake::start(Room::approved());
    drop(fake.open("airline").unwrap());
    let log = find(&fake, "log");
    let whole = std::fs::read(&log).unwrap();
    for at in [0, 100, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&log, &damaged).unwrap();
        assert_eq!(fake.open("airline").unwrap().entries().len(), 8);
        assert_eq!(std::fs::read(&log).unwrap(), whole, "byte {at}");
        std::fs::write(&log, &whole[..at]).unwrap();
        assert_eq!(fake.open("airline").unwrap().entries().len(), 8);
        assert_eq!(std::fs::read(&log).unwrap(), whole, "{at} bytes");
    }
    std::fs::remove_file(&log).unwrap();
    assert_eq!(fake.open("airline").unwrap().entries().len(), 8);
    assert_eq!(std::fs::read(&log).unwrap(), whole);
}

#[test]
fn without_a_checkpoint_nothing_was_found_signed() {
    let fake = Fake::start(Room::approved());
    drop(fake.open("airline").unwrap());
    std::fs::remove_file(find(&fake, "checkpoint")).unwrap();
    fake.world().asked.clear();
    drop(fake.open("airline").unwrap());
    assert!(fake.count("GET /log") > 1, "all is fetched again");
    assert!(find(&fake, "checkpoint").exists());
}

/// It is put in place whole, so damage is no accident.
#[test]
fn a_damaged_checkpoint_is_an_error() {
    let fake = Fake::start(Room::approved());
    drop(fake.open("airline").unwrap());
    let path = find(&fake, "checkpoint");
    let other = {
        let world = fake.world();
        world.sign(&world.room.entries, &key("airline"))
    };
    for content in [other.as_bytes(), b"", b"\xff"] {
        std::fs::write(&path, content).unwrap();
        let error = fake.open("airline").unwrap_err();
        assert!(matches!(error, ClientError::Tampered { .. }), "{error}");
    }
}

#[test]
fn processes_share_a_mirror() {
    let fake = Fake::start(Room::accepted());
    let mut one = fake.open("airline").unwrap();
    let mut other = fake.open("airline").unwrap();
    for _ in 0..3 {
        one.submit_with(|_| Ok(pause())).unwrap();
        one.submit_with(|_| Ok(pause())).unwrap();
        other.refresh().unwrap();
        other.submit_with(|_| Ok(pause())).unwrap();
        one.refresh().unwrap();
    }
    let entries = fake.world().room.entries.clone();
    assert_eq!((one.entries(), other.entries()), (&entries[..], &entries[..]));
    let lines = std::fs::read_to_string(find(&fake, "log")).unwrap();
    assert_eq!(lines.lines().count(), entries.len());
    let expected = {
        let world = fake.world();
        world.sign(&entries, &world.key)
    };
    assert_eq!(std::fs::read_to_string(find(&fake, "checkpoint")).unwrap(), expected);
    assert_eq!(one.checkpoint(), expected);
    fake.world().asked.clear();
    drop(fake.open("weather").unwrap());
    assert_eq!(fake.count("GET /log"), 1);
}

/// Two processes of one party are shown different logs, each of which holds up by itself.
#[test]
fn a_split_view_shows_on_one_machine() {
    let fake = Fake::start(Room::approved());
    let mut one = fake.open("airline").unwrap();
    let mut other = fake.open("airline").unwrap();
    fake.world().room.says("partner", pause());
    one.refresh().unwrap();
    let rewritten = fake.world().rewritten(8);
    fake.world().shown = Some(rewritten);
    let error = other.refresh().unwrap_err();
    let ClientError::Fork { evidence, .. } = &error else { panic!("{error}") };
    assert_eq!(std::fs::read_dir(evidence).unwrap().count(), 3);
    assert_eq!(other.entries().len(), 8);
}

#[test]
fn a_mirror_that_was_taken_away_is_written_again() {
    let fake = Fake::start(Room::approved());
    let mut room = fake.open("airline").unwrap();
    std::fs::write(find(&fake, "log"), "").unwrap();
    room.submit_with(|_| Ok(pause())).unwrap();
    fake.world().asked.clear();
    assert_eq!(fake.open("airline").unwrap().entries().len(), 9);
    assert_eq!(fake.count("GET /log"), 1);
}

#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let fake = Fake::start(Room::accepted());
    drop(fake.open("airline").unwrap());
    for (name, mode) in [("", 0o700), ("log", 0o600), ("checkpoint", 0o600), ("lock", 0o600)] {
        let found = std::fs::metadata(find(&fake, name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
}
