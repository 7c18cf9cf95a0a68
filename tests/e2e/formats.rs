//! A table is a file or a directory of files, in any of four formats.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use crate::support::Stage;

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "total"
version = "1.0.0"
[inputs."a.t"]
columns = { k = "utf8", v = "int64" }
[outputs.total]
columns = [ { name = "k", type = "utf8" }, { name = "v", type = "int64" } ]
*/
CREATE TABLE output.total AS SELECT k, sum(v) AS v FROM a.t GROUP BY k;
"#;

fn batch(keys: &[&str], values: &[i64]) -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("v", DataType::Int64, true),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(StringArray::from(keys.to_vec())),
            Arc::new(Int64Array::from(values.to_vec())),
        ],
    )
    .expect("a batch")
}

fn parquet(path: &std::path::Path, batch: &RecordBatch) {
    let file = File::create(path).expect("a file");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(batch).expect("a row group");
    writer.close().expect("a footer");
}

fn ipc(path: &std::path::Path, batch: &RecordBatch) {
    let file = File::create(path).expect("a file");
    let mut writer =
        arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).expect("a writer");
    writer.write(batch).expect("a batch");
    writer.finish().expect("a footer");
}

#[track_caller]
fn check(from: &str, prepare: impl Fn(&Stage)) {
    let stage = Stage::new();
    prepare(&stage);
    stage.room("r", &["a", "b"], "");
    stage.write("n.sql", NOTEBOOK);
    stage.run("build n.sql -o n.wasm").ok();
    stage.run(&format!("table add r a.t --from {from} --as a.key")).ok();
    stage.run("notebook add r n.wasm --runner b --as b.key").ok();
    let digest = stage.revision("r", "total");
    stage.run(&format!("review r total --approve {digest} --as a.key")).ok();
    stage.run("run r total --as b.key").ok();
    let rows = stage.run("output show r latest --json --as b.key").ok().json();
    assert_eq!(
        rows["total"],
        serde_json::json!([{ "k": "x", "v": 4 }, { "k": "y", "v": 2 }]),
        "{from}"
    );
}

#[test]
fn csv() {
    check("t.csv", |stage| drop(stage.write("t.csv", "k,v\nx,1\ny,2\nx,3\n")));
}

#[test]
fn ndjson() {
    check("t.ndjson", |stage| {
        stage.write(
            "t.ndjson",
            "{\"k\":\"x\",\"v\":1}\n{\"k\":\"y\",\"v\":2}\n{\"k\":\"x\",\"v\":3}\n",
        );
    });
}

#[test]
fn parquet_file() {
    check("t.parquet", |stage| {
        parquet(&stage.path("t.parquet"), &batch(&["x", "y", "x"], &[1, 2, 3]))
    });
}

#[test]
fn arrow_file() {
    check("t.arrow", |stage| ipc(&stage.path("t.arrow"), &batch(&["x", "y", "x"], &[1, 2, 3])));
}

#[test]
fn directory_of_parquet_files() {
    check("parts", |stage| {
        std::fs::create_dir(stage.path("parts")).expect("a directory");
        parquet(&stage.path("parts/1.parquet"), &batch(&["x"], &[1]));
        parquet(&stage.path("parts/2.parquet"), &batch(&["y", "x"], &[2, 3]));
        stage.write("parts/.hidden.parquet", "not read");
    });
}
