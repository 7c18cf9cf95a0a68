//! Names, digests, types and parameters: which texts are one, and which value they are.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use glovebox_contract::column::{Column, ColumnType};
use glovebox_contract::digest::{Blake3Digest, ContentDigest, ContentHasher, Sha256Digest};
use glovebox_contract::name::{Alias, AssetName, Identifier, RunId, TableName};
use glovebox_contract::parameter::{ParameterDeclaration, ParameterType, ParameterValue};
use glovebox_contract::reason::ReasonCode;

use crate::support::parse;

/// Whether `text` is a `T`; if it is, it is written as it was read.
fn is_a<T: FromStr + Display>(text: &str) -> bool {
    text.parse::<T>().is_ok_and(|value| {
        assert_eq!(value.to_string(), text);
        true
    })
}

#[test]
fn names_are_short_plain_ascii() {
    let check = |text: &str, identifier: bool, label: bool, table: bool| {
        assert_eq!(is_a::<Alias>(text), identifier, "alias {text:?}");
        assert_eq!(is_a::<Identifier>(text), identifier, "identifier {text:?}");
        assert_eq!(is_a::<AssetName>(text), label, "name {text:?}");
        assert_eq!(is_a::<TableName>(text), table, "table {text:?}");
    };
    check("airline", true, true, false);
    check("min_group2", true, true, false);
    check("delay-by-wind", false, true, false);
    check("airline.flights", false, true, true);
    check("airline.flights.x", false, true, false);
    check("airline.2x", false, true, false);
    check(".flights", false, false, false);
    check("airline.", false, true, false);
    check(&"a".repeat(63), true, true, false);
    check(&"a".repeat(64), false, false, false);
    for wrong in ["", "2x", "Air", "a b", "a/b", "../a", "a\n", "\u{430}irline", "_a", "-a", "a\0"]
    {
        check(wrong, false, false, false);
    }
}

#[test]
fn a_wrong_name_is_shown_harmlessly() {
    let error = "a\u{1b}[2J".parse::<Alias>().unwrap_err().to_string();
    assert!(error.starts_with("`a\\u{1b}[2J` is not an alias: use 1 to 63 characters"), "{error}");
}

#[test]
fn digests_are_prefixed_lower_case_hex() {
    let zeros = "0".repeat(64);
    let check = |text: &str, blake3: bool, sha256: bool| {
        assert_eq!(is_a::<Blake3Digest>(text), blake3, "{text}");
        assert_eq!(is_a::<Sha256Digest>(text), sha256, "{text}");
    };
    check(&format!("blake3:{zeros}"), true, false);
    check(&format!("sha256:{zeros}"), false, true);
    check(&zeros, false, false);
    check(&format!("blake3:{}", &zeros[1..]), false, false);
    check(&format!("blake3:{zeros}0"), false, false);
    check(&format!("blake3:{}A", &zeros[1..]), false, false);
    check(&format!("blake3: {zeros}"), false, false);
    check(&format!("BLAKE3:{zeros}"), false, false);
    assert!(is_a::<RunId>(&zeros[..32]) && !is_a::<RunId>(&zeros[..31]));
}

