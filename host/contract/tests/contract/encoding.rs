//! One encoding is hashed: whatever else says the same is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use glovebox_contract::canonical::{self, MAX_INTEGER};
use glovebox_contract::envelope::{Envelope, MAX_ENVELOPE_BYTES};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{Body, Decision, MAX_STATEMENT_BYTES, PAYLOAD_TYPE};
use serde_json::{Value, json};

use crate::support::{Room, key, reason};

#[test]
fn canonical_json_sorts_by_utf16_and_writes_integers_plainly() {
    let check = |value: Value, expected: Option<&str>| {
        let bytes = canonical::encode(&value).ok();
        assert_eq!(bytes.as_deref().map(|b| std::str::from_utf8(b).unwrap()), expected);
    };
    check(
        json!({"b": [1, -2], "a": {"d": null, "c": "x\n"}}),
        Some(r#"{"a":{"c":"x\n","d":null},"b":[1,-2]}"#),
    );
    check(
        json!({"\u{fb33}": 1, "\u{1f600}": 2, "\u{20ac}": 3}),
        Some("{\"\u{20ac}\":3,\"\u{1f600}\":2,\"\u{fb33}\":1}"),
    );
    check(json!(MAX_INTEGER), Some("9007199254740991"));
    check(json!(MAX_INTEGER + 1), None);
    check(json!(-9007199254740992_i64), None);
    check(json!(1.5), None);
    check(json!({"deep": [u64::MAX]}), None);
}

#[test]
fn decoding_takes_the_canonical_bytes_only() {
    let check = |text: &str, accepted: bool| {
        let result =
            canonical::decode::<glovebox_contract::statement::OutputSettings>(text.as_bytes(), 60);
        assert_eq!(result.is_ok(), accepted, "{text}: {result:?}");
    };
    check(r#"{"readers":"runner","time_to_live_days":30}"#, true);
    check(r#"{"time_to_live_days":30,"readers":"runner"}"#, false); // order
    check(r#"{"readers":"runner", "time_to_live_days":30}"#, false); // space
    check(r#"{"readers":"runner","time_to_live_days":30}"#.to_owned().as_str(), true);
    check("{\"readers\":\"runner\",\"time_to_live_days\":30}\n", false); // line end
    check(r#"{"readers":"runner","time_to_live_days":3e1}"#, false); // number
    check(r#"{"readers":"runner","time_to_live_days":30.0}"#, false);
    check(r#"{"readers":"runner","time_to_live_days":-0}"#, false);
    check(r#"{"readers":"\u0072unner","time_to_live_days":30}"#, false); // escape
    check(r#"{"readers":"all","readers":"runner","time_to_live_days":1}"#, false); // twice
    check(r#"{"readers":"runner","time_to_live_days":30,"x":1}"#, false); // unknown
    check(r#"{"readers":"runner","time_to_live_days":9007199254740993}"#, false); // inexact
    check(r#"{"readers":"runner"}"#, false); // missing
}

/// A signed review, as JSON.
fn envelope() -> (Room, Value) {
    let room = Room::with_notebook();
    let statement = room.statement("airline", room.review_body(Decision::Approve));
    let bytes = Envelope::sign(&statement, &key("airline")).unwrap().to_bytes();
    let value = serde_json::from_slice(&bytes).unwrap();
    (room, value)
}

/// Signs any payload and type as the airline, correctly in every cryptographic respect.
fn sign_raw(payload: &[u8], payload_type: &str) -> Vec<u8> {
    let mut message =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    let key = key("airline");
    canonical::encode(&json!({
        "payload": BASE64.encode(payload),
        "payloadType": payload_type,
        "signatures": [{"keyid": key.public().id().to_hex(), "sig": BASE64.encode(key.sign(&message))}],
    }))
    .unwrap()
}

fn outcome(room: &Room, bytes: &[u8]) -> Option<ReasonCode> {
    let mut room = room.clone();
    match Envelope::from_bytes(bytes) {
        Err(error) => Some(error.reason()),
        Ok(envelope) => reason(room.try_apply(envelope)),
    }
}

#[test]
fn an_envelope_is_written_as_canonical_json() {
    let (room, value) = envelope();
    let bytes = canonical::encode(&value).unwrap();
    let envelope = Envelope::from_bytes(&bytes).unwrap();
    assert_eq!(envelope.to_bytes(), bytes);
    assert_eq!(canonical::encode(&envelope).unwrap(), bytes);
    assert_eq!(outcome(&room, &bytes), None);
}

#[test]
fn a_changed_envelope_is_refused() {
    let (room, value) = envelope();
    let check = |pointer: &str, replacement: Value, expected: ReasonCode| {
        let mut changed = value.clone();
        *changed.pointer_mut(pointer).unwrap() = replacement;
        let bytes = canonical::encode(&changed).unwrap();
        assert_eq!(outcome(&room, &bytes), Some(expected), "{pointer}");
    };
    let payload = value["payload"].as_str().unwrap();
    let signature = value["signatures"][0]["sig"].as_str().unwrap();
    let keyid = |of: &str| json!(key(of).public().id().to_hex());
    // payloadType confusion, also when signed for that type
    check("/payloadType", json!("application/json"), ReasonCode::Malformed);
    // keyid confusion: another party's, the host's, nobody's, none
    check("/signatures/0/keyid", keyid("weather"), ReasonCode::BadSignature);
    check("/signatures/0/keyid", keyid("host"), ReasonCode::BadSignature);
    check("/signatures/0/keyid", keyid("mallory"), ReasonCode::UnknownSigner);
    check("/signatures/0/keyid", json!(""), ReasonCode::Malformed);
    // no signature, two signatures, the same signature twice
    check("/signatures", json!([]), ReasonCode::Malformed);
    let twice = json!([value["signatures"][0], value["signatures"][0]]);
    check("/signatures", twice, ReasonCode::Malformed);
    // base64: no padding, URL alphabet, a line end, trailing bits, another payload
    check("/signatures/0/sig", json!(signature.trim_end_matches('=')), ReasonCode::Malformed);
    check("/signatures/0/sig", json!(format!("{signature}\n")), ReasonCode::Malformed);
    let last_digit =
        format!("{}B==", signature.trim_end_matches('=').strip_suffix(|_| true).unwrap());
    check("/signatures/0/sig", json!(last_digit), ReasonCode::Malformed);
    check("/payload", json!(BASE64.encode("{}")), ReasonCode::BadSignature);
    check("/payload", json!(format!("{payload}====")), ReasonCode::Malformed);
}

#[test]
fn a_correctly_signed_payload_that_is_not_canonical_is_refused() {
    let (room, value) = envelope();
    let payload = BASE64.decode(value["payload"].as_str().unwrap()).unwrap();
    let payload = String::from_utf8(payload).unwrap();
    let check = |payload: &str, expected: Option<ReasonCode>| {
        assert_eq!(
            outcome(&room, &sign_raw(payload.as_bytes(), PAYLOAD_TYPE)),
            expected,
            "{payload}"
        );
    };
    let with = |from: &str, to: &str| {
        assert!(payload.contains(from), "{from}");
        payload.replacen(from, to, 1)
    };
    check(&payload, None);
    check(&format!("{payload} "), Some(ReasonCode::NotCanonical));
    check(&with(r#""sequence":"#, r#""sequence": "#), Some(ReasonCode::NotCanonical));
    check(
        &with(r#""decision":"approve""#, r#""decision":"reject","decision":"approve""#),
        Some(ReasonCode::NotCanonical),
    );
    check(
        &with(r#""decision":"approve""#, r#""decision":"approve","vip":1"#),
        Some(ReasonCode::Malformed),
    );
    check(
        &with(r#""decision":"approve""#, r#""comment":"","decision":"approve""#),
        Some(ReasonCode::NotCanonical),
    );
    check(&with(r#""sequence":3"#, r#""sequence":3.0"#), Some(ReasonCode::Malformed));
    check(&with(r#""sequence":3"#, r#""sequence":3,"spare":null"#), Some(ReasonCode::Malformed));
    check(&with("/Statement/v1", "/Statement/v0.1"), Some(ReasonCode::NotCanonical));
    check(&with("urn:glovebox:review:v1", "urn:glovebox:review:v2"), Some(ReasonCode::Malformed));
    // The subject is derived from the predicate; another one is refused.
    check(&with(r#""name":"review""#, r#""name":"accept""#), Some(ReasonCode::NotCanonical));
    // A review dressed up as another kind.
    check(&with("urn:glovebox:review:v1", "urn:glovebox:accept:v1"), Some(ReasonCode::Malformed));
    assert_eq!(
        outcome(&room, &sign_raw(payload.as_bytes(), "application/json")),
        Some(ReasonCode::Malformed)
    );
}

#[test]
fn sizes_are_capped() {
    let too_large = vec![b' '; MAX_ENVELOPE_BYTES + 1];
    let error = Envelope::from_bytes(&too_large).unwrap_err();
    assert!(error.to_string().contains("too many"), "{error}");

    let (room, run) = Room::requested();
    let mut start = room.start(&run);
    let file = start.inputs.values().next().unwrap().files[0];
    let many = MAX_STATEMENT_BYTES / 150;
    start.inputs.values_mut().next().unwrap().files = vec![file; many];
    let error =
        Envelope::sign(&room.statement("host", Body::RunStart(start.clone())), &key("host"));
    assert!(error.is_err_and(|error| error.to_string().contains("too many")));
    start.inputs.values_mut().next().unwrap().files = vec![file; 4000];
    let envelope =
        Envelope::sign(&room.statement("host", Body::RunStart(start)), &key("host")).unwrap();
    assert_eq!(Envelope::from_bytes(&envelope.to_bytes()).unwrap(), envelope);
}

#[test]
fn errors_are_fit_for_a_screen() {
    let field = "\u{1b}]0;owned\u{7}\u{202e}".to_owned() + &"x".repeat(10_000);
    let bytes = serde_json::to_vec(&json!({ field: 1 })).unwrap();
    let error = Envelope::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("\\u{1b}]0;owned\\u{7}\\u{202e}xxx"), "{error}");
    assert!(error.len() < 400 && !error.chars().any(char::is_control), "{error}");
}
