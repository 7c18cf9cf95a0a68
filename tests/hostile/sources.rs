//! Delta tables that were made by somebody who means harm, or damaged.

use std::fs::{self, File};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use serde_json::{Value, json};

use crate::support::{Done, Stage};

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "n"
version = "1.0.0"
[inputs."a.t"]
columns = { v = "int64", part = "int32" }
[outputs.out]
columns = [ "x int64", "n int64" ]
*/
CREATE TABLE output.out AS SELECT sum(v) AS x, count(part) AS n FROM a.t;
"#;

/// The Delta specification's example of a deletion vector: rows 3, 4, 7, 11, 18 and 29.
const DELETED: &str = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";

/// A room whose notebook `n` is approved and reads the Delta table in `delta`: rows 0 to 39 in part 7.
struct Story {
    stage: Stage,
}

impl Story {
    fn new() -> Self {
        let stage = Stage::new();
        fs::create_dir_all(stage.path("delta/_delta_log")).expect("a folder");
        let story = Self { stage };
        story.rows("delta/rows.parquet", 0..40);
        story.commit(0, &[protocol(), metadata(), story.add("rows.parquet")]);
        let stage = &story.stage;
        stage.room("r", &["a", "b"], "");
        stage.run("table add r a.t --from delta --as a.key").ok();
        stage.write("n.sql", NOTEBOOK);
        stage.run("build n.sql -o n.wasm").ok();
        stage.run("notebook add r n.wasm --runner b --as b.key").ok();
        let digest = stage.revision("r", "n");
        stage.run(&format!("review r n --approve {digest} --as a.key")).ok();
        story
    }

    fn rows(&self, name: &str, rows: std::ops::Range<i64>) {
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
        self.write(name, RecordBatch::try_from_iter([("v", values)]).expect("a batch"));
    }

    fn write(&self, name: &str, batch: RecordBatch) {
        let file = File::create(self.stage.path(name)).expect("a file");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
        writer.write(&batch).expect("rows");
        writer.close().expect("a footer");
    }

    fn commit(&self, version: u64, actions: &[Value]) {
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        self.stage.write(&format!("delta/_delta_log/{version:020}.json"), lines.join("\n"));
    }

    fn add(&self, path: &str) -> Value {
        let bytes = fs::metadata(self.stage.path("delta/rows.parquet")).expect("the file").len();
        json!({"add": {
            "path": path, "partitionValues": {"part": "7"}, "size": bytes,
            "modificationTime": 0, "dataChange": true,
        }})
    }

    /// A second version in which the one file is `add`.
    fn replace(&self, add: Value) -> &Self {
        let remove = json!({"remove": {
            "path": "rows.parquet", "deletionTimestamp": 0, "dataChange": true,
        }});
        // Delta knows a file by its path and its deletion vector; the same one is written over.
        let is_same =
            add["add"]["path"] == "rows.parquet" && add["add"]["deletionVector"].is_null();
        let actions = if is_same { vec![add] } else { vec![remove, add] };
        self.commit(1, &actions);
        self
    }

    fn run(&self) -> Done {
        self.stage.run("run r n --as b.key")
    }

    fn answers(&self, sum: i64, rows: i64) {
        self.run().ok();
        let done = self.stage.run("output export r latest out -o out.parquet --as b.key").ok();
        let file = File::open(self.stage.path("out.parquet")).expect("an output");
        let reader = ParquetRecordBatchReader::try_new(file, 10);
        let batch = reader.expect("a table").next().expect("a row").expect("a row");
        let value = |column: usize| {
            let column = batch.column(column).as_any().downcast_ref::<Int64Array>();
            column.expect("numbers").value(0)
        };
        assert_eq!((value(0), value(1)), (sum, rows), "{done}");
        fs::remove_file(self.stage.path("out.parquet")).expect("the output");
    }
}

fn protocol() -> Value {
    json!({"protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"],
    }})
}

fn metadata() -> Value {
    let field = |name: &str, data_type: &str| json!({"name": name, "type": data_type, "nullable": true, "metadata": {}});
    let schema =
        json!({"type": "struct", "fields": [field("v", "long"), field("part", "integer")]});
    json!({"metaData": {
        "id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9", "createdTime": 0, "configuration": {},
        "format": {"provider": "parquet", "options": {}}, "partitionColumns": ["part"],
        "schemaString": schema.to_string(),
    }})
}

fn with_deleted(mut add: Value, vector: &str) -> Value {
    add["add"]["deletionVector"] = json!({
        "storageType": "i", "pathOrInlineDv": vector, "sizeInBytes": 44, "cardinality": 6,
    });
    add
}

#[test]
fn what_is_no_attack_works() {
    let story = Story::new();
    story.answers(780, 40);
    story.replace(with_deleted(story.add("rows.parquet"), DELETED)).answers(780 - 72, 34);
}

#[test]
fn a_log_names_no_file_outside_of_its_table() {
    let story = Story::new();
    story.rows("secret.parquet", 0..40);
    let secret = story.stage.path("secret.parquet");
    let absolute = format!("file://{}", secret.display());
    for path in ["../secret.parquet", "%2e%2e/secret.parquet", "x/../../secret.parquet", &absolute]
    {
        let done = story.replace(story.add(path)).run();
        assert_eq!(done.code, Some(1), "{path}: {done}");
        assert!(!done.stderr.contains("(internal)"), "{path}: {done}");
    }
}

#[test]
fn deleted_rows_that_the_file_does_not_have_are_damage() {
    let story = Story::new();
    story.rows("delta/few.parquet", 0..5);
    let mut add = with_deleted(story.add("few.parquet"), DELETED);
    let bytes = fs::metadata(story.stage.path("delta/few.parquet")).expect("the file").len();
    add["add"]["size"] = bytes.into();
    story.replace(add).run().refused("input-corrupt");
    for vector in ["", "^Bg9^", &DELETED.replace('9', "0")] {
        story.replace(with_deleted(story.add("rows.parquet"), vector));
        story.run().refused("input-unreadable");
    }
}

#[test]
fn a_partition_value_that_is_none_is_not_shown() {
    let story = Story::new();
    let mut add = story.add("rows.parquet");
    add["add"]["partitionValues"]["part"] = "secret-cell-value".into();
    let done = story.replace(add).run().refused("input-unreadable");
    assert!(!done.stderr.contains("secret-cell-value"), "{done}");
}

#[test]
fn files_that_are_not_what_the_log_says_are_refused() {
    let story = Story::new();
    // Another size, gone, garbage, other columns.
    let mut add = story.add("rows.parquet");
    add["add"]["size"] = 1_000_000.into();
    let done = story.replace(add).run();
    assert_eq!(done.code, Some(1), "{done}");
    let done = story.replace(story.add("gone.parquet")).run();
    assert_eq!(done.code, Some(1), "{done}");
    let length = fs::metadata(story.stage.path("delta/rows.parquet")).expect("the file").len();
    story.stage.write("delta/garbage.parquet", vec![b'x'; length as usize]);
    story.replace(story.add("garbage.parquet")).run().refused("input-corrupt");
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["secret-cell-value"]));
    story.write("delta/texts.parquet", RecordBatch::try_from_iter([("v", texts)]).expect("rows"));
    let mut add = story.add("texts.parquet");
    let bytes = fs::metadata(story.stage.path("delta/texts.parquet")).expect("the file").len();
    add["add"]["size"] = bytes.into();
    let done = story.replace(add).run().refused("schema-mismatch");
    assert!(!done.stderr.contains("secret-cell-value"), "{done}");
}
