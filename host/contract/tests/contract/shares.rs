//! Recipients outside the room: their tokens, what they are granted, what they read.

use glovebox_contract::bundle::{Expectations, Verdict, verify};
use glovebox_contract::digest::Sha256Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::{RunId, TableName};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::SharingRecipient;
use glovebox_contract::statement::{
    AuditTable, Body, Decision, Delete, Grant, MAX_TOKEN_GRACE_SECONDS, OutputReaders, Recipient,
    Share, Shared, SharedRead,
};

use crate::support::{
    NOW, Room, add_notebook, add_table, document, flights, hourly, key, name, notebook, parse,
    reason, table,
};

fn token(text: &str) -> Sha256Digest {
    Sha256Digest::of(text.as_bytes())
}

fn recipient(name: &str, secret: &str) -> Recipient {
    Recipient {
        expires: NOW + 1_000_000,
        name: parse(name),
        previous_until: None,
        token: token(secret),
    }
}

fn say(recipient: Recipient) -> Body {
    Body::Share(Share::Recipient(recipient))
}

fn outputs() -> Shared {
    Shared::Output { notebook: name(), output: None }
}

fn own_table(name: &str) -> Shared {
    Shared::Table { table: parse(name) }
}

fn grant(recipient: &str, what: Shared) -> Grant {
    Grant { recipient: parse(recipient), share: parse("results"), until: None, what }
}

fn give(grant: Grant) -> Body {
    Body::Share(Share::Grant(grant))
}

fn revoke(recipient: &str, share: Option<&str>) -> Body {
    Body::Share(Share::Revoke { recipient: parse(recipient), share: share.map(parse) })
}

fn read(what: &str) -> SharedRead {
    SharedRead {
        owner: parse("weather"),
        recipient: parse("acme"),
        share: parse("results"),
        version: 0,
        what: what.into(),
    }
}

/// A finished run by the weather agency, whose recipient `acme` is granted its outputs and the
/// agency's table.
fn shared() -> (Room, RunId) {
    let (mut room, run) = Room::finished();
    room.says("weather", say(recipient("acme", "first")));
    room.says("weather", give(grant("acme", outputs())));
    room.says("weather", give(grant("acme", own_table("weather.hourly"))));
    (room, run)
}

fn acme(room: &Room) -> &SharingRecipient {
    room.state.recipient(&parse("weather"), &parse("acme")).unwrap()
}

fn holder(room: &Room, secret: &str, now: u64) -> Option<String> {
    let found = room.state.recipient_with_token(&token(secret), now);
    found.map(|recipient| format!("{} of {}", recipient.name(), recipient.owner()))
}

/// Applies `body` to a copy of the room and checks that a refusal changes nothing.
fn outcome(room: &Room, party: &str, body: Body) -> Option<ReasonCode> {
    let mut copy = room.clone();
    let before = format!("{:?}", copy.state);
    let result = reason(copy.tries(party, body));
    assert_eq!(result.is_some(), before == format!("{:?}", copy.state), "all or nothing");
    result
}

#[test]
fn a_recipient_is_found_by_its_token_until_that_ends() {
    let (room, _) = shared();
    let expires = acme(&room).expires();
    assert_eq!(holder(&room, "first", room.now).as_deref(), Some("acme of weather"));
    assert_eq!(holder(&room, "first", expires - 1).as_deref(), Some("acme of weather"));
    assert_eq!(holder(&room, "first", expires), None);
    assert_eq!(holder(&room, "guess", room.now), None);
    assert_eq!(room.state.recipients().count(), 1);
}

