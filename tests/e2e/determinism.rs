//! Same revision, inputs and parameters: the same bytes.

use std::collections::BTreeSet;

use crate::support::Stage;
use crate::tour::flights_and_weather;

#[track_caller]
fn check(stage: &Stage, notebook: &str, runner: &str, table: &str) {
    let files: BTreeSet<Vec<u8>> = (0..5)
        .map(|_| {
            stage.run(&format!("run flights-and-weather {notebook} --as {runner}.key")).ok();
            stage
                .run(&format!(
                    "output export flights-and-weather latest {table} -o out.parquet --as {runner}.key"
                ))
                .ok();
            std::fs::read(stage.path("out.parquet")).expect("the output")
        })
        .collect();
    assert_eq!(files.len(), 1, "five runs of {notebook} gave {} different files", files.len());
}

#[test]
fn repeated_runs_give_identical_files() {
    let stage = flights_and_weather();
    check(&stage, "delay-by-wind", "airline", "delay_by_wind");
    let model = stage.run("inspect model.wasm --json").ok().json();
    let outputs = model["manifest"]["outputs"].as_object().expect("outputs").clone();
    for table in outputs.keys() {
        check(&stage, "weather-delay-model", "weather", table);
    }
}
