//! `glovebox`: the command line of host, parties and auditors.
//!
//! The only place that reads arguments and the environment, and that prints.

mod arguments;
mod commands;
mod context;
mod demo;
mod failure;
mod output_file;
mod program;
mod room_file;
mod terminal;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use glovebox_job::process::{JAIL_COMMAND, WORKER_COMMAND};

use crate::arguments::{Arguments, Command};
use crate::context::Context;

fn main() -> ExitCode {
    // The processes of a run are this binary again; they must start before anything else does.
    match std::env::args_os().nth(1).as_deref().and_then(|word| word.to_str()) {
        Some(JAIL_COMMAND) => return glovebox_worker::launcher_main(),
        Some(WORKER_COMMAND) => return glovebox_worker::worker_main(),
        _ => {}
    }
    let arguments = Arguments::parse();
    let (json, quiet) = (arguments.global.json, arguments.global.quiet);
    execute(arguments).unwrap_or_else(|error| failure::report(&error, json, quiet))
}

/// Does what was said.
fn execute(arguments: Arguments) -> Result<ExitCode> {
    let context = Context::new(arguments.global);
    match arguments.command {
        Command::Demo(demo) => demo::play(&context, &demo),
        Command::Key(key) => commands::key::run(&context, &key),
        Command::Build(build) => commands::build::run(&context, &build),
        Command::Inspect(inspect) => commands::inspect::run(&context, &inspect),
        Command::Room(room) => commands::room::run(&context, &room),
        Command::Table(table) => commands::table::run(&context, &table),
        Command::Notebook(notebook) => commands::notebook::run(&context, &notebook),
        Command::Review(review) => commands::review::run(&context, &review),
        Command::Run(run) => commands::run::run(&context, &run),
        Command::Runs(room) => commands::runs::run(&context, &room),
        Command::Output(output) => commands::output::run(&context, &output),
        Command::Log(room) => commands::log::run(&context, &room),
        Command::Bundle(bundle) => commands::bundle::run(&context, &bundle),
        Command::Verify(verify) => commands::verify::run(&context, &verify),
    }
}