#[test]
fn a_rotated_token_has_a_grace_period_and_no_longer() {
    let (room, _) = shared();
    let (now, expires) = (room.now, acme(&room).expires());
    let rotated = |previous_until: Option<u64>| {
        let mut room = room.clone();
        room.says("weather", say(Recipient { previous_until, ..recipient("acme", "second") }));
        room
    };
    let good = |room: &Room, secret: &str, at: u64| holder(room, secret, at).is_some();
    let at_once = rotated(None);
    assert!(!good(&at_once, "first", now) && good(&at_once, "second", now));
    assert_eq!(acme(&at_once).previous(), None);
    let later = rotated(Some(now + 100));
    assert!(good(&later, "first", now + 99) && !good(&later, "first", now + 100));
    assert!(good(&later, "second", now + 100));
    assert_eq!(acme(&later).previous(), Some((&token("first"), now + 100)));
    assert_eq!(acme(&later).grants().count(), 2, "its grants stay");
    // Never longer than 7 days, and never longer than it would have been good.
    let most = now + MAX_TOKEN_GRACE_SECONDS;
    let longest = Recipient { previous_until: Some(most), ..recipient("acme", "second") };
    assert_eq!(outcome(&room, "weather", say(longest.clone())), None);
    let longer = Recipient { previous_until: Some(most + 1), ..longest };
    assert_eq!(outcome(&room, "weather", say(longer)), Some(ReasonCode::PolicyLimit));
    let mut old = room.clone();
    old.now = expires - 10;
    let renewed = Recipient {
        expires: expires + 1_000_000,
        previous_until: Some(old.now + 100),
        ..recipient("acme", "second")
    };
    old.says("weather", say(renewed));
    assert!(good(&old, "first", expires - 1) && !good(&old, "first", expires));
    // The next rotation ends the one before the last.
    let mut twice = later.clone();
    let third = Recipient { previous_until: Some(now + 50), ..recipient("acme", "third") };
    twice.says("weather", say(third));
    assert!(!good(&twice, "first", now + 10), "two tokens at most");
    assert!(good(&twice, "second", now + 10) && good(&twice, "third", now + 10));
}

#[test]
fn a_token_is_taken_once_by_whomever() {
    let (mut room, _) = shared();
    // The log shows everyone the digest of every token.
    for party in ["airline", "weather"] {
        let body = say(recipient("other", "first"));
        assert_eq!(outcome(&room, party, body), Some(ReasonCode::AlreadyExists), "{party}");
    }
    let same = say(recipient("acme", "first"));
    assert_eq!(outcome(&room, "weather", same.clone()), Some(ReasonCode::AlreadyExists));
    room.says("weather", say(recipient("acme", "second")));
    assert_eq!(outcome(&room, "weather", same.clone()), Some(ReasonCode::AlreadyExists));
    // Nor does a recipient that is revoked and added again get its old token or grants back.
    room.says("weather", revoke("acme", None));
    assert_eq!(holder(&room, "second", room.now), None);
    assert_eq!(room.state.recipients().count(), 0);
    for old in ["first", "second"] {
        let body = say(recipient("acme", old));
        assert_eq!(outcome(&room, "weather", body), Some(ReasonCode::AlreadyExists), "{old}");
    }
    let grace = Recipient { previous_until: Some(room.now + 9), ..recipient("acme", "third") };
    assert_eq!(outcome(&room, "weather", say(grace)), Some(ReasonCode::NotFound));
    room.says("weather", say(recipient("acme", "third")));
    assert_eq!(acme(&room).grants().count(), 0);
}

#[test]
fn recipients_that_make_no_sense_are_refused() {
    let (room, _) = shared();
    let check = |party: &str, change: fn(&mut Recipient), expected: Option<ReasonCode>| {
        let mut recipient = recipient("other", "other");
        change(&mut recipient);
        assert_eq!(outcome(&room, party, say(recipient)), expected, "{party}");
    };
    check("weather", |_| {}, None);
    check("airline", |_| {}, None);
    check("partner", |r| r.name = parse("acme"), None); // another party's name is another name
    check("weather", |r| r.expires = NOW, Some(ReasonCode::Malformed));
    check("weather", |r| r.previous_until = Some(NOW + 5000), Some(ReasonCode::NotFound));
    check("host", |_| {}, Some(ReasonCode::NotPermitted));
    // Before it has accepted the room, a party shares nothing.
    let mut created = Room::create(document(&["airline", "weather"])).unwrap();
    let early = created.tries("weather", say(recipient("acme", "x")));
    assert_eq!(reason(early), Some(ReasonCode::NotAccepted));
}

