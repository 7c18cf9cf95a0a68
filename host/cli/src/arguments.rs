//! The command line: what can be said, not what it does.

mod bindings;
mod keys;

use std::path::PathBuf;

use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{Alias, AssetName, Identifier, TableName};

pub(crate) use crate::commands::rebuild::Expected;
pub(crate) use bindings::BindingOption;
use bindings::{parse_alias, parse_view_table};
pub(crate) use keys::{HashKeys, JoinKeyOption, Keys};

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
    /// Offer a table to a room.
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

#[derive(Debug, Args)]
pub(crate) struct Play {
    /// A folder with a `story.toml`, such as those in `examples/`.
    pub(crate) folder: PathBuf,
    /// Working directory of the story; made anew each time [default: a passing one].
    #[arg(long)]
    pub(crate) directory: Option<PathBuf>,
    /// Keep the passing working directory.
    #[arg(long, conflicts_with = "directory")]
    pub(crate) keep: bool,
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
    /// A notebook (`.sql`, `.py`, `.ipynb`, `.js`), the directory of a cargo package, or one of C
    /// with `glovebox.toml`. With --verify also a component that carries its source.
    pub(crate) source: PathBuf,
    /// Write nothing: build again in a temporary place and compare with what is expected. Ends with
    /// status 1 when they differ, and says in what.
    #[arg(long)]
    pub(crate) verify: bool,
    /// What the component should be: `blake3:…`, `sha256:…`, or a component file, which can show
    /// what differs [default: the component that the source was taken from].
    #[arg(long, requires = "verify", value_name = "DIGEST | FILE")]
    pub(crate) expect: Option<Expected>,
    /// Compile the source that a component carries although its build scripts run on this machine.
    #[arg(long, requires = "verify")]
    pub(crate) trust_source: bool,
    /// File to write [default: the notebook's name with `.wasm`].
    #[arg(long, short, conflicts_with = "verify")]
    pub(crate) output: Option<PathBuf>,
    /// Leave the source out: reviewers see the manifest and the imports only.
    #[arg(long)]
    pub(crate) hidden: bool,
    /// Run `rustup target add wasm32-unknown-unknown` when the target is missing.
    #[arg(long)]
    pub(crate) install_target: bool,
    /// Install what a notebook's language needs into the user's cache directory when it is missing:
    /// for JavaScript with npm, for Python with pip.
    #[arg(long)]
    pub(crate) install_tools: bool,
    /// Where cargo keeps what it compiles [default: the package's own `target`].
    #[arg(
        long,
        value_name = "DIRECTORY",
        env = "GLOVEBOX_BUILD_DIRECTORY",
        hide_env_values = true
    )]
    pub(crate) target_directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A component.
    pub(crate) file: PathBuf,
    /// Print the embedded source as well.
    #[arg(long)]
    pub(crate) source: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "glovebox diff [OPTIONS] OLD.wasm NEW.wasm\n       \
                            glovebox diff [OPTIONS] ROOM NOTEBOOK [OLD_REVISION [NEW_REVISION]]")]
