//! Keys and components: what a party makes at home.

use std::path::PathBuf;

use clap::builder::TypedValueParser as _;
use clap::{Args, Subcommand};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{Identifier, TableName};

use super::run::parse_parameter;
use crate::commands::rebuild::Expected;

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
    /// Key file of the party whose last approval is the earlier revision. With `--host` it is
    /// needed, to be let in.
    #[arg(long = "as", value_name = "KEY", env = "GLOVEBOX_KEY")]
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

fn parse_volume(text: &str) -> Result<(TableName, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected OWNER.NAME=PATH")?;
    Ok((name.parse().map_err(|error| format!("{error}"))?, path.into()))
}
