//! Functions of a private library beside the same function in native code, and a notebook's calls
//! of a library with a batch.
//!
//! `cargo bench --bench functions` prints the best of five rounds. The scalar function is
//! `scoring.score` of `tests/guests/scoring` over (i64, f64): DataFusion's own cost for a function
//! written in Rust, and ours for the same one in a component.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, Volatility, create_udf,
};
use glovebox_contract::grants::Grants;
use glovebox_contract::media::MediaType;
use glovebox_sandbox::compose::Part;
use glovebox_sandbox::functions::{FunctionLibrary, FunctionSettings};
use glovebox_sandbox::services::{
    BatchStream, Budget, GuestLog, HostError, LogLevel, OutputSummary, OutputTables, QueryEngine,
    Scalar, ScanOptions, Services, VolumeFiles,
};
use glovebox_sandbox::{CompiledComponent, Engine, Inspection};

/// Rows of a batch as queries have them.
const BATCH_ROWS: usize = 8_192;
/// Batches of a round.
const BATCHES: usize = 500;
/// Distinct batches, so that the data does not sit in the processor's cache.
const DISTINCT: usize = 64;
/// Calls of a round that measures calls.
const CALLS: usize = 50_000;
const ROUNDS: usize = 5;

fn main() {
    let engine = Engine::new().expect("an engine");
    let scoring = Component::built("tests/guests/scoring");
    let asks = Component::built("tests/guests/asks-scoring");
    functions(&engine, &scoring);
    handles(&engine, &asks, &scoring);
}

/// A component and what it says.
struct Component {
    bytes: Vec<u8>,
    inspection: Inspection,
}

impl Component {
    fn built(package: &str) -> Self {
        let bytes = std::fs::read(support::guest(package)).expect("the guest");
        let inspection = glovebox_sandbox::inspect(&bytes).expect("a component");
        Self { bytes, inspection }
    }

    fn part(&self) -> Part<'_> {
        Part { bytes: &self.bytes, inspection: &self.inspection }
    }
}

fn load(engine: &Engine, bytes: &[u8]) -> CompiledComponent {
    let code = engine.compile(bytes).expect("machine code");
    // SAFETY: the machine code was made by this very engine a line above.
    unsafe { engine.load(&code) }.expect("a component")
}

fn best(mut round: impl FnMut()) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            round();
            started.elapsed()
        })
        .min()
        .expect("a round")
}

fn nanos(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

fn functions(engine: &Engine, scoring: &Component) {
    let manifest = scoring.inspection.manifest.as_ref().expect("a manifest");
    let settings = FunctionSettings {
        batch_bytes: 1 << 26,
        log: None,
        memory: Budget::of_run(&grants(&scoring.inspection, 0)),
    };
    let component = load(engine, &scoring.bytes);
    let library =
        FunctionLibrary::new(engine, &component, "scoring", &manifest.functions, settings)
            .expect("a library");
    let mut instance = library.instance().expect("an instance");
    let native = native();
    let (large, small) = (batches(BATCH_ROWS), batches(1));
    let rows = BATCHES * BATCH_ROWS;
    let of_native = |batches: &[RecordBatch], calls: usize| {
        best(|| {
            for call in 0..calls {
                black_box(invoke(&native, &batches[call % DISTINCT]));
            }
        })
    };
    let mut of_library = |batches: &[RecordBatch], calls: usize| {
        best(|| {
            for call in 0..calls {
                let batch = &batches[call % DISTINCT];
                let column = library.evaluate(&mut instance, "score", batch).expect("scores");
                black_box(column);
            }
        })
    };
    let expected = invoke(&native, &large[0]);
    let (native_rows, ours_rows) = (of_native(&large, BATCHES), of_library(&large, BATCHES));
    let (native_calls, ours_calls) = (of_native(&small, CALLS), of_library(&small, CALLS));
    let found = library.evaluate(&mut instance, "score", &large[0]).expect("scores");
    assert_eq!(&found, &expected, "the library computes something else");
    println!("a scalar function of (i64, f64), best of {ROUNDS}");
    println!(
        "per row,  batches of {BATCH_ROWS}   native {:7.2} ns   library {:7.2} ns   library ÷ native {:5.2}",
        nanos(native_rows, rows),
        nanos(ours_rows, rows),
        ours_rows.as_secs_f64() / native_rows.as_secs_f64()
    );
    println!(
        "per call, batches of 1      native {:7.0} ns   library {:7.0} ns",
        nanos(native_calls, CALLS),
        nanos(ours_calls, CALLS)
    );
}

/// The function as one writes it for DataFusion.
fn native() -> ScalarUDF {
    let types = vec![DataType::Int64, DataType::Float64];
    let score = |arguments: &[ColumnarValue]| {
        let columns = ColumnarValue::values_to_arrays(arguments)?;
        let recency = columns[0].as_primitive::<Int64Type>();
        let spend = columns[1].as_primitive::<Float64Type>();
        let scores: Float64Array = recency
            .values()
            .iter()
            .zip(spend.values())
            .map(|(recency, spend)| spend.sqrt() / (1.0 + *recency as f64 / 30.0))
            .collect::<Vec<f64>>()
            .into();
        Ok(ColumnarValue::Array(Arc::new(scores) as ArrayRef))
    };
    create_udf("score", types, DataType::Float64, Volatility::Immutable, Arc::new(score))
}

fn invoke(function: &ScalarUDF, batch: &RecordBatch) -> ArrayRef {
    let schema = batch.schema();
    let arguments = ScalarFunctionArgs {
        args: batch.columns().iter().cloned().map(ColumnarValue::Array).collect(),
        arg_fields: schema.fields().iter().cloned().collect(),
        number_rows: batch.num_rows(),
        return_field: Arc::new(Field::new("score", DataType::Float64, true)),
        config_options: Arc::new(ConfigOptions::default()),
    };
    let result = function.invoke_with_args(arguments).expect("scores");
    result.into_array(batch.num_rows()).expect("a column")
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("recency", DataType::Int64, true),
        Field::new("spend", DataType::Float64, true),
    ]))
}

