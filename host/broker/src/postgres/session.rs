//! The transactions of an open table: one that keeps its snapshot, and one for each scan.

use std::sync::Arc;
use std::time::Duration;

use datafusion_table_providers_postgres::conn::PostgresConnection;
use datafusion_table_providers_postgres::pool::PostgresConnectionPool;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{Place, failure};
use crate::error::Failure;

/// Begins a transaction that reads and changes nothing.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Settings of a transaction. Texts are written with `'` doubled and nothing else; nobody waits long
/// for a lock; a query ends some time; the snapshot is kept while nobody asks.
const SETTINGS: &str = "\
    SET LOCAL standard_conforming_strings = on; \
    SET LOCAL lock_timeout = '10s'; \
    SET LOCAL statement_timeout = '12h'; \
    SET LOCAL idle_in_transaction_session_timeout = 0";

/// How long a transaction of a scan may take to begin.
const BEGIN_TIME: Duration = Duration::from_secs(60);

/// What is pinned of a database: which server, what it had committed, and how far its log was.
/// What the user may not read stays out.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lsn: Option<String>,
    snapshot: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
}

/// A transaction that stands as long as the table is open.
pub(super) struct Keeper {
    /// `None` only while it is dropped.
    connections: Option<Connections>,
    /// The name by which others take the snapshot.
    snapshot: String,
    /// Where what is left of dropped transactions is cleared up.
    runtime: Handle,
}

struct Connections {
    pool: Arc<PostgresConnectionPool>,
    keeper: Arc<PostgresConnection>,
}

impl Keeper {
    /// Begins a transaction, holds the table's definition, then takes a snapshot.
    pub(super) async fn begin(
        pool: Arc<PostgresConnectionPool>,
        place: &Place,
    ) -> Result<Self, Failure> {
        let keeper = connect(&pool).await?;
        let client: &Client = &keeper.conn;
        run(client, &format!("{BEGIN}; {SETTINGS}")).await?;
        hold(client, place).await?;
        let snapshot = text(client, "SELECT pg_catalog.pg_export_snapshot()").await?;
        let keeper = Arc::new(keeper);
        Ok(Self {
            connections: Some(Connections { pool, keeper }),
            snapshot,
            runtime: Handle::current(),
        })
    }

    fn connections(&self) -> Result<&Connections, Failure> {
        self.connections.as_ref().ok_or_else(|| Failure::unavailable("the table is closed"))
    }

    /// The connection of the transaction.
    pub(super) fn client(&self) -> Result<&Client, Failure> {
        Ok(&self.connections()?.keeper.conn)
    }

    /// What is pinned.
    pub(super) async fn record(&self) -> Result<Record, Failure> {
        let client = self.client()?;
        let lsn = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() \
                   THEN pg_catalog.pg_last_wal_replay_lsn() \
                   ELSE pg_catalog.pg_current_wal_lsn() END::text";
        let system = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()";
        Ok(Record {
            kind: "postgresql",
            lsn: attempt(client, lsn).await?,
            snapshot: text(client, "SELECT pg_catalog.txid_current_snapshot()::text").await?,
            system: attempt(client, system).await?,
        })
    }

    /// Whether the database knows every character.
    pub(super) async fn is_utf8(&self) -> Result<bool, Failure> {
        Ok(text(self.client()?, "SHOW server_encoding").await? == "UTF8")
    }

    /// A transaction of its own at the same snapshot.
    pub(super) async fn session(&self) -> Result<Session, Failure> {
        let connections = self.connections()?;
        let connection = connect(&connections.pool).await?;
        let begin = format!(
            "{BEGIN}; SET TRANSACTION SNAPSHOT '{}'; {SETTINGS}; SELECT pg_catalog.pg_backend_pid()",
            self.snapshot.replace('\'', "''")
        );
        // From here on a transaction is to be ended.
        let mut session = Session {
            connection: Some(connection),
            keeper: Arc::clone(&connections.keeper),
            process: None,
            runtime: self.runtime.clone(),
        };
        let begun = tokio::time::timeout(BEGIN_TIME, text(session.client()?, &begin)).await;
        let process = begun.map_err(|_| Failure::unavailable("the database begins no scan"))??;
        session.process = process.parse().ok();
        Ok(session)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The pool wants to be dropped on a runtime.
        let connections = self.connections.take();
        self.runtime.spawn(async move { drop(connections) });
    }
}