#[test]
fn a_party_shares_its_own_tables_and_what_it_may_read() {
    let (room, _) = shared();
    let check = |party: &str, what: Shared, expected: Option<ReasonCode>| {
        let mut room = room.clone();
        room.says(party, say(recipient("friend", party)));
        assert_eq!(outcome(&room, party, give(grant("friend", what))), expected, "{party}");
    };
    let output = |notebook: &str, output: Option<&str>| Shared::Output {
        notebook: parse(notebook),
        output: output.map(parse),
    };
    check("weather", own_table("weather.hourly"), None);
    check("weather", own_table("airline.flights"), Some(ReasonCode::NotPermitted));
    check("partner", own_table("airline.flights"), Some(ReasonCode::NotPermitted));
    check("weather", own_table("weather.daily"), Some(ReasonCode::NotFound));
    check("weather", outputs(), None);
    check("weather", output("delay-by-wind", Some("delay_by_wind")), None);
    check("weather", output("delay-by-wind", Some("other")), Some(ReasonCode::NotFound));
    check("weather", output("other", None), Some(ReasonCode::NotFound));
    check("airline", outputs(), Some(ReasonCode::NotPermitted));
    check("partner", outputs(), Some(ReasonCode::NotPermitted));
    // Everyone reads the whole log.
    for party in ["airline", "weather", "partner"] {
        check(party, Shared::Events {}, None);
    }
}

#[test]
fn events_are_read_by_names_that_nothing_else_has() {
    let (mut room, _) = shared();
    let read = |what: &str| Body::SharedRead(read(what));
    for table in AuditTable::ALL {
        let refused = outcome(&room, "host", read(table.in_statement()));
        assert_eq!(refused, Some(ReasonCode::NotPermitted), "it was not granted");
        assert!(table.in_statement().parse::<TableName>().is_err());
    }
    room.says("weather", give(grant("acme", Shared::Events {})));
    for (what, expected) in [
        ("audit:events", None),
        ("audit:runs", None),
        ("audit:statements", Some(ReasonCode::NotPermitted)),
        ("audit.events", Some(ReasonCode::NotPermitted)),
        ("events", Some(ReasonCode::NotPermitted)),
    ] {
        assert_eq!(outcome(&room, "host", read(what)), expected, "{what}");
    }
    let none = room.state.shared_outputs(&parse("weather"), &Shared::Events {}, room.now).count();
    assert_eq!(none, 0, "events are no outputs");
}

#[test]
fn grants_are_given_to_recipients_of_the_signer() {
    let (room, _) = shared();
    let check = |party: &str, change: fn(&mut Grant), expected: Option<ReasonCode>| {
        let mut grant = grant("acme", own_table("weather.hourly"));
        change(&mut grant);
        assert_eq!(outcome(&room, party, give(grant)), expected, "{party}");
    };
    check("weather", |_| {}, Some(ReasonCode::AlreadyExists));
    check("weather", |g| g.until = Some(NOW + 5000), None);
    check("weather", |g| g.share = parse("another"), None);
    check("weather", |g| g.until = Some(NOW), Some(ReasonCode::Malformed));
    check("weather", |g| g.recipient = parse("nobody"), Some(ReasonCode::NotFound));
    check("airline", |_| {}, Some(ReasonCode::NotFound));
    check("airline", |g| g.what = own_table("airline.flights"), Some(ReasonCode::NotFound));
    check("host", |_| {}, Some(ReasonCode::NotPermitted));
    for party in ["airline", "partner"] {
        assert_eq!(outcome(&room, party, revoke("acme", None)), Some(ReasonCode::NotFound));
    }
    assert_eq!(outcome(&room, "host", revoke("acme", None)), Some(ReasonCode::NotPermitted));
    let unknown = revoke("acme", Some("other"));
    assert_eq!(outcome(&room, "weather", unknown), Some(ReasonCode::NotFound));
}