#[test]
fn digests_are_those_that_b3sum_and_sha256sum_print() {
    let digest = ContentDigest::of(b"");
    assert_eq!(
        digest.blake3.to_hex(),
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    );
    assert_eq!(
        digest.sha256.to_hex(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    let mut hasher = ContentHasher::new();
    hasher.update(b"a");
    hasher.update(b"bc");
    assert_eq!(hasher.finish(), ContentDigest::of(b"abc"));
    assert_eq!(
        ContentDigest::of(b"abc").sha256.to_hex(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn content_is_equal_only_when_both_digests_are() {
    let one = ContentDigest::of(b"one");
    let two = ContentDigest::of(b"two");
    assert!(one.matches(b"one"));
    assert!(!ContentDigest { sha256: two.sha256, ..one }.matches(b"one"));
    assert!(!ContentDigest { blake3: two.blake3, ..one }.matches(b"one"));
}

#[test]
fn column_types_are_read_and_written() {
    let check = |text: &str, written: Option<&str>| {
        let read = text.parse::<ColumnType>().ok().map(|column_type| column_type.to_string());
        assert_eq!(read.as_deref(), written, "{text}");
    };
    check("utf8", Some("utf8"));
    check("decimal(38,10)", Some("decimal(38, 10)"));
    check("decimal(39, 0)", None);
    check("decimal(0, 0)", None);
    check("decimal(5, 6)", None);
    check("decimal256(76, -3)", Some("decimal256(76, -3)"));
    check("timestamp(us, Europe/Berlin)", Some("timestamp(us, Europe/Berlin)"));
    check("timestamp(us, UTC; DROP)", None);
    check("time32(us)", None);
    check("time64(ns)", Some("time64(ns)"));
    check("fixed_size_binary(16)", Some("fixed_size_binary(16)"));
    check("fixed_size_binary(4294967295)", None);
    check("fixed_size_binary(1)", Some("fixed_size_binary(1)"));
    check("fixed_size_binary(0)", None);
    check("dictionary(int32, utf8)", Some("dictionary(int32, utf8)"));
    check("dictionary(utf8, utf8)", None);
    check(
        "struct(a: list(struct(b: int8, c: date32)))",
        Some("struct(a: list(struct(b: int8, c: date32)))"),
    );
    check("struct()", None);
    check("struct(a b: int8)", None);
    check("list(utf8", None);
    check("list(utf8))", None);
    check("string", None);
    check("", None);
    check(
        &format!("{}utf8{}", "list(".repeat(8), ")".repeat(8)),
        Some(&format!("{}utf8{}", "list(".repeat(8), ")".repeat(8))),
    );
    check(&format!("{}utf8{}", "list(".repeat(9), ")".repeat(9)), None);
    check(&"list(".repeat(100_000), None);
}

#[test]
fn types_are_compatible_when_only_their_encoding_differs() {
    let check = |one: &str, other: &str, expected: bool| {
        let (one, other) = (parse::<ColumnType>(one), parse::<ColumnType>(other));
        assert_eq!(one.is_compatible(&other), expected, "{one} {other}");
        assert_eq!(other.is_compatible(&one), expected, "{other} {one}");
    };
    check("utf8", "dictionary(uint8, utf8_view)", true);
    check("binary", "large_binary", true);
    check("binary", "utf8", false);
    check("list(utf8)", "large_list(utf8_view)", true);
    check("struct(a: utf8)", "struct(a: large_utf8)", true);
    check("struct(a: utf8)", "struct(b: utf8)", false);
    check("int32", "int64", false);
    check("timestamp(us)", "timestamp(us, UTC)", false);
    check("decimal(10, 2)", "decimal(12, 2)", false);
}

#[test]
fn a_column_is_nullable_unless_it_says_not() {
    let read = |text: &str| serde_json::from_str::<Column>(text);
    assert!(read(r#"{"name":"a","type":"utf8"}"#).unwrap().nullable);
    assert!(!read(r#"{"name":"a","nullable":false,"type":"utf8"}"#).unwrap().nullable);
    assert!(read(r#"{"name":"a","type":"utf8","x":1}"#).is_err());
    assert!(read(r#"{"name":"a","type":"text"}"#).is_err());
}

#[test]
fn parameter_values_have_one_text() {
    let check = |of: ParameterType, text: &str, written: Option<&str>| {
        let read = ParameterValue::parse(of, text).ok().map(|value| value.to_string());
        assert_eq!(read.as_deref(), written, "{of} {text}");
    };
    check(ParameterType::Int64, "-9223372036854775808", Some("-9223372036854775808"));
    check(ParameterType::Int64, "9223372036854775808", None);
    check(ParameterType::Int64, "+7", Some("7"));
    check(ParameterType::Int64, "7.0", None);
    check(ParameterType::Float64, "-0.0", Some("0"));
    check(ParameterType::Float64, "1e3", Some("1000"));
    check(ParameterType::Float64, "nan", None);
    check(ParameterType::Float64, "inf", None);
    check(ParameterType::Float64, "1e999", None);
    check(ParameterType::Boolean, "true", Some("true"));
    check(ParameterType::Boolean, "True", None);
    check(ParameterType::Date, "2012-02-29", Some("2012-02-29"));
    check(ParameterType::Date, "2013-02-29", None);
    check(ParameterType::Date, "1970-01-01", Some("1970-01-01"));
    check(ParameterType::Date, "2013-1-1", None);
    check(ParameterType::Date, "2013-01-01T00", None);
    check(ParameterType::Utf8, "x\n", Some("x\n"));
    check(ParameterType::Utf8, &"x".repeat(4097), None);
    assert_eq!(
        ParameterValue::parse(ParameterType::Date, "1970-01-02"),
        Ok(ParameterValue::Date(1))
    );
    assert_eq!(
        ParameterValue::parse(ParameterType::Date, "1969-12-31"),
        Ok(ParameterValue::Date(-1))
    );
}

fn declaration(of: ParameterType) -> ParameterDeclaration {
    ParameterDeclaration {
        choices: vec![],
        default: None,
        description: String::new(),
        maximum: None,
        minimum: None,
        parameter_type: of,
    }
}

#[test]
fn declarations_bound_their_values() {
    let text = |text: &str| Some(text.to_owned());
    let bounded = ParameterDeclaration {
        minimum: text("-5"),
        maximum: text("100"),
        ..declaration(ParameterType::Int64)
    };
    let chosen = ParameterDeclaration {
        choices: vec!["JFK".into(), "LGA".into()],
        default: text("JFK"),
        ..declaration(ParameterType::Utf8)
    };
    let check = |declaration: &ParameterDeclaration,
                 given: Option<&str>,
                 expected: Result<&str, &str>| {
        let resolved = declaration.resolve(given).map(|value| value.to_string());
        match (resolved, expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            other => panic!("{other:?}"),
        }
    };
    check(&bounded, Some("-5"), Ok("-5"));
    check(&bounded, Some("-6"), Err("below the minimum `-5`"));
    check(&bounded, Some("9"), Ok("9")); // numbers are compared as numbers, not as text
    check(&bounded, Some("101"), Err("above the maximum"));
    check(&bounded, None, Err("no default"));
    check(&chosen, None, Ok("JFK"));
    check(&chosen, Some("LGA"), Ok("LGA"));
    check(&chosen, Some("EWR"), Err("not one of JFK, LGA"));

    let makes_sense = |declaration: ParameterDeclaration| declaration.validate().is_ok();
    assert!(makes_sense(bounded.clone()) && makes_sense(chosen.clone()));
    assert!(!makes_sense(ParameterDeclaration { default: text("EWR"), ..chosen }));
    assert!(!makes_sense(ParameterDeclaration { maximum: text("many"), ..bounded }));
}

#[test]
fn reason_codes_are_distinct_and_survive() {
    fn survives<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug>(value: &T) {
        let text = serde_json::to_string(value).unwrap();
        assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value);
    }
    let mut codes: Vec<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
    for code in ReasonCode::ALL {
        survives(code);
        assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{code}\""));
    }
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), ReasonCode::ALL.len());
}
