//! A log that somebody changed behind the host's back.

use crate::support::Stage;

#[test]
fn a_changed_log_row_is_noticed() {
    let stage = Stage::new();
    stage.room("r", &["a", "b"], "");
    let needle = b"\"payload\":\"";
    let mut changed = 0;
    for room in std::fs::read_dir(stage.path(".glovebox/rooms")).expect("rooms") {
        // New rows stand in the write-ahead log until SQLite moves them to the database.
        for file in ["room.sqlite", "room.sqlite-wal"] {
            let path = room.as_ref().expect("a room").path().join(file);
            let Ok(mut bytes) = std::fs::read(&path) else { continue };
            let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) else {
                continue;
            };
            let target = at + needle.len() + 40;
            bytes[target] = if bytes[target] == b'A' { b'B' } else { b'A' };
            std::fs::write(&path, bytes).expect("the changed log");
            changed += 1;
        }
    }
    assert!(changed > 0, "no envelope found in the log's files");
    let done = stage.run("room show r");
    assert_eq!(done.code, Some(1), "{done}");
}
