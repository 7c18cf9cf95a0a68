//! The example's outputs beside results that were computed apart, without Glovebox.

use crate::support::{Stage, repository};
use crate::tour::flights_and_weather;

/// Rows of a CSV file without its header.
fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// Equal texts, or numbers equal to the digits that the expected file shows.
fn agree(got: &str, expect: &str) -> bool {
    match (got.parse::<f64>(), expect.parse::<f64>()) {
        (Ok(got), Ok(expect)) => (got - expect).abs() <= 1e-7 * expect.abs().max(1.0),
        _ => got == expect,
    }
}

#[track_caller]
fn check(stage: &Stage, runner: &str, table: &str) {
    stage
        .run(&format!(
            "output export flights-and-weather latest {table} -o out.csv --as {runner}.key"
        ))
        .ok();
    let got = rows(&std::fs::read_to_string(stage.path("out.csv")).expect("the output"));
    let file = repository().join(format!("examples/flights-weather/expected/{table}.csv"));
    let expect = rows(&std::fs::read_to_string(file).expect("the expected rows"));
    assert_eq!(got.len(), expect.len(), "rows of {table}");
    for (got, expect) in got.iter().zip(&expect) {
        let same = got.len() == expect.len()
            && got.iter().zip(expect).all(|(got, expect)| agree(got, expect));
        assert!(same, "{table}: got {got:?}, expected {expect:?}");
    }
}

#[test]
fn the_example_gives_the_expected_results() {
    let stage = flights_and_weather();
    stage.run("run flights-and-weather delay-by-wind --as airline.key").ok();
    check(&stage, "airline", "delay_by_wind");
    stage.run("run flights-and-weather weather-delay-model --as weather.key").ok();
    check(&stage, "weather", "coefficients");
    check(&stage, "weather", "fits");
}