#[test]
fn a_grant_ends_when_it_says_or_is_revoked() {
    let (mut room, _) = shared();
    let until = room.now + 100;
    let ending = Grant { until: Some(until), ..grant("acme", outputs()) };
    room.says("weather", give(ending));
    let held = |room: &Room, now: u64| acme(room).grants_at(now).count();
    assert_eq!(acme(&room).grants().count(), 2, "the grant was changed, not doubled");
    assert_eq!((held(&room, until - 1), held(&room, until)), (2, 1));
    let other = Grant { share: parse("other"), ..grant("acme", outputs()) };
    room.says("weather", give(other));
    room.says("weather", revoke("acme", Some("results")));
    let left: Vec<_> = acme(&room).grants().map(|grant| grant.share.to_string()).collect();
    assert_eq!(left, ["other"]);
    assert!(holder(&room, "first", room.now).is_some());
    let again = revoke("acme", Some("results"));
    assert_eq!(reason(room.tries("weather", again)), Some(ReasonCode::NotFound));
}

#[test]
fn a_table_that_left_the_room_is_shared_no_more() {
    let (mut room, _) = shared();
    room.says("weather", Body::Delete(Delete::Table { table: parse("weather.hourly") }));
    assert_eq!(acme(&room).grants().count(), 1);
    room.says("weather", add_table(table("weather.hourly", &[("secret", "utf8")])));
    assert_eq!(acme(&room).grants().count(), 1, "not the new one of that name either");
}

#[test]
fn a_grant_of_outputs_covers_what_its_owner_may_read() {
    let (room, run) = shared();
    let month = 30 * 86_400;
    let covered = |room: &Room, party: &str, what: &Shared, now: u64| {
        let party = parse(party);
        let covered = room.state.shared_outputs(&party, what, now);
        covered.map(|(run, name, file)| (*run.id(), name.to_string(), file.rows)).collect()
    };
    let all: Vec<(RunId, String, u64)> = covered(&room, "weather", &outputs(), room.now);
    assert_eq!(all, [(run, "delay_by_wind".to_owned(), 7)]);
    let one = |output: &str| Shared::Output { notebook: name(), output: Some(parse(output)) };
    assert_eq!(covered(&room, "weather", &one("delay_by_wind"), room.now), all);
    assert_eq!(covered(&room, "weather", &one("other"), room.now), []);
    assert_eq!(covered(&room, "airline", &outputs(), room.now), []);
    assert_eq!(covered(&room, "mallory", &outputs(), room.now), []);
    assert_eq!(covered(&room, "weather", &own_table("weather.hourly"), room.now), []);
    assert_eq!(covered(&room, "weather", &outputs(), room.now + month), [], "expired");
    let other = Shared::Output { notebook: parse("other"), output: None };
    assert_eq!(covered(&room, "weather", &other, room.now), []);
    let mut deleted = room.clone();
    deleted.says("weather", Body::Delete(Delete::Outputs { run }));
    assert_eq!(covered(&deleted, "weather", &outputs(), deleted.now), []);
    // Runs that do not end well have nothing to share.
    let (started, _) = Room::started();
    assert_eq!(covered(&started, "weather", &outputs(), started.now), []);
}

#[test]
fn where_all_read_outputs_all_may_share_them() {
    let mut document = document(&["airline", "weather", "partner"]);
    document.outputs.readers = OutputReaders::All;
    let mut room = Room::create(document).unwrap();
    room.says("weather", Body::Accept);
    room.says("partner", Body::Accept);
    room.says("airline", add_table(flights()));
    room.says("weather", add_table(hourly()));
    room.says("partner", add_notebook(notebook("1.0.0")));
    room.review("airline", Decision::Approve);
    room.review("weather", Decision::Approve);
    let request = room.request();
    let run = RunId::of_request(&room.says("weather", request).digest);
    let start = room.start(&run);
    room.says("host", Body::RunStart(start));
    let receipt = room.receipt(&run);
    room.says("host", Body::RunReceipt(Box::new(receipt)));
    for party in ["airline", "weather", "partner"] {
        room.says(party, say(recipient("friend", party)));
        assert_eq!(reason(room.tries(party, give(grant("friend", outputs())))), None, "{party}");
        let what = outputs();
        let covered = room.state.shared_outputs(&parse(party), &what, room.now).count();
        assert_eq!(covered, 1, "{party}");
        let read = SharedRead {
            owner: parse(party),
            recipient: parse("friend"),
            what: "delay-by-wind.delay_by_wind@weather".into(),
            ..read("x")
        };
        assert_eq!(outcome(&room, "host", Body::SharedRead(read)), None, "{party}");
    }
}

