//! `glovebox keys`: what can be said about join keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use glovebox_join_keys::{KeyKind, Profile};

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Replace e-mail addresses, phone numbers or device ids in a file of yours by their hashes.
    Hash(HashKeys),
    /// Make a secret with which the parties of a room hash, so that nobody else can test guesses.
    ///
    /// Share the file with the other parties, never with the host.
    New {
        /// File to write, readable by you only; must not exist.
        file: PathBuf,
    },
    /// Print the fingerprint of a room key, for the parties to compare.
    Fingerprint {
        /// A room key file.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct HashKeys {
    /// Whose rules: uid2, google or meta, the newest version or a given one (`uid2/1`).
    #[arg(long)]
    pub(crate) profile: Profile,
    /// What the values are: email, phone or device-id.
    #[arg(long)]
    pub(crate) kind: KeyKind,
    /// Room key file: hash with the secret that the parties share.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The column of the values [default: email, phone or device_id, as the kind].
    #[arg(long)]
    pub(crate) column: Option<String>,
    /// Append the hashes as a new column of this name and keep the values.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) into: Option<String>,
    /// A CSV (with header), NDJSON or Parquet file, or a text file (`.txt`) or `-` with one value
    /// a line.
    #[arg(default_value = "-")]
    pub(crate) input: PathBuf,
    /// File to write, in the format of its ending [default: standard output, as the input].
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
}
