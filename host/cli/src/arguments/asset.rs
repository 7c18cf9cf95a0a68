//! Assets: what parties bring to a room.

use std::path::PathBuf;

use clap::Subcommand;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::{Alias, AssetName, Identifier, TableName};

use super::bindings::parse_view_table;
use super::{BindingOption, JoinKeyOption, Moment, OutputOf, RoomOnly, Signer};

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
        /// When earlier approved revisions stop: a Unix time in seconds, `YYYY-MM-DD`, or how long
        /// from now, as `30d`.
        #[arg(long, value_name = "TIME")]
        cutover: Option<Moment>,
        #[command(flatten)]
        signer: Signer,
    },
    /// Say that a revision of your notebook is going to end, or end it. Everyone sees it, and whoever
    /// runs it is warned. Offering the same version again takes it back.
    Deprecate {
        #[command(flatten)]
        room: RoomOnly,
        /// Name of the notebook.
        notebook: AssetName,
        /// Digest of the revision.
        revision: Blake3Digest,
        /// When it ends: a Unix time in seconds, `YYYY-MM-DD`, or how long from now, as `30d`
        /// [default: never].
        #[arg(long, value_name = "TIME")]
        until: Option<Moment>,
        /// Why, and what to use in its place.
        #[arg(long, default_value = "")]
        note: String,
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
