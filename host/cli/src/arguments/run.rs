//! Runs, and what they let out.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{AssetName, Identifier};

use super::{RoomOnly, Signer};

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

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) room: RoomOnly,
    /// Id of the run, its beginning, or `latest`.
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) signer: Signer,
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

pub(super) fn parse_parameter(text: &str) -> Result<(Identifier, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let name = name.parse().map_err(|error| format!("{error}"))?;
    Ok((name, value.to_owned()))
}
