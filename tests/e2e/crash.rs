//! The host is killed at each step of a run: on reopening there is the whole output with its
//! receipt, or neither, and the room goes on.

use std::os::unix::process::ExitStatusExt as _;

use crate::support::Stage;
use crate::tour::flights_and_weather;

const STEPS: [&str; 8] = [
    "request-logged",
    "staging-made",
    "start-logged",
    "worker-finished",
    "outputs-synced",
    "receipt-logged",
    "outputs-renamed",
    "published",
];

const RUN: [&str; 6] =
    ["run", "flights-and-weather", "delay-by-wind", "--as", "airline.key", "--quiet"];

/// Directories that a reader could take for outputs.
fn published(stage: &Stage) -> usize {
    let rooms = std::fs::read_dir(stage.path(".glovebox/rooms")).expect("the rooms");
    rooms
        .filter_map(|room| std::fs::read_dir(room.ok()?.path().join("outputs")).ok())
        .flatten()
        .count()
}

#[test]
fn killed_at_any_step_the_host_keeps_all_or_nothing() {
    let stage = flights_and_weather();
    for (earlier, step) in STEPS.iter().enumerate() {
        let before = published(&stage);
        let killed = stage
            .command(&[RUN.as_slice(), &["--crash-at", step]].concat())
            .output()
            .expect("the glovebox binary");
        assert_eq!(killed.status.signal(), Some(9), "at {step}: {killed:?}");

        let runs = stage.run("runs flights-and-weather --json").ok().json();
        let last = runs.as_array().and_then(|runs| runs.last()).expect("a run").clone();
        let receipts =
            earlier >= STEPS.iter().position(|step| *step == "receipt-logged").expect("a step");
        if receipts {
            assert_eq!(last["outcome"], "succeeded", "killed at {step}: {runs:#}");
            assert_eq!(published(&stage), before + 1, "killed at {step}");
            stage.run("output show flights-and-weather latest --as airline.key").ok();
        } else {
            assert_ne!(last["outcome"], "succeeded", "killed at {step}: {runs:#}");
            assert_eq!(published(&stage), before, "killed at {step}");
            let run = last["run"].as_str().expect("an id");
            stage
                .run(&format!("output show flights-and-weather {run} --as airline.key"))
                .refused("not-found");
        }
    }
    // Nothing is left over, the room works on, and its history verifies.
    stage.run("run flights-and-weather delay-by-wind --as airline.key").ok();
    stage.run("bundle flights-and-weather -o room.bundle").ok();
    stage.run("verify room.bundle").ok();
}
