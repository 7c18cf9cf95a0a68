//! Mock rooms are as strict as a host.

use std::num::ParseIntError;

use glovebox_guest::mock::MockRoom;
use glovebox_guest::{
    Column, Context as _, Date, ErrorCode, Level, Result, Room, Row, Scalar, bail, columns,
};

fn room() -> MockRoom {
    MockRoom::new()
        .parameter("least", 2)
        .parameter("day", Date(15_706))
        .table(
            "a.t",
            columns! { "k" => vec!["x", "y", "x", "z"], "v" => vec![Some(1_i64), None, Some(3), Some(4)] },
        )
        .output("out", &[("k", "utf8 not null"), ("v", "int64")])
}

/// Runs a notebook that must fail, and gives its error.
fn fails(notebook: impl FnOnce(&Room) -> Result<()>) -> String {
    let error = room().run(notebook).unwrap_err();
    format!("{:?}: {}", error.code(), error.message())
}

fn write_nothing(room: &Room) -> Result<()> {
    room.output("out")?.finish()?;
    Ok(())
}

#[test]
fn a_notebook_reads_columns_in_batches_and_passes_batches_on() -> Result<()> {
    let run = room().batch_rows(3).run(|room| {
        let mut output = room.output("out")?;
        let mut sum = 0;
        for batch in room.table("a.t")?.scan().batches()? {
            let batch = batch?;
            sum += batch.column("v")?.int64()?.iter().flatten().sum::<i64>();
            output.write_batch(&batch)?;
        }
        room.info(format_args!("the sum is {sum}"));
        room.progress(4, Some(4));
        room.display("text/csv", "origin,n\n");
        assert_eq!(output.finish()?.rows, 4);
        Ok(())
    })?;
    let out = run.output("out");
    assert_eq!(out.column("k").utf8()?.iter().flatten().collect::<String>(), "xyxz");
    assert_eq!(
        out.column("v").int64()?.iter().collect::<Vec<_>>(),
        [Some(1), None, Some(3), Some(4)]
    );
    assert_eq!(run.logs(), [(Level::Info, "the sum is 8".into())]);
    assert_eq!(run.progress(), [(4, Some(4))]);
    assert_eq!(run.displays(), [("text/csv".into(), b"origin,n\n".to_vec())]);
    Ok(())
}

#[test]
fn scans_have_columns_limits_and_filters() -> Result<()> {
    let filter = "v > 2";
    let keep = |columns: &[(String, Column)], row: usize| {
        columns[1].1.int64().is_ok_and(|values| values.get(row) > Some(2))
    };
    room().filter("a.t", filter, keep).run(|room| {
        let scan = room.table("a.t")?.scan().columns(["v"]).filter(filter).limit(1).batches()?;
        let batches = scan.collect::<Result<Vec<_>>>()?;
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].fields().len(), 1);
        assert_eq!(batches[0].column("v")?.int64()?.values(), [3]);
        write_nothing(room)
    })?;
    Ok(())
}

#[test]
fn queries_have_the_answers_that_the_test_gives() -> Result<()> {
    let room = room()
        .query("SELECT 1", columns! { "one" => vec![1_i64] })
        .answer(|_, parameters| Some(columns_of(parameters)));
    room.run(|room| {
        let one = |batch: glovebox_guest::Batch| batch.column("one")?.int64().map(|one| one.get(0));
        let first = |statement, parameters: &[Scalar]| {
            room.query(statement, parameters)?.next().context("no batch")?.and_then(one)
        };
        assert_eq!(first("SELECT 1", &[])?, Some(1));
        assert_eq!(first("SELECT $1", &[7.into()])?, Some(7));
        write_nothing(room)
    })?;
    Ok(())
}

fn columns_of(parameters: &[Scalar]) -> Vec<(String, Column)> {
    let Some(Scalar::Int64(number)) = parameters.first() else { return Vec::new() };
    vec![("one".into(), Column::from(vec![*number]))]
}

#[derive(Row)]
struct Total<'a> {
    #[row(name = "k")]
    key: &'a str,
    v: Option<i64>,
}

