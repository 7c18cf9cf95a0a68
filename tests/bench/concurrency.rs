//! Ten runs of one room at once, beside the same ten runs one after another.
//!
//! `cargo bench --bench concurrency [-- ROWS]` (default 1,000,000 rows of a CSV file). A short
//! notebook shows what each run costs besides its query, a long one what the query engine makes of
//! the machine: one run alone uses all its processors already, so the best to hope for there is 1.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

#[path = "../support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use glovebox_client::{Client, Options, RemoteRoom};
use glovebox_contract::key::PrivateKey;
use glovebox_contract::name::RunId;
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::statement::RunRequest;
use server::Server;
use support::Stage;

const RUNS: i64 = 10;
const ROUNDS: usize = 5;

/// Two notebooks over the same table: name and query.
const QUERIES: [(&str, &str); 2] = [
    ("short", "SELECT count(*) AS n FROM a.small WHERE v > :least"),
    (
        "long",
        "SELECT count(*) AS n FROM (SELECT g, sum(v) AS s, count(DISTINCT w) AS d FROM a.large \
         WHERE v > :least GROUP BY g) t WHERE s > d",
    ),
];

fn main() {
    let rows: u64 =
        std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(1_000_000);
    let stage = Stage::new();
    prepare(&stage, rows);
    let server = Server::start(&stage);
    let key = std::fs::read_to_string(stage.path("b.key")).expect("the key");
    let key = PrivateKey::from_file(&key).expect("a key");
    let client = Client::connect(&server.url, &Options::new(stage.path("client")));
    let mut room = client.expect("the host").party(key).room("r").expect("the room");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{RUNS} runs, {rows} rows, {cores} processors, medians of {ROUNDS} rounds");
    for (name, _) in QUERIES {
        let (mut in_turn, mut at_once) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            in_turn.push(one_after_another(&mut room, name));
            at_once.push(all_at_once(&mut room, name));
        }
        let (in_turn, at_once) = (median(in_turn), median(at_once));
        println!(
            "{name:6} one after another {:7.3} s   at once {:7.3} s   ratio {:.3}",
            in_turn.as_secs_f64(),
            at_once.as_secs_f64(),
            at_once.as_secs_f64() / in_turn.as_secs_f64()
        );
    }
    println!("most at once, as the log says: {}", most_at_once(&room));
}

fn one_after_another(room: &mut RemoteRoom, notebook: &str) -> Duration {
    let started = Instant::now();
    for number in 0..RUNS {
        let run = ask(room, notebook, number);
        wait(room, &run);
    }
    started.elapsed()
}

fn all_at_once(room: &mut RemoteRoom, notebook: &str) -> Duration {
    let started = Instant::now();
    let runs: Vec<_> = (0..RUNS).map(|number| ask(room, notebook, number)).collect();
    for run in &runs {
        wait(room, run);
    }
    started.elapsed()
}

fn ask(room: &mut RemoteRoom, notebook: &str, least: i64) -> RunId {
    let request = |room: &RemoteRoom| {
        let name = notebook.parse().expect("a name");
        let latest = room.state().notebook(&name)?.latest().and_then(|v| v.revision_digest());
        Ok(RunRequest {
            notebook: name,
            parameters: BTreeMap::from([(
                "least".parse().expect("a name"),
                ParameterValue::Int64(least),
            )]),
            revision: *latest.expect("a revision"),
        })
    };
    room.start_run_with(request).expect("a run")
}

fn wait(room: &mut RemoteRoom, run: &RunId) {
    let receipt = room.wait_run(run, &mut |_| ()).expect("a receipt");
    assert!(matches!(receipt.outcome, Outcome::Succeeded { .. }), "{:?}", receipt.outcome);
}

/// How many runs had started and not ended at one place in the log.
fn most_at_once(room: &RemoteRoom) -> usize {
    use glovebox_contract::statement::Body;
    let (mut now, mut most) = (0_usize, 0);
    for entry in room.entries() {
        match entry.unverified().expect("a statement").body {
            Body::RunStart(_) => now += 1,
            Body::RunReceipt(_) => now -= 1,
            _ => {}
        }
        most = most.max(now);
    }
    most
}

/// A room with both tables and both notebooks, approved.
fn prepare(stage: &Stage, rows: u64) {
    stage.room("r", &["a", "b"], "");
    for (table, rows) in [("small", 1000), ("large", rows)] {
        let mut text = String::from("g,v,w\n");
        for row in 0..rows {
            let mixed = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let _ = writeln!(text, "{},{},{}", mixed % 50_000, mixed % 1000, mixed % 77);
        }
        stage.write(&format!("{table}.csv"), text);
        stage.run(&format!("table add r a.{table} --from {table}.csv --as a.key")).ok();
    }
    for (name, query) in QUERIES {
        let table = if name == "short" { "small" } else { "large" };
        let columns = if name == "short" {
            "v = \"int64\""
        } else {
            "g = \"int64\", v = \"int64\", w = \"int64\""
        };
        let text = format!(
            "/* glovebox notebook\nname = \"{name}\"\nversion = \"1.0.0\"\n[inputs.\"a.{table}\"]\n\
             columns = {{ {columns} }}\n[parameters.least]\ntype = \"int64\"\n[outputs.n]\n\
             columns = [ {{ name = \"n\", type = \"int64\" }} ]\n*/\n\
             CREATE TABLE output.n AS {query};\n"
        );
        stage.write(&format!("{name}.sql"), text);
        stage.run(&format!("build {name}.sql -o {name}.wasm")).ok();
        stage.run(&format!("notebook add r {name}.wasm --runner b --as b.key")).ok();
        let digest = stage.revision("r", name);
        stage.run(&format!("review r {name} --approve {digest} --as a.key")).ok();
        // The machine code is made once, and not in what is measured.
        stage.run(&format!("run r {name} --param least=0 --as b.key")).ok();
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