#[test]
fn the_host_puts_down_reads_of_what_was_granted() {
    let (room, _) = shared();
    let check = |change: &dyn Fn(&mut SharedRead), expected: Option<ReasonCode>| {
        let mut read = read("delay-by-wind.delay_by_wind");
        change(&mut read);
        assert_eq!(outcome(&room, "host", Body::SharedRead(read)), expected);
    };
    check(&|_| {}, None);
    check(&|r| r.what = "weather.hourly".into(), None);
    check(&|r| r.version = 7, None);
    check(&|r| r.what = "airline.flights".into(), Some(ReasonCode::NotPermitted));
    check(&|r| r.what = "delay-by-wind".into(), Some(ReasonCode::NotPermitted));
    check(&|r| r.what = "delay-by-wind.x.y".into(), Some(ReasonCode::NotPermitted));
    check(&|r| r.what.push_str("@weather"), None);
    check(&|r| r.what.push_str("@airline"), Some(ReasonCode::NotPermitted));
    check(&|r| r.what = "delay-by-wind.Delay".into(), Some(ReasonCode::NotPermitted));
    check(&|r| r.what = String::new(), Some(ReasonCode::Malformed));
    check(&|r| r.what = "weather.hourly\u{1b}[2J".into(), Some(ReasonCode::Malformed));
    check(&|r| r.share = parse("other"), Some(ReasonCode::NotPermitted));
    check(&|r| r.recipient = parse("nobody"), Some(ReasonCode::NotFound));
    check(&|r| r.owner = parse("airline"), Some(ReasonCode::NotFound));
    for party in ["airline", "weather", "partner"] {
        let body = Body::SharedRead(read("weather.hourly"));
        assert_eq!(outcome(&room, party, body), Some(ReasonCode::NotPermitted), "{party}");
    }
    let later = |change: &dyn Fn(&mut Room)| {
        let mut room = room.clone();
        change(&mut room);
        outcome(&room, "host", Body::SharedRead(read("weather.hourly")))
    };
    assert_eq!(later(&|room| room.now = acme(room).expires() - 1), None);
    assert_eq!(later(&|room| room.now = acme(room).expires()), Some(ReasonCode::NotPermitted));
    let revoked = later(&|room| drop(room.says("weather", revoke("acme", Some("results")))));
    assert_eq!(revoked, Some(ReasonCode::NotPermitted));
    let gone = later(&|room| drop(room.says("weather", revoke("acme", None))));
    assert_eq!(gone, Some(ReasonCode::NotFound));
    let ended = later(&|room| {
        let until = Some(room.now + 10);
        room.says("weather", give(Grant { until, ..grant("acme", own_table("weather.hourly")) }));
        room.now += 100;
    });
    assert_eq!(ended, Some(ReasonCode::NotPermitted));
}

