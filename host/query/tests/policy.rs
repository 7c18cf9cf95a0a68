//! The policy on SQL, by the examples in `policies/sql/cases.txt`.

#[expect(dead_code, reason = "other tests use the rest")]
mod common;

use std::fmt::Write;

use common::{query, reason, session};
use glovebox_query::SessionSettings;

const CASES: &str = include_str!("../../../policies/sql/cases.txt");

#[test]
fn every_case_has_its_outcome() {
    let mut session = session(SessionSettings::default());
    let mut wrong = String::new();
    let mut cases = 0;
    for line in CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (expect, sql) = line.split_once(char::is_whitespace).unwrap();
        let result = query(&mut session, sql.trim());
        let detail = result.as_ref().err().map(|error| error.detail().to_owned());
        let got = reason(result);
        if got != expect {
            writeln!(wrong, "{}\n  expected {expect}, got {got} {detail:?}", sql.trim()).unwrap();
        }
        cases += 1;
    }
    assert!(cases >= 60, "only {cases} cases");
    assert_eq!(wrong, "");
}

#[test]
fn complexity_is_bounded_before_anything_recurses() {
    #[track_caller]
    fn check(sql: &str, expect: &str) {
        let mut session = session(SessionSettings::default());
        let shown: String = sql.chars().take(60).collect();
        assert_eq!(reason(query(&mut session, sql)), expect, "{shown}");
    }
    let times = |text: &str, count: usize| text.repeat(count);
    check(&format!("SELECT 1{}", times(" + 1", 5_000)), "sql-too-complex");
    check(&format!("SELECT 1{}", times(" + 1", 600)), "sql-too-complex");
    check(&format!("SELECT 1{}", times(" + 1", 400)), "ok");
    check(&format!("SELECT {}1{}", times("(", 5_000), times(")", 5_000)), "sql-too-complex");
    check(&format!("SELECT {}1{}", times("(", 1_000), times(")", 1_000)), "sql-too-complex");
    check(&format!("SELECT {}true", times("NOT ", 5_000)), "sql-too-complex");
    check(&format!("SELECT {}1", times("- ", 5_000)), "sql-too-complex");
    check(&format!("SELECT {}1", times("- ", 100_000)), "sql-too-complex");
    check(&format!("SELECT true{}", times(" AND true", 5_000)), "sql-too-complex");
    check(&format!("SELECT 'a'{}", times(" || 'a'", 3_000)), "sql-too-complex");
    check(
        &format!("{}SELECT 1{}", times("SELECT * FROM (", 500), times(") AS t", 500)),
        "sql-too-complex",
    );
    check(&format!("SELECT 1{}", times(" UNION ALL SELECT 1", 3_000)), "sql-too-complex");
    check(&format!("SELECT {}1{}", times("[", 2_000), times("]", 2_000)), "sql-too-complex");
    check(&format!("SELECT {}1{}", times("abs(", 2_000), times(")", 2_000)), "sql-too-complex");
    check(&format!("SELECT {}", times("CASE WHEN true THEN ", 1_500)), "sql-too-complex");
    let wrong = |open: &str, depth: usize| format!("SELECT {}1 2 ,,", times(open, depth));
    for open in ["CASE WHEN true THEN ", "CAST(", "ARRAY[", "SUBSTRING(", "(CASE WHEN TRIM("] {
        check(&wrong(open, 60), "sql-too-complex");
        check(&wrong(open, 6), "sql-invalid");
    }
    check(&format!("SELECT 1 IN (1{})", times(", 1", 2_000)), "ok");
    check(&format!("SELECT '{}'", times("x", 300_000)), "sql-too-complex");
    check(&format!("SELECT 1{}", times(";", 100_000)), "ok");
}

/// Views and common tables are expanded where they are named, so each line doubles the plan.
#[test]
fn expansion_is_bounded() {
    let mut sql = String::from("WITH t0 AS (SELECT origin FROM airline.flights)");
    for level in 1..40 {
        let below = level - 1;
        write!(sql, ", t{level} AS (SELECT a.origin FROM t{below} a, t{below} b)").unwrap();
    }
    write!(sql, " SELECT count(*) FROM t14").unwrap();
    let mut session = session(SessionSettings::default());
    assert_eq!(reason(query(&mut session, &sql)), "sql-too-complex");
}
