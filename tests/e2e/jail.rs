//! What the process of a run does, as the kernel sees it.

use crate::support::Stage;
use crate::tour::flights_and_weather;

/// Runs the SQL notebook under `strace -f` and returns the trace.
fn traced_run(stage: &Stage) -> String {
    let status = std::process::Command::new("strace")
        .current_dir(stage.path("."))
        .args(["-f", "-o", "trace", "-e", "trace=%network,execve,execveat,clone,clone3,openat"])
        .arg(env!("CARGO_BIN_EXE_glovebox"))
        .args(["run", "flights-and-weather", "delay-by-wind", "--as", "airline.key"])
        .output()
        .expect("strace, which .ci/run installs");
    assert!(status.status.success(), "{status:?}");
    std::fs::read_to_string(stage.path("trace")).expect("the trace")
}

#[test]
fn the_worker_has_no_socket_but_the_job_socket() {
    let stage = flights_and_weather();
    let trace = traced_run(&stage);
    let worker_pids: Vec<&str> = trace
        .lines()
        .filter(|line| line.contains("execve(") && line.contains("\"worker\""))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(!worker_pids.is_empty(), "no worker in the trace:\n{trace}");
    // Threads of the worker have ids of their own; none may open a socket either. Only the host,
    // before the worker starts, makes the pair that carries the job.
    let calls: Vec<&str> = trace
        .lines()
        .filter(|line| {
            ["socket(", "connect(", "bind(", "listen("].iter().any(|call| line.contains(call))
        })
        .collect();
    assert!(calls.is_empty(), "socket calls in a run: {calls:#?}");
}

#[test]
fn without_a_jail_the_receipt_says_so() {
    let stage = flights_and_weather();
    stage.run("run flights-and-weather delay-by-wind --as airline.key --jail off").ok();
    let runs = stage.run("runs flights-and-weather --json").ok().json();
    assert_eq!(runs[0]["jail"], "off", "{runs:#}");
}
