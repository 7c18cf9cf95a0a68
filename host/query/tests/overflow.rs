//! A number that does not fit is an error, never another number.

#[expect(dead_code, reason = "other tests use the rest")]
mod common;

use std::path::PathBuf;

use common::{query, reason, show, table};
use glovebox_query::{FileFormat, Session, SessionSettings};
use tempfile::TempDir;

/// `a.t` with a column of each integer type, at its largest, its smallest and in between, in two
/// groups, and two small rows besides.
fn session(partitions: usize) -> (TempDir, Session) {
    let directory = TempDir::new().unwrap();
    let path: PathBuf = directory.path().join("t.csv");
    let text = "g,i8,i32,i64,u64\n\
                1,127,2147483647,9223372036854775807,18446744073709551615\n\
                1,1,1,1,1\n\
                2,-128,-2147483648,-9223372036854775808,0\n\
                2,-1,-1,-1,1\n\
                3,2,2,2,2\n\
                3,,,,\n";
    std::fs::write(&path, text).unwrap();
    let columns =
        [("g", "int64"), ("i8", "int8"), ("i32", "int32"), ("i64", "int64"), ("u64", "uint64")];
    let settings = SessionSettings { partitions, ..SessionSettings::default() };
    let tables = vec![table("a.t", FileFormat::Csv, &columns, &[path])];
    (directory, Session::new(tables, settings).unwrap())
}

#[test]
fn what_does_not_fit_fails() {
    let check = |sql: &str, expect: &str| {
        for partitions in [1, 4] {
            let (_directory, mut session) = session(partitions);
            let found = reason(query(&mut session, sql));
            assert_eq!(found, expect, "`{sql}` in {partitions} partitions");
        }
    };
    for sum in ["sum(i64)", "sum(u64)", "sum(DISTINCT i64)", "sum(i64 - 0)"] {
        check(&format!("SELECT {sum} FROM a.t WHERE g = 1"), "query-failed");
        check(&format!("SELECT g, {sum} FROM a.t WHERE g = 1 GROUP BY g"), "query-failed");
        check(&format!("SELECT {sum} FROM a.t WHERE g = 3"), "ok");
    }
    // Smaller integers are summed in 64 bits.
    check("SELECT sum(i8), sum(i32) FROM a.t", "ok");
    check("SELECT sum(i64) FROM a.t WHERE g = 2", "query-failed");
    check("SELECT sum(i64) OVER (ORDER BY u64) FROM a.t WHERE g = 1", "query-failed");
    for column in ["i8", "i32", "i64", "u64"] {
        check(&format!("SELECT {column} + {column} FROM a.t WHERE g = 3"), "ok");
        check(&format!("SELECT {column} * {column} FROM a.t WHERE g = 3"), "ok");
        check(&format!("SELECT {column} - {column} FROM a.t"), "ok");
        check(&format!("SELECT {column} + {column} FROM a.t WHERE g = 1"), "query-failed");
        check(&format!("SELECT {column} * {column} FROM a.t WHERE g = 1"), "query-failed");
    }
    check("SELECT u64 - 2 FROM a.t WHERE u64 < 2", "ok");
    check("SELECT i64 - 1 FROM a.t WHERE g = 2", "query-failed");
    check("SELECT g FROM a.t WHERE i64 + 1 > 0", "query-failed");
    check(
        "SELECT g + 1, count(*) FROM a.t GROUP BY g + 1 HAVING sum(g) * 2 > 0 ORDER BY g + 1",
        "ok",
    );
    check("SELECT x.g FROM a.t x JOIN a.t y ON x.g + 1 = y.g", "ok");
    check("SELECT i64 FROM a.t WHERE i64 IN (SELECT i64 + 1 FROM a.t WHERE g = 1)", "query-failed");
    check("SELECT 9223372036854775807 + 1", "query-failed");
}

#[test]
fn what_fits_is_as_before() {
    let (_directory, mut session) = session(2);
    let batches = query(
        &mut session,
        "SELECT g + 1 AS next, sum(i32) AS total, sum(DISTINCT i32) AS apart, sum(i64) FILTER (WHERE i64 > 5) AS most, \
         avg(i32) AS mean, DATE '2024-01-01' + INTERVAL '1 day' AS day \
         FROM a.t WHERE g <> 2 GROUP BY g + 1 ORDER BY next",
    );
    insta::assert_snapshot!(show(&batches.unwrap()), @r"
    +------+------------+------------+---------------------+--------------+------------+
    | next | total      | apart      | most                | mean         | day        |
    +------+------------+------------+---------------------+--------------+------------+
    | 2    | 2147483648 | 2147483648 | 9223372036854775807 | 1073741824.0 | 2024-01-02 |
    | 4    | 2          | 2          |                     | 2.0          | 2024-01-02 |
    +------+------------+------------+---------------------+--------------+------------+
    ");
    // Intermediate sums may leave the type; only the result counts.
    let batches =
        query(&mut session, "SELECT sum(i64) AS s FROM (SELECT i64 FROM a.t WHERE g < 3)");
    insta::assert_snapshot!(show(&batches.unwrap()), @r"
    +----+
    | s  |
    +----+
    | -1 |
    +----+
    ");
}
