//! Rooms: who is in them, and who decides.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{AssetName, Identifier};

use super::run::parse_parameter;

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
    Show(ReadRoom),
    /// List the rooms of this home, or with `--host` those that you are a collaborator of.
    List {
        /// Key file of the party that asks; with `--host` only.
        #[arg(long = "as", value_name = "KEY", env = "GLOVEBOX_KEY")]
        key: Option<PathBuf>,
    },
    /// Print the template of a room file; with `--host`, one that names the host's key.
    Template,
    /// Show what a notebook asks of its runner, and at a terminal ask for it and run.
    Form(Form),
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

/// Which room, and who looks at it.
#[derive(Debug, Args)]
pub(crate) struct ReadRoom {
    #[command(flatten)]
    pub(crate) room: RoomOnly,
    /// Key file of the party that looks; needed with `--host` only, to be let in.
    #[arg(long = "as", value_name = "KEY", env = "GLOVEBOX_KEY")]
    pub(crate) key: Option<PathBuf>,
}

/// Who signs.
#[derive(Debug, Args)]
pub(crate) struct Signer {
    /// Key file of the party that acts.
    #[arg(long = "as", value_name = "KEY", env = "GLOVEBOX_KEY")]
    pub(crate) key: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Form {
    #[command(flatten)]
    pub(crate) room: ReadRoom,
    /// Name of the notebook.
    pub(crate) notebook: AssetName,
    /// A value, as NAME=VALUE, which is not asked for; repeat for more.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    pub(crate) parameters: Vec<(Identifier, String)>,
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
    /// Show first what changed since the revision that you approved last, and at a terminal ask. An
    /// approval shows it in any case.
    #[arg(long)]
    pub(crate) diff: bool,
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
pub(crate) struct Bundle {
    #[command(flatten)]
    pub(crate) room: ReadRoom,
    /// File to write.
    #[arg(long, short)]
    pub(crate) output: PathBuf,
}
