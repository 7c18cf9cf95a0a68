//! What runs cost, and who pays.

use std::collections::BTreeMap;

use glovebox_contract::canonical;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::{Outcome, Receipt, Usage};
use glovebox_contract::statement::{Amount, Billing, Prices, RoomDocument};

use crate::support::{Room, document, parse, reason};

fn billing(cpu_second: &str, gib_second: &str, gib_in: &str, gib_out: &str) -> Billing {
    Billing {
        currency: "EUR".into(),
        payer: None,
        prices: Prices {
            cpu_second: parse(cpu_second),
            gib_in: parse(gib_in),
            gib_out: parse(gib_out),
            gib_second: parse(gib_second),
        },
    }
}

/// A receipt with these figures: processor time and wall time in milliseconds, and bytes.
fn receipt(cpu_ms: u64, memory: u64, wall_ms: u64, bytes_in: u64, bytes_out: u64) -> Receipt {
    let (room, run) = Room::started();
    let mut receipt = room.receipt(&run);
    receipt.usage = Usage { cpu_ms, memory_bytes: memory, wall_ms };
    for snapshot in receipt.inputs.values_mut() {
        snapshot.files.clear();
    }
    let mut file = *receipt.outputs().unwrap().values().next().unwrap();
    file.bytes = bytes_out;
    receipt.outcome = Outcome::Succeeded { outputs: BTreeMap::from([(parse("t"), file)]) };
    let digest = glovebox_contract::statement::FileDigest { bytes: bytes_in, digest: file.digest };
    receipt.inputs.values_mut().next().unwrap().files.push(digest);
    receipt
}

#[test]
fn amounts_are_decimal_numbers() {
    let check = |text: &str, expect: Option<(&str, u128)>| {
        let amount = text.parse::<Amount>().ok();
        let read = amount.map(|amount| (amount.to_string(), amount.nanos()));
        let expect = expect.map(|(text, nanos)| (text.to_owned(), nanos));
        assert_eq!(read, expect, "{text}");
    };
    check("0", Some(("0", 0)));
    check("1", Some(("1", 1_000_000_000)));
    check("0.5", Some(("0.5", 500_000_000)));
    check("00.50", Some(("0.5", 500_000_000)));
    check("0.000000001", Some(("0.000000001", 1)));
    check("999999999999.999999999", Some(("999999999999.999999999", 999_999_999_999_999_999_999)));
    for wrong in [
        "",
        ".",
        "1.",
        ".5",
        "-1",
        "+1",
        "1e3",
        "1,5",
        " 1",
        "1 ",
        "1.2.3",
        "0.0000000001",
        "1000000000000",
        "NaN",
        "١",
    ] {
        check(wrong, None);
    }
}

#[test]
fn a_cost_is_the_sum_of_what_was_used() {
    const GIB: u64 = 1 << 30;
    let check = |billing: Billing, receipt: Receipt, expect: &str| {
        assert_eq!(billing.cost(&receipt).to_string(), expect, "{billing:?}");
    };
    let free = || billing("0", "0", "0", "0");
    check(free(), receipt(1 << 20, GIB, 1 << 20, GIB, GIB), "0");
    check(billing("2", "0", "0", "0"), receipt(500, 0, 0, 0, 0), "1");
    check(billing("0", "3", "0", "0"), receipt(0, 2 * GIB, 500, 0, 0), "3");
    check(billing("0", "0", "0.25", "0"), receipt(0, 0, 0, 4 * GIB, 0), "1");
    check(billing("0", "0", "0", "0.25"), receipt(0, 0, 0, 0, 2 * GIB), "0.5");
    check(billing("1", "1", "1", "1"), receipt(1000, GIB, 1000, GIB, GIB), "4");
    // Each part alone is less than what can be written, together they are not: rounded once.
    let tiny = billing("0.000000001", "0.000000001", "0.000000001", "0.000000001");
    check(tiny.clone(), receipt(250, GIB, 250, 0, 0), "0.000000001");
    check(tiny.clone(), receipt(249, GIB, 250, 0, 0), "0");
    check(tiny, receipt(1000, 0, 0, GIB / 2, 0), "0.000000002");
    // Nobody overflows a bill.
    let most = billing("999999999999", "999999999999", "999999999999", "999999999999");
    let huge = most.cost(&receipt(1 << 52, 1 << 52, 1 << 52, u64::MAX, u64::MAX));
    assert!(huge > parse("999999999999"));
}

#[test]
fn a_failed_run_costs_what_it_used() {
    let mut failed = receipt(1000, 0, 0, 1 << 30, 1 << 30);
    failed.outcome = Outcome::Failed { reason: ReasonCode::Internal };
    assert_eq!((failed.bytes_in(), failed.bytes_out()), (1 << 30, 0));
    assert_eq!(billing("1", "1", "1", "1").cost(&failed).to_string(), "2");
}

#[test]
fn a_room_says_who_pays_in_which_currency() {
    let with =
        |billing: Option<Billing>| RoomDocument { billing, ..document(&["airline", "weather"]) };
    let check = |currency: &str, payer: Option<&str>, expected: Option<ReasonCode>| {
        let billing = Billing {
            currency: currency.into(),
            payer: payer.map(parse),
            ..billing("1", "0", "0", "0")
        };
        let result = reason(Room::create(with(Some(billing))));
        assert_eq!(result, expected, "{currency} {payer:?}");
    };
    let malformed = Some(ReasonCode::Malformed);
    check("EUR", None, None);
    check("EUR", Some("weather"), None);
    check("EUR", Some("mallory"), malformed);
    check("EUR", Some("host"), malformed);
    check("eur", None, malformed);
    check("EURO", None, malformed);
    check("€", None, malformed);
    check("", None, malformed);
    let paid = Billing { payer: Some(parse("weather")), ..billing("1", "0", "0", "0") };
    assert_eq!(paid.payer_of(&parse("airline")).as_str(), "weather");
    let runner = parse("airline");
    assert_eq!(billing("1", "0", "0", "0").payer_of(&runner), &runner);
    // A room without prices is written as ever.
    let text = |document| String::from_utf8(canonical::encode(&document).unwrap()).unwrap();
    assert!(!text(with(None)).contains("billing"));
    let priced = text(with(Some(paid)));
    let bill = r#""billing":{"currency":"EUR","payer":"weather","prices":{"cpu_second":"1"}},"#;
    assert_eq!(priced.replace(bill, ""), text(with(None)));
}
