//! Verifies a room's bundle and prints what was found.
//!
//! The program `glovebox-verify` and the command `glovebox verify` are both [`execute`]. It needs
//! nothing but the contract: no engine, no network, no home directory.
#![forbid(unsafe_code)]

mod files;
mod print;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
pub use glovebox_contract::bundle::Verdict;
use glovebox_contract::bundle::{Expectations, verify};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::key::PublicKey;
use glovebox_contract::name::{Alias, RoomId};

use crate::files::{check_component, check_output, read_bundle, read_note};
use crate::print::Findings;

/// What to verify, and against what.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Arguments {
    /// The bundle, as `glovebox bundle` writes it
    pub bundle: PathBuf,

    /// The room it must be
    #[arg(long, value_name = "ROOM")]
    pub room: Option<RoomId>,

    /// The key the host must have, `ed25519:…`
    #[arg(long, value_name = "KEY")]
    pub host_key: Option<PublicKey>,

    /// The key a party must have, `alias=ed25519:…`; may be given again
    #[arg(long = "party", value_name = "ALIAS=KEY", value_parser = parse_party)]
    pub parties: Vec<(Alias, PublicKey)>,

    /// A checkpoint of this room from before: the log must continue it
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,

    /// A file that must be the output of a run; may be given again
    #[arg(long = "output", value_name = "FILE")]
    pub outputs: Vec<PathBuf>,

    /// A component that all parties must have approved; may be given again
    #[arg(long = "component", value_name = "FILE")]
    pub components: Vec<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Verifies and prints. The last line of text, and `verdict` in JSON, is `verified` or
/// `not verified`.
///
/// # Errors
/// When a file cannot be read, a party is given twice, or `out` cannot be written.
pub fn execute(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    execute_with(arguments, None, out)
}

/// Computes the content digest of the table in a file; this crate reads no Parquet.
pub type ContentOf = fn(&Path) -> anyhow::Result<Blake3Digest>;

/// As [`execute`]; with `content_of`, an output file must also hold the table that the receipt
/// says.
///
/// # Errors
/// As [`execute`], and when `content_of` fails.
pub fn execute_with(
    arguments: &Arguments,
    content_of: Option<ContentOf>,
    out: &mut dyn Write,
) -> anyhow::Result<Verdict> {
    let expectations = expectations(arguments)?;
    let bytes = read_bundle(&arguments.bundle)?;
    let findings = match verify(&bytes, &expectations) {
        Err(error) => Findings::not_a_bundle(error.to_string()),
        Ok(report) => {
            let outputs =
                arguments.outputs.iter().map(|path| check_output(&report, path, content_of));
            let outputs = outputs.collect::<anyhow::Result<_>>()?;
            let components = arguments.components.iter().map(|path| check_component(&report, path));
            let components = components.collect::<anyhow::Result<_>>()?;
            Findings::new(report, outputs, components)
        }
    };
    if arguments.json { findings.print_json(out) } else { findings.print_text(out) }
        .context("cannot print the report")?;
    Ok(findings.verdict())
}

fn expectations(arguments: &Arguments) -> anyhow::Result<Expectations> {
    let mut parties = BTreeMap::new();
    for (alias, key) in &arguments.parties {
        anyhow::ensure!(
            parties.insert(alias.clone(), *key).is_none(),
            "--party {alias} is given twice"
        );
    }
    Ok(Expectations {
        room: arguments.room,
        host_key: arguments.host_key,
        parties,
        earlier_checkpoint: arguments.checkpoint.as_deref().map(read_note).transpose()?,
    })
}

fn parse_party(text: &str) -> Result<(Alias, PublicKey), String> {
    let (alias, key) = text.split_once('=').ok_or("expected ALIAS=KEY")?;
    let alias = alias.parse().map_err(|error| format!("{error}"))?;
    let key = key.parse().map_err(|error| format!("{error}"))?;
    Ok((alias, key))
}
