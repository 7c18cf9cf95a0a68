//! Tables of databases, which a broker asks.

#[expect(dead_code, reason = "other tests use the rest")]
mod common;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "common/fake_broker.rs"]
mod fake_broker;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use common::{column, drain, query, show};
use datafusion::arrow;
use fake_broker::FakeBroker;
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use glovebox_query::{
    BrokerFailure, Comparison, Condition, ForeignTable, RowScan, Session, SessionSettings,
};
use glovebox_sandbox::services::{HostError, QueryEngine, ScanOptions};

const COLUMNS: &[(&str, &str)] = &[("id", "int64"), ("name", "utf8"), ("secret", "utf8")];

/// Rows `ids` of a table, in that order.
fn rows(ids: &[i64]) -> RecordBatch {
    let texts = |prefix: &str| -> ArrayRef {
        Arc::new(ids.iter().map(|id| Some(format!("{prefix}{id}"))).collect::<StringArray>())
    };
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(ids.iter().copied()));
    let columns = [("id", numbers), ("name", texts("n")), ("secret", texts("s"))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, data)| (name, data, true)))
        .unwrap()
}

fn broker(batches: &[&[i64]]) -> FakeBroker {
    FakeBroker { batches: batches.iter().map(|ids| rows(ids)).collect(), ..FakeBroker::default() }
}

fn table(broker: &Arc<FakeBroker>) -> ForeignTable {
    let columns = |columns: &[(&str, &str)]| {
        columns.iter().map(|(name, column_type)| column(name, column_type)).collect()
    };
    ForeignTable {
        name: "db.t".parse().unwrap(),
        granted: columns(&[("label", "utf8"), ("id", "int64")]),
        renamed: BTreeMap::from([("label".into(), "name".into())]),
        columns: columns(COLUMNS),
        table: 1,
        broker: broker.clone(),
    }
}

fn session(broker: &Arc<FakeBroker>, partitions: usize) -> Session {
    let settings = SessionSettings { partitions, ..SessionSettings::default() };
    Session::new(vec![table(broker)], settings).unwrap()
}

fn ask(broker: FakeBroker, sql: &str) -> (Arc<FakeBroker>, Result<String, HostError>) {
    let broker = Arc::new(broker);
    let answer = query(&mut session(&broker, 2), sql).map(|batches| show(&batches));
    (broker, answer)
}

#[test]
fn rows_are_selected_joined_and_counted() {
    let check = |sql: &str, expect: &[&str]| {
        let (_, answer) = ask(broker(&[&[3, 1], &[], &[2, 4]]), sql);
        let answer = answer.unwrap();
        let rows: Vec<&str> = answer.lines().skip(3).filter(|line| line.starts_with('|')).collect();
        let rows: Vec<String> =
            rows.iter().map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(rows, expect, "{sql}");
    };
    check("SELECT count(*), sum(id), min(label) FROM db.t", &["| 4 | 10 | n1 |"]);
    check("SELECT label FROM db.t WHERE id > 2 ORDER BY id", &["| n3 |", "| n4 |"]);
    check(
        "SELECT a.id FROM db.t a JOIN db.t b ON a.id = b.id + 1 WHERE b.label = 'n3'",
        &["| 4 |"],
    );
    check("SELECT count(*) FROM db.t WHERE label LIKE 'n_' AND id <> 1", &["| 3 |"]);
}

#[test]
fn only_granted_columns_are_asked_for_each_once() {
    let check = |sql: &str, columns: &[u32], conditions: &[Condition], limit: Option<u64>| {
        let (broker, answer) = ask(broker(&[&[1, 2]]), sql);
        answer.unwrap();
        let conditions = conditions.to_vec();
        let scan = RowScan { table: 1, columns: columns.to_vec(), conditions, limit };
        assert_eq!(broker.scans(), [scan], "{sql}");
    };
    let above = Condition::Compare(0, Comparison::Greater, ParameterValue::Int64(1));
    let named = Condition::Compare(1, Comparison::Equal, ParameterValue::Utf8("n2".into()));
    check("SELECT sum(id) FROM db.t", &[0], &[], None);
    check("SELECT max(label) FROM db.t WHERE id > 1", &[1, 0], std::slice::from_ref(&above), None);
    check("SELECT id FROM db.t WHERE id > 1 AND label = 'n2'", &[1, 0], &[above, named], None);
    check("SELECT id FROM db.t WHERE label LIKE 'n%'", &[1, 0], &[], None);
    check("SELECT count(*) FROM db.t", &[], &[], None);
    let (broker, answer) = ask(broker(&[&[1]]), "SELECT secret FROM db.t");
    assert_eq!(answer.unwrap_err().reason(), ReasonCode::ColumnNotGranted);
    assert_eq!(broker.scans(), []);
}

/// The same rows in three orders and in other batches.
const ORDERS: [&[&[i64]]; 3] =
    [&[&[5, 3, 1, 4, 2]], &[&[1, 2], &[3, 4, 5]], &[&[2], &[5, 4, 3, 1]]];

