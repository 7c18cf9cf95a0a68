//! Fleets: one notebook, a room with each customer.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use glovebox_contract::name::{Alias, AssetName};

use super::{BindingOption, Moment, Signer, Span};

#[derive(Debug, Subcommand)]
pub(crate) enum Fleet {
    /// Write an empty registry of customers, with what can stand in it; `--host` becomes the host of
    /// those who name none.
    Init {
        #[command(flatten)]
        registry: RegistryFile,
    },
    /// Add a customer to the registry.
    Add(AddCustomer),
    /// List the customers of the registry.
    List {
        #[command(flatten)]
        registry: RegistryFile,
    },
    /// Create a room for each customer that has none, and write its id to the registry.
    Create {
        /// Room file for all, in which `${customer}` is the customer's name and `${word}` what its
        /// `values` have.
        template: PathBuf,
        #[command(flatten)]
        rooms: Rooms,
    },
    /// Publish a notebook, or a new version of one, in the rooms of all customers. Rooms that have it
    /// are left alone: after an interruption, say the same again.
    Publish(Publish),
    /// Show how far each room is: versions, approvals that are missing, runs, silence.
    Status {
        #[command(flatten)]
        rooms: Rooms,
        /// Count failures of so many days, and call a room silent after them.
        #[arg(long, default_value_t = 14, value_name = "DAYS")]
        days: u64,
    },
}

/// The registry.
#[derive(Debug, Args)]
pub(crate) struct RegistryFile {
    /// The registry of customers.
    #[arg(long, value_name = "FILE", default_value = "fleet.toml")]
    pub(crate) registry: PathBuf,
}

/// Which rooms, and who works on them.
#[derive(Debug, Args)]
pub(crate) struct Rooms {
    #[command(flatten)]
    pub(crate) registry: RegistryFile,
    /// These customers only.
    #[arg(long, value_delimiter = ',', value_name = "CUSTOMER")]
    pub(crate) only: Vec<AssetName>,
    /// How many rooms are worked on at a time.
    #[arg(long, default_value_t = glovebox_fleet::AT_ONCE, value_name = "N")]
    pub(crate) parallel: usize,
    /// How long a host may give no answer before its rooms are left for the next time.
    #[arg(long, default_value = "30s", value_name = "TIME")]
    pub(crate) patience: Span,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

#[derive(Debug, Args)]
pub(crate) struct AddCustomer {
    /// What the fleet calls the customer.
    pub(crate) name: AssetName,
    #[command(flatten)]
    pub(crate) registry: RegistryFile,
    /// Its room: the id, or with `--as` the name or the beginning of the id.
    #[arg(long)]
    pub(crate) room: Option<String>,
    /// Where its room is, if not where the others are.
    #[arg(long, value_name = "URL")]
    pub(crate) at: Option<String>,
    /// Alias of a party that may run what is published, if not as for the others; repeat for more.
    #[arg(long = "runner")]
    pub(crate) runners: Vec<Alias>,
    /// A table or a column of its room for an input, as INPUT=TABLE or INPUT.COLUMN=COLUMN; repeat
    /// for more.
    #[arg(long = "bind", value_name = "INPUT=TABLE | INPUT.COLUMN=COLUMN")]
    pub(crate) bindings: Vec<BindingOption>,
    /// What `${WORD}` is for it, as WORD=TEXT; repeat for more.
    #[arg(long = "value", value_name = "WORD=TEXT", value_parser = parse_value)]
    pub(crate) values: Vec<(String, String)>,
    /// Key file of the fleet's owner, to find a room by its name.
    #[arg(long = "as", value_name = "KEY", env = "GLOVEBOX_KEY")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// A component, or what one is built from: see `glovebox build`.
    pub(crate) notebook: PathBuf,
    #[command(flatten)]
    pub(crate) rooms: Rooms,
    /// Publish only if the notebook says that it has this version.
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// When earlier approved revisions stop: a Unix time in seconds, `YYYY-MM-DD`, or how long from
    /// the beginning of the roll-out, as `30d`.
    #[arg(long, value_name = "TIME")]
    pub(crate) cutover: Option<SaidMoment>,
    /// Alias of a party that may run it, in all rooms, in place of the registry's; repeat for more.
    #[arg(long = "runner")]
    pub(crate) runners: Vec<Alias>,
    /// A table or a column for an input in all rooms, as INPUT=TABLE or INPUT.COLUMN=COLUMN, where
    /// the registry says nothing else; repeat for more.
    #[arg(long = "bind", value_name = "INPUT=TABLE | INPUT.COLUMN=COLUMN")]
    pub(crate) bindings: Vec<BindingOption>,
    /// Leave the source out of what is built.
    #[arg(long)]
    pub(crate) hidden: bool,
    /// Publish it also where a newer version is.
    #[arg(long)]
    pub(crate) downgrade: bool,
    /// Change nothing; say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A point in time, and the words for it.
#[derive(Debug, Clone)]
pub(crate) struct SaidMoment {
    pub(crate) moment: Moment,
    pub(crate) said: String,
}

impl FromStr for SaidMoment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self { moment: text.parse()?, said: text.to_owned() })
    }
}

fn parse_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((word, value)) if !word.is_empty() => Ok((word.to_owned(), value.to_owned())),
        _ => Err("expected WORD=TEXT".into()),
    }
}
