use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, DictionaryArray, Float64Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, StringViewArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::grants::Grants;
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::services::{HostError, OutputTables as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use super::*;

const BLAKE3: &str = "blake3:0000000000000000000000000000000000000000000000000000000000000000";

fn grants() -> Grants {
    let zeros = "0".repeat(64);
    serde_json::from_value(json!({
        "component": {"blake3": BLAKE3, "sha256": format!("sha256:{zeros}")},
        "interfaces": [],
        "limits": {
            "batch_bytes": 1 << 20, "collaborators": 2, "component_bytes": 1, "cpu_seconds": 1,
            "log_bytes": 1, "memory_bytes": 1, "open_files": 1, "output_bytes": 20_000,
            "output_rows": 100_000, "scratch_bytes": 1, "threads": 1, "wall_seconds": 1,
        },
        "notebook": "n",
        "outputs": {
            "reach": {
                "columns": [
                    {"name": "band", "type": "utf8"},
                    {"name": "people", "type": "int64", "nullable": false},
                ],
                "max_bytes": 10_000, "max_rows": 2_000,
            },
            "rates": {
                "columns": [{"name": "rate", "type": "float64"}],
                "max_bytes": 20_000, "max_rows": 100_000,
            },
        },
        "parameters": {},
        "revision": BLAKE3,
        "room": BLAKE3,
        "run": "0".repeat(32),
        "started_at": 0,
        "tables": {},
    }))
    .expect("grants")
}

struct Fixture {
    files: BTreeMap<String, File>,
    outputs: Outputs,
}

fn fixture() -> Fixture {
    let grants = grants();
    let mut files = BTreeMap::new();
    let mut handed_over = BTreeMap::new();
    for name in grants.outputs().keys() {
        let file = tempfile::tempfile().expect("a file");
        files.insert(name.to_string(), file.try_clone().expect("a copy"));
        handed_over.insert(name.clone(), file);
    }
    let computation: Blake3Digest = BLAKE3.parse().expect("a digest");
    let outputs = Outputs::new(&grants, &computation, handed_over).expect("outputs");
    Fixture { files, outputs }
}

fn column(name: &str, array: impl arrow::array::Array + 'static) -> (String, ArrayRef) {
    (name.to_owned(), Arc::new(array))
}

fn batch<const N: usize>(columns: [(String, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("a batch")
}

fn reach(rows: usize) -> RecordBatch {
    let bands = StringArray::from_iter_values((0..rows).map(|row| format!("band {row}")));
    let people = Int64Array::from_iter_values((0..rows).map(|row| row as i64));
    batch([column("band", bands), column("people", people)])
}

fn rates(values: Vec<f64>) -> RecordBatch {
    batch([column("rate", Float64Array::from(values))])
}

impl Fixture {
    fn write_all(&mut self, reach_rows: &[usize]) -> Result<(), HostError> {
        self.outputs.open("reach")?;
        for rows in reach_rows {
            self.outputs.write("reach", &reach(*rows))?;
        }
        self.outputs.finish("reach")?;
        self.outputs.open("rates")?;
        self.outputs.finish("rates")?;
        Ok(())
    }

    fn bytes(&mut self, output: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let file = self.files.get_mut(output).expect("a file");
        file.rewind().expect("rewind");
        file.read_to_end(&mut bytes).expect("read");
        bytes
    }

    fn read(&self, output: &str) -> (Vec<RecordBatch>, BTreeMap<String, String>) {
        let file = self.files[output].try_clone().expect("a copy");
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
        let metadata = builder.metadata().file_metadata();
        let pairs = metadata.key_value_metadata().expect("metadata").iter();
        let pairs = pairs.map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()));
        let pairs = pairs.collect();
        let batches = builder.build().expect("a reader").collect::<Result<_, _>>();
        (batches.expect("batches"), pairs)
    }
}

#[test]
fn what_is_written_can_be_read() {
    let mut fixture = fixture();
    fixture.write_all(&[3, 2]).expect("write");
    let summary = fixture.outputs.conclude().expect("sizes");
    let reach = summary[&"reach".parse().expect("a name")];
    assert_eq!(reach.rows, 5);
    assert_eq!(reach.bytes, fixture.bytes("reach").len() as u64);
    let (batches, metadata) = fixture.read("reach");
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
    assert_eq!(metadata["glovebox.receipt"], BLAKE3);
    assert_eq!(metadata["glovebox.room"], BLAKE3);
    let (rates, _) = fixture.read("rates");
    assert!(rates.is_empty());
}

#[test]
fn equal_rows_make_equal_bytes() {
    let write = || {
        let mut fixture = fixture();
        fixture.write_all(&[400, 100]).expect("write");
        fixture.bytes("reach")
    };
    assert_eq!(write(), write());
}

#[test]
fn rules_of_an_output() {
    type Act = fn(&mut Outputs) -> Result<(), HostError>;
    let check = |act: Act, reason: ReasonCode, detail: &str| {
        let mut fixture = fixture();
        let error = act(&mut fixture.outputs).expect_err(detail);
        assert_eq!((error.reason(), error.detail()), (reason, detail));
        // Whatever comes afterwards, the run has failed for this reason.
        let _ = fixture.write_all(&[1]);
        let error = fixture.outputs.conclude().expect_err(detail);
        assert_eq!((error.reason(), error.detail()), (reason, detail));
    };
    fn open_and_write(outputs: &mut Outputs, batch: &RecordBatch) -> Result<(), HostError> {
        outputs.open("reach")?;
        outputs.write("reach", batch)
    }
    check(|o| o.open("secrets"), ReasonCode::OutputNotDeclared, "output `secrets` is not declared");
    check(
        |o| o.open("a\u{1b}[0m"),
        ReasonCode::OutputNotDeclared,
        r"output `a\u{1b}[0m` is not declared",
    );
    check(|o| o.write("reach", &reach(1)), ReasonCode::OutputClosed, "output `reach` is not open");
    check(|o| o.finish("reach").map(drop), ReasonCode::OutputClosed, "output `reach` is not open");
    check(
        |o| o.open("reach").and_then(|()| o.open("reach")),
        ReasonCode::OutputClosed,
        "output `reach` was opened before",
    );
    check(
        |o| {
            o.open("reach")?;
            o.finish("reach")?;
            o.finish("reach").map(drop)
        },
        ReasonCode::OutputClosed,
        "output `reach` is not open",
    );
    check(
        |o| {
            o.open("reach")?;
            o.finish("reach")?;
            o.write("reach", &reach(1))
        },
        ReasonCode::OutputClosed,
        "output `reach` is not open",
    );
    check(
        |o| open_and_write(o, &reach(2_001)),
        ReasonCode::OutputRows,
        "output `reach` has more than 2000 rows",
    );
    check(
        |o| open_and_write(o, &reach(1_000)).and_then(|()| o.write("reach", &reach(1_001))),
        ReasonCode::OutputRows,
        "output `reach` has more than 2000 rows",
    );
    check(
        |o| open_and_write(o, &rates(vec![1.0])),
        ReasonCode::OutputSchema,
        "output `reach` has other columns than declared",
    );
    check(
        |o| {
            let people = Int32Array::from(vec![1]);
            let band = StringArray::from(vec!["a"]);
            open_and_write(o, &batch([column("band", band), column("people", people)]))
        },
        ReasonCode::OutputSchema,
        "output `reach` has another type than declared in column `people`",
    );
    check(
        |o| {
            let people = Int64Array::from(vec![Some(1), None]);
            let band = StringArray::from(vec!["a", "b"]);
            open_and_write(o, &batch([column("band", band), column("people", people)]))
        },
        ReasonCode::OutputSchema,
        "output `reach` has a null in column `people`, declared without",
    );
}

#[test]
fn bytes_are_capped() {
    // Every second output is random, so that it does not compress.
    let noise = |seed: u64, rows: usize| {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64
        };
        rates(std::iter::repeat_with(next).take(rows).collect())
    };
    let mut one = fixture();
    one.outputs.open("rates").expect("open");
    let error = (0..50)
        .find_map(|seed| one.outputs.write("rates", &noise(seed, 500)).err())
        .expect("too many bytes");
    assert_eq!(error.reason(), ReasonCode::OutputBytes);
    assert_eq!(error.detail(), "output `rates` has more than 20000 bytes");
    // Each below its own cap, both above the room's.
    let mut both = fixture();
    both.outputs.open("reach").expect("open");
    both.outputs.write("reach", &reach(1_500)).expect("write");
    let bytes = both.outputs.finish("reach").expect("finish").bytes;
    assert!(bytes > 4_000, "{bytes}");
    both.outputs.open("rates").expect("open");
    let error = (0..5)
        .find_map(|seed| both.outputs.write("rates", &noise(seed, 500)).err())
        .or_else(|| both.outputs.finish("rates").err())
        .expect("too many bytes");
    assert_eq!(error.detail(), "the outputs together have more than 20000 bytes");
}

