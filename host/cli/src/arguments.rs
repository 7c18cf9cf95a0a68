//! The command line: what can be said, not what it does.

mod agent;
mod asset;
mod audit;
mod bindings;
mod component;
mod fleet;
mod gateway;
mod keys;
mod play;
mod room;
mod rule;
mod run;
mod serve;
mod share;
mod table;
mod time;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use agent::{Agent, RunAgent};
pub(crate) use asset::{Library, Notebook, View, Volume};
pub(crate) use audit::Audit;
pub(crate) use bindings::BindingOption;
pub(crate) use component::{Build, Diff, DryRun, Inspect, Key};
pub(crate) use fleet::{AddCustomer, Fleet, Publish, RegistryFile, Rooms};
pub(crate) use gateway::{
    Gateway, GatewayCommand, Held, OidcClaim, Principal, ServeGateway, Token,
};
pub(crate) use keys::{HashKeys, JoinKeyOption, Keys};
pub(crate) use play::{Demo, Play};
pub(crate) use room::{Bundle, Form, ReadRoom, Review, Room, RoomOnly, Signer};
pub(crate) use rule::{Rule, RuleConditions};
pub(crate) use run::{Cancel, ExportFormat, Output, OutputOf, Run};
pub(crate) use serve::{LogFormat, Serve};
pub(crate) use share::{NewRecipient, Share, SharedWhat};
pub(crate) use table::{AddTable, Table, TableFrom};
pub(crate) use time::{Moment, Span};

