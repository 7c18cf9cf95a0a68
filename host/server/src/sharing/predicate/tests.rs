//! Files that hints rule out, and files that they must not.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const SCHEMA: &str = r#"{"type":"struct","fields":[
    {"name":"n","type":"long"},{"name":"s","type":"string"},{"name":"d","type":"date"},
    {"name":"t","type":"timestamp"},{"name":"z","type":"timestamp_ntz"},{"name":"f","type":"double"},
    {"name":"Total","type":"integer"},{"name":"empty","type":"long"},{"name":"m","type":"decimal(9,2)"},
    {"name":"nested","type":{"type":"struct","fields":[]}}]}"#;

const STATS: &str = r#"{"numRecords":10,
    "minValues":{"n":5,"s":"b","d":"2026-01-10","t":"2026-01-10T00:00:00.000Z","z":"2026-01-10T00:00:00.000","f":1.5,"Total":7,"m":1.00},
    "maxValues":{"n":9,"s":"d","d":"2026-01-20","t":"2026-01-20T00:00:00.000Z","z":"2026-01-20T00:00:00.000","Total":7,"m":2.00},
    "nullCount":{"n":0,"s":3,"empty":10}}"#;

fn wants(predicate: &Predicate) -> bool {
    let columns = Columns::of(SCHEMA);
    predicate.may_want(&Figures::of(&columns, Some(STATS)))
}

#[test]
fn sql_hints_rule_out_what_they_say() {
    let ruled_out = [
        "n < 5",
        "n <= 4",
        "n > 9",
        "n >= 10",
        "n = 4",
        "n = 10",
        "N = 10",
        "`n` = 10",
        "10 < n",
        "4 >= n",
        "n=-1",
        "n IS NULL",
        "n is null",
        "empty = 1",
        "empty IS NOT NULL",
        "empty <> 1",
        "s < 'b'",
        "s > 'd'",
        "s = 'a'",
        "s = 'it''s'",
        "d < '2026-01-10'",
        "d > DATE '2026-01-20'",
        "d = '2025-12-31'",
        "t > '2026-01-20T00:00:00Z'",
        "t < TIMESTAMP '2026-01-10T01:00:00+01:00'",
        "z > '2026-01-20 00:00:00.000001'",
        "f < 1.5",
        "f <= 1.4",
        "f = 1",
        "Total <> 7",
        "total != 7",
    ];
    for hint in ruled_out {
        assert!(!wants(&sql::parse(hint)), "{hint}");
    }
    let kept = [
        "n < 6",
        "n <= 5",
        "n > 8",
        "n >= 9",
        "n = 5",
        "n = 7",
        "n <> 5",
        "5 = n",
        "n IS NOT NULL",
        "s IS NULL",
        "s IS NOT NULL",
        "s >= 'd'",
        "d = '2026-01-15'",
        "total = 7",
        "empty IS NULL",
        // Not-a-number is greater than all for some engines.
        "f > 100",
        "f >= 100",
        "f <> 1.5",
        "f = 100",
        // Not understood, so nothing is ruled out.
        "",
        "n",
        "n = ",
        "n = x",
        "n = 'x'",
        "n = 1 AND n = 2",
        "(n = 1)",
        "n + 1 = 2",
        "unknown = 1",
        "nested = 1",
        "m > 5",
        "t > '2027-01-01 00:00:00'",
        "d > 'tomorrow'",
        "d > '2026-1-1'",
        "n = 4.5",
        "s = 'open",
        "n < 5; drop",
        "n LIKE 'x'",
        "\u{0}",
        "é = 1",
        "n = 1e999",
    ];
    for hint in kept {
        assert!(wants(&sql::parse(hint)), "{hint}");
    }
}

fn compare(op: &str, column: &str, literal: &str) -> serde_json::Value {
    json!({ "op": op, "children": [
        { "op": "column", "name": column, "valueType": "long" },
        { "op": "literal", "value": literal, "valueType": "long" },
    ] })
}

#[test]
fn json_hints_rule_out_what_they_say() {
    let below = compare("lessThan", "n", "5");
    let within = compare("equal", "n", "7");
    let strange = json!({ "op": "startsWith", "children": [] });
    let mirrored = json!({ "op": "greaterThan", "children": [
        { "op": "literal", "value": "5" }, { "op": "column", "name": "n" },
    ] });
    let cases = [
        (below.clone(), false),
        (within.clone(), true),
        (mirrored, false),
        (compare("greaterThanOrEqual", "n", "10"), false),
        (compare("lessThanOrEqual", "n", "5"), true),
        (json!({ "op": "and", "children": [within, below] }), false),
        (json!({ "op": "or", "children": [within, below] }), true),
        (json!({ "op": "and", "children": [strange, below] }), false),
        (json!({ "op": "or", "children": [strange, below] }), true),
        (json!({ "op": "not", "children": [below] }), true),
        (json!({ "op": "not", "children": [compare("lessThan", "n", "10")] }), false),
        (json!({ "op": "not", "children": [strange] }), true),
        (json!({ "op": "not", "children": [compare("equal", "Total", "7")] }), false),
        (json!({ "op": "not", "children": [compare("greaterThanOrEqual", "f", "1")] }), true),
        (json!({ "op": "isNull", "children": [{ "op": "column", "name": "n" }] }), false),
        (json!({ "op": "isNull", "children": [{ "op": "column", "name": "s" }] }), true),
        (json!({ "op": "isNull", "children": [] }), true),
        (json!({ "op": "and", "children": [] }), true),
        (json!({ "op": 1 }), true),
        (json!([1]), true),
    ];
    for (tree, kept) in cases {
        assert_eq!(wants(&json::parse(&tree.to_string())), kept, "{tree}");
    }
    for bad in [
        "",
        "{",
        "null",
        &"[".repeat(100_000),
        &format!("{}1{}", "[".repeat(1000), "]".repeat(1000)),
    ] {
        assert!(wants(&json::parse(bad)));
    }
    let mut deep = below;
    for _ in 0..100 {
        deep = json!({ "op": "not", "children": [deep] });
    }
    assert!(wants(&json::parse(&deep.to_string())));
}