#[test]
fn every_output_must_be_finished() {
    let mut fixture = fixture();
    fixture.outputs.open("reach").expect("open");
    fixture.outputs.finish("reach").expect("finish");
    let error = fixture.outputs.conclude().expect_err("one is missing");
    assert_eq!(error.reason(), ReasonCode::OutputUnfinished);
    assert_eq!(error.detail(), "output `rates` was not finished");
}

#[test]
fn a_full_disk_is_named() {
    let file = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let mut fixture = fixture();
    let grants = grants();
    let copy = |name: &Identifier| (name.clone(), file.try_clone().expect("a copy"));
    let files = grants.outputs().keys().map(copy);
    let computation: Blake3Digest = BLAKE3.parse().expect("a digest");
    fixture.outputs = Outputs::new(&grants, &computation, files.collect()).expect("outputs");
    let error = fixture.write_all(&[10]).expect_err("no space");
    assert_eq!(error.reason(), ReasonCode::StorageFull);
}

#[test]
fn other_encodings_of_the_same_values_are_accepted() {
    let check = |band: ArrayRef| {
        let mut fixture = fixture();
        let people: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let batch = batch([("band".to_owned(), band), ("people".to_owned(), people)]);
        fixture.outputs.open("reach").expect("open");
        fixture.outputs.write("reach", &batch).expect("write");
        fixture.outputs.finish("reach").expect("finish");
        let (batches, _) = fixture.read("reach");
        assert_eq!(
            batches[0].column(0).as_ref(),
            &StringArray::from(vec!["a", "b"]) as &dyn arrow::array::Array
        );
    };
    check(Arc::new(StringViewArray::from(vec!["a", "b"])));
    let dictionary: DictionaryArray<Int32Type> = vec!["a", "b"].into_iter().collect();
    check(Arc::new(dictionary));
}

#[test]
fn one_nan_for_all() {
    let odd = f64::from_bits(0xfff8_dead_beef_0001);
    let bits = |array: &ArrayRef| {
        array.as_primitive::<Float64Type>().values().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    };
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(odd), None, Some(1.0)]));
    let flat = canonical::canonical(&floats);
    assert_eq!(bits(&flat)[0], f64::NAN.to_bits());
    assert_eq!(flat.null_count(), 1);

    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([3]);
    let list: ArrayRef = Arc::new(ListArray::new(item, offsets, floats, None));
    let fields = Schema::new(vec![Field::new("l", list.data_type().clone(), true)]).fields;
    let nested: ArrayRef = Arc::new(StructArray::new(fields, vec![list], None));
    let nested = canonical::canonical(&nested);
    let list = nested.as_struct().column(0).as_list::<i32>().clone();
    assert_eq!(bits(list.values())[0], f64::NAN.to_bits());
}
