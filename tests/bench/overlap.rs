//! The overlap of two tables: an SQL notebook in its jail beside plain DataFusion on the same files.
//!
//! `cargo bench --bench overlap [-- ROWS]` (default 1,000,000; the data needs python3 with numpy
//! and pyarrow). Prints wall times of several rounds in turn, and the ratio of the medians.
//! `tests/bench/peers.py duckdb DIR` runs the same query in DuckDB.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use support::{Stage, repository};

const ROUNDS: usize = 5;

const QUERY: &str = "SELECT r.segment, m.campaign, count(*) AS reach, sum(m.impressions) AS impressions, \
     avg(r.ltv) AS ltv FROM retail.customers r JOIN media.exposures m ON r.hem = m.hem \
     GROUP BY r.segment, m.campaign HAVING count(*) >= 50 ORDER BY 1, 2";

const HEADER: &str = r#"/* glovebox notebook
name = "overlap"
version = "1.0.0"
[inputs."retail.customers"]
columns = { hem = "utf8", segment = "utf8", ltv = "float64" }
[inputs."media.exposures"]
columns = { hem = "utf8", campaign = "int32", impressions = "int32" }
[outputs.overlap]
columns = [
    { name = "segment", type = "utf8" },
    { name = "campaign", type = "int32" },
    { name = "reach", type = "int64" },
    { name = "impressions", type = "int64" },
    { name = "ltv", type = "float64" },
]
*/
CREATE TABLE output.overlap AS "#;

fn main() {
    let rows: usize =
        std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(1_000_000);
    let data = data(rows);
    let stage = stage(&data);
    let (mut jailed, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        stage.run("run r overlap --as media.key").ok();
        jailed.push(started.elapsed());
        plain.push(plain_datafusion(&data));
    }
    let (jailed, plain) = (median(jailed), median(plain));
    println!("glovebox run      {:8.3} s", jailed.as_secs_f64());
    println!("plain DataFusion  {:8.3} s", plain.as_secs_f64());
    println!("ratio             {:8.3}", jailed.as_secs_f64() / plain.as_secs_f64());
    println!("data in {}", data.display());
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn data(rows: usize) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("overlap-{rows}"));
    if !directory.join("media.parquet").exists() {
        let made = Command::new("python3")
            .arg(repository().join("tests/bench/overlap_data.py"))
            .arg(rows.to_string())
            .arg(&directory)
            .status()
            .expect("python3");
        assert!(made.success(), "the data needs numpy and pyarrow");
    }
    directory
}

fn stage(data: &Path) -> Stage {
    let stage = Stage::new();
    stage.room("r", &["retail", "media"], "[limits]\nmemory_bytes = 8_589_934_592\n");
    stage.write("overlap.sql", format!("{HEADER}{QUERY};\n"));
    stage.run("build overlap.sql -o overlap.wasm").ok();
    for (table, file, key) in
        [("retail.customers", "retailer", "retail"), ("media.exposures", "media", "media")]
    {
        let path = data.join(format!("{file}.parquet"));
        stage.run(&format!("table add r {table} --from {} --as {key}.key", path.display())).ok();
    }
    stage.run("notebook add r overlap.wasm --runner media --as media.key").ok();
    let digest = stage.revision("r", "overlap");
    stage.run(&format!("review r overlap --approve {digest} --as retail.key")).ok();
    stage
}

fn plain_datafusion(data: &Path) -> Duration {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    runtime.block_on(async {
        let context =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        for (name, file) in [("customers", "retailer"), ("exposures", "media")] {
            let path = data.join(format!("{file}.parquet"));
            let path = path.to_str().expect("a path in UTF-8");
            context
                .register_parquet(name, path, ParquetReadOptions::default())
                .await
                .expect("a Parquet file");
        }
        let query = QUERY.replace("retail.", "").replace("media.", "");
        context.sql(&query).await.expect("a plan").collect().await.expect("rows");
    });
    started.elapsed()
}