#[test]
fn json_hints_stand_in_place_of_sql_hints() {
    assert!(wants(&Predicate::of_hints(Some("not json"), &["n = 100"])));
    assert!(!wants(&Predicate::of_hints(None, &["n = 7", "n = 100"])));
    assert!(Predicate::of_hints(None, &[]).is_anything());
    assert!(Predicate::of_hints(None, &["whatever it is"]).is_anything());
}

#[test]
fn a_file_without_figures_is_always_kept() {
    let columns = Columns::of(SCHEMA);
    for stats in [None, Some("{}"), Some("not json"), Some(r#"{"numRecords":"x","minValues":[1]}"#)]
    {
        assert!(sql::parse("n = 100").may_want(&Figures::of(&columns, stats)));
        assert!(sql::parse("n IS NULL").may_want(&Figures::of(&columns, stats)));
    }
}

/// A predicate over the column `n`, with what it is for a value: none is null.
fn tree() -> impl Strategy<Value = Predicate> {
    let by = prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::NotEqual),
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual),
    ];
    let leaf = prop_oneof![
        (by, -3_i64..4).prop_map(|(comparison, literal)| Predicate::Compare {
            column: "n".into(),
            comparison,
            literal: literal.to_string(),
        }),
        Just(Predicate::IsNull("n".into())),
        Just(Predicate::Anything),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Predicate::And),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Predicate::Or),
            inner.prop_map(|inner| Predicate::Not(Box::new(inner))),
        ]
    })
}

/// SQL's own meaning; [`Predicate::Anything`] is what `anything` says.
fn holds(predicate: &Predicate, value: Option<i64>, anything: Option<bool>) -> Option<bool> {
    match predicate {
        Predicate::Anything => anything,
        Predicate::Not(inner) => holds(inner, value, anything).map(|is| !is),
        Predicate::IsNull(_) => Some(value.is_none()),
        Predicate::And(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| holds(part, value, anything)).collect();
            if parts.contains(&Some(false)) {
                Some(false)
            } else {
                (!parts.contains(&None)).then_some(true)
            }
        }
        Predicate::Or(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| holds(part, value, anything)).collect();
            if parts.contains(&Some(true)) {
                Some(true)
            } else {
                (!parts.contains(&None)).then_some(false)
            }
        }
        Predicate::Compare { comparison, literal, .. } => {
            let literal: i64 = literal.parse().unwrap();
            let value = value?;
            Some(match comparison {
                Comparison::Equal => value == literal,
                Comparison::NotEqual => value != literal,
                Comparison::Less => value < literal,
                Comparison::LessOrEqual => value <= literal,
                Comparison::Greater => value > literal,
                Comparison::GreaterOrEqual => value >= literal,
            })
        }
    }
}

proptest! {
    #[test]
    fn a_file_with_a_wanted_row_is_never_left_out(
        predicate in tree(),
        rows in prop::collection::vec(prop::option::of(-3_i64..4), 1..5),
        anything in prop::option::of(any::<bool>()),
        (with_least, with_greatest, with_nulls) in any::<(bool, bool, bool)>(),
    ) {
        let values: Vec<i64> = rows.iter().flatten().copied().collect();
        let mut stats = json!({ "numRecords": rows.len(), "minValues": {}, "maxValues": {}, "nullCount": {} });
        if let (Some(least), true) = (values.iter().min(), with_least) {
            stats["minValues"]["n"] = json!(least);
        }
        if let (Some(greatest), true) = (values.iter().max(), with_greatest) {
            stats["maxValues"]["n"] = json!(greatest);
        }
        if with_nulls {
            stats["nullCount"]["n"] = json!(rows.len() - values.len());
        }
        let columns = Columns::of(SCHEMA);
        let figures = Figures::of(&columns, Some(&stats.to_string())).rows();
        prop_assert_eq!(figures, Some(rows.len() as u64));
        let wanted = rows.iter().any(|row| holds(&predicate, *row, anything) == Some(true));
        let kept = predicate.may_want(&Figures::of(&columns, Some(&stats.to_string())));
        prop_assert!(kept || !wanted);
    }
}