fn batches(rows: usize) -> Vec<RecordBatch> {
    let batch = |seed: usize| {
        let numbers = seed * rows..(seed + 1) * rows;
        let recency: Int64Array =
            numbers.clone().map(|row| (row % 365) as i64).collect::<Vec<_>>().into();
        let spend: Float64Array =
            numbers.map(|row| (row % 900) as f64 / 8.0).collect::<Vec<_>>().into();
        let columns: Vec<ArrayRef> = vec![Arc::new(recency), Arc::new(spend)];
        RecordBatch::try_new(schema(), columns).expect("a batch")
    };
    (0..DISTINCT).map(batch).collect()
}

/// What a notebook's call of a library costs that passes a batch, whatever is in it.
fn handles(engine: &Engine, asks: &Component, scoring: &Component) {
    let name = "scoring".parse().expect("a name");
    let libraries = BTreeMap::from([(name, scoring.part())]);
    let limits = grants(&asks.inspection, 0).limits().clone();
    let composed = glovebox_sandbox::compose(asks.part(), &libraries, &limits)
        .expect("they fit")
        .expect("it imports the library");
    let component = load(engine, &composed);
    let run = |rows: usize, calls: usize| {
        best(|| {
            let grants = grants(&asks.inspection, calls);
            let batch = batches(rows).swap_remove(0);
            let services = services(batch, Budget::of_run(&grants));
            glovebox_sandbox::run_notebook(engine, &component, &grants, services).expect("a run");
        })
    };
    for rows in [1, BATCH_ROWS] {
        let time = run(rows, CALLS).saturating_sub(run(rows, 0));
        println!(
            "notebook → library with a batch of {rows:5} rows (and one call back to the host) {:6.0} ns",
            nanos(time, CALLS)
        );
    }
}

/// Grants as the worker would read them from its host.
fn grants(inspection: &Inspection, calls: usize) -> Grants {
    let digest = format!("blake3:{}", "0".repeat(64));
    let manifest = inspection.manifest.as_ref().expect("a manifest");
    let grants = serde_json::json!({
        "component": inspection.digest,
        "interfaces": inspection.imports,
        "limits": {
            "batch_bytes": 1 << 26, "collaborators": 10, "component_bytes": 1 << 26, "cpu_seconds": 600,
            "log_bytes": 65536, "memory_bytes": 1_u64 << 31, "open_files": 64, "output_bytes": 1 << 20,
            "output_rows": 1_000_000, "scratch_bytes": 0, "threads": 8, "wall_seconds": 600,
        },
        "notebook": "asks-scoring",
        "outputs": manifest.outputs,
        "parameters": { "calls": { "type": "int64", "value": calls.to_string() } },
        "revision": digest,
        "room": digest,
        "run": "0".repeat(32),
        "started_at": 0,
        "tables": { "nike.customers": [
            { "name": "recency", "type": "int64" },
            { "name": "spend", "type": "float64" },
        ] },
    });
    serde_json::from_value(grants).expect("grants")
}

fn services(batch: RecordBatch, memory: Budget) -> Services {
    Services {
        query: Box::new(Memory { batch }),
        outputs: Box::new(Nowhere),
        log: Box::new(Nowhere),
        memory,
        volumes: Box::new(Nowhere),
    }
}

struct Memory {
    batch: RecordBatch,
}

struct Once(SchemaRef, Option<RecordBatch>);

impl BatchStream for Once {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, HostError> {
        Ok(self.1.take())
    }
}

impl QueryEngine for Memory {
    fn table_schema(&self, _: &str) -> Result<SchemaRef, HostError> {
        Ok(schema())
    }

    fn scan(&mut self, _: &str, _: ScanOptions) -> Result<Box<dyn BatchStream>, HostError> {
        Ok(Box::new(Once(schema(), Some(self.batch.clone()))))
    }

    fn query(&mut self, _: &str, _: &[Scalar]) -> Result<Box<dyn BatchStream>, HostError> {
        let schema = Arc::new(Schema::new(vec![Field::new("score", DataType::Float64, true)]));
        Ok(Box::new(Once(schema, None)))
    }

    fn run_script(&mut self, _: &str, _: &mut dyn OutputTables) -> Result<(), HostError> {
        Ok(())
    }
}

struct Nowhere;

impl OutputTables for Nowhere {
    fn schema(&self, _: &str) -> Result<SchemaRef, HostError> {
        Ok(Arc::new(Schema::new(vec![Field::new("score", DataType::Float64, true)])))
    }

    fn open(&mut self, _: &str) -> Result<(), HostError> {
        Ok(())
    }

    fn write(&mut self, _: &str, batch: &RecordBatch) -> Result<(), HostError> {
        black_box(batch.num_rows());
        Ok(())
    }

    fn finish(&mut self, _: &str) -> Result<OutputSummary, HostError> {
        Ok(OutputSummary { rows: 1, bytes: 0 })
    }
}

impl GuestLog for Nowhere {
    fn log(&mut self, _: LogLevel, _: &str) {}

    fn display(&mut self, _: MediaType, _: &[u8]) {}

    fn progress(&mut self, _: u64, _: Option<u64>) {}
}

impl VolumeFiles for Nowhere {
    fn read(&self, _: &str, _: &str, _: u64, _: u64) -> Result<Vec<u8>, HostError> {
        Ok(Vec::new())
    }
}