#[test]
fn rows_are_structs() -> Result<()> {
    let run = room().run(|room| {
        let mut output = room.output("out")?;
        output.write_rows(&[Total { key: "x", v: Some(4) }, Total { key: "y", v: None }])?;
        output.finish()?;
        Ok(())
    })?;
    assert_eq!(run.output("out").num_rows(), 2);
    assert_eq!(run.output("out").column("v").null_count(), 1);
    Ok(())
}

#[test]
fn parameters_have_types() -> Result<()> {
    room().run(|room| {
        assert_eq!(room.parameter::<i64>("least")?, 2);
        assert_eq!(room.parameter::<Option<i64>>("least")?, Some(2));
        assert_eq!(room.parameter::<Date>("day")?, Date(15_706));
        write_nothing(room)
    })?;
    assert_eq!(
        fails(|room| room.parameter::<String>("least").map(drop)),
        "InvalidArgument: parameter `least` is not of type utf8"
    );
    assert_eq!(
        fails(|room| room.parameter::<i64>("most").map(drop)),
        "NotGranted: no parameter `most` in this mock room"
    );
    Ok(())
}

#[test]
fn what_is_not_granted_or_declared_is_refused() {
    assert_eq!(
        fails(|room| room.table("a.u").map(drop)),
        "NotGranted: no table `a.u` in this mock room"
    );
    assert_eq!(
        fails(|room| room.table("a.t")?.scan().columns(["w"]).batches().map(drop)),
        "NotGranted: no column `w` in this mock room"
    );
    assert_eq!(
        fails(|room| room.query("SELECT 2", &[]).map(drop)),
        "NotGranted: no answer to the query `SELECT 2` in this mock room"
    );
    assert_eq!(
        fails(|room| room.output("other").map(drop)),
        "NotGranted: no output `other` in this mock room"
    );
}

#[test]
fn outputs_have_the_declared_columns() {
    let write =
        |columns: Vec<(&'static str, Column)>| fails(|room| room.output("out")?.write(columns));
    let k = || Column::from(vec!["x"]);
    assert_eq!(write(vec![("k", k())]), "Internal: output `out`: column `v` is missing");
    assert_eq!(
        write(vec![("k", k()), ("w", k())]),
        "Internal: output `out`: column `w` is not declared"
    );
    assert_eq!(
        write(vec![("k", k()), ("k", k())]),
        "SchemaMismatch: output `out`: column `k` is given twice"
    );
    assert_eq!(
        write(vec![("k", k()), ("v", k())]),
        "SchemaMismatch: output `out`: column `v` is declared as int64 and is utf8"
    );
    assert_eq!(
        write(vec![("v", Column::from(vec![1_i64, 2])), ("k", k())]),
        "SchemaMismatch: output `out`: column `v` has 2 rows, the first has 1"
    );
    assert_eq!(
        write(columns! { "k" => vec![None::<&str>], "v" => vec![1_i64] }),
        "SchemaMismatch: column `k` of output `out` is declared `not null` and has nulls"
    );
}

#[test]
fn outputs_are_opened_once_and_finished() {
    assert_eq!(
        fails(|room| room.output("out").map(drop)),
        "Internal: output `out` was not finished"
    );
    assert_eq!(fails(|_| Ok(())), "Internal: output `out` was not finished");
    assert_eq!(
        fails(|room| {
            write_nothing(room)?;
            write_nothing(room)
        }),
        "Closed: output `out` was opened before"
    );
}

#[test]
fn errors_say_what_was_being_done() {
    assert_eq!(
        fails(|_| {
            let number: Result<i64, ParseIntError> = "many".parse();
            number.context("the number of flights").map(drop)
        }),
        "Internal: the number of flights: invalid digit found in string"
    );
    assert_eq!(fails(|_| bail!("{} flights are too few", 3)), "Internal: 3 flights are too few");
    let code = room().run(|room| room.table("a.u").context("reading").map(drop));
    assert_eq!(code.unwrap_err().code(), ErrorCode::NotGranted);
}
