//! The same statement over the same files gives the same batches.

#[expect(dead_code, reason = "other tests use the rest")]
mod common;

use common::{drain, query, session, show};
use glovebox_query::SessionSettings;
use glovebox_sandbox::services::{QueryEngine, ScanOptions};

#[test]
fn repeated_queries_give_identical_batches() {
    let statements = [
        "SELECT origin, dest, avg(dep_delay) AS a, sum(dep_delay) AS s FROM airline.flights GROUP BY origin, dest",
        "SELECT dest, sum(dep_delay / 3) AS s FROM airline.flights GROUP BY dest ORDER BY count(*) DESC",
        "SELECT f.carrier, w.temp FROM airline.flights f JOIN weather.hourly w USING (origin, time_hour)",
        "SELECT carrier FROM airline.flights LIMIT 100",
        "SELECT carrier, dep_delay FROM airline.flights ORDER BY carrier LIMIT 100",
        "SELECT carrier, n FROM (SELECT carrier, count(*) AS n FROM airline.flights GROUP BY carrier LIMIT 5)",
        "SELECT DISTINCT origin, dest FROM airline.flights",
        "SELECT DISTINCT dest FROM airline.flights LIMIT 10",
        "SELECT array_agg(dest) AS d FROM (SELECT dest FROM airline.flights WHERE distance > 2500)",
        "SELECT stddev(dep_delay), corr(dep_delay, distance) FROM airline.flights",
        "SELECT origin, first_value(dest) FROM airline.flights GROUP BY origin",
        "SELECT dest, row_number() OVER (PARTITION BY origin ORDER BY carrier) AS r FROM airline.flights",
        "SELECT avg(dep_delay) OVER (ORDER BY time_hour ROWS BETWEEN 50 PRECEDING AND CURRENT ROW) AS r FROM airline.flights",
        "SELECT origin FROM airline.flights UNION ALL SELECT origin FROM weather.hourly",
        "SELECT origin FROM airline.flights UNION ALL SELECT origin FROM weather.hourly LIMIT 30000",
        "SELECT first_value(o) FROM (SELECT origin AS o FROM weather.hourly UNION ALL SELECT dest FROM airline.flights)",
        "SELECT f.carrier, w.temp FROM (SELECT * FROM airline.flights UNION ALL SELECT * FROM airline.flights) f
         JOIN weather.hourly w USING (origin, time_hour) WHERE w.temp > 60",
        "SELECT dest, rank() OVER (ORDER BY origin) AS r FROM
         (SELECT * FROM airline.flights UNION ALL SELECT * FROM airline.flights) WHERE distance > 2500",
        "SELECT carrier, min(dep_delay), max(dep_delay), median(dep_delay) FROM airline.flights GROUP BY carrier",
        "SELECT sum(DISTINCT dep_delay / 7), avg(DISTINCT dep_delay / 7) FROM airline.flights",
    ];
    for sql in statements {
        let mut answers = Vec::new();
        for partitions in [2, 2, 2, 4, 4] {
            let mut session =
                session(SessionSettings { partitions, batch_rows: 512, ..Default::default() });
            answers.push(query(&mut session, sql).unwrap());
        }
        assert!(!answers[0].is_empty(), "{sql}");
        assert!(answers[..3].windows(2).all(|pair| pair[0] == pair[1]), "{sql}");
        assert_eq!(answers[3], answers[4], "{sql}");
        assert_eq!(show(&answers[0]), show(&answers[3]), "{sql}");
    }
}

#[test]
fn a_scan_has_the_order_of_the_file_however_it_is_cut() {
    let mut rows = Vec::new();
    for (partitions, batch_rows) in [(1, 8_192), (2, 100), (4, 1_000)] {
        let mut session = session(SessionSettings { partitions, batch_rows, ..Default::default() });
        let batches =
            drain(session.scan("airline.flights", ScanOptions::default()).unwrap()).unwrap();
        assert!(batches.iter().all(|batch| batch.num_rows() <= batch_rows));
        rows.push(arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap());
    }
    assert_eq!(rows[0], rows[1]);
    assert_eq!(rows[0], rows[2]);
}

#[test]
fn one_nan_and_one_zero_leave() {
    let mut session = session(SessionSettings::default());
    let sql = "SELECT -0.0 * column1 AS zero, -(column1 * CAST('NaN' AS DOUBLE)) AS nan FROM (VALUES (1.0))";
    let batches = query(&mut session, sql).unwrap();
    let bits = |column: usize| {
        use arrow::array::AsArray;
        batches[0].column(column).as_primitive::<arrow::datatypes::Float64Type>().value(0).to_bits()
    };
    assert_eq!(bits(0), 0.0_f64.to_bits());
    assert_eq!(bits(1), f64::NAN.to_bits());
}
