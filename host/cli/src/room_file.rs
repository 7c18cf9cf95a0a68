//! The room file: what a creator writes to set up a room.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use glovebox_contract::key::PublicKey;
use glovebox_contract::limits::Limits;
use glovebox_contract::name::{Alias, AssetName};
use glovebox_contract::statement::{
    Collaborator, LogReaders, OutputReaders, OutputSettings, RoomDocument,
};
use serde::Deserialize;

const STANDARD_LIMITS: &str = include_str!("../../../policies/limits/standard.toml");

/// What `glovebox room template` prints.
pub(crate) const TEMPLATE: &str = r#"# A room file. Every collaborator accepts exactly what stands here.
name = "flights-and-weather"
region = "local"              # where the host keeps and processes the data

[[collaborators]]             # you, the creator, are one of them
alias = "airline"             # tables are named after it: airline.flights
organisation = "Gotham Air"
public_key = "ed25519:…"      # printed by `glovebox key show airline.key`

[[collaborators]]
alias = "weather"
organisation = "Weather Agency"
public_key = "ed25519:…"

[outputs]
readers = "runner"            # or "all": every collaborator reads every output
time_to_live_days = 30

[logs]
readers = "author"            # or "all": every collaborator reads log lines and error texts

[limits]                      # optional, each overrides policies/limits/standard.toml
wall_seconds = 600
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoomFile {
    name: AssetName,
    region: String,
    collaborators: Vec<Collaborator>,
    #[serde(default)]
    outputs: Outputs,
    #[serde(default)]
    logs: Logs,
    #[serde(default)]
    limits: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Outputs {
    readers: OutputReaders,
    time_to_live_days: u64,
}

impl Default for Outputs {
    fn default() -> Self {
        Self { readers: OutputReaders::Runner, time_to_live_days: 30 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Logs {
    readers: LogReaders,
}

impl Default for Logs {
    fn default() -> Self {
        Self { readers: LogReaders::Author }
    }
}

/// Reads a room file into the document that the creator signs.
pub(crate) fn parse(
    text: &str,
    creator: &PublicKey,
    host_key: PublicKey,
    created: u64,
    nonce: String,
) -> Result<RoomDocument> {
    let file: RoomFile = toml::from_str(text)?;
    let creator = creator_alias(&file.collaborators, creator)?;
    Ok(RoomDocument {
        collaborators: file.collaborators,
        created,
        creator,
        host_key,
        limits: limits(file.limits)?,
        log_readers: file.logs.readers,
        name: file.name,
        nonce,
        outputs: OutputSettings {
            readers: file.outputs.readers,
            time_to_live_days: file.outputs.time_to_live_days,
        },
        package_provider: None,
        region: file.region,
    })
}

fn creator_alias(collaborators: &[Collaborator], creator: &PublicKey) -> Result<Alias> {
    match collaborators.iter().find(|collaborator| &collaborator.public_key == creator) {
        Some(collaborator) => Ok(collaborator.alias.clone()),
        None => bail!(
            "none of the collaborators has your public key {creator}; add yourself to the room file"
        ),
    }
}

fn limits(overrides: BTreeMap<String, toml::Value>) -> Result<Limits> {
    let mut table: toml::Table =
        toml::from_str(STANDARD_LIMITS).context("the standard limits are not valid")?;
    table.extend(overrides);
    table.try_into().context("[limits]")
}
