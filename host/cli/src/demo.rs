//! `glovebox demo`: a whole clean room, played with the commands that a person would type.
//!
//! Nothing is staged: every line that is shown is parsed and executed as if it had been typed, in
//! the demo's own directory, and what it prints is what it printed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use glovebox_contract::reason::ReasonCode;

use crate::arguments::{Arguments, Demo};
use crate::context::Context;
use crate::{failure, terminal};

/// Says that a directory is a demo's own and may be made anew.
const MARKER: &str = ".glovebox-demo";

const ROOM: &str = "flights-and-weather";
const FLIGHTS: &[u8] =
    include_bytes!("../../../examples/flights-weather/data/flights_january.parquet");
const WEATHER: &[u8] =
    include_bytes!("../../../examples/flights-weather/data/weather_january.parquet");
const SQL_NOTEBOOK: &str = include_str!("../../../examples/flights-weather/delay-by-wind.sql");
const RUST_NOTEBOOK: &str = "examples/flights-weather/weather-delay-model";

pub(crate) fn play(context: &Context, demo: &Demo) -> Result<ExitCode> {
    let started = Instant::now();
    let rust_notebook = find_rust_notebook()?;
    prepare(&demo.directory)?;
    std::env::set_current_dir(&demo.directory)?;
    let story = Story { context, rust_notebook };
    story.keys_and_room()?;
    story.tables()?;
    story.sql_notebook()?;
    story.rust_notebook()?;
    story.changed_component()?;
    story.audit()?;
    println!(
        "\nThe room played in {:.1} s. Everything is in {}: go there and go on.",
        started.elapsed().as_secs_f64(),
        demo.directory.display()
    );
    Ok(ExitCode::SUCCESS)
}

struct Story<'a> {
    context: &'a Context,
    rust_notebook: PathBuf,
}

