//! Against a server of Debian's PostgreSQL.

mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use futures::{StreamExt as _, TryStreamExt as _};
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::broker::{Comparison, Filter};
use glovebox_room::remote::{Credential, Origin};
use tokio_postgres::Client;

use super::*;
use crate::net::{Outbound, SourcePolicy};
use server::{Certificate, Server};

const READER: [(&str, &str); 3] =
    [("user", "reader"), ("password", "o'pen \\ says me"), ("sslmode", "disable")];

fn request(settings: &[(&str, &str)], origin: Origin) -> Request {
    let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Request {
        format: None,
        partitions: Vec::new(),
        credential: Some(Credential::new(settings.collect())),
        outbound: Outbound::new(origin, Arc::new(SourcePolicy::default())),
        deadline: Instant::now() + Duration::from_secs(60),
    }
}

fn place(server: &Server, table: &str) -> Place {
    Place {
        host: "127.0.0.1".into(),
        port: server.port,
        database: "shop \"one\"".into(),
        schema: "Main".into(),
        table: table.into(),
    }
}

async fn open_table(server: &Server, table: &str) -> Result<Arc<dyn RowSource>, Failure> {
    match open(&request(&READER, Origin::Operator), &place(server, table)).await? {
        OpenTable::Rows(rows) => Ok(rows),
        OpenTable::Files(_) => panic!("a database has no files"),
    }
}

/// A connection to the database of the tests, which has a user who may read what they are granted.
async fn database(server: &Server) -> Client {
    let admin = server.admin().await;
    admin.batch_execute("CREATE DATABASE \"shop \"\"one\"\"\"").await.unwrap();
    let place = format!(
        "host=127.0.0.1 port={} user=admin password='open sesame' dbname='shop \"one\"'",
        server.port
    );
    let (client, connection) =
        tokio_postgres::connect(&place, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let setup = r#"
        CREATE ROLE reader LOGIN PASSWORD 'o''pen \ says me';
        CREATE SCHEMA "Main";
        GRANT USAGE ON SCHEMA "Main" TO reader;
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader;
        SET search_path = "Main";
    "#;
    client.batch_execute(setup).await.unwrap();
    client
}

fn scan(columns: &[usize], filters: Vec<Filter>, limit: Option<u64>) -> Scan {
    Scan { columns: columns.into(), filters, limit }
}

async fn batches(table: &dyn RowSource, scan: Scan) -> Result<Vec<RecordBatch>, Failure> {
    table.scan(scan).await?.try_collect().await
}

async fn count(table: &dyn RowSource) -> usize {
    let batches = batches(table, scan(&[], vec![], None)).await.unwrap();
    batches.iter().map(RecordBatch::num_rows).sum()
}

/// Rows as texts, in order.
async fn rows(table: &dyn RowSource, scan: Scan) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches(table, scan).await.unwrap() {
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| match column.is_null(row) {
                true => "-".to_owned(),
                false => array_value_to_string(column, row).unwrap(),
            });
            rows.push(values.collect::<Vec<_>>().join(" "));
        }
    }
    rows.sort();
    rows
}

