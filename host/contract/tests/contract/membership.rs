//! Who is in a room, and who speaks for whom.

use glovebox_contract::envelope::Envelope;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{Body, Pause, RoomDocument, Rotate, Statement};

use crate::support::{NOW, Room, add_table, document, flights, key, parse, reason};

fn aliases(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("party{number}")).collect()
}

fn document_of(count: usize) -> RoomDocument {
    let aliases = aliases(count);
    document(&aliases.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn the_limits_of_the_room_say_how_many_collaborators_there_may_be() {
    let check = |count: usize, limit: u64, expected: Option<ReasonCode>| {
        let mut document = document_of(count);
        document.limits.collaborators = limit;
        assert_eq!(reason(Room::create(document)), expected, "{count} of {limit}");
    };
    check(1, 10, None);
    check(2, 10, None);
    check(10, 10, None);
    check(11, 10, Some(ReasonCode::PolicyLimit));
    check(11, 12, None);
    check(3, 2, Some(ReasonCode::PolicyLimit));
}

#[test]
fn ten_collaborators_accept_one_by_one() {
    let mut room = Room::create(document_of(10)).unwrap();
    for alias in aliases(10).iter().skip(1) {
        assert!(!room.state.all_accepted());
        room.says(alias, Body::Accept);
    }
    assert!(room.state.all_accepted());
    assert_eq!(reason(room.tries("party1", Body::Accept)), Some(ReasonCode::AlreadyExists));
    assert_eq!(reason(room.tries("party9", Body::Accept)), Some(ReasonCode::AlreadyExists));
}

#[test]
fn a_room_document_that_confuses_parties_is_refused() {
    let check = |change: fn(&mut RoomDocument), expected: &str| {
        let mut document = document(&["airline", "weather"]);
        change(&mut document);
        let refusal = Room::create(document).err().unwrap();
        assert_eq!(refusal.reason(), ReasonCode::Malformed);
        assert!(refusal.detail().contains(expected), "{refusal}");
    };
    check(|d| d.collaborators[1].alias = parse("airline"), "same alias");
    check(|d| d.collaborators[1].alias = parse("host"), "are taken");
    check(|d| d.collaborators[1].alias = parse("output"), "are taken");
    check(|d| d.collaborators[1].alias = parse("public"), "are taken");
    check(|d| d.collaborators[1].alias = parse("information_schema"), "are taken");
    check(|d| d.collaborators[1].public_key = key("airline").public(), "keys are the same");
    check(|d| d.collaborators[1].public_key = key("host").public(), "keys are the same");
    check(|d| d.host_key = key("airline").public(), "keys are the same");
    check(|d| d.collaborators.truncate(0), "not among");
    check(|d| d.collaborators[0].alias = parse("other"), "not among");
    check(|d| d.nonce = "ff".into(), "32 lower-case hex");
    check(|d| d.outputs.time_to_live_days = 0, "time to live");
    check(|d| d.region = String::new(), "empty");
    check(|d| d.region = "eu\u{1b}[2J".into(), "control character");
    check(|d| d.collaborators[1].organisation = "Weather\u{202e}".into(), "invisible");
    check(|d| d.collaborators[1].organisation = "x".repeat(300), "longer");
}

#[test]
fn a_room_starts_with_the_first_statement_of_its_creator() {
    let open = |statement: &Statement, signer: &str| {
        Envelope::sign(statement, &key(signer))
            .map_err(Into::into)
            .and_then(|envelope| RoomState::open(&envelope))
    };
    let statement = Statement {
        body: Body::Room(document(&["airline", "weather"])),
        issued_at: NOW,
        party: parse("airline"),
        room: None,
        sequence: 1,
    };
    assert!(open(&statement, "airline").is_ok());
    assert_eq!(reason(open(&statement, "weather")), Some(ReasonCode::UnknownSigner));
    let by_other = Statement { party: parse("weather"), ..statement.clone() };
    assert_eq!(reason(open(&by_other, "airline")), Some(ReasonCode::Malformed));
    let second = Statement { sequence: 2, ..statement.clone() };
    assert_eq!(reason(open(&second, "airline")), Some(ReasonCode::Malformed));
    let accept =
        Room::create(document(&["airline", "weather"])).unwrap().statement("weather", Body::Accept);
    assert_eq!(reason(open(&accept, "weather")), Some(ReasonCode::Malformed));
    let room = Room::accepted();
    let again = Statement { sequence: 2, ..statement };
    let again = Envelope::sign(&again, &key("airline")).unwrap();
    assert_eq!(reason(room.clone().try_apply(again)), Some(ReasonCode::AlreadyExists));
}

#[test]
fn nothing_is_said_before_accepting() {
    let mut room = Room::create(document(&["airline", "weather"])).unwrap();
    let pause = Body::Pause(Pause { comment: String::new(), notebook: None });
    assert_eq!(reason(room.tries("weather", pause)), Some(ReasonCode::NotAccepted));
    assert_eq!(reason(room.tries("airline", add_table(flights()))), None);
}

#[test]
fn forged_replayed_and_reordered_statements_are_refused() {
    let room = Room::accepted();
    let good = room.statement("airline", add_table(flights()));
    let check = |statement: &Statement, signer: &str, expected: Option<ReasonCode>| {
        let envelope = Envelope::sign(statement, &key(signer)).unwrap();
        let mut copy = room.clone();
        let before = format!("{:?}", copy.state);
        let result = reason(copy.try_apply(envelope));
        assert_eq!(result, expected);
        assert_eq!(result.is_some(), before == format!("{:?}", copy.state), "all or nothing");
    };
    check(&good, "airline", None);
    // signed with another party's key, the host's, a stranger's
    check(&good, "weather", Some(ReasonCode::BadSignature));
    check(&good, "host", Some(ReasonCode::BadSignature));
    check(&good, "mallory", Some(ReasonCode::UnknownSigner));
    // a party that is not in the room
    check(
        &Statement { party: parse("mallory"), ..good.clone() },
        "mallory",
        Some(ReasonCode::UnknownSigner),
    );
    // sequence: gap, used, zero is refused at signing
    check(
        &Statement { sequence: good.sequence + 1, ..good.clone() },
        "airline",
        Some(ReasonCode::OutOfSequence),
    );
    check(
        &Statement { sequence: good.sequence - 1, ..good.clone() },
        "airline",
        Some(ReasonCode::Replayed),
    );
    assert!(Envelope::sign(&Statement { sequence: 0, ..good.clone() }, &key("airline")).is_err());
    // made for another room
    let mut other = document(&["airline", "weather", "partner"]);
    other.nonce = "ffffffffffffffffffffffffffffffff".into();
    let other = Room::create(other).unwrap();
    assert_ne!(other.state.id(), room.state.id());
    check(
        &Statement { room: Some(*other.state.id()), ..good.clone() },
        "airline",
        Some(ReasonCode::WrongRoom),
    );
    // the very same envelope twice
    let mut twice = room.clone();
    let envelope = Envelope::sign(&good, &key("airline")).unwrap();
    assert_eq!(reason(twice.try_apply(envelope.clone())), None);
    assert_eq!(reason(twice.try_apply(envelope)), Some(ReasonCode::Replayed));
}

#[test]
fn a_rotated_key_replaces_the_old_one() {
    let mut room = Room::accepted();
    let rotate = |room: &Room, to: &str, party: &str| {
        Body::Rotate(Rotate::to(&key(to), room.state.id(), &parse(party)))
    };
    // a key that is in use by anyone, was in use, or did not agree
    for used in ["weather", "host", "airline"] {
        let body = rotate(&room, used, "airline");
        assert_eq!(reason(room.tries("airline", body)), Some(ReasonCode::AlreadyExists), "{used}");
    }
    let for_other = rotate(&room, "airline2", "weather");
    assert_eq!(reason(room.tries("airline", for_other)), Some(ReasonCode::BadSignature));
    let mut unproven = Rotate::to(&key("airline2"), room.state.id(), &parse("airline"));
    unproven.public_key = key("airline3").public();
    assert_eq!(
        reason(room.tries("airline", Body::Rotate(unproven))),
        Some(ReasonCode::BadSignature)
    );

    let body = rotate(&room, "airline2", "airline");
    room.says("airline", body);
    let next = room.statement("airline", add_table(flights()));
    let with_old = Envelope::sign(&next, &key("airline")).unwrap();
    assert_eq!(reason(room.try_apply(with_old)), Some(ReasonCode::UnknownSigner));
    let with_new = Envelope::sign(&next, &key("airline2")).unwrap();
    assert_eq!(reason(room.try_apply(with_new)), None);
    // back to the old key, by the airline or by another party
    let back = rotate(&room, "airline", "weather");
    assert_eq!(reason(room.tries("weather", back)), Some(ReasonCode::AlreadyExists));
    assert_eq!(room.state.party_with_key(&key("airline2").public()).unwrap().as_str(), "airline");
    assert_eq!(room.state.party_with_key(&key("airline").public()), None);
    let host_rotates = Body::Rotate(Rotate::to(&key("host2"), room.state.id(), &parse("host")));
    assert_eq!(reason(room.tries("host", host_rotates)), Some(ReasonCode::NotPermitted));
}
