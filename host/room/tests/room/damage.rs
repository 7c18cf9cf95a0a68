//! A log that is not what the host signed is never used.

use std::fs;

use glovebox_contract::reason::ReasonCode;
use rusqlite::Connection;

use crate::world::{Wishes, World};

fn database(world: &World) -> Connection {
    Connection::open(world.room_directory().join("room.sqlite")).unwrap()
}

#[test]
fn a_tampered_log_is_refused() {
    let check_reason = |sql: &str, expect: &str, reason: ReasonCode| {
        let world = World::ready(&Wishes::default());
        database(&world).execute_batch(sql).unwrap();
        let error = world.try_room().err().unwrap_or_else(|| panic!("`{sql}` went unnoticed"));
        assert!(error.to_string().contains(expect), "`{sql}`: {error}");
        assert_eq!(error.reason(), reason, "`{sql}`: {error}");
    };
    let check = |sql: &str, expect: &str| check_reason(sql, expect, ReasonCode::LogTampered);
    // A byte of an envelope.
    check(
        "UPDATE entry SET envelope = CAST(replace(CAST(envelope AS TEXT), 'A', 'B') AS BLOB) WHERE position = 2",
        "log tampered: an entry does not have its digest",
    );
    check(
        "UPDATE entry SET envelope = x'7b7d', digest = zeroblob(32) WHERE position = 2",
        "log tampered: an entry does not have its digest",
    );
    // Entries taken out: in the middle, at the end, at the end with the checkpoint.
    check("DELETE FROM entry WHERE position = 2", "log tampered: entry 2 is missing");
    check(
        "DELETE FROM entry WHERE position = (SELECT max(position) FROM entry)",
        "log tampered: it has 5 entries, the last checkpoint signs 6",
    );
    check(
        "DELETE FROM entry WHERE position = (SELECT max(position) FROM entry);
         DELETE FROM checkpoint WHERE size = (SELECT max(size) FROM checkpoint);",
        "log tampered: it has 5 entries, the host has signed 6",
    );
    check("DELETE FROM entry", "log tampered: it is empty");
    // Two entries of different parties in another order.
    check(
        "CREATE TEMP TABLE t AS SELECT * FROM entry WHERE position IN (2, 3);
         DELETE FROM entry WHERE position IN (2, 3);
         INSERT INTO entry SELECT 5 - position, digest, envelope FROM t;",
        "log tampered: its entries are not those that the last checkpoint signs",
    );
    // Checkpoints: gone, cut short, filed under another size.
    check("DELETE FROM checkpoint", "log tampered: it has no checkpoint");
    check(
        "UPDATE checkpoint SET note = substr(note, 1, 100)",
        "log tampered: checkpoint: the text is not a checkpoint",
    );
    check(
        "UPDATE checkpoint SET size = 99 WHERE size = 6",
        "log tampered: it has 6 entries, the last checkpoint signs 6",
    );
    check_reason(
        "PRAGMA user_version = 1",
        "the log store has version 1, this program reads version 3",
        ReasonCode::HomeVersion,
    );
    check("PRAGMA application_id = 1", "not a room's database");
}

#[test]
fn a_damaged_database_is_an_error() {
    let check = |change: fn(Vec<u8>) -> Vec<u8>| {
        let world = World::ready(&Wishes::default());
        let path = world.room_directory().join("room.sqlite");
        let _ = database(&world).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, change(bytes)).unwrap();
        let error = world.try_room().err().unwrap();
        assert_eq!(error.reason(), ReasonCode::LogTampered, "{error}");
    };
    check(|_| Vec::new());
    check(|_| b"not a database at all, but long enough to be looked at: ".repeat(100));
    check(|bytes| bytes[..bytes.len() / 2].to_vec());
    check(|bytes| {
        bytes.iter().enumerate().map(|(at, byte)| if at > 4096 { !byte } else { *byte }).collect()
    });
}

/// Flips one bit in each of many places of a file and opens the room again.
fn flip_bits(world: &World, file: &str, honest: &[u8]) {
    let path = world.room_directory().join(file);
    let whole = fs::read(&path).unwrap();
    let step = (whole.len() / 60).max(1);
    for (count, at) in (0..whole.len()).step_by(step).enumerate() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (count % 8);
        fs::write(&path, &flipped).unwrap();
        if let Ok(room) = world.try_room() {
            assert_eq!(room.bundle().unwrap(), honest, "bit {} of byte {at} in {file}", count % 8);
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn a_flipped_bit_never_changes_what_a_log_says() {
    let world = World::ready(&Wishes::default());
    world.run("succeed").unwrap();
    let honest = world.room().bundle().unwrap();
    flip_bits(&world, "room.sqlite-wal", &honest);
    database(&world).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    flip_bits(&world, "room.sqlite", &honest);
    assert_eq!(world.room().bundle().unwrap(), honest);
}

#[test]
fn a_lost_or_broken_anchor_is_no_reason_to_stop() {
    let check = |change: fn(&std::path::Path)| {
        let world = World::ready(&Wishes::default());
        change(&world.room_directory().join("checkpoint"));
        assert!(world.try_room().is_ok());
    };
    check(|anchor| fs::remove_file(anchor).unwrap());
    check(|anchor| fs::write(anchor, "").unwrap());
    check(|anchor| fs::write(anchor, [0xff; 9000]).unwrap());
}

#[test]
fn a_damaged_room_does_not_hide_the_others() {
    let world = World::ready(&Wishes::default());
    let name = "00".repeat(32);
    fs::create_dir(world.path.join("home/rooms").join(&name)).unwrap();
    assert!(world.try_room().is_ok());
    assert_eq!(world.home.rooms().unwrap().len(), 1);
    let damaged = world.home.damaged_rooms().unwrap();
    assert_eq!(damaged.iter().map(|room| &room.directory).collect::<Vec<_>>(), [&name]);
    let error = world.home.room("other").err().unwrap().to_string();
    assert!(
        error.contains(&format!("no room `other` that can be read; {name} cannot: ")),
        "{error}"
    );
    assert!(world.home.room(&name).is_err());
}
