//! `glovebox table`: what can be said.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use glovebox_contract::name::TableName;
use glovebox_contract::statement::TableOutput;
use glovebox_job::job::FileFormat;
use glovebox_room::remote::PartitionFilter;

use super::bindings::parse_alias;
use super::{JoinKeyOption, RoomOnly, Signer};

#[derive(Debug, Subcommand)]
pub(crate) enum Table {
    /// Offer a table. Its rows stay where they are and are read at each run.
    Add(Box<AddTable>),
    /// Give a table that is elsewhere other credentials. The table stays what it is, and so does
    /// every approval.
    Credentials {
        #[command(flatten)]
        room: RoomOnly,
        /// The table, one of yours.
        table: TableName,
        /// A file of settings, see `glovebox table add --help`; nobody else may read it.
        #[arg(long, value_name = "FILE")]
        credentials: PathBuf,
        #[command(flatten)]
        signer: Signer,
    },
    /// Show where the host of this home reads the tables of a room. For owners and operators.
    Show {
        #[command(flatten)]
        room: RoomOnly,
        /// This table only.
        table: Option<TableName>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddTable {
    #[command(flatten)]
    pub(crate) room: RoomOnly,
    /// Name in the room: your alias, a dot, the table.
    pub(crate) table: TableName,
    #[command(flatten)]
    pub(crate) from: TableFrom,
    /// Publish a column of the files under another name, as NAME=COLUMN; repeat for more.
    /// Nobody else learns what it is called in the files.
    #[arg(long = "alias", value_name = "NAME=COLUMN", value_parser = parse_alias)]
    pub(crate) aliases: Vec<(String, String)>,
    /// Offer these columns only, by their published names.
    #[arg(long, value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,
    /// How a column of join keys was hashed, as COLUMN=PROFILE:KIND or, with a key,
    /// COLUMN=PROFILE:KIND:KEYFILE; repeat for more.
    #[arg(long = "join-key", value_name = "COLUMN=PROFILE:KIND[:KEYFILE]")]
    pub(crate) join_keys: Vec<JoinKeyOption>,
    /// What the table holds.
    #[arg(long, default_value = "")]
    pub(crate) description: String,
    #[command(flatten)]
    pub(crate) signer: Signer,
}

/// Where a table is.
#[derive(Debug, Args)]
pub(crate) struct TableFrom {
    /// A Parquet, CSV, NDJSON or Arrow IPC file, or a directory of them; the directory of a Delta
    /// table; or a place elsewhere: `s3://BUCKET/PATH`, `gs://…`, `az://…`,
    /// `PROFILE.share#SHARE.SCHEMA.TABLE` (Delta Sharing), or
    /// `postgresql://HOST:PORT/DATABASE#SCHEMA.TABLE`.
    #[arg(long, value_name = "PATH|URL", required_unless_present = "from_output")]
    pub(crate) from: Option<PathBuf>,
    /// The newest output of a notebook of this room that you may read, as NOTEBOOK.OUTPUT: what one
    /// run lets out, the next may read.
    #[arg(
        long,
        value_name = "NOTEBOOK.OUTPUT",
        value_parser = parse_output,
        conflicts_with_all = ["from", "credentials", "format", "partitions", "aliases"]
    )]
    pub(crate) from_output: Option<TableOutput>,
    /// What opens a place elsewhere: a file of settings in TOML or JSON, such as
    /// `aws_access_key_id`, or `user` and `password`; or the profile of a share. Nobody else may be
    /// able to read it. The host seals it, and no run and no other party sees it.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,
    /// Format of plain files [default: as their names say].
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Offer these partitions only, as COLUMN=VALUE or COLUMN=VALUE,VALUE; repeat for more columns.
    #[arg(long = "partition", value_name = "COLUMN=VALUE[,VALUE]")]
    pub(crate) partitions: Vec<PartitionFilter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Parquet,
    Csv,
    Ndjson,
    /// The Arrow IPC file format.
    Arrow,
}

impl From<Format> for FileFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Parquet => Self::Parquet,
            Format::Csv => Self::Csv,
            Format::Ndjson => Self::Ndjson,
            Format::Arrow => Self::ArrowIpc,
        }
    }
}

/// Names of notebooks may have dots, those of outputs have none.
fn parse_output(text: &str) -> Result<TableOutput, String> {
    let (notebook, output) = text.rsplit_once('.').ok_or("expected NOTEBOOK.OUTPUT")?;
    let notebook = notebook.parse().map_err(|error| format!("{error}"))?;
    let output = output.parse().map_err(|error| format!("{error}"))?;
    Ok(TableOutput { notebook, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_the_part_behind_the_last_dot() {
        let check = |text: &str, expect: Option<(&str, &str)>| {
            let output = parse_output(text).ok();
            let parts =
                output.map(|output| (output.notebook.to_string(), output.output.to_string()));
            assert_eq!(parts, expect.map(|(a, b)| (a.to_owned(), b.to_owned())), "{text}");
        };
        check("delay-by-wind.delays", Some(("delay-by-wind", "delays")));
        check("v1.2.delays", Some(("v1.2", "delays")));
        check("delays", None);
        check("delay-by-wind.", None);
        check(".delays", None);
    }
}