/// The open, self-hosted data clean room.
///
/// Exit status: 0 done, 1 refused or failed, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "glovebox", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Directory of the host's rooms, components and outputs. With `--host`, of what this machine
    /// remembers of the host: its key and the logs that it showed.
    #[arg(long, global = true, env = "GLOVEBOX_HOME", default_value = ".glovebox")]
    pub(crate) home: PathBuf,
    /// Work with the rooms of a host in the network instead of this machine's. Your key stays here:
    /// what you say is signed before it is sent.
    #[arg(long, global = true, env = "GLOVEBOX_HOST", value_name = "URL")]
    pub(crate) host: Option<String>,
    /// Trust the certificates that the authority in this PEM file signs, for `--host`.
    #[arg(long, global = true, env = "GLOVEBOX_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Print data as JSON, one document a command.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress bars and no hints.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// How a run is confined. `off` is for machines without user namespaces or Landlock, and
    /// every receipt of such a run says so.
    #[arg(long, global = true, env = "GLOVEBOX_JAIL", value_enum, default_value_t = Jail::Full)]
    pub(crate) jail: Jail,
    /// Seal credentials of tables elsewhere with the key in this file, 64 hex digits, instead of one
    /// that lies in the home. Once used, the home takes no other.
    #[arg(long, global = true, env = "GLOVEBOX_SEALING_KEY", value_name = "FILE")]
    pub(crate) sealing_key: Option<PathBuf>,
    /// End the process at a named step of publishing (for crash tests).
    #[arg(long, global = true, hide = true)]
    pub(crate) crash_at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Jail {
    Full,
    Off,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play a whole clean room with real data: flights and weather of New York, January 2013.
    Demo(Demo),
    /// Play the story of a folder, command by command, and check what comes out.
    Play(Play),
    /// Make and show a party's key, with which it signs. (Join keys are `glovebox keys`.)
    #[command(subcommand)]
    Key(Key),
    /// Make join keys: hash e-mail addresses, phone numbers and device ids, on your own machine.
    /// (The key with which you sign is `glovebox key`.)
    #[command(subcommand)]
    Keys(Keys),
    /// Build a component from a notebook in SQL, Python or JavaScript, or a package in Rust or C.
    Build(Build),
    /// Show what a component is: digests, imports, manifest, source.
    Inspect(Inspect),
    /// Show in plain words what changed between two components, or two revisions of a notebook.
    Diff(Diff),
    /// Try a notebook over made-up rows, in a room of its own, before anyone is asked to approve it.
    DryRun(DryRun),
    /// Create, accept and show rooms.
    #[command(subcommand)]
    Room(Room),
    /// Offer a table to a room, wherever it is.
    #[command(subcommand)]
    Table(Table),
    /// Offer what a query makes of your files to a room.
    #[command(subcommand)]
    View(View),
    /// Offer files to a room, pinned by their digests.
    #[command(subcommand)]
    Volume(Volume),
    /// Offer a private library to a room.
    #[command(subcommand)]
    Library(Library),
    /// Offer a notebook to a room, and show what its runs displayed.
    #[command(subcommand)]
    Notebook(Notebook),
    /// Approve, reject or revoke a notebook's revision by its digest.
    Review(Review),
    /// Run an approved notebook.
    Run(Run),
    /// Cancel a run of yours that waits or runs.
    Cancel(Cancel),
    /// List the runs of a room.
    Runs(ReadRoom),
    /// List, show and export the output tables of a run.
    #[command(subcommand)]
    Output(Output),
    /// Approve in advance: whatever an author offers that only certain collaborators run.
    #[command(subcommand)]
    Rule(Rule),
    /// Share outputs, or a table of yours, by Delta Sharing.
    #[command(subcommand)]
    Share(Share),
    /// One notebook, a room with each customer: publish everywhere, and see how far each room is.
    #[command(subcommand)]
    Fleet(Fleet),
    /// Show the log of a room: every statement, refusals included.
    Log(ReadRoom),
    /// Ask what happened in rooms, by SQL: who ran what on whose data, what it cost, what was refused.
    Audit(Audit),
    /// Write a room's statements and its signed checkpoint to one file for auditors.
    Bundle(Bundle),
    /// Verify a bundle offline.
    Verify(glovebox_verify::Arguments),
    /// Serve the rooms of this home over the network.
    Serve(Serve),
    /// Run notebooks by standing orders, and tell what happens in rooms.
    #[command(subcommand)]
    Agent(Agent),
    /// Hold one party's key and speak the REST interface of Databricks Clean Rooms to that party's
    /// people and tools.
    Gateway(Gateway),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn said(line: &str) -> Result<Command, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace()).map(|arguments| arguments.command)
    }

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_gateway_is_served_with_and_without_the_word() {
        for words in ["", "serve "] {
            let line = format!(
                "glovebox gateway {words}--key a.key --host https://h --listen 127.0.0.1:0"
            );
            let Ok(Command::Gateway(gateway)) = said(&line) else { panic!("{line}") };
            let serve = match gateway.command {
                None => gateway.serve,
                Some(GatewayCommand::Serve(serve)) => serve,
                other => panic!("{other:?}"),
            };
            assert_eq!(serve.key, Some("a.key".into()), "{line}");
            assert_eq!(serve.listen.port(), 0, "{line}");
        }
        let line = "glovebox gateway grant alice BROWSE --state s --room blake3:00";
        assert!(said(line).is_err(), "a room is named by its whole id");
        let line = "glovebox gateway principal add alice@a.example --in staff --state s";
        let Ok(Command::Gateway(gateway)) = said(line) else { panic!("{line}") };
        assert_eq!(gateway.state, Some("s".into()));
        assert!(said("glovebox gateway --key a --oidc-issuer https://i").is_err());
    }

    #[test]
    fn what_must_be_said_together_is() {
        let wrong = |line: &str| assert!(said(line).is_err(), "{line}");
        wrong("glovebox serve --tls-cert a.pem");
        wrong("glovebox share grant r acme s --as k");
        wrong("glovebox share grant r acme s --output n --table a.b --as k");
        wrong("glovebox share grant r acme s --events --table a.b --as k");
        assert!(said("glovebox share grant r acme s --events --as k").is_ok());
        wrong("glovebox audit");
        wrong("glovebox audit r --all");
        wrong("glovebox audit r --sql q --sql-file f");
        wrong("glovebox audit r --columns");
        assert!(said("glovebox audit --bundle a --bundle b").is_ok());
        assert!(said("glovebox audit --columns").is_ok());
        assert!(said("glovebox audit one other --sql q -o f").is_ok());
        wrong("glovebox share recipient r acme --as k");
        wrong("glovebox share recipient r acme --expires 1d --grace 1d --as k");
        wrong("glovebox rule add r trusted --as k");
        assert!(said("glovebox share grant r acme s --output n --until 7d --as k").is_ok());
        assert!(said("glovebox serve --tls-cert a.pem --tls-key b.pem").is_ok());
    }
}
