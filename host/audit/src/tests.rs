//! Rooms are played statement by statement, and the tables are read as text.

mod events;
mod runs;
mod tables;

use arrow::json::LineDelimitedWriter;
use glovebox_contract::statement::{
    AuditTable, Body, Grant, OutputRead, Recipient, Share, Shared, SharedRead,
};
use serde_json::Value;

use crate::support::{NOW, Room, parse};
use crate::{Journal, Table};

/// The rows as JSON objects, without what is null.
fn rows(table: &Table) -> Vec<Value> {
    let mut text = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut text);
    for batch in &table.batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    let text = String::from_utf8(text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn events(room: &Room) -> Vec<Value> {
    rows(&Journal::of(&room.entries).unwrap().events().unwrap())
}

fn runs(room: &Room) -> Vec<Value> {
    rows(&Journal::of(&room.entries).unwrap().runs().unwrap())
}

/// The newest event.
fn last(room: &Room) -> Value {
    events(room).pop().unwrap()
}

/// A finished run whose outputs the runner shares and reads.
fn shared() -> Room {
    let (mut room, run) = Room::finished();
    room.says("weather", Body::OutputRead(OutputRead { output: parse("delay_by_wind"), run }));
    let recipient = Recipient {
        expires: NOW + 1_000_000,
        name: parse("acme"),
        previous_until: None,
        token: glovebox_contract::digest::Sha256Digest::of(b"token"),
    };
    room.says("weather", Body::Share(Share::Recipient(recipient)));
    room.says(
        "weather",
        Body::Share(Share::Grant(Grant {
            recipient: parse("acme"),
            share: parse("audit"),
            until: None,
            what: Shared::Events {},
        })),
    );
    room.says(
        "host",
        Body::SharedRead(SharedRead {
            owner: parse("weather"),
            recipient: parse("acme"),
            share: parse("audit"),
            version: 11,
            what: AuditTable::Events.in_statement().into(),
        }),
    );
    room
}
