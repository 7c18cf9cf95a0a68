//! What a verifier with nothing but a bundle finds out.

use glovebox_contract::bundle::{
    Bundle, CheckResult, Expectations, Report, RunResult, Verdict, verify,
};
use glovebox_contract::checkpoint::Checkpoint;
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::log::Log;
use glovebox_contract::receipt::EvidenceClass;
use glovebox_contract::statement::{Body, Decision, Pause};

use crate::support::{OUTPUT, Room, component, document, key, parse};

fn report(bundle: &Bundle, expectations: &Expectations) -> Report {
    verify(&bundle.to_bytes().unwrap(), expectations).unwrap()
}

/// The checks that fail, with their details.
fn failures(report: &Report) -> Vec<String> {
    let failed: Vec<String> = report
        .checks()
        .iter()
        .filter(|check| check.result == CheckResult::Fails)
        .map(|check| format!("{}: {}", check.what, check.detail))
        .collect();
    assert_eq!(failed.is_empty(), report.verdict() == Verdict::Verified);
    failed
}

/// A checkpoint over any entries, whether they make sense or not.
fn sign_any(room: &Room, entries: &[Envelope]) -> String {
    let mut log = Log::new();
    for envelope in entries {
        log.append(envelope.unverified().unwrap().body.kind(), envelope);
    }
    Checkpoint::of(room.state.id(), &log).sign(&key("host"))
}

#[test]
fn a_whole_run_is_verified_as_the_hosts_word() {
    let (room, run) = Room::finished();
    let expectations = Expectations {
        room: Some(*room.state.id()),
        host_key: Some(key("host").public()),
        parties: ["airline", "weather", "partner"]
            .map(|alias| (parse(alias), key(alias).public()))
            .into(),
        earlier_checkpoint: None,
    };
    let report = report(&room.bundle(), &expectations);
    assert_eq!(failures(&report), [""; 0]);
    assert!(report.checks().iter().all(|check| check.result == CheckResult::Holds));
    assert_eq!(report.verdict().to_string(), "verified");
    assert_eq!(report.runs().len(), 1);
    assert_eq!(report.runs()[0].run, run);
    assert_eq!(report.runs()[0].result, RunResult::Succeeded(EvidenceClass::Asserted));
    assert_eq!(report.runs()[0].result.to_string(), "succeeded, asserted");
}

#[test]
fn the_bundles_own_word_is_marked_as_such() {
    let (room, _) = Room::finished();
    let report = report(&room.bundle(), &Expectations::default());
    let unpinned: Vec<&str> = report
        .checks()
        .iter()
        .filter(|check| check.result == CheckResult::NotPinned)
        .map(|check| check.what)
        .collect();
    assert_eq!(unpinned, ["room", "host key", "party key", "party key", "party key"]);
    assert_eq!(report.verdict(), Verdict::Verified);
}

#[test]
fn what_the_verifier_knows_must_match() {
    let (room, _) = Room::finished();
    let check = |change: &dyn Fn(&mut Expectations), expected: &str| {
        let mut expectations = Expectations::default();
        change(&mut expectations);
        let failures = failures(&report(&room.bundle(), &expectations));
        assert_eq!(failures.len(), 1);
        assert!(failures[0].contains(expected), "{failures:?}");
    };
    let other = Room::create(document(&["weather", "airline"])).unwrap();
    check(&|e| e.room = Some(*other.state.id()), "room: it is");
    check(&|e| e.host_key = Some(key("other").public()), "host key: it is");
    check(&|e| e.parties = [(parse("airline"), key("weather").public())].into(), "airline has");
    check(
        &|e| e.parties = [(parse("mallory"), key("mallory").public())].into(),
        "no collaborator mallory",
    );
    let foreign = sign_any(&other, &other.entries);
    check(&|e| e.earlier_checkpoint = Some(foreign.clone()), "another room");
    check(&|e| e.earlier_checkpoint = Some("x".into()), "not a checkpoint");
}

#[test]
fn a_log_is_whole_and_in_order() {
    let (room, _) = Room::finished();
    let good = room.bundle();
    let check = |note: &str, entries: Vec<Envelope>, expected: &str| {
        let bundle = Bundle::new(note.into(), entries);
        let failures = failures(&report(&bundle, &Expectations::default()));
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert!(failures[0].contains(expected), "{failures:?}");
    };
    let entries = good.entries().to_vec();
    let last = entries.len() - 1;
    check(good.checkpoint(), entries[..last].to_vec(), "covers 11 entries, the bundle has 10");
    check(good.checkpoint(), vec![], "the log is empty");
    check(good.checkpoint(), entries[1..].to_vec(), "entry 0: a room starts with");
    let mut swapped = entries.clone();
    swapped.swap(1, 2);
    check(good.checkpoint(), swapped, "its root is not the root of these entries");
    let mut without = entries.clone();
    without.remove(3);
    check(&sign_any(&room, &without), without, "table airline.flights: the room has no such table");
    let mut twice = entries.clone();
    twice.push(entries[last].clone());
    check(&sign_any(&room, &twice), twice, "entry 11: the statement is number 2 of host");
    // Without a missing party's approval: the host cannot make the run stand.
    let mut unapproved = entries.clone();
    unapproved.remove(6);
    check(&sign_any(&room, &unapproved), unapproved, "not approved yet by airline");
    // Signed by another key than the room's host key.
    let forged = Bundle::sign(entries.clone(), &key("airline")).unwrap();
    check(forged.checkpoint(), entries, "another key than the host's");
}

