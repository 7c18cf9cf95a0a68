//! The README's five-minute tour, as written, on the real data; then the auditor's view.

use crate::support::{Stage, guest, repository};

/// The stage of the tour, up to two approved notebooks.
pub(crate) fn flights_and_weather() -> Stage {
    let stage = Stage::new();
    let data = repository().join("examples/flights-weather");
    let example = |name: &str| data.join(name).display().to_string();
    stage.room("flights-and-weather", &["airline", "weather"], "");
    stage
        .run(&format!(
            "table add flights-and-weather airline.flights --from {} --as airline.key",
            example("data/flights_january.parquet")
        ))
        .ok();
    stage
        .run(&format!(
            "table add flights-and-weather weather.hourly --from {} --as weather.key",
            example("data/weather_january.parquet")
        ))
        .ok();
    stage.run(&format!("build {} -o delay.wasm", example("delay-by-wind.sql"))).ok();
    std::fs::copy(guest("examples/flights-weather/weather-delay-model"), stage.path("model.wasm"))
        .expect("the Rust notebook");
    stage.run("notebook add flights-and-weather delay.wasm --runner airline --as weather.key").ok();
    stage.run("notebook add flights-and-weather model.wasm --runner weather --as airline.key").ok();
    for (notebook, reviewer) in [("delay-by-wind", "airline"), ("weather-delay-model", "weather")] {
        let digest = stage.revision("flights-and-weather", notebook);
        stage
            .run(&format!(
                "review flights-and-weather {notebook} --approve {digest} --as {reviewer}.key"
            ))
            .ok();
    }
    stage
}

#[test]
fn the_tour_works_as_written() {
    let stage = flights_and_weather();
    let inspected = stage.run("inspect delay.wasm --json").ok().json();
    assert_eq!(inspected["manifest"]["name"], "delay-by-wind");
    assert_eq!(inspected["text_is_what_runs"], true);
    let bytes = std::fs::read(stage.path("delay.wasm")).expect("the component");
    assert_eq!(
        inspected["blake3"],
        glovebox_contract::digest::Blake3Digest::of(&bytes).to_string()
    );

    stage.run("run flights-and-weather delay-by-wind --param min_group=50 --as airline.key").ok();
    let shown = stage.run("output show flights-and-weather latest --as airline.key").ok().stdout;
    assert!(shown.contains("delay_by_wind"), "{shown}");
    stage
        .run("output export flights-and-weather latest delay_by_wind -o delay.parquet --as airline.key")
        .ok();
    stage.run("run flights-and-weather weather-delay-model --as weather.key").ok();
    stage.run("output list flights-and-weather latest --as weather.key").ok();

    let runs = stage.run("runs flights-and-weather --json").ok().json();
    assert_eq!(runs.as_array().map(Vec::len), Some(2));
    let log = stage.run("log flights-and-weather").ok().stdout;
    assert!(log.contains("run-receipt"), "{log}");

    stage.run("bundle flights-and-weather -o room.bundle").ok();
    let verified =
        stage.run("verify room.bundle --output delay.parquet --component delay.wasm").ok().stdout;
    assert!(verified.contains("verified") && verified.contains("asserted"), "{verified}");
}

#[test]
fn an_altered_bundle_or_output_does_not_verify() {
    let stage = flights_and_weather();
    stage.run("run flights-and-weather delay-by-wind --as airline.key").ok();
    stage
        .run("output export flights-and-weather latest delay_by_wind -o delay.parquet --as airline.key")
        .ok();
    stage.run("bundle flights-and-weather -o room.bundle").ok();

    let mut output = std::fs::read(stage.path("delay.parquet")).expect("the output");
    let middle = output.len() / 2;
    output[middle] ^= 1;
    stage.write("altered.parquet", &output);
    assert_eq!(stage.run("verify room.bundle --output altered.parquet").code, Some(1));

    // The crate's own tests flip every byte of a small bundle; here a few of a real one.
    let bundle = std::fs::read(stage.path("room.bundle")).expect("the bundle");
    for step in 0..40 {
        let mut altered = bundle.clone();
        let at = step * bundle.len() / 40;
        altered[at] ^= 1 << (step % 8);
        stage.write("altered.bundle", &altered);
        assert_eq!(stage.run("verify altered.bundle").code, Some(1), "byte {at}");
    }
}

#[test]
fn an_auditor_can_pin_what_they_know_from_elsewhere() {
    let stage = flights_and_weather();
    stage.run("bundle flights-and-weather -o room.bundle").ok();
    let airline = stage.run("key show airline.key --json").ok().json();
    let airline = airline["public_key"].as_str().expect("a key").to_owned();
    stage.run(&format!("verify room.bundle --party airline={airline}")).ok();
    let weather = stage.run("key show weather.key --json").ok().json();
    let weather = weather["public_key"].as_str().expect("a key").to_owned();
    assert_eq!(stage.run(&format!("verify room.bundle --party airline={weather}")).code, Some(1));
}
