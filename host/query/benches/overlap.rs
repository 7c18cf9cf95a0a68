//! The overlap query through a session beside plain DataFusion on the same files.
//!
//! usage: cargo bench -p glovebox-query --bench overlap -- DATA_DIR [ROUNDS]
//!
//! DATA_DIR holds `retailer.parquet` and `media.parquet`. Prints wall seconds, best of the rounds.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::arrow;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use glovebox_query::{FileFormat, InputFile, InputTable, Session, SessionSettings, describe};
use glovebox_sandbox::services::{HostError, OutputSummary, OutputTables, QueryEngine};

const QUERY: &str = "SELECT r.segment, m.campaign, count(*) AS reach,
    sum(m.impressions) AS impressions, avg(r.ltv) AS ltv
    FROM {r} r JOIN {m} m ON r.hem = m.hem GROUP BY r.segment, m.campaign HAVING count(*) >= 50
    ORDER BY 1, 2";

struct Counted {
    rows: usize,
}

impl OutputTables for Counted {
    fn schema(&self, _output: &str) -> Result<SchemaRef, HostError> {
        Ok(Arc::new(Schema::new(vec![
            Field::new("segment", DataType::Utf8, true),
            Field::new("campaign", DataType::Int32, true),
            Field::new("reach", DataType::Int64, true),
            Field::new("impressions", DataType::Int64, true),
            Field::new("ltv", DataType::Float64, true),
        ])))
    }

    fn open(&mut self, _output: &str) -> Result<(), HostError> {
        Ok(())
    }

    fn write(&mut self, _output: &str, batch: &RecordBatch) -> Result<(), HostError> {
        self.rows += batch.num_rows();
        Ok(())
    }

    fn finish(&mut self, _output: &str) -> Result<OutputSummary, HostError> {
        Ok(OutputSummary::default())
    }
}

fn ours(folder: &Path) -> usize {
    let open = |file: &str| {
        let file = File::open(folder.join(file)).expect("the file opens");
        let bytes = file.metadata().expect("the file has a size").len();
        InputFile { file, bytes }
    };
    let table = |name: &str, file: &str| InputTable {
        name: name.parse().expect("a table name"),
        format: FileFormat::Parquet,
        file_columns: None,
        granted: describe(FileFormat::Parquet, vec![open(file)]).expect("a schema"),
        files: vec![open(file)],
    };
    let tables = vec![table("a.r", "retailer.parquet"), table("a.m", "media.parquet")];
    let settings = SessionSettings { memory_bytes: 8 << 30, ..SessionSettings::default() };
    let mut session = Session::new(tables, settings).expect("a session");
    let sql = QUERY.replace("{r}", "a.r").replace("{m}", "a.m");
    let mut outputs = Counted { rows: 0 };
    session.run_script(&format!("CREATE TABLE output.o AS {sql}"), &mut outputs).expect("rows");
    outputs.rows
}

fn plain(folder: &Path) -> usize {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        let context =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        for (name, file) in [("r", "retailer.parquet"), ("m", "media.parquet")] {
            let path = folder.join(file);
            let path = path.to_str().expect("a path in UTF-8");
            context
                .register_parquet(name, path, ParquetReadOptions::default())
                .await
                .expect("a table");
        }
        let frame =
            context.sql(&QUERY.replace("{r}", "r").replace("{m}", "m")).await.expect("a plan");
        frame.collect().await.expect("rows").iter().map(RecordBatch::num_rows).sum()
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(folder) = arguments.next() else {
        println!("usage: overlap DATA_DIR [ROUNDS]; skipped");
        return;
    };
    let rounds: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    let folder = Path::new(&folder);
    let mut best = [f64::INFINITY; 2];
    for _ in 0..rounds {
        for (best, run) in best.iter_mut().zip([plain, ours]) {
            let start = Instant::now();
            let rows = run(folder);
            let seconds = start.elapsed().as_secs_f64();
            println!("{rows} groups in {seconds:.3} s");
            *best = best.min(seconds);
        }
    }
    println!("plain {:.3} s, glovebox {:.3} s, ratio {:.3}", best[0], best[1], best[1] / best[0]);
}
