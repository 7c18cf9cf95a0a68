//! A log that somebody changed behind the host's back.

use crate::support::Stage;

#[test]
fn a_changed_log_row_is_noticed() {
    let stage = Stage::new();
    stage.room("r", &["a", "b"], "");
    let rooms = std::fs::read_dir(stage.path(".glovebox/rooms")).expect("rooms");
    for room in rooms {
        let path = room.expect("a room").path().join("room.sqlite");
        let mut bytes = std::fs::read(&path).expect("the log");
        // The signed payloads are base64 text in the database's pages.
        let needle = b"\"payload\":\"";
        let at = bytes
            .windows(needle.len())
            .position(|window| window == needle)
            .expect("an envelope in the log");
        let target = at + needle.len() + 40;
        bytes[target] = if bytes[target] == b'A' { b'B' } else { b'A' };
        std::fs::write(&path, bytes).expect("the changed log");
    }
    let done = stage.run("room show r");
    assert_eq!(done.code, Some(1), "{done}");
}