/// The transaction of one scan. Dropping it before its end cancels what the database still does.
pub(super) struct Session {
    /// `None` only while it is dropped.
    connection: Option<PostgresConnection>,
    keeper: Arc<PostgresConnection>,
    /// The process of the database that works for it.
    process: Option<i32>,
    runtime: Handle,
}

impl Session {
    /// Its connection.
    pub(super) fn client(&self) -> Result<&Client, Failure> {
        match &self.connection {
            Some(connection) => Ok(&connection.conn),
            None => Err(Failure::unavailable("the scan has ended")),
        }
    }

    /// How many rows a query has.
    pub(super) async fn count(mut self, sql: &str) -> Result<u64, Failure> {
        let count = format!("SELECT count(*) FROM ({sql}) AS counted");
        let count = text(self.client()?, &count).await?;
        self.finished();
        count.parse().map_err(|_| Failure::unreadable("the database counts wrongly"))
    }

    /// Says that the database has nothing left to do.
    pub(super) fn finished(&mut self) {
        self.process = None;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (connection, process) = (self.connection.take(), self.process);
        let keeper = Arc::clone(&self.keeper);
        self.runtime.spawn(async move {
            if let Some(process) = process {
                let cancel = format!("SELECT pg_catalog.pg_cancel_backend({process})");
                let cancelled = keeper.conn.batch_execute(&cancel).await;
                tracing::debug!(done = cancelled.is_ok(), "cancelled a scan that nobody wants");
            }
            drop(keeper);
            if let Some(connection) = connection {
                // What is closed already is not given out again.
                // The first try may be what the cancelling hits.
                for _ in 0..2 {
                    if connection.conn.batch_execute("ROLLBACK").await.is_ok() {
                        break;
                    }
                }
            }
        });
    }
}

async fn connect(pool: &PostgresConnectionPool) -> Result<PostgresConnection, Failure> {
    pool.connect_direct()
        .await
        .map_err(|error| failure::of("cannot connect to the database", &error))
}

async fn run(client: &Client, sql: &str) -> Result<(), Failure> {
    client
        .batch_execute(sql)
        .await
        .map_err(|error| failure::of("the database refuses a transaction", &error))
}

/// The first value of the last row of some statements.
async fn text(client: &Client, sql: &str) -> Result<String, Failure> {
    let answer = client
        .simple_query(sql)
        .await
        .map_err(|error| failure::of("the database does not answer", &error))?;
    answer
        .iter()
        .rev()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .map(str::to_owned)
        .ok_or_else(|| Failure::unavailable("the database answers without a value"))
}

/// As [`text`], but `None` when the user may not ask that.
async fn attempt(client: &Client, sql: &str) -> Result<Option<String>, Failure> {
    run(client, "SAVEPOINT attempt").await?;
    match text(client, sql).await {
        Ok(value) => {
            run(client, "RELEASE SAVEPOINT attempt").await?;
            Ok(Some(value))
        }
        Err(_) => {
            run(client, "ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt").await?;
            Ok(None)
        }
    }
}

/// Keeps the definition of a table: from here on it is neither dropped, nor emptied, nor given other
/// columns, which no snapshot is safe from. Not every kind of table can be held, and not by every
/// user.
async fn hold(client: &Client, place: &Place) -> Result<(), Failure> {
    let name = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let table = format!("{}.{}", name(&place.schema), name(&place.table));
    run(client, "SAVEPOINT hold").await?;
    let lock = format!("LOCK TABLE {table} IN ACCESS SHARE MODE");
    match client.batch_execute(&lock).await {
        Ok(()) => run(client, "RELEASE SAVEPOINT hold").await,
        Err(error) => {
            let held = failure::of("cannot hold the table's definition", &error);
            if failure::is_passing(&held) {
                return Err(held);
            }
            run(client, "ROLLBACK TO SAVEPOINT hold; RELEASE SAVEPOINT hold").await
        }
    }
}
