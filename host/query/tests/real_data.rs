//! Queries and scripts over nycflights13.

mod common;

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use common::{
    FLIGHTS, Outputs, column, data, drain, open, query, query_with, reason, session, show, table,
};
use glovebox_contract::parameter::ParameterValue;
use glovebox_query::{FileFormat, Session, SessionSettings, describe};
use glovebox_sandbox::services::{QueryEngine, Scalar, ScanOptions};

#[test]
fn files_describe_themselves() {
    let describe = |file: &str| {
        let columns = describe(FileFormat::Parquet, vec![open(&data(file))]).unwrap();
        let lines: Vec<_> = columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.column_type))
            .collect();
        lines.join("\n")
    };
    insta::assert_snapshot!(describe("flights_january.parquet"), @r"
    year int64
    month int64
    day int64
    dep_time float64
    sched_dep_time int64
    dep_delay float64
    arr_time float64
    sched_arr_time int64
    arr_delay float64
    carrier utf8
    flight int64
    tailnum utf8
    origin utf8
    dest utf8
    air_time float64
    distance int64
    hour int64
    minute int64
    time_hour utf8
    ");
    insta::assert_snapshot!(describe("weather_january.parquet"), @r"
    origin utf8
    year int64
    month int64
    day int64
    hour int64
    temp float64
    dewp float64
    humid float64
    wind_dir float64
    wind_speed float64
    wind_gust float64
    precip float64
    pressure float64
    visib float64
    time_hour utf8
    ");
    insta::assert_snapshot!(describe("airlines.parquet"), @r"
    carrier utf8
    name utf8
    ");
}

#[test]
fn queries_answer() {
    let mut session = session(SessionSettings::default());
    let mut check = |sql: &str| show(&query(&mut session, sql).unwrap());
    insta::assert_snapshot!(check("SELECT count(*) AS flights FROM airline.flights"), @r"
    +---------+
    | flights |
    +---------+
    | 27004   |
    +---------+
    ");
    insta::assert_snapshot!(check(
        "SELECT origin, count(*) AS flights, avg(dep_delay) AS delay, sum(distance) AS miles
         FROM airline.flights GROUP BY origin ORDER BY flights"
    ), @r"
    +--------+---------+-------------------+----------+
    | origin | flights | delay             | miles    |
    +--------+---------+-------------------+----------+
    | LGA    | 7950    | 5.64156044804944  | 6359510  |
    | JFK    | 9161    | 8.61582606776294  | 11304774 |
    | EWR    | 9893    | 14.90574831693423 | 9524521  |
    +--------+---------+-------------------+----------+
    ");
    insta::assert_snapshot!(check(
        "SELECT f.origin, w.wind_speed > 15 AS windy, count(*) AS flights, avg(f.dep_delay) AS delay
         FROM airline.flights f JOIN weather.hourly w
           ON f.origin = w.origin AND f.time_hour = w.time_hour
         GROUP BY 1, 2"
    ), @r"
    +--------+-------+---------+--------------------+
    | origin | windy | flights | delay              |
    +--------+-------+---------+--------------------+
    | EWR    | false | 8268    | 13.69777503090235  |
    | EWR    | true  | 1603    | 21.355800388852884 |
    | JFK    | false | 6786    | 8.220205326588305  |
    | JFK    | true  | 2358    | 9.779595350839433  |
    | LGA    | false | 6102    | 4.105553696888592  |
    | LGA    | true  | 1835    | 10.837837837837839 |
    +--------+-------+---------+--------------------+
    ");
    insta::assert_snapshot!(check("SELECT * FROM weather.hourly ORDER BY temp DESC LIMIT 3"), @r"
    +--------+----------------------+------------+-------+
    | origin | time_hour            | wind_speed | temp  |
    +--------+----------------------+------------+-------+
    | EWR    | 2013-01-30T19:00:00Z | 12.65858   | 64.4  |
    | EWR    | 2013-01-30T18:00:00Z | 10.35702   | 64.04 |
    | EWR    | 2013-01-31T05:00:00Z | 25.31716   | 62.6  |
    +--------+----------------------+------------+-------+
    ");
    insta::assert_snapshot!(check(
        "SELECT carrier, dest, rank() OVER (PARTITION BY carrier ORDER BY distance DESC) AS far
         FROM (SELECT DISTINCT carrier, dest, distance FROM airline.flights)
         ORDER BY far, carrier LIMIT 4"
    ), @r"
    +---------+------+-----+
    | carrier | dest | far |
    +---------+------+-----+
    | 9E      | SAT  | 1   |
    | AA      | SFO  | 1   |
    | AS      | SEA  | 1   |
    | B6      | SFO  | 1   |
    +---------+------+-----+
    ");
}

#[test]
fn placeholders_are_bound() {
    let mut session = session(SessionSettings::default());
    let sql = "SELECT count(*) AS n FROM airline.flights WHERE origin = $1 AND distance > $2";
    let parameters = [Scalar::Utf8("JFK".into()), Scalar::Int64(2_000)];
    insta::assert_snapshot!(show(&query_with(&mut session, sql, &parameters).unwrap()), @r"
    +------+
    | n    |
    +------+
    | 2493 |
    +------+
    ");
    let injected = [Scalar::Utf8("' OR 1 = 1 --".into()), Scalar::Int64(0)];
    insta::assert_snapshot!(show(&query_with(&mut session, sql, &injected).unwrap()), @r"
    +---+
    | n |
    +---+
    | 0 |
    +---+
    ");
    assert_eq!(reason(query_with(&mut session, sql, &parameters[..1])), "sql-invalid");
    assert_eq!(reason(query_with(&mut session, "SELECT ?", &parameters[..1])), "sql-invalid");
    assert_eq!(reason(query_with(&mut session, "SELECT $0", &parameters[..1])), "sql-invalid");
    for scalar in [
        Scalar::Null,
        Scalar::Boolean(true),
        Scalar::UInt64(u64::MAX),
        Scalar::Float64(1.5),
        Scalar::Binary(vec![0, 255]),
        Scalar::Date32(15_706),
        Scalar::TimestampMicros(1_357_000_000_000_000),
        Scalar::Decimal128 { value: 12_345, precision: 10, scale: 2 },
    ] {
        let got = query_with(&mut session, "SELECT $1 AS value", std::slice::from_ref(&scalar));
        assert_eq!(reason(got), "ok", "{scalar:?}");
    }
    let wide = Scalar::Decimal128 { value: i128::MAX, precision: 39, scale: 0 };
    assert_eq!(reason(query_with(&mut session, "SELECT $1", &[wide])), "invalid-argument");
}

#[test]
fn only_granted_columns_can_be_seen() {
    let mut session = session(SessionSettings::default());
    let names = |batches: &[arrow::record_batch::RecordBatch]| {
        let schema = batches[0].schema();
        schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>().join(" ")
    };
    let all = query(&mut session, "SELECT * FROM airline.flights LIMIT 1").unwrap();
    assert_eq!(names(&all), "carrier origin dest dep_delay distance time_hour");
    let schema = session.table_schema("airline.flights").unwrap();
    assert_eq!(schema.fields().len(), FLIGHTS.len());
    let scanned = drain(session.scan("airline.flights", ScanOptions::default()).unwrap()).unwrap();
    assert_eq!(names(&scanned), "carrier origin dest dep_delay distance time_hour");
    assert_eq!(reason(session.table_schema("airline.crew")), "table-not-granted");
}

#[test]
fn a_scan_reads_what_it_was_asked_for() {
    let mut session = session(SessionSettings::default());
    let mut check = |columns: &[&str], filter: Option<&str>, limit: Option<u64>| {
        let options = ScanOptions {
            columns: Some(columns.iter().map(|name| (*name).into()).collect()),
            filter: filter.map(Into::into),
            limit,
            batch_rows: Some(1_000),
        };
        match session.scan("airline.flights", options).and_then(drain) {
            Ok(batches) => {
                assert!(batches.iter().all(|batch| batch.num_rows() <= 1_000));
                batches.iter().map(|batch| batch.num_rows()).sum::<usize>().to_string()
            }
            Err(error) => error.reason().to_string(),
        }
    };
    assert_eq!(check(&["origin"], None, None), "27004");
    assert_eq!(check(&["origin", "dest"], Some("origin = 'JFK'"), None), "9161");
    assert_eq!(check(&["dest"], Some("origin = 'JFK' AND distance > 2000"), Some(7)), "7");
    assert_eq!(check(&["dest"], None, Some(0)), "0");
    assert_eq!(check(&["tailnum"], None, None), "column-not-granted");
    assert_eq!(check(&[], None, None), "invalid-argument");
    assert_eq!(check(&["dest", "dest"], None, None), "invalid-argument");
    assert_eq!(check(&["dest"], Some("tailnum = 'N14228'"), None), "column-not-granted");
    assert_eq!(check(&["dest"], Some("dest IN (SELECT 'x')"), None), "sql-refused");
    assert_eq!(check(&["dest"], Some("true; DROP TABLE x"), None), "sql-invalid");
    assert_eq!(check(&["dest"], Some("random() < 1"), None), "sql-refused");
    assert_eq!(check(&["dest"], Some("1 +"), None), "sql-invalid");
    assert_eq!(check(&["dest"], Some("dest"), None), "sql-invalid");
}

#[test]
fn a_scan_keeps_the_order_and_the_types_of_the_file() {
    let mut session = session(SessionSettings::default());
    let options = ScanOptions {
        columns: Some(vec!["time_hour".into(), "origin".into()]),
        ..Default::default()
    };
    let batches = drain(session.scan("weather.hourly", options).unwrap()).unwrap();
    assert_eq!(batches[0].schema().field(0).data_type(), &DataType::Utf8);
    assert_eq!(batches[0].schema().field(1).data_type(), &DataType::Utf8);
    insta::assert_snapshot!(show(&[batches[0].slice(0, 3)]), @r"
    +----------------------+--------+
    | time_hour            | origin |
    +----------------------+--------+
    | 2013-01-01T06:00:00Z | EWR    |
    | 2013-01-01T07:00:00Z | EWR    |
    | 2013-01-01T08:00:00Z | EWR    |
    +----------------------+--------+
    ");
}

const SCRIPT: &str = "
/* glovebox notebook
name = \"delay-by-wind\"
*/
CREATE TEMP VIEW joined AS
SELECT f.dep_delay, CASE WHEN w.wind_speed >= 15 THEN 'windy' ELSE 'calm' END AS wind_band
FROM airline.flights f
JOIN weather.hourly w ON f.origin = w.origin AND f.time_hour = w.time_hour;

CREATE TABLE output.delay_by_wind AS
SELECT wind_band, count(*) AS flights, avg(dep_delay) AS mean_delay
FROM joined GROUP BY wind_band HAVING count(*) >= :min_group;

CREATE TABLE output.carriers AS SELECT DISTINCT carrier FROM airline.flights WHERE origin = :origin;
";

fn settings() -> SessionSettings {
    let parameters = BTreeMap::from([
        ("min_group".parse().unwrap(), ParameterValue::Int64(50)),
        ("origin".parse().unwrap(), ParameterValue::Utf8("JFK".into())),
    ]);
    SessionSettings { parameters, ..SessionSettings::default() }
}

fn outputs() -> Outputs {
    Outputs::default()
        .declare(
            "delay_by_wind",
            &[
                ("wind_band", DataType::Utf8),
                ("flights!", DataType::Int64),
                ("mean_delay", DataType::Float64),
            ],
        )
        .declare("carriers", &[("carrier", DataType::Utf8)])
}

#[test]
fn a_script_makes_its_outputs() {
    let mut outputs = outputs();
    session(settings()).run_script(SCRIPT, &mut outputs).unwrap();
    assert_eq!(outputs.finished, ["delay_by_wind", "carriers"]);
    insta::assert_snapshot!(outputs.show("delay_by_wind"), @r"
    +-----------+---------+--------------------+
    | wind_band | flights | mean_delay         |
    +-----------+---------+--------------------+
    | calm      | 21156   | 9.16859877820001   |
    | windy     | 5796    | 13.278624601205246 |
    +-----------+---------+--------------------+
    ");
    insta::assert_snapshot!(outputs.show("carriers"), @r"
    +---------+
    | carrier |
    +---------+
    | 9E      |
    | AA      |
    | B6      |
    | DL      |
    | EV      |
    | HA      |
    | MQ      |
    | UA      |
    | US      |
    | VX      |
    +---------+
    ");
}

#[test]
fn a_script_is_refused_as_a_whole() {
    #[track_caller]
    fn check(script: &str, expect: &str) {
        let mut outputs = outputs();
        let result = session(settings()).run_script(script, &mut outputs);
        let detail = result.as_ref().err().map(|error| error.detail().to_owned());
        assert_eq!(reason(result), expect, "{script}: {detail:?}");
        if expect != "output-schema" && expect != "query-failed" {
            assert!(expect == "ok" || outputs.finished.is_empty());
        }
    }
    let carriers = "CREATE TABLE output.carriers AS SELECT carrier FROM airline.flights";
    check(carriers, "ok");
    check(&format!("{carriers} WHERE origin = :origin"), "ok");
    check(&format!("{carriers} LIMIT :min_group"), "ok");
    check("CREATE TABLE Output.\"carriers\" AS SELECT 'x' AS carrier", "ok");
    check(
        "CREATE VIEW v AS SELECT 'x' AS carrier; CREATE TABLE output.carriers AS SELECT * FROM v",
        "sql-refused",
    );
    check(
        "CREATE TEMPORARY VIEW v AS SELECT 'x' AS carrier; CREATE TABLE output.carriers AS SELECT * FROM v",
        "ok",
    );
    check("CREATE TEMP VIEW v AS SELECT 1; CREATE TEMP VIEW v AS SELECT 2", "sql-invalid");
    check(
        "CREATE TEMP VIEW v AS SELECT 1 AS x; CREATE OR REPLACE TEMP VIEW v AS SELECT 'x' AS carrier; CREATE TABLE output.carriers AS SELECT * FROM v",
        "ok",
    );
    check("CREATE TEMP VIEW airline.flights AS SELECT 1", "sql-refused");
    check("CREATE TEMP VIEW v (a, b) AS SELECT 1, 2", "sql-refused");
    check("CREATE MATERIALIZED VIEW v AS SELECT 1", "sql-refused");
    check("CREATE TEMP VIEW IF NOT EXISTS v AS SELECT 1", "sql-refused");
    check("CREATE TEMP VIEW v AS SELECT 1", "sql-invalid");
    check("", "sql-invalid");
    check("SELECT 1", "sql-refused");
    check("CREATE TABLE carriers AS SELECT 1", "sql-refused");
    check("CREATE TABLE airline.carriers AS SELECT 1", "sql-refused");
    check("CREATE TABLE output.carriers (carrier text)", "sql-refused");
    check("CREATE OR REPLACE TABLE output.carriers AS SELECT 'x' AS carrier", "sql-refused");
    check("CREATE TABLE IF NOT EXISTS output.carriers AS SELECT 'x' AS carrier", "sql-refused");
    check(
        "CREATE EXTERNAL TABLE output.carriers STORED AS CSV LOCATION '/etc/passwd'",
        "sql-invalid",
    );
    check("CREATE TABLE output.secrets AS SELECT 1", "output-not-declared");
    check(&format!("{carriers}; {carriers}"), "output-closed");
    check(&format!("{carriers} WHERE origin = :other"), "parameter-invalid");
    check(&format!("{carriers} WHERE origin = $1"), "parameter-invalid");
    check(&format!("{carriers}; DROP TABLE airline.flights"), "sql-refused");
    check(
        &format!(
            "{carriers}; CREATE TABLE output.delay_by_wind AS SELECT tailnum FROM airline.flights"
        ),
        "column-not-granted",
    );
    check(
        "CREATE TABLE output.carriers AS SELECT * FROM output.delay_by_wind",
        "table-not-granted",
    );
    check("CREATE TABLE output.carriers AS SELECT 1 AS carrier", "output-schema");
    check("CREATE TABLE output.carriers AS SELECT 'x' AS other", "output-schema");
    check("CREATE TABLE output.carriers AS SELECT 'x' AS carrier, 1 AS more", "output-schema");
    check(
        "CREATE TABLE output.carriers AS SELECT CAST(origin AS INT)::text AS carrier FROM airline.flights",
        "query-failed",
    );
    check(
        "CREATE TABLE output.delay_by_wind AS SELECT 'a' AS wind_band, NULL AS flights, 1.5 AS mean_delay",
        "output-schema",
    );
    check(
        "CREATE TABLE output.delay_by_wind AS SELECT 'a' AS wind_band, 7 AS flights, CAST(1.5 AS REAL) AS mean_delay",
        "ok",
    );
}

#[test]
fn grants_that_the_files_do_not_meet_are_refused() {
    #[track_caller]
    fn check(granted: &[(&str, &str)], expect: &str) {
        let table = table(
            "airline.flights",
            FileFormat::Parquet,
            granted,
            &[data("flights_january.parquet")],
        );
        assert_eq!(reason(Session::new(vec![table], SessionSettings::default())), expect);
    }
    check(&[("origin", "utf8")], "ok");
    check(&[("origin", "utf8_view")], "ok");
    check(&[("origin", "dictionary(int32, utf8)")], "ok");
    check(&[("origin", "int64")], "schema-mismatch");
    check(&[("gone", "utf8")], "schema-mismatch");
    let mut empty = table("airline.flights", FileFormat::Parquet, FLIGHTS, &[]);
    assert_eq!(reason(Session::new(vec![empty], SessionSettings::default())), "schema-mismatch");
    empty =
        table("airline.flights", FileFormat::Parquet, FLIGHTS, &[data("flights_january.parquet")]);
    empty.file_columns = Some(vec![column("vanished", "utf8")]);
    assert_eq!(reason(Session::new(vec![empty], SessionSettings::default())), "schema-mismatch");
}
