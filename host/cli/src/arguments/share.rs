//! What can be said about sharing.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use glovebox_contract::name::{AssetName, TableName};

use super::{Moment, ReadRoom, RoomOnly, Signer, Span};

#[derive(Debug, Subcommand)]
pub(crate) enum Share {
    /// Make a recipient, or give it another token: writes a profile file that any Delta Sharing
    /// client opens. The token is made here; the room learns its SHA-256 digest only.
    Recipient(NewRecipient),
    /// Let a recipient read outputs that you may read, a table of yours, or what happened.
    Grant {
        #[command(flatten)]
        room: RoomOnly,
        /// Name of the recipient.
        recipient: AssetName,
        /// Name of the share, in which the recipient finds it.
        share: AssetName,
        #[command(flatten)]
        what: SharedWhat,
        /// When the grant ends: a Unix time in seconds, `YYYY-MM-DD`, or how long from now, as `30d`
        /// [default: with the recipient].
        #[arg(long, value_name = "TIME")]
        until: Option<Moment>,
        #[command(flatten)]
        signer: Signer,
    },
    /// Take a share away from a recipient, or the recipient out of the room, at once.
    Revoke {
        #[command(flatten)]
        room: RoomOnly,
        /// Name of the recipient.
        recipient: AssetName,
        /// Name of the share [default: all of them, and the recipient].
        share: Option<AssetName>,
        #[command(flatten)]
        signer: Signer,
    },
    /// List recipients and what is shared with them, everyone's.
    List(ReadRoom),
}

#[derive(Debug, Args)]
pub(crate) struct NewRecipient {
    #[command(flatten)]
    pub(crate) room: RoomOnly,
    /// Name of the recipient.
    pub(crate) recipient: AssetName,
    /// When its token ends: how long from now, as `30d`, a Unix time in seconds, or `YYYY-MM-DD`.
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Moment,
    /// Profile file to write, readable by you only [default: the recipient's name with `.share`].
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
    /// How the recipient reaches the host [default: as you do, by `--host`].
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Give a recipient that you have another token.
    #[arg(long)]
    pub(crate) rotate: bool,
    /// How long the old token stays good, at most 7 days [default: it ends at once].
    #[arg(long, value_name = "SPAN", requires = "rotate")]
    pub(crate) grace: Option<Span>,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SharedWhat {
    /// The outputs of a notebook, or one of them, of every run whose outputs you may read.
    #[arg(long, value_name = "NOTEBOOK[.OUTPUT]")]
    pub(crate) output: Option<String>,
    /// A table of yours.
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<TableName>,
    /// What happened in the room, what was run and what it used: the tables `audit.events` and
    /// `audit.runs`.
    #[arg(long)]
    pub(crate) events: bool,
}
