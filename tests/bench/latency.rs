//! A trivial notebook from request to receipt, process starts included.
//!
//! `cargo bench --bench latency [-- RUNS]` prints p50 and p95 of the wall time of the whole
//! `glovebox run` command and of the part between the signed request and the receipt.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::time::{Duration, Instant};

use support::Stage;

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "count"
version = "1.0.0"
[inputs."a.t"]
columns = { v = "int64" }
[outputs.total]
columns = [ { name = "n", type = "int64" } ]
*/
CREATE TABLE output.total AS SELECT count(*) AS n FROM a.t WHERE v > 0;
"#;

fn main() {
    let runs: usize = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(100);
    let stage = Stage::new();
    stage.room("r", &["a", "b"], "");
    stage.write("t.csv", "v\n1\n2\n3\n");
    stage.write("n.sql", NOTEBOOK);
    stage.run("build n.sql -o n.wasm").ok();
    stage.run("table add r a.t --from t.csv --as a.key").ok();
    stage.run("notebook add r n.wasm --runner b --as b.key").ok();
    let digest = stage.revision("r", "count");
    stage.run(&format!("review r count --approve {digest} --as a.key")).ok();
    let mut command = Vec::with_capacity(runs);
    let mut receipt = Vec::with_capacity(runs);
    for _ in 0..runs {
        let started = Instant::now();
        let done = stage.run("run r count --json --as b.key").ok().json();
        command.push(started.elapsed());
        let micros = done["request_to_receipt_us"].as_u64().expect("a duration");
        receipt.push(Duration::from_micros(micros));
    }
    print("whole command", command);
    print("request to receipt", receipt);
}

fn print(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!("{name:20} p50 {:6.1} ms   p95 {:6.1} ms   ({} runs)", at(50), at(95), times.len());
}