const KINDS: &str = r#"
    CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE DOMAIN price AS numeric(12, 3);
    CREATE TABLE kinds (
        n int4 NOT NULL, b bool, i2 int2, i8 int8, f4 float4, f8 float8, t text, v varchar(9), c char(3),
        j jsonb, u uuid, y bytea, d date, ti time, ts timestamp, tz timestamptz, nu numeric, p price,
        big numeric(60, 2), m mood, gone int4
    );
    ALTER TABLE kinds DROP COLUMN gone;
    INSERT INTO kinds VALUES
        (1, true, -7, 9007199254740993, 0.1, 'NaN', 'ü ''x', 'v', 'c', '{"a": 1}',
         '01234567-89ab-cdef-0123-456789abcdef', '\x00ff', '1890-06-26', '23:59:59.999999',
         '1969-12-31 23:59:59.5', '3000-01-01 00:00:00.000001+02', 123.4567890001, -0.125,
         12345678901234567890123456789012345678901234567890.25, 'glad'),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL, NULL);
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_table_comes_with_its_columns_and_its_values() {
    let server = Server::start(&[]);
    let owner = database(&server).await;
    owner.batch_execute(KINDS).await.unwrap();
    let table = open_table(&server, "kinds").await.unwrap();
    let columns: Vec<String> = table
        .columns()
        .iter()
        .map(|column| {
            let required = if column.nullable { "" } else { " required" };
            format!("{} {}{required}", column.name, column.column_type)
        })
        .collect();
    assert_eq!(
        columns,
        [
            "n int32 required",
            "b boolean",
            "i2 int16",
            "i8 int64",
            "f4 float32",
            "f8 float64",
            "t utf8",
            "v utf8",
            "c utf8",
            "j utf8",
            "u utf8",
            "y binary",
            "d date32",
            "ti time64(us)",
            "ts timestamp(us)",
            "tz timestamp(us, UTC)",
            "nu decimal(38, 10)",
            "p decimal(12, 3)",
            "big decimal256(60, 2)",
            "m utf8",
        ]
    );
    let all: Vec<usize> = (0..columns.len()).collect();
    let found = rows(&*table, scan(&all, vec![], None)).await;
    assert_eq!(
        found,
        [
            "1 true -7 9007199254740993 0.1 NaN ü 'x v c   {\"a\": 1} \
             01234567-89ab-cdef-0123-456789abcdef 00ff 1890-06-26 23:59:59.999999 \
             1969-12-31T23:59:59.500 2999-12-31T22:00:00.000001Z 123.4567890001 -0.125 \
             12345678901234567890123456789012345678901234567890.25 glad",
            "2 - - - - - - - - - - - - - - - - - - -",
        ]
    );
    assert_eq!(rows(&*table, scan(&[19, 0], vec![], None)).await, ["- 2", "glad 1"]);
    assert_eq!(count(&*table).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_leaves_out_what_nobody_asked_for() {
    let server = Server::start(&[]);
    let owner = database(&server).await;
    let setup = r#"
        CREATE TABLE numbers (n int4, t text, d date, f float8);
        INSERT INTO numbers SELECT i, 'row ' || i, date '2013-01-01' + i, i - 50
        FROM generate_series(1, 100000) AS i;
        INSERT INTO numbers VALUES (NULL, NULL, NULL, '-0'), (100001, 'Z', NULL, 'NaN');
        CREATE VIEW evens AS SELECT n, t FROM numbers WHERE n % 2 = 0;
    "#;
    owner.batch_execute(setup).await.unwrap();
    let table = open_table(&server, "numbers").await.unwrap();
    let compare = |column, operator, value| vec![Filter::Compare { column, operator, value }];
    let check = async |filters: Vec<Filter>, limit, expect: usize| {
        let found = batches(&*table, scan(&[0], filters.clone(), limit)).await.unwrap();
        let found: usize = found.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, expect, "{filters:?} {limit:?}");
        let found = batches(&*table, scan(&[], filters.clone(), limit)).await.unwrap();
        let found: usize = found.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, expect, "counted {filters:?} {limit:?}");
    };
    use ParameterValue::{Date, Float64, Int64, Utf8};
    check(vec![], None, 100_002).await;
    check(vec![], Some(7), 7).await;
    check(compare(0, Comparison::Less, Int64(10)), None, 9).await;
    // A limit counts what meets the filters, which the worker checks again.
    check(compare(0, Comparison::Less, Int64(10)), Some(2), 9).await;
    check(compare(1, Comparison::Equal, Utf8("row 7".into())), None, 1).await;
    check(compare(1, Comparison::Equal, Utf8("x' OR true --".into())), None, 0).await;
    // `Z` stands before `row` byte by byte and behind it in the database.
    check(compare(1, Comparison::Less, Utf8("row".into())), None, 100_002).await;
    // 2013-01-05
    check(compare(2, Comparison::LessOrEqual, Date(15_710)), None, 4).await;
    // Zero itself stays in: -0.0 is less than it in the worker.
    check(compare(3, Comparison::Less, Float64(0.0)), None, 51).await;
    check(compare(3, Comparison::Greater, Float64(99_949.0)), None, 2).await;
    check(vec![Filter::Null { column: 0 }], None, 1).await;
    check(vec![Filter::In { column: 0, values: vec![Int64(5), Int64(6)] }], None, 2).await;

    let view = open_table(&server, "evens").await.unwrap();
    assert_eq!(count(&*view).await, 50_000);
    let large = batches(&*table, scan(&[1], vec![], None)).await.unwrap();
    assert!(large.len() > 2 && large.iter().all(|batch| batch.num_rows() <= 16_384));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_scans_see_one_state_that_nobody_takes_away() {
    let server = Server::start(&[]);
    let owner = database(&server).await;
    let setup = "CREATE TABLE orders AS SELECT i AS n FROM generate_series(1, 10) AS i; \
                 SET lock_timeout = '200ms'";
    owner.batch_execute(setup).await.unwrap();
    let table = open_table(&server, "orders").await.unwrap();
    owner
        .batch_execute("INSERT INTO orders VALUES (11); DELETE FROM orders WHERE n < 3")
        .await
        .unwrap();
    let (first, second, third) =
        tokio::join!(count(&*table), count(&*table), rows(&*table, scan(&[0], vec![], None)));
    assert_eq!((first, second, third.len()), (10, 10, 10));
    table.check_unchanged().await.unwrap();
    for change in ["DROP TABLE orders", "TRUNCATE orders", "ALTER TABLE orders ADD COLUMN m int"] {
        let error = owner.batch_execute(change).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "55P03", "{change}");
    }
    let later = open_table(&server, "orders").await.unwrap();
    assert_eq!(count(&*later).await, 9);
    assert_ne!(table.pinned(), later.pinned());
    drop((table, later));
    owner.batch_execute("SET lock_timeout = '20s'; DROP TABLE orders").await.unwrap();
    let gone = open_table(&server, "orders").await.err().unwrap();
    assert_eq!(gone.reason, ReasonCode::InputUnreadable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_nobody_wants_any_more_ends() {
    let server = Server::start(&[]);
    let owner = database(&server).await;
    let endless = "CREATE VIEW endless AS SELECT generate_series(1, 4000000000) AS n";
    owner.batch_execute(endless).await.unwrap();
    let table = open_table(&server, "endless").await.unwrap();
    // More often than there are connections.
    for _ in 0..30 {
        let mut batches = table.scan(scan(&[0], vec![], None)).await.unwrap();
        assert_eq!(batches.next().await.unwrap().unwrap().num_rows(), 16_384);
    }
    let working = "SELECT count(*) FROM pg_stat_activity \
                   WHERE application_name = 'glovebox' AND state <> 'idle' AND query LIKE 'COPY%'";
    let started = Instant::now();
    loop {
        let count: i64 = owner.query_one_scalar(working, &[]).await.unwrap();
        if count == 0 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{count} scans go on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_says_why() {
    let server = Server::start(&[]);
    let owner = database(&server).await;
    let setup = r#"
        CREATE TABLE orders (n int4, t text);
        CREATE TABLE secret (n int4);
        REVOKE ALL ON secret FROM reader;
        CREATE TABLE partly (public int4, private int4);
        REVOKE ALL ON partly FROM reader;
        GRANT SELECT (public) ON partly TO reader;
        INSERT INTO partly VALUES (1, 2);
        CREATE TABLE spans (n int4, span interval);
        CREATE TABLE nothing ();
        CREATE MATERIALIZED VIEW stored AS SELECT 5 AS n;
    "#;
    owner.batch_execute(setup).await.unwrap();
    let check =
        async |settings: &[(&str, &str)], origin, place: Place, expect: (ReasonCode, &str)| {
            let found = open(&request(settings, origin), &place).await.err();
            let found = found.unwrap_or_else(|| panic!("{place:?} opens"));
            assert_eq!(found.reason, expect.0, "{found}");
            assert!(found.detail.contains(expect.1), "{found}");
            assert!(!found.detail.contains("wrong password"), "{found}");
        };
    use ReasonCode::{
        InputUnreadable, SourceDenied, SourceRefused, SourceUnavailable, SourceUnsupported,
    };
    let operator = Origin::Operator;
    let orders = || place(&server, "orders");
    let [user, password, plain] = READER;
    let wrong = ("password", "wrong password");
    check(&[user, wrong, plain], operator, orders(), (SourceDenied, "authentication")).await;
    check(&[user, plain], operator, orders(), (SourceDenied, "password")).await;
    check(&[password, plain], operator, orders(), (SourceDenied, "lacks `user`")).await;
    let typo = ("passwort", "x");
    check(&[user, typo], operator, orders(), (SourceDenied, "has no `passwort`")).await;
    let mode = ("sslmode", "no");
    check(&[user, password, mode], operator, orders(), (SourceDenied, "`sslmode`")).await;
    // Encrypted and checked is what holds when nothing is said.
    let hint = "sslmode = \"disable\"";
    check(&[user, password], operator, orders(), (SourceUnavailable, hint)).await;
    let other = Place { database: "other".into(), ..orders() };
    check(&READER, operator, other, (InputUnreadable, "\"other\" does not exist")).await;
    check(&READER, operator, place(&server, "order"), (InputUnreadable, "`Main.order`")).await;
    let unquoted = Place { schema: "main".into(), ..orders() };
    check(&READER, operator, unquoted, (InputUnreadable, "`main.orders`")).await;
    check(&READER, operator, place(&server, "nothing"), (InputUnreadable, "with columns")).await;
    check(&READER, operator, place(&server, "secret"), (SourceDenied, "no column")).await;
    let spans = place(&server, "spans");
    check(&READER, operator, spans, (SourceUnsupported, "`span` has the type `interval`")).await;
    // Who works elsewhere does not point the host at itself.
    check(&READER, Origin::Network, orders(), (SourceRefused, "127.0.0.1")).await;
    let socket = Place { host: "/var/run/postgresql".into(), ..orders() };
    check(&READER, operator, socket, (SourceRefused, "a name or an address")).await;
    let two = Place { host: "a,b".into(), ..orders() };
    check(&READER, operator, two, (SourceRefused, "a name or an address")).await;
    let sneaking = [("user", "reader hostaddr=127.0.0.9"), password, plain];
    check(&sneaking, operator, orders(), (SourceDenied, "authentication")).await;

    let partly = open_table(&server, "partly").await.unwrap();
    let names: Vec<&str> = partly.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["public"], "what the user may not read is no column");
    assert_eq!(rows(&*partly, scan(&[0], vec![], None)).await, ["1"]);
    let stored = open_table(&server, "stored").await.unwrap();
    assert_eq!(rows(&*stored, scan(&[0], vec![], None)).await, ["5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_without_a_place_ends_the_scan_and_is_not_shown() {
    let server = Server::start(&[]);
    let owner = database(&server).await;
    let setup = r#"
        CREATE TABLE days (d date, nu numeric);
        INSERT INTO days VALUES ('infinity', 0.123456789012345);
        CREATE VIEW broken AS SELECT t::int AS n FROM (VALUES ('7'), ('secret 8')) AS rows (t);
    "#;
    owner.batch_execute(setup).await.unwrap();
    let check = async |table: &str, column: usize, detail: &str| {
        let table = open_table(&server, table).await.unwrap();
        let failure = batches(&*table, scan(&[column], vec![], None)).await.unwrap_err();
        assert_eq!(failure.reason, ReasonCode::InputUnreadable, "{failure}");
        assert!(failure.detail.contains(detail), "{failure}");
        assert!(!failure.detail.contains("secret") && !failure.detail.contains("0.123"));
    };
    check("days", 0, "column `d` holds a value").await;
    check("days", 1, "column `nu` holds a value").await;
    check("broken", 0, "SQLSTATE 22P02").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_down_is_unavailable() {
    let mut server = Server::start(&[]);
    let owner = database(&server).await;
    let endless = "CREATE VIEW endless AS SELECT generate_series(1, 4000000000) AS n";
    owner.batch_execute(endless).await.unwrap();
    let table = open_table(&server, "endless").await.unwrap();
    let mut batches = table.scan(scan(&[0], vec![], None)).await.unwrap();
    assert!(batches.next().await.unwrap().is_ok());
    server.stop();
    let ended = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            match batches.next().await {
                Some(Ok(_)) => {}
                other => return other,
            }
        }
    });
    let failure = ended.await.unwrap().unwrap().unwrap_err();
    assert_eq!(failure.reason, ReasonCode::SourceUnavailable, "{failure}");
    let failure = open_table(&server, "endless").await.err().unwrap();
    assert_eq!(failure.reason, ReasonCode::SourceUnavailable, "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_what_the_credential_says() {
    let files = Certificate::new();
    let server = Server::start(&[
        "ssl=on",
        &format!("ssl_cert_file={}", files.certificate.display()),
        &format!("ssl_key_file={}", files.key.display()),
    ]);
    let owner = database(&server).await;
    owner.batch_execute("CREATE TABLE orders AS SELECT 1 AS n").await.unwrap();
    let root = std::fs::read_to_string(&files.certificate).unwrap();
    let [user, password, _] = READER;
    let orders = |host: &str| Place { host: host.into(), ..place(&server, "orders") };
    let check = async |host: &str, settings: &[(&str, &str)], expect: Result<(), &str>| {
        let settings = [&[user, password], settings].concat();
        let found = open(&request(&settings, Origin::Operator), &orders(host)).await;
        match (found, expect) {
            (Ok(_), Ok(())) => {}
            (Err(failure), Err(detail)) => assert!(failure.detail.contains(detail), "{failure}"),
            (found, expect) => panic!("{settings:?}: {:?}, not {expect:?}", found.err()),
        }
    };
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE ssl AND application_name = 'glovebox'";
    let root = ("sslrootcert", root.as_str());
    check("127.0.0.1", &[("sslmode", "require")], Ok(())).await;
    check("127.0.0.1", &[("sslmode", "verify-ca"), root], Ok(())).await;
    check("localhost", &[root], Ok(())).await;
    // It is another host's, or nobody vouches for it.
    check("127.0.0.1", &[root], Err("certificate")).await;
    check("localhost", &[], Err("certificate")).await;
    check("localhost", &[("sslmode", "verify-ca")], Err("certificate")).await;
    check("localhost", &[("sslrootcert", "no certificate")], Err("no certificate in PEM")).await;
    let settings = [user, password, ("sslmode", "require")];
    let table = open(&request(&settings, Origin::Operator), &orders("127.0.0.1")).await.unwrap();
    let count: i64 = owner.query_one_scalar(encrypted, &[]).await.unwrap();
    assert!(count > 0);
    drop(table);
}
