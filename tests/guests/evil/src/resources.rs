//! Taking too much: time, memory, stack, log.

use std::hint::black_box;

use glovebox_guest::{Level, bail};

use crate::{Attack, behave};

pub(crate) const ATTACKS: &[Attack] = &[
    // Never comes back.
    ("loop_forever", |_| {
        let mut round = 0_u64;
        loop {
            round = black_box(round.wrapping_add(1));
        }
    }),
    // Allocates and touches memory until there is none.
    ("grab_memory", |_| {
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        loop {
            blocks.push(black_box(vec![1; 1 << 20]));
        }
    }),
    // Calls itself until the VM's stack ends.
    ("recurse", |room| {
        let depth = recurse(0);
        room.info(depth);
        behave(room)
    }),
    // Calls itself with large frames until the stack inside the notebook's memory ends.
    ("recurse_with_frames", |room| {
        let depth = recurse_with_frames(0);
        room.info(depth);
        behave(room)
    }),
    // Panics: its text belongs to the author, everyone else learns of a trap.
    ("panic", |_| panic!("the notebook panics on purpose")),
    // Returns an error with a text that only the author may see.
    ("error", |_| bail!("the notebook fails on purpose")),
    // 10 MB of log. What is above the limit is dropped; the run goes on.
    ("flood_log", |room| {
        let line = "x".repeat(100);
        for _ in 0..100_000 {
            room.log(Level::Info, &line);
        }
        behave(room)
    }),
    // One line of 16 MB.
    ("long_log_line", |room| {
        room.log(Level::Info, "y".repeat(16 << 20));
        behave(room)
    }),
    // Escape sequences, line breaks and a right-to-left mark, to forge what a reader sees.
    ("forge_log", |room| {
        room.log(Level::Info, "\x1b[2J\x1b[31mfine\r\nrun succeeded\u{202e}\0");
        behave(room)
    }),
    // 100 MB of displays. What is above the limit is dropped; the run goes on.
    ("flood_display", |room| {
        let page = "<p>x</p>".repeat(125);
        for _ in 0..100_000 {
            room.display("text/html", &page);
        }
        behave(room)
    }),
    // A display of 16 MB, one that is not what it says, and types that nobody knows.
    ("forge_display", |room| {
        room.display("text/plain", "y".repeat(16 << 20));
        room.display("image/png", "<script>alert(1)</script>");
        room.display("text/html", [0xff; 9]);
        room.display("../../etc/passwd", "z");
        room.display(&"t".repeat(1 << 20), "z");
        room.display("text/plain", "\x1b[2Jrun succeeded\u{202e}\0");
        behave(room)
    }),
    // A million reports of progress, none of which make sense.
    ("flood_progress", |room| {
        for round in 0..1_000_000 {
            room.progress(u64::MAX - round, Some(round));
        }
        behave(room)
    }),
];

fn recurse(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX {
        return depth;
    }
    recurse(depth + 1) + depth
}

fn recurse_with_frames(depth: u64) -> u64 {
    if depth == u64::MAX {
        return depth;
    }
    let frame = black_box([depth; 64]);
    recurse_with_frames(depth + 1) + frame[63]
}
