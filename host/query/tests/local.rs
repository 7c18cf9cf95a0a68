//! A query over tables in memory sees them and nothing else.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Int64Array, ListArray, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use glovebox_query::local::{LocalTable, select};

fn runs() -> LocalTable {
    let who: ArrayRef = Arc::new(StringArray::from(vec!["b", "a", "b", "c"]));
    let cost: ArrayRef = Arc::new(Int64Array::from(vec![Some(4), Some(2), None, Some(1)]));
    let owners: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
        Some(vec![Some(1), Some(2)]),
        None,
        Some(vec![]),
        Some(vec![Some(3)]),
    ]));
    let inner: ArrayRef = Arc::new(StringArray::from(vec!["w", "x", "y", "z"]));
    let field = Arc::new(Field::new("name", DataType::Utf8, true));
    let about: ArrayRef = Arc::new(StructArray::from(vec![(field, inner)]));
    let schema = Arc::new(Schema::new(vec![
        Field::new("who", DataType::Utf8, true),
        Field::new("cost", DataType::Int64, true),
        Field::new("owners", owners.data_type().clone(), true),
        Field::new("about", about.data_type().clone(), true),
    ]));
    let batch = RecordBatch::try_new(schema.clone(), vec![who, cost, owners, about]).unwrap();
    // In two batches, so that the order of rows is the order of the batches.
    LocalTable { name: "runs".into(), schema, batches: vec![batch.slice(0, 1), batch.slice(1, 3)] }
}

fn answer(sql: &str) -> String {
    let (_, batches) = select(vec![runs()], sql).unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

fn refused(sql: &str) -> String {
    select(vec![runs()], sql).unwrap_err().reason().to_string()
}

#[test]
fn rows_are_grouped_sorted_and_joined() {
    let answer = answer(
        "SELECT r.who, sum(r.cost) AS cost, count(*) AS times FROM runs r \
         JOIN (SELECT max(cost) AS most FROM runs) AS m ON r.cost <= m.most OR r.cost IS NULL \
         GROUP BY r.who ORDER BY r.who DESC",
    );
    assert_eq!(
        answer,
        "+-----+------+-------+\n\
         | who | cost | times |\n\
         +-----+------+-------+\n\
         | c   | 1    | 1     |\n\
         | b   | 4    | 2     |\n\
         | a   | 2    | 1     |\n\
         +-----+------+-------+"
    );
}

#[test]
fn fields_and_items_can_be_named() {
    let (schema, batches) = select(
        vec![runs()],
        "SELECT about['name'] AS name, array_length(owners) AS owners, \
         array_to_string(owners, '+') AS all_of_them FROM runs",
    )
    .unwrap();
    assert_eq!(schema.fields().len(), 3);
    let all: Vec<_> = batches
        .iter()
        .flat_map(|batch| {
            let names = batch.column(0).as_string::<i32>();
            names.iter().map(|name| name.unwrap().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(all, ["w", "x", "y", "z"], "in the order of the batches");
    assert_eq!(batches[0].column(2).as_string::<i32>().value(0), "1+2");
}

#[test]
fn an_answer_without_rows_has_columns() {
    let (schema, batches) = select(vec![runs()], "SELECT who FROM runs WHERE cost > 100").unwrap();
    assert_eq!(schema.field(0).name(), "who");
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
}

#[test]
fn nothing_but_a_select_over_the_tables_is_taken() {
    for (sql, expect) in [
        ("DROP TABLE runs", "sql-refused"),
        ("INSERT INTO runs VALUES (1)", "sql-refused"),
        ("COPY runs TO '/tmp/stolen.csv'", "sql-refused"),
        ("SET datafusion.execution.batch_size = 1", "sql-refused"),
        ("SELECT 1; SELECT 2", "sql-refused"),
        ("SELECT * FROM '/etc/passwd'", "table-not-granted"),
        ("SELECT * FROM information_schema.tables", "table-not-granted"),
        ("SELECT * FROM read_csv('/etc/passwd')", "sql-refused"),
        ("SELECT now() FROM runs", "sql-refused"),
        ("SELECT nothing FROM runs", "column-not-granted"),
        ("SELECT sum(cost * 9223372036854775807) FROM runs", "query-failed"),
        ("EXPLAIN SELECT * FROM runs", "sql-refused"),
        ("", "sql-invalid"),
        ("SELECT", "sql-invalid"),
        ("SELEC who FROM runs", "sql-invalid"),
    ] {
        assert_eq!(refused(sql), expect, "{sql}");
    }
}

#[test]
fn columns_and_rows_that_do_not_fit_are_refused() {
    let mut table = runs();
    table.schema = Arc::new(Schema::new(vec![Field::new("who", DataType::Int64, true)]));
    assert_eq!(select(vec![table], "SELECT 1").unwrap_err().reason().to_string(), "internal");
}
