//! `glovebox`: the command line of host, parties and auditors.
//!
//! The only place that reads arguments and the environment, and that prints.

mod arguments;
mod commands;
mod context;
mod demo;
mod dry_run;
mod failure;
mod host;
mod output_file;
mod play;
mod private_file;
mod program;
mod room_file;
mod terminal;
mod words;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use glovebox_job::process::{JAIL_COMMAND, WORKER_COMMAND};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::arguments::{Arguments, Command};
use crate::context::Context;

fn main() -> ExitCode {
    // The processes of a run are this binary again; they must start before anything else does.
    match std::env::args_os().nth(1).as_deref().and_then(|word| word.to_str()) {
        Some(JAIL_COMMAND) => return glovebox_worker::launcher_main(),
        Some(WORKER_COMMAND) => return glovebox_worker::worker_main(),
        _ => {}
    }
    end_quietly_on_closed_pipes();
    raise_open_file_limit();
    let arguments = Arguments::parse();
    let (json, quiet) = (arguments.global.json, arguments.global.quiet);
    execute(arguments).unwrap_or_else(|error| failure::report(&error, json, quiet))
}

/// `glovebox log ROOM | head` is no reason for a panic message.
fn end_quietly_on_closed_pipes() {
    /// What a shell reports for a program that a closed pipe ended: 128 + SIGPIPE.
    const CLOSED_PIPE: i32 = 141;
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>();
        if text.is_some_and(|text| text.contains("Broken pipe")) {
            std::process::exit(CLOSED_PIPE);
        }
        report(panic);
    }));
}

/// A table may be a thousand files, all open during a run; the soft limit is often as low.
fn raise_open_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Without it, a table of many files is refused with a clear error.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Does what was said.
fn execute(arguments: Arguments) -> Result<ExitCode> {
    let context = Context::new(arguments.global);
    match arguments.command {
        Command::Demo(demo) => demo::run(&context, &demo),
        Command::Play(play) => play::run(&context, &play),
        Command::Key(key) => commands::key::run(&context, &key),
        Command::Keys(keys) => commands::keys::run(&context, &keys),
        Command::Build(build) => commands::build::run(&context, &build),
        Command::Inspect(inspect) => commands::inspect::run(&context, &inspect),
        Command::DryRun(dry_run) => dry_run::run(&context, &dry_run),
        Command::Diff(diff) => commands::diff::run(&context, &diff),
        Command::Room(room) => commands::room::run(&context, &room),
        Command::Table(table) => commands::table::run(&context, &table),
        Command::View(view) => commands::view::run(&context, &view),
        Command::Volume(volume) => commands::volume::run(&context, &volume),
        Command::Library(library) => commands::library::run(&context, &library),
        Command::Notebook(notebook) => commands::notebook::run(&context, &notebook),
        Command::Review(review) => commands::review::run(&context, &review),
        Command::Run(run) => commands::run::run(&context, &run),
        Command::Cancel(cancel) => commands::cancel::run(&context, &cancel),
        Command::Runs(room) => commands::runs::run(&context, &room),
        Command::Output(output) => commands::output::run(&context, &output),
        Command::Rule(rule) => commands::rule::run(&context, &rule),
        Command::Fleet(fleet) => commands::fleet::run(&context, &fleet),
        Command::Share(share) => commands::share::run(&context, &share),
        Command::Log(room) => commands::log::run(&context, &room),
        Command::Audit(audit) => commands::audit::run(&context, &audit),
        Command::Bundle(bundle) => commands::bundle::run(&context, &bundle),
        Command::Verify(verify) => commands::verify::run(&context, &verify),
        Command::Serve(serve) => commands::serve::run(&context, &serve),
        Command::Agent(agent) => commands::agent::run(&context, &agent),
        Command::Gateway(gateway) => commands::gateway::run(&context, &gateway),
    }
}