#[test]
fn a_rolled_back_or_forked_log_is_found_with_an_earlier_checkpoint() {
    let (room, _) = Room::finished();
    let seen = Expectations {
        earlier_checkpoint: Some(room.bundle().checkpoint().to_owned()),
        ..Expectations::default()
    };
    let mut longer = room.clone();
    longer.says("airline", Body::Pause(Pause { comment: String::new(), notebook: None }));
    assert_eq!(failures(&report(&longer.bundle(), &seen)), [""; 0]);
    assert_eq!(failures(&report(&room.bundle(), &seen)), [""; 0]);

    let (shorter, _) = Room::started();
    let rolled_back = failures(&report(&shorter.bundle(), &seen));
    assert_eq!(
        rolled_back,
        ["earlier checkpoint: the log was rolled back: it had 11 entries, now it has 10"]
    );

    let mut forked = shorter;
    forked.review("airline", Decision::Revoke);
    forked.review("weather", Decision::Revoke);
    let forked = failures(&report(&forked.bundle(), &seen));
    assert_eq!(forked, ["earlier checkpoint: the log was forked: its first 11 entries are others"]);
}

#[test]
fn files_are_recognised_by_length_and_both_digests() {
    let (room, run) = Room::finished();
    let good = report(&room.bundle(), &Expectations::default());
    let length = OUTPUT.len() as u64;
    let digest = ContentDigest::of(OUTPUT);
    let named = good.receipts_naming(length, &digest);
    assert_eq!(named.len(), 1);
    assert_eq!((named[0].run, named[0].output.as_str()), (run, "delay_by_wind"));
    assert!(good.receipts_naming(length + 1, &digest).is_empty());
    let other = ContentDigest::of(b"swapped");
    assert!(good.receipts_naming(length, &other).is_empty());
    // All digests must match, not any.
    let half = ContentDigest { sha256: other.sha256, ..digest };
    assert!(good.receipts_naming(length, &half).is_empty());

    let uses = good.uses_of_component(&ContentDigest::of(&component("1.0.0")));
    assert_eq!(uses.len(), 1);
    assert!(uses[0].approved);
    assert!(good.uses_of_component(&ContentDigest::of(b"other")).is_empty());

    // A bundle that is not verified vouches for nothing.
    let wrong = Expectations { host_key: Some(key("other").public()), ..Expectations::default() };
    let bad = report(&room.bundle(), &wrong);
    assert_eq!(bad.verdict(), Verdict::NotVerified);
    assert!(bad.receipts_naming(length, &digest).is_empty());
    assert!(bad.uses_of_component(&ContentDigest::of(&component("1.0.0"))).is_empty());
    assert!(bad.state().is_none());
}

#[test]
fn a_start_without_receipt_vouches_for_nothing() {
    let (room, _) = Room::started();
    let report = report(&room.bundle(), &Expectations::default());
    assert_eq!(report.runs()[0].result.to_string(), "no receipt");
    assert!(report.receipts_naming(OUTPUT.len() as u64, &ContentDigest::of(OUTPUT)).is_empty());
}

#[test]
fn what_is_not_a_bundle_is_said_so() {
    let bundle = Room::accepted().bundle();
    let text = String::from_utf8(bundle.to_bytes().unwrap()).unwrap();
    assert!(verify(text.as_bytes(), &Expectations::default()).is_ok());
    for wrong in [
        "",
        "{}",
        &format!("{text}\n"),
        &text.replace("glovebox-bundle-v1", "glovebox-bundle-v2"),
        &text.replace("\"checkpoint\":", "\"checkpoint\" :"),
        &text.replace("{\"checkpoint\":", "{\"aaa\":1,\"checkpoint\":"),
    ] {
        assert!(verify(wrong.as_bytes(), &Expectations::default()).is_err(), "{wrong}");
    }
}

/// Every byte of a bundle with a whole run in it, each with one of its bits flipped.
///
/// All eight bits of every byte would take minutes; which bit it is goes round with the position.
#[test]
fn no_byte_of_a_bundle_can_be_changed() {
    let (room, _) = Room::finished();
    let bytes = room.bundle().to_bytes().unwrap();
    let is_verified = |bytes: &[u8]| {
        verify(bytes, &Expectations::default())
            .is_ok_and(|report| report.verdict() == Verdict::Verified)
    };
    assert!(is_verified(&bytes));
    let flip_every = |first: usize, step: usize| {
        let mut bytes = bytes.clone();
        for at in (first..bytes.len()).step_by(step) {
            let original = bytes[at];
            bytes[at] ^= 1 << (at % 8);
            assert!(!is_verified(&bytes), "byte {at} of {}", bytes.len());
            bytes[at] = original;
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || flip_every(first, threads));
        }
    });
    for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        assert!(!is_verified(&bytes[..length]));
    }
}

/// A small bundle in every way that a byte can be another.
#[test]
fn no_byte_of_a_small_bundle_can_be_changed_to_any_other() {
    let room = Room::create(document(&["airline"])).unwrap();
    let mut bytes = room.bundle().to_bytes().unwrap();
    let payload = 300..304;
    let signature = bytes.len() - 60..bytes.len();
    for at in (0..40).chain(payload).chain(signature) {
        let original = bytes[at];
        for other in (0..=u8::MAX).filter(|other| *other != original) {
            bytes[at] = other;
            let verdict = verify(&bytes, &Expectations::default()).map(|report| report.verdict());
            assert!(!matches!(verdict, Ok(Verdict::Verified)), "byte {at} is {other}");
        }
        bytes[at] = original;
    }
}