#[test]
fn the_order_in_which_a_database_has_its_rows_changes_nothing() {
    let same = |sql: &str| {
        for partitions in [1, 3] {
            let answers = ORDERS.map(|order| {
                let broker = Arc::new(broker(order));
                show(&query(&mut session(&broker, partitions), sql).unwrap())
            });
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{sql}: {answers:?}");
        }
    };
    same("SELECT id FROM db.t");
    same("SELECT id FROM db.t LIMIT 2");
    same("SELECT id, label FROM db.t LIMIT 2 OFFSET 1");
    same("SELECT first_value(label), array_agg(id) FROM db.t");
    same("SELECT id, row_number() OVER () AS n FROM db.t");
    same("SELECT DISTINCT ON (id % 2) label FROM db.t");
    same("SELECT * FROM (SELECT id FROM db.t LIMIT 3) a JOIN db.t b ON a.id = b.id");
    let scanned = ORDERS.map(|order| {
        let broker = Arc::new(broker(order));
        let options = ScanOptions { limit: Some(3), ..ScanOptions::default() };
        let mut session = session(&broker, 2);
        let stream = session.scan("db.t", options).unwrap();
        show(&drain(stream).unwrap())
    });
    assert!(scanned.iter().all(|scan| *scan == scanned[0]), "{scanned:?}");
}

#[test]
fn a_guest_scans_with_the_types_of_the_grant() {
    let broker = Arc::new(broker(&[&[2, 1]]));
    let mut session = session(&broker, 2);
    let stream = session.scan("db.t", ScanOptions::default()).unwrap();
    insta::assert_snapshot!(show(&drain(stream).unwrap()), @"
    +-------+----+
    | label | id |
    +-------+----+
    | n1    | 1  |
    | n2    | 2  |
    +-------+----+
    ");
}

#[test]
fn a_database_that_goes_down_in_the_middle_is_an_error() {
    let check = |failure: BrokerFailure, expect: ReasonCode| {
        let failing = FakeBroker { failing: Some((0, failure)), ..broker(&[&[1], &[2]]) };
        let (_, answer) = ask(failing, "SELECT sum(id) FROM db.t");
        assert_eq!(answer.unwrap_err().reason(), expect);
    };
    check(BrokerFailure::GONE, ReasonCode::SourceUnavailable);
    check(BrokerFailure::new(ReasonCode::SourceDenied), ReasonCode::SourceDenied);
    check(BrokerFailure::new(ReasonCode::SchemaMismatch), ReasonCode::SchemaMismatch);
    check(BrokerFailure::CROWDED, ReasonCode::PolicyLimit);
}

#[test]
fn batches_of_other_types_are_not_believed() {
    let mut lying = broker(&[&[1]]);
    let wrong: ArrayRef = Arc::new(StringArray::from(vec!["one"]));
    let columns = [("id", wrong.clone()), ("name", wrong.clone()), ("secret", wrong)];
    lying.batches = vec![RecordBatch::try_from_iter(columns).unwrap()];
    let (_, answer) = ask(lying, "SELECT sum(id) FROM db.t");
    let error = answer.unwrap_err();
    assert_eq!(error.reason(), ReasonCode::Internal);
    assert_eq!(error.detail(), "an input table was answered for astray");
}

#[test]
fn a_null_that_was_not_announced_is_found_at_the_edge() {
    let mut lying = broker(&[&[1]]);
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![None]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let columns = [("id", ids), ("name", text.clone()), ("secret", text)];
    lying.batches = vec![
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, data)| (name, data, true)))
            .unwrap(),
    ];
    let broker = Arc::new(lying);
    let mut table = table(&broker);
    table.granted[1].nullable = false;
    let mut session = Session::new(vec![table], SessionSettings::default()).unwrap();
    let scanned = drain(session.scan("db.t", ScanOptions::default()).unwrap());
    assert_eq!(scanned.unwrap_err().reason(), ReasonCode::SchemaMismatch);
}

#[test]
fn columns_must_be_there_and_have_an_order() {
    let broker = Arc::new(broker(&[]));
    let refused = |change: fn(&mut ForeignTable)| {
        let mut table = table(&broker);
        change(&mut table);
        let error = Session::new(vec![table], SessionSettings::default()).unwrap_err();
        (error.reason(), error.detail().to_owned())
    };
    let missing = refused(|table| table.granted.push(column("wage", "int64")));
    let expect = "table db.t: column `wage` is missing".to_owned();
    assert_eq!(missing, (ReasonCode::SchemaMismatch, expect));
    let list = refused(|table| {
        table.columns.push(column("tags", "list(utf8)"));
        table.granted.push(column("tags", "list(utf8)"));
    });
    let expect = "table db.t: column `tags` has a type without an order".to_owned();
    assert_eq!(list, (ReasonCode::SourceUnsupported, expect));
}
