//! Batches into a guest beside `memcpy`, and five kernels in the guest beside the same in native
//! code, all in one process.
//!
//! `cargo bench --bench boundary` prints the best of five rounds over 512 MiB of (i64, f64) in
//! batches of 16,384 rows.

#[path = "../guests/kernels/src/kernels.rs"]
mod kernels;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use glovebox_contract::grants::Grants;
use glovebox_contract::media::MediaType;
use glovebox_sandbox::services::{
    BatchStream, Budget, GuestLog, HostError, LogLevel, OutputSummary, OutputTables, QueryEngine,
    Scalar, ScanOptions, Services, VolumeFiles,
};

const BATCH_ROWS: usize = 16_384;
const BATCHES: usize = (512 << 20) / (BATCH_ROWS * 16);
/// Distinct batches, so that the data does not sit in the processor's cache.
const DISTINCT: usize = 256;
const ROUNDS: usize = 5;

fn main() {
    let batches = Arc::new((0..DISTINCT).map(batch).collect::<Vec<_>>());
    let component = std::fs::read(support::guest("tests/guests/kernels")).expect("the guest");
    let engine = glovebox_sandbox::Engine::new().expect("an engine");
    let code = engine.compile(&component).expect("machine code");
    // SAFETY: the machine code was made by this very engine a line above.
    let compiled = unsafe { engine.load(&code) }.expect("a component");
    println!("{BATCHES} batches of {BATCH_ROWS} rows (i64, f64), best of {ROUNDS}");
    let copied = best(|| memcpy(&batches));
    println!("{:16} {:8.1} ms  {:6.1} GB/s", "memcpy", millis(copied), rate(copied));
    for (name, kernel) in kernels::ALL {
        let native = best(|| {
            let mut state = kernels::State::default();
            for index in 0..BATCHES {
                let (k, x) = columns(&batches[index % DISTINCT]);
                kernel(&mut state, k, x);
            }
            black_box(state.value());
        });
        let guest = best(|| {
            let grants = grants(&component, name);
            let services = services(Arc::clone(&batches), Budget::of_run(&grants));
            glovebox_sandbox::run_notebook(&engine, &compiled, &grants, services).expect("a run");
        });
        println!(
            "{name:16} guest {:8.1} ms  {:6.1} GB/s   native {:8.1} ms   guest ÷ native {:5.2}",
            millis(guest),
            rate(guest),
            millis(native),
            guest.as_secs_f64() / native.as_secs_f64()
        );
    }
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

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn rate(time: Duration) -> f64 {
    (BATCHES * BATCH_ROWS * 16) as f64 / time.as_secs_f64() / 1e9
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, false),
        Field::new("x", DataType::Float64, false),
    ]))
}

fn batch(seed: usize) -> RecordBatch {
    let rows = seed * BATCH_ROWS..(seed + 1) * BATCH_ROWS;
    let k: Int64Array = rows
        .clone()
        .map(|row| (row as i64).wrapping_mul(0x9E37_79B9))
        .map(|k| k & 0xFFFF_FFFF)
        .collect::<Vec<_>>()
        .into();
    let x: Float64Array = rows.map(|row| (row % 1000) as f64 / 8.0).collect::<Vec<_>>().into();
    let columns: Vec<ArrayRef> = vec![Arc::new(k), Arc::new(x)];
    RecordBatch::try_new(schema(), columns).expect("a batch")
}

fn columns(batch: &RecordBatch) -> (&[i64], &[f64]) {
    let k = batch.column(0).as_any().downcast_ref::<Int64Array>().expect("k");
    let x = batch.column(1).as_any().downcast_ref::<Float64Array>().expect("x");
    (k.values(), x.values())
}

fn memcpy(batches: &[RecordBatch]) {
    let mut to_k = vec![0_i64; BATCH_ROWS];
    let mut to_x = vec![0_f64; BATCH_ROWS];
    for index in 0..BATCHES {
        let (k, x) = columns(&batches[index % DISTINCT]);
        to_k.copy_from_slice(k);
        to_x.copy_from_slice(x);
        black_box((&mut to_k, &mut to_x));
    }
}

/// Grants as the worker would read them from its host.
fn grants(component: &[u8], kernel: &str) -> Grants {
    let inspection = glovebox_sandbox::inspect(component).expect("a component");
    let digest = format!("blake3:{}", "0".repeat(64));
    let grants = serde_json::json!({
        "component": inspection.digest,
        "interfaces": inspection.imports,
        "limits": {
            "batch_bytes": 1 << 26, "collaborators": 10, "component_bytes": 1 << 26, "cpu_seconds": 600,
            "log_bytes": 65536, "memory_bytes": 1_u64 << 31, "open_files": 64, "output_bytes": 1 << 20,
            "output_rows": 1000, "scratch_bytes": 0, "threads": 8, "wall_seconds": 600,
        },
        "notebook": "kernels",
        "outputs": inspection.manifest.expect("a manifest").outputs,
        "parameters": { "kernel": { "type": "utf8", "value": kernel } },
        "revision": digest,
        "room": digest,
        "run": "0".repeat(32),
        "started_at": 0,
        "tables": { "bench.t": [
            { "name": "k", "nullable": false, "type": "int64" },
            { "name": "x", "nullable": false, "type": "float64" },
        ] },
    });
    serde_json::from_value(grants).expect("grants")
}

fn services(batches: Arc<Vec<RecordBatch>>, memory: Budget) -> Services {
    Services {
        query: Box::new(Memory { batches }),
        outputs: Box::new(Nowhere),
        log: Box::new(Nowhere),
        memory,
        volumes: Box::new(Nowhere),
    }
}

struct Memory {
    batches: Arc<Vec<RecordBatch>>,
}

struct Stream {
    batches: Arc<Vec<RecordBatch>>,
    next: usize,
}

impl BatchStream for Stream {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, HostError> {
        let batch = (self.next < BATCHES).then(|| self.batches[self.next % DISTINCT].clone());
        self.next += 1;
        Ok(batch)
    }
}

impl QueryEngine for Memory {
    fn table_schema(&self, _: &str) -> Result<SchemaRef, HostError> {
        Ok(schema())
    }

    fn scan(&mut self, _: &str, _: ScanOptions) -> Result<Box<dyn BatchStream>, HostError> {
        Ok(Box::new(Stream { batches: Arc::clone(&self.batches), next: 0 }))
    }

    fn query(&mut self, _: &str, _: &[Scalar]) -> Result<Box<dyn BatchStream>, HostError> {
        unreachable!("the kernels scan")
    }

    fn run_script(&mut self, _: &str, _: &mut dyn OutputTables) -> Result<(), HostError> {
        unreachable!("the kernels are no script")
    }
}

struct Nowhere;

impl OutputTables for Nowhere {
    fn schema(&self, _: &str) -> Result<SchemaRef, HostError> {
        Ok(Arc::new(Schema::new(vec![Field::new("value", DataType::Float64, true)])))
    }

    fn open(&mut self, _: &str) -> Result<(), HostError> {
        Ok(())
    }

    fn write(&mut self, _: &str, batch: &RecordBatch) -> Result<(), HostError> {
        black_box(batch.column(0).len());
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
