//! The command line: what can be said, not what it does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{Alias, AssetName, Identifier, TableName};

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
    /// Directory of the host's rooms, components and outputs.
    #[arg(long, global = true, env = "GLOVEBOX_HOME", default_value = ".glovebox")]
    pub(crate) home: PathBuf,
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
    /// Make and show a party's key.
    #[command(subcommand)]
    Key(Key),
    /// Build a component from an SQL file or a cargo package.
    Build(Build),
    /// Show what a component is: digests, imports, manifest, source.
    Inspect(Inspect),
    /// Create, accept and show rooms.
    #[command(subcommand)]
    Room(Room),
    /// Offer a table to a room.
    #[command(subcommand)]
    Table(Table),
    /// Offer a notebook to a room.
    #[command(subcommand)]
    Notebook(Notebook),
    /// Approve, reject or revoke a notebook's revision by its digest.
    Review(Review),
    /// Run an approved notebook.
    Run(Run),
    /// List the runs of a room.
    Runs(RoomOnly),
    /// List, show and export the output tables of a run.
    #[command(subcommand)]
    Output(Output),
    /// Show the log of a room: every statement, refusals included.
    Log(RoomOnly),
    /// Write a room's statements and its signed checkpoint to one file for auditors.
    Bundle(Bundle),
    /// Verify a bundle offline.
    Verify(glovebox_verify::Arguments),
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Working directory of the demo; made anew each time.
    #[arg(long, default_value = "glovebox-demo")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a new Ed25519 key and write it to FILE, readable by you only.
    New {
        /// File to write; must not exist.
        file: PathBuf,
    },
    /// Print the public key of FILE, for the room file.
    Show {
        /// A key file.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// An SQL notebook (`.sql`) or the directory of a cargo package.
    pub(crate) source: PathBuf,
    /// File to write [default: the notebook's name with `.wasm`].
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
    /// Leave the source out: reviewers see the manifest and the imports only.
    #[arg(long)]
    pub(crate) hidden: bool,
    /// Run `rustup target add wasm32-unknown-unknown` when the target is missing.
    #[arg(long)]
    pub(crate) install_target: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A component.
    pub(crate) file: PathBuf,
    /// Print the embedded source as well.
    #[arg(long)]
    pub(crate) source: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Room {
    /// Create a room from a room file; you are its first collaborator.
    Create {
        /// Room file: name, region, collaborators, limits, output settings.
        file: PathBuf,
        #[command(flatten)]
        signer: Signer,
    },
    /// Accept a room that names you as a collaborator.
    Accept {
        #[command(flatten)]
        room: RoomOnly,
        #[command(flatten)]
        signer: Signer,
    },
    /// Show a room: collaborators, tables, notebooks, reviews.
    Show(RoomOnly),
    /// List the rooms of this home.
    List,
    /// Print the template of a room file.
    Template,
    /// Stop all runs of a room, or of one notebook. Any collaborator may, at once.
    Pause {
        #[command(flatten)]
        room: RoomOnly,
        #[command(flatten)]
        signer: Signer,
        /// Pause this notebook only.
        #[arg(long)]
        notebook: Option<AssetName>,
        /// Why.
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Agree to resume. Takes effect when every collaborator has agreed.
    Resume {
        #[command(flatten)]
        room: RoomOnly,
        #[command(flatten)]
        signer: Signer,
        /// Resume this notebook only.
        #[arg(long)]
        notebook: Option<AssetName>,
    },
}

/// Which room.
#[derive(Debug, Args)]
pub(crate) struct RoomOnly {
    /// Name of the room, or the beginning of its id.
    pub(crate) room: String,
}

/// Who signs.
#[derive(Debug, Args)]
pub(crate) struct Signer {
    /// Key file of the party that acts.
    #[arg(long = "as", value_name = "KEY")]
    pub(crate) key: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Table {
    /// Offer a table. Its rows stay where they are and are read at each run.
    Add {
        #[command(flatten)]
        room: RoomOnly,
        /// Name in the room: your alias, a dot, the table.
        table: TableName,
        /// A Parquet, CSV, NDJSON or Arrow IPC file, or a directory of them.
        #[arg(long)]
        from: PathBuf,
        /// Offer these columns only.
        #[arg(long, value_delimiter = ',')]
        columns: Option<Vec<String>>,
        /// What the table holds.
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        signer: Signer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Notebook {
    /// Offer a notebook, or a new version of one.
    Add {
        #[command(flatten)]
        room: RoomOnly,
        /// The component.
        component: PathBuf,
        /// Alias of a collaborator who may run it; repeat for more.
        #[arg(long = "runner", required = true)]
        runners: Vec<Alias>,
        /// When earlier approved revisions stop, as a Unix time in seconds or `YYYY-MM-DD`.
        #[arg(long)]
        cutover: Option<String>,
        #[command(flatten)]
        signer: Signer,
    },
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Review {
    #[command(flatten)]
    pub(crate) room: RoomOnly,
    /// Name of the notebook.
    pub(crate) notebook: AssetName,
    #[command(flatten)]
    pub(crate) decision: ReviewDecision,
    /// A remark that all collaborators can read.
    #[arg(long, default_value = "")]
    pub(crate) comment: String,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ReviewDecision {
    /// Approve the revision with this digest.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) approve: Option<Blake3Digest>,
    /// Reject the revision with this digest.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) reject: Option<Blake3Digest>,
    /// Take back an approval.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) revoke: Option<Blake3Digest>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) room: RoomOnly,
    /// Name of the notebook.
    pub(crate) notebook: AssetName,
    /// A parameter, as NAME=VALUE; repeat for more.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    pub(crate) parameters: Vec<(Identifier, String)>,
    /// Run this approved revision [default: the newest approved one].
    #[arg(long)]
    pub(crate) revision: Option<Blake3Digest>,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

fn parse_parameter(text: &str) -> Result<(Identifier, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let name = name.parse().map_err(|error| format!("{error}"))?;
    Ok((name, value.to_owned()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Output {
    /// List the output tables of a run.
    List(OutputOf),
    /// Show what the notebook of a run logged and why it failed, if you may know: its author, or
    /// everyone if the room says so.
    Log(OutputOf),
    /// Print the rows of an output table.
    Show {
        #[command(flatten)]
        of: OutputOf,
        /// The table [default: all].
        table: Option<Identifier>,
        /// Print at most this many rows of a table.
        #[arg(long, default_value_t = 50)]
        rows: usize,
    },
    /// Write an output table to a file.
    Export {
        #[command(flatten)]
        of: OutputOf,
        /// The table.
        table: Identifier,
        /// File to write.
        #[arg(long, short)]
        output: PathBuf,
        /// Format [default: by the file's ending, else Parquet].
        #[arg(long, value_enum)]
        format: Option<ExportFormat>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Parquet,
    Csv,
    Ndjson,
    Arrow,
}

/// Which run's outputs, and who asks.
#[derive(Debug, Args)]
pub(crate) struct OutputOf {
    #[command(flatten)]
    pub(crate) room: RoomOnly,
    /// Id of the run, its beginning, or `latest`.
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

#[derive(Debug, Args)]
pub(crate) struct Bundle {
    #[command(flatten)]
    pub(crate) room: RoomOnly,
    /// File to write.
    #[arg(long, short)]
    pub(crate) output: PathBuf,
}
