//! `glovebox demo`: the story of `examples/flights-weather`, which this program carries.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::arguments::Demo;
use crate::context::Context;
use crate::play::{Files, play_in};

/// Path and content of each of the story's files.
macro_rules! carried {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../examples/flights-weather/", $path)))),*]
    };
}

const FILES: &[(&str, &[u8])] = carried![
    "story.toml",
    "delay-by-wind.sql",
    "data/flights_january.parquet",
    "data/weather_january.parquet",
    "expected/delay_by_wind.csv",
    "expected/coefficients.csv",
    "expected/fits.csv",
];
const STORY: &str = "examples/flights-weather";
const RUST_NOTEBOOK: &str = "weather-delay-model";

pub(crate) fn run(context: &Context, demo: &Demo) -> Result<ExitCode> {
    let packages = vec![(RUST_NOTEBOOK.to_owned(), find_rust_notebook()?)];
    let directory = std::path::absolute(&demo.directory)?;
    let played = play_in(context, &Files::Carried { files: FILES, packages }, &directory)?;
    println!("Everything is in {}: go there and go on.", demo.directory.display());
    Ok(played)
}

/// The Rust notebook's package: in the clone around the working directory, or where this binary
/// was built.
fn find_rust_notebook() -> Result<PathBuf> {
    let here = std::env::current_dir()?;
    let built = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = here
        .ancestors()
        .chain(built.ancestors())
        .map(|root| root.join(STORY).join(RUST_NOTEBOOK))
        .find(|package| package.join("Cargo.toml").exists());
    package.with_context(|| {
        format!("cannot find {STORY}/{RUST_NOTEBOOK}: run the demo inside a clone of Glovebox")
    })
}