#[test]
fn what_is_shared_has_the_name_that_reads_call_it_by() {
    let check = |what: &Shared, called: &str, expected: bool| {
        assert_eq!(what.is_called(called), expected, "{what} {called}");
    };
    let dotted = |output: Option<&str>| Shared::Output {
        notebook: parse("delay.by-wind"),
        output: output.map(parse),
    };
    check(&own_table("weather.hourly"), "weather.hourly", true);
    check(&own_table("weather.hourly"), "weather.hourly2", false);
    check(&dotted(Some("t")), "delay.by-wind.t", true);
    check(&dotted(None), "delay.by-wind.t", true);
    check(&dotted(Some("t")), "delay.by-wind.u", false);
    check(&dotted(None), "delay.by-wind", false);
    check(&dotted(None), "by-wind.t", false);
    check(&dotted(None), "delay.by-wind.t@weather", true);
    check(&dotted(Some("t")), "delay.by-wind.t@weather", true);
    check(&dotted(Some("t")), "delay.by-wind.u@weather", false);
    check(&dotted(None), "delay.by-wind.t@", false);
    check(&dotted(None), "delay.by-wind.t@Mallory", false);
    check(&dotted(None), "delay.by-wind.t@weather@x", false);
    check(&dotted(None), "delay.by-wind.a b", false);
    check(&own_table("weather.hourly"), "weather.hourly@weather", false);
    check(&dotted(None), "t", false);
    check(&dotted(None), "", false);
}

#[test]
fn shares_are_bounded() {
    let mut room = Room::accepted();
    room.says("weather", add_table(hourly()));
    for number in 0..1000 {
        room.says("weather", say(recipient(&format!("r{number}"), &format!("{number}"))));
    }
    let more = say(recipient("one-more", "x"));
    assert_eq!(reason(room.tries("weather", more.clone())), Some(ReasonCode::PolicyLimit));
    assert_eq!(reason(room.tries("weather", say(recipient("r0", "y")))), None, "another token");
    assert_eq!(reason(room.tries("airline", more)), None);
    for number in 0..1000 {
        let share = parse(&format!("s{number}"));
        room.says("weather", give(Grant { share, ..grant("r0", own_table("weather.hourly")) }));
    }
    let more = give(grant("r0", own_table("weather.hourly")));
    assert_eq!(reason(room.tries("weather", more)), Some(ReasonCode::PolicyLimit));
    let same = Grant {
        share: parse("s0"),
        until: Some(room.now + 9),
        ..grant("r0", own_table("weather.hourly"))
    };
    assert_eq!(reason(room.tries("weather", give(same))), None);
}

#[test]
fn replayed_and_forged_shares_are_refused() {
    let (room, _) = Room::finished();
    let statement = room.statement("weather", say(recipient("acme", "first")));
    let envelope = Envelope::sign(&statement, &key("weather")).unwrap();
    let mut twice = room.clone();
    assert_eq!(reason(twice.try_apply(envelope.clone())), None);
    assert_eq!(reason(twice.try_apply(envelope)), Some(ReasonCode::Replayed));
    for signer in ["airline", "host"] {
        let forged = Envelope::sign(&statement, &key(signer)).unwrap();
        assert_eq!(reason(room.clone().try_apply(forged)), Some(ReasonCode::BadSignature));
    }
}

#[test]
fn a_report_says_what_is_shared_and_how_often_it_was_read() {
    let (mut room, _) = shared();
    let shares = |room: &Room| {
        let report = verify(&room.bundle().to_bytes().unwrap(), &Expectations::default()).unwrap();
        assert_eq!(report.verdict(), Verdict::Verified);
        let line = |share: &glovebox_contract::bundle::ShareReport| {
            let grants: Vec<_> = share.grants.iter().map(|grant| grant.what.to_string()).collect();
            let (owner, recipient, name) = (&share.owner, &share.recipient, &share.share);
            format!("{owner} {recipient} {name} {}: {}", share.reads, grants.join(", "))
        };
        report.shares().iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        shares(&room),
        ["weather acme results 0: the outputs of delay-by-wind, the table weather.hourly"]
    );
    room.says("host", Body::SharedRead(read("weather.hourly")));
    room.says("host", Body::SharedRead(read("delay-by-wind.delay_by_wind")));
    assert_eq!(
        shares(&room),
        ["weather acme results 2: the outputs of delay-by-wind, the table weather.hourly"]
    );
    room.says("weather", revoke("acme", None));
    assert_eq!(shares(&room), ["weather acme results 2: "]);
    let (unshared, _) = Room::finished();
    assert_eq!(shares(&unshared), [""; 0]);
}