impl Story<'_> {
    fn keys_and_room(&self) -> Result<()> {
        chapter(1, "Two organisations, two keys, one room");
        say(
            "An airline owns flights. A weather agency owns weather. Neither may see the other's rows.",
        );
        self.run("key new airline.key")?;
        self.run("key new weather.key")?;
        let key = |file: &str| -> Result<String> {
            Ok(crate::context::read_key(Path::new(file))?.public().to_string())
        };
        let room = format!(
            "name = \"{ROOM}\"\nregion = \"local\"\n\n\
             [[collaborators]]\nalias = \"airline\"\norganisation = \"Gotham Air\"\npublic_key = \"{}\"\n\n\
             [[collaborators]]\nalias = \"weather\"\norganisation = \"Weather Agency\"\npublic_key = \"{}\"\n\n\
             [outputs]\nreaders = \"runner\"\ntime_to_live_days = 30\n",
            key("airline.key")?,
            key("weather.key")?
        );
        std::fs::write("room.toml", &room)?;
        say(
            "room.toml says who takes part. The creator signs it; everyone named accepts exactly that.",
        );
        self.run("room create room.toml --as airline.key")?;
        self.run(&format!("room accept {ROOM} --as weather.key"))
    }

    fn tables(&self) -> Result<()> {
        chapter(2, "Each offers a table; rows stay where they are");
        std::fs::write("flights.parquet", FLIGHTS)?;
        std::fs::write("weather.parquet", WEATHER)?;
        say("The airline offers five columns: no tail numbers, no flight numbers.");
        self.run(&format!(
            "table add {ROOM} airline.flights --from flights.parquet \
             --columns origin,carrier,time_hour,dep_delay,distance --as airline.key"
        ))?;
        self.run(&format!(
            "table add {ROOM} weather.hourly --from weather.parquet --as weather.key"
        ))
    }

    fn sql_notebook(&self) -> Result<()> {
        chapter(3, "An SQL notebook: built, inspected, approved by hash, run");
        std::fs::write("delay-by-wind.sql", SQL_NOTEBOOK)?;
        self.run("build delay-by-wind.sql -o delay.wasm")?;
        self.run("inspect delay.wasm")?;
        say("The agency is its author; the airline may run it once it has approved.");
        self.run(&format!("notebook add {ROOM} delay.wasm --runner airline --as weather.key"))?;
        self.refused(
            &format!("run {ROOM} delay-by-wind --as airline.key"),
            ReasonCode::NotApproved,
        )?;
        say(
            "Not approved, so it does not run. The airline has read the text above and approves that hash.",
        );
        self.approve("delay-by-wind", "airline")?;
        self.run(&format!("run {ROOM} delay-by-wind --param min_group=50 --as airline.key"))?;
        self.run(&format!("output show {ROOM} latest --as airline.key"))?;
        say("Outputs go to the runner. The agency asks, too:");
        self.refused(
            &format!("output show {ROOM} latest --as weather.key"),
            ReasonCode::NotPermitted,
        )
    }

    fn rust_notebook(&self) -> Result<()> {
        chapter(4, "A Rust notebook: a regression that runs on both tables");
        say("The first build fetches and compiles its crates, which takes a moment.");
        self.run_words(&[
            "build",
            &self.rust_notebook.display().to_string(),
            "-o",
            "model.wasm",
            "--install-target",
        ])?;
        self.run(&format!("notebook add {ROOM} model.wasm --runner weather --as airline.key"))?;
        self.approve("weather-delay-model", "weather")?;
        self.run(&format!("run {ROOM} weather-delay-model --as weather.key"))?;
        self.run(&format!("output show {ROOM} latest --as weather.key"))
    }

    fn changed_component(&self) -> Result<()> {
        chapter(5, "A weaker threshold: another hash, approved by nobody");
        let changed = SQL_NOTEBOOK
            .replace(">= :min_group", ">= :min_group - 49")
            .replace("version = \"1.0.0\"", "version = \"1.0.1\"");
        if !changed.contains("- 49") {
            bail!("the demo's notebook has no group threshold to weaken");
        }
        std::fs::write("delay-by-wind.sql", changed)?;
        say("The agency ships a version whose threshold lets single flights through.");
        self.run("build delay-by-wind.sql -o changed.wasm")?;
        self.run(&format!("notebook add {ROOM} changed.wasm --runner airline --as weather.key"))?;
        let revision = self.newest_revision("delay-by-wind")?;
        self.refused(
            &format!("run {ROOM} delay-by-wind --revision {revision} --as airline.key"),
            ReasonCode::NotApproved,
        )?;
        say("The approved version still works.");
        self.run(&format!("run {ROOM} delay-by-wind --as airline.key"))
    }

    fn audit(&self) -> Result<()> {
        chapter(6, "The auditor: offline, with the bundle alone");
        self.run(&format!(
            "output export {ROOM} latest delay_by_wind -o delay.parquet --as airline.key"
        ))?;
        self.run(&format!("log {ROOM}"))?;
        self.run(&format!("bundle {ROOM} -o room.bundle"))?;
        self.run("verify room.bundle --output delay.parquet --component delay.wasm")
    }

    fn approve(&self, notebook: &str, alias: &str) -> Result<()> {
        let revision = self.newest_revision(notebook)?;
        self.run(&format!("review {ROOM} {notebook} --approve {revision} --as {alias}.key"))
    }

    fn newest_revision(&self, notebook: &str) -> Result<String> {
        let room = self.inner("room list")?.room(ROOM)?;
        crate::commands::room::newest_revision(&room, notebook)
    }

    fn run(&self, line: &str) -> Result<()> {
        self.run_words(&line.split_whitespace().collect::<Vec<_>>())
    }

    fn run_words(&self, words: &[&str]) -> Result<()> {
        self.show(words);
        let status = crate::execute(self.parse(words)?)?;
        if status != ExitCode::SUCCESS {
            bail!("`glovebox {}` failed", words.join(" "));
        }
        Ok(())
    }

    /// Runs a line that must be refused with `reason`; anything else fails the demo.
    fn refused(&self, line: &str, reason: ReasonCode) -> Result<()> {
        let words: Vec<_> = line.split_whitespace().collect();
        self.show(&words);
        match crate::execute(self.parse(&words)?) {
            Err(error) if failure::reason(&error) == Some(reason) => {
                let _exit_status = failure::report(&error, false, false);
                Ok(())
            }
            Err(error) => Err(error),
            Ok(_) => bail!("`glovebox {line}` was not refused"),
        }
    }

    fn show(&self, words: &[&str]) {
        println!("\n$ glovebox {}", words.join(" "));
    }

    fn parse(&self, words: &[&str]) -> Result<Arguments> {
        let mut arguments = Arguments::try_parse_from(["glovebox"].iter().chain(words))?;
        arguments.global = self.context.global_in(Path::new(".glovebox"));
        Ok(arguments)
    }

    fn inner(&self, line: &str) -> Result<Context> {
        Ok(Context::new(self.parse(&line.split_whitespace().collect::<Vec<_>>())?.global))
    }
}

fn chapter(number: u32, title: &str) {
    println!("\n━━ {number}. {title} {}", "━".repeat(70_usize.saturating_sub(title.len())));
}

fn say(text: &str) {
    println!("\n{}", terminal::plain(text));
}

/// Makes `directory` anew. Refuses to remove a directory that no demo made.
fn prepare(directory: &Path) -> Result<()> {
    if directory.exists() {
        if !directory.join(MARKER).exists() {
            bail!(
                "{} exists and is not a demo's; name another directory with --directory",
                directory.display()
            );
        }
        std::fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove the last demo in {}", directory.display()))?;
    }
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    std::fs::write(directory.join(MARKER), "made by `glovebox demo`, which may remove it\n")?;
    Ok(())
}

/// The Rust notebook's package: in the clone around the working directory, or where this binary
/// was built.
fn find_rust_notebook() -> Result<PathBuf> {
    let here = std::env::current_dir()?;
    let built = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .chain(built.ancestors())
        .map(|root| root.join(RUST_NOTEBOOK))
        .find(|package| package.join("Cargo.toml").exists())
        .with_context(|| {
            format!("cannot find {RUST_NOTEBOOK}: run the demo inside a clone of Glovebox")
        })
}
