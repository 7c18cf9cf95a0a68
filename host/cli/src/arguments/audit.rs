//! What can be asked about what happened.

use std::path::PathBuf;

use clap::Args;

/// Ask what happened in rooms, by SQL: who ran what on whose data, what it cost, what was refused.
///
/// The tables are `events` (one row an event), `runs` (one row a run, with what it used and what it
/// costs), `statements` (the log itself) and `clock` (one row, with `now`). `--columns` lists their
/// columns. They are made of the rooms' logs, each of which is checked first.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Rooms, by name or by the beginning of their ids.
    #[arg(value_name = "ROOM", required_unless_present_any = ["all", "bundles", "columns"])]
    pub(crate) rooms: Vec<String>,
    /// All rooms of this home; with `--host`, all that you are a collaborator of.
    #[arg(long, conflicts_with = "rooms")]
    pub(crate) all: bool,
    /// The room in this bundle, which is verified first; repeat for more.
    #[arg(long = "bundle", value_name = "FILE")]
    pub(crate) bundles: Vec<PathBuf>,
    /// One SELECT over the tables [default: all events].
    #[arg(long, value_name = "QUERY", conflicts_with = "columns")]
    pub(crate) sql: Option<String>,
    /// A file with the SELECT.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sql", "columns"])]
    pub(crate) sql_file: Option<PathBuf>,
    /// List the tables and their columns.
    #[arg(long, conflicts_with_all = ["rooms", "all", "bundles"])]
    pub(crate) columns: bool,
    /// Write the answer to this file: Parquet, or what the ending .csv, .ndjson or .arrow says.
    #[arg(long, short, value_name = "FILE", conflicts_with = "columns")]
    pub(crate) output: Option<PathBuf>,
    /// Key file of the party that looks; needed with `--host` only, to be let in.
    #[arg(long = "as", value_name = "KEY", env = "GLOVEBOX_KEY")]
    pub(crate) key: Option<PathBuf>,
}