pub(crate) struct Diff {
    /// A component, or the name of a room.
    #[arg(value_name = "OLD.wasm | ROOM")]
    pub(crate) old: String,
    /// The component to compare it with, or the name of a notebook.
    #[arg(value_name = "NEW.wasm | NOTEBOOK")]
    pub(crate) new: String,
    /// The earlier revision [default: the one approved last, by you if you say who you are].
    pub(crate) old_revision: Option<Blake3Digest>,
    /// The later revision [default: the newest].
    pub(crate) new_revision: Option<Blake3Digest>,
    /// Key file of the party whose last approval is the earlier revision.
    #[arg(long = "as", value_name = "KEY")]
    pub(crate) key: Option<PathBuf>,
    /// End with status 1 when they differ.
    #[arg(long)]
    pub(crate) exit_code: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DryRun {
    /// A notebook's component.
    pub(crate) component: PathBuf,
    /// A library that it needs, or one that a library needs, which comes first; repeat for more.
    #[arg(long = "library", value_name = "COMPONENT")]
    pub(crate) libraries: Vec<PathBuf>,
    /// The files of a volume that it reads, as OWNER.NAME=PATH: files cannot be made up.
    #[arg(long = "volume", value_name = "OWNER.NAME=PATH", value_parser = parse_volume)]
    pub(crate) volumes: Vec<(TableName, PathBuf)>,
    /// Made-up rows of each input table. A run over a quarter of them comes first.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000).map(|rows| rows as usize))]
    pub(crate) rows: usize,
    /// A parameter, as NAME=VALUE; repeat for more.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    pub(crate) parameters: Vec<(Identifier, String)>,
    /// The same seed makes up the same rows.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Estimate time and memory for so many rows of each table.
    #[arg(long, default_value_t = 1_000_000, value_name = "ROWS")]
    pub(crate) estimate_rows: u64,
    /// Print at most so many rows of each output.
    #[arg(long, default_value_t = 10, value_name = "ROWS")]
    pub(crate) show: usize,
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
        /// Publish a column of the files under another name, as NAME=COLUMN; repeat for more.
        /// Nobody else learns what it is called in the files.
        #[arg(long = "alias", value_name = "NAME=COLUMN", value_parser = parse_alias)]
        aliases: Vec<(String, String)>,
        /// Offer these columns only, by their published names.
        #[arg(long, value_delimiter = ',')]
        columns: Option<Vec<String>>,
        /// How a column of join keys was hashed, as COLUMN=PROFILE:KIND or, with a key,
        /// COLUMN=PROFILE:KIND:KEYFILE; repeat for more.
        #[arg(long = "join-key", value_name = "COLUMN=PROFILE:KIND[:KEYFILE]")]
        join_keys: Vec<JoinKeyOption>,
        /// What the table holds.
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        signer: Signer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum View {
    /// Offer what an SQL query makes of your files. The others see its columns; the query and the
    /// tables it reads stay with this host, and the query's digest is in the log.
    Add {
        #[command(flatten)]
        room: RoomOnly,
        /// Name in the room: your alias, a dot, the view.
        view: TableName,
        /// A file with one SELECT. What it calls its columns is what they are called in the room.
        #[arg(long)]
        sql: PathBuf,
        /// A table that the query reads, as NAME=PATH: a Parquet, CSV, NDJSON or Arrow IPC file, or
        /// a directory of them; repeat for more.
        #[arg(long = "from", value_name = "NAME=PATH", value_parser = parse_view_table, required = true)]
        tables: Vec<(Identifier, PathBuf)>,
        /// Offer these columns only.
        #[arg(long, value_delimiter = ',')]
        columns: Option<Vec<String>>,
        /// How a column of join keys was hashed, as COLUMN=PROFILE:KIND or, with a key,
        /// COLUMN=PROFILE:KIND:KEYFILE; repeat for more.
        #[arg(long = "join-key", value_name = "COLUMN=PROFILE:KIND[:KEYFILE]")]
        join_keys: Vec<JoinKeyOption>,
        /// What the view holds.
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        signer: Signer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Volume {
    /// Offer files that notebooks read as they are: model weights, documents, images. They stay
    /// where they are, pinned by their digests: a changed file stops every run that reads it until
    /// you add the volume again, and all have approved the new revision.
    Add {
        #[command(flatten)]
        room: RoomOnly,
        /// Name in the room: your alias, a dot, the volume.
        volume: TableName,
        /// A file, or a directory of files; names with a dot in front are left out.
        #[arg(long)]
        from: PathBuf,
        /// What the volume holds.
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        signer: Signer,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Library {
    /// Offer a library, or replace your own: whatever notebook uses it is then a new revision.
    Add {
        #[command(flatten)]
        room: RoomOnly,
        /// The component.
        component: PathBuf,
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
        /// Read a table of the room in place of an input, as INPUT=TABLE, or a column of it in
        /// place of an input's column, as INPUT.COLUMN=COLUMN; repeat for more.
        #[arg(long = "bind", value_name = "INPUT=TABLE | INPUT.COLUMN=COLUMN")]
        bindings: Vec<BindingOption>,
        /// When earlier approved revisions stop, as a Unix time in seconds or `YYYY-MM-DD`.
        #[arg(long)]
        cutover: Option<String>,
        #[command(flatten)]
        signer: Signer,
    },
    /// Show what the cells of a run displayed: texts, tables, images. For those who may read its
    /// log: the author, or everyone if the room says so.
    Result {
        #[command(flatten)]
        of: OutputOf,
        /// Write each display to a file in this directory.
        #[arg(long, short, value_name = "DIRECTORY")]
        output: Option<PathBuf>,
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

fn parse_volume(text: &str) -> Result<(TableName, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected OWNER.NAME=PATH")?;
    Ok((name.parse().map_err(|error| format!("{error}"))?, path.into()))
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
