//! Reading what was not granted.

use glovebox_guest::{Batches, Result, Room};

use crate::{Attack, behave};

pub(crate) const ATTACKS: &[Attack] = &[
    // A table of the room that the manifest does not declare.
    ("read_ungranted_table", |room| drain(room, room.table("a.other")?.scan().batches()?)),
    // A column of a granted table that the manifest does not declare.
    ("read_ungranted_column", |room| {
        drain(room, room.table("a.t")?.scan().columns(["k", "secret"]).batches()?)
    }),
    // The same through a predicate.
    ("filter_ungranted_column", |room| {
        drain(room, room.table("a.t")?.scan().filter("secret = 's1'").batches()?)
    }),
    // A predicate that is more than one.
    ("filter_injection", |room| {
        let filter = "true) UNION SELECT secret, 1 FROM a.t WHERE (true";
        drain(room, room.table("a.t")?.scan().filter(filter).batches()?)
    }),
    // A predicate with a query in it.
    ("filter_subquery", |room| {
        let filter = "v IN (SELECT v FROM a.other)";
        drain(room, room.table("a.t")?.scan().filter(filter).batches()?)
    }),
    // The same table and column in SQL.
    ("query_ungranted_table", |room| query(room, "SELECT * FROM a.other")),
    ("query_ungranted_column", |room| query(room, "SELECT secret FROM a.t")),
    // A file as a table.
    ("query_file", |room| query(room, "SELECT * FROM '/etc/passwd'")),
    // Statements that are no SELECT.
    ("query_copy", |room| query(room, "COPY a.t TO '/tmp/stolen.csv'")),
    ("query_two_statements", |room| query(room, "SELECT v FROM a.t; DROP TABLE a.t")),
    ("query_explain", |room| query(room, "EXPLAIN ANALYZE SELECT * FROM a.t")),
    ("query_schema", |room| query(room, "SELECT * FROM information_schema.tables")),
    // Different in every run.
    ("query_random", |room| query(room, "SELECT random() FROM a.t")),
    // As many operators as a parser or a planner may not survive.
    ("query_5000_operators", |room| {
        query(room, &format!("SELECT {} FROM a.t", vec!["v"; 5_001].join(" + ")))
    }),
    ("query_5000_parentheses", |room| {
        query(room, &format!("SELECT {}v{} FROM a.t", "(".repeat(5_000), ")".repeat(5_000)))
    }),
    // An error of the engine that has a cell's value in its text: nobody else may see it.
    ("query_error_with_value", |room| query(room, "SELECT CAST(k AS BIGINT) FROM a.t")),
    // A query that needs more rows than there is time for.
    ("query_cross_join", |room| {
        let tables: Vec<_> = (0..40).map(|index| format!("a.t AS t{index}")).collect();
        query(room, &format!("SELECT count(*) FROM {}", tables.join(" CROSS JOIN ")))
    }),
];

fn query(room: &Room, statement: &str) -> Result<()> {
    drain(room, room.query(statement, &[])?)
}

/// Reads everything to the end; then the host has let it pass.
fn drain(room: &Room, batches: Batches) -> Result<()> {
    for batch in batches {
        batch?.columns()?;
    }
    behave(room)
}
