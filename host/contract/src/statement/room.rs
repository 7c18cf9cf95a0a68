//! The statement that creates a room.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Billing, HOST_ALIAS, StatementError};
use crate::digest::from_hex;
use crate::key::PublicKey;
use crate::limits::Limits;
use crate::name::{Alias, AssetName};
use crate::text::check_line;

/// Aliases that no party may have: the host's own, and names that mean something else in front of a
/// table's name in SQL.
const RESERVED_ALIASES: [&str; 4] = [HOST_ALIAS, "output", "public", "information_schema"];

/// Longest time to live of an output: 100 years.
const MAX_TIME_TO_LIVE_DAYS: u64 = 36_500;

/// Who is in a room and what holds for every run in it. Never changes; a change is a new room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomDocument {
    /// What runs cost and who pays, if somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<Billing>,
    /// The parties, the creator among them. Aliases and keys are distinct.
    pub collaborators: Vec<Collaborator>,
    /// When the creator says it was made, in seconds since 1970-01-01T00:00:00Z.
    pub created: u64,
    /// The party that signs this document. It has no other right than every party has.
    pub creator: Alias,
    /// The key of the host, which signs run-starts, receipts, refusals and checkpoints.
    pub host_key: PublicKey,
    /// What a run may use at most, and how many collaborators there may be.
    pub limits: Limits,
    /// Who may read the log text of a notebook.
    pub log_readers: LogReaders,
    /// Its name.
    pub name: AssetName,
    /// 32 random hex digits, so that no two rooms have the same id.
    pub nonce: String,
    /// What holds for outputs.
    pub outputs: OutputSettings,
    /// In a packaged room, the party that provides the code. It alone adds notebooks and libraries,
    /// all of them hidden; it runs none of them, and outputs and log text are for the runner only,
    /// so it learns that its code ran and never what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package_provider: Option<Alias>,
    /// Where the host stands, in the parties' own words.
    pub region: String,
}

/// A party of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collaborator {
    /// Its short name, which is the schema of its tables too.
    pub alias: Alias,
    /// Its name for people.
    pub organisation: String,
    /// The key it signs with, until it rotates it.
    pub public_key: PublicKey,
}

/// Who may read the log text of a notebook. Public reason codes go to everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogReaders {
    /// The author of the notebook.
    Author,
    /// All collaborators: they agree that log text may carry data of all of them.
    All,
    /// The party that asked for the run, which reads its outputs too.
    Runner,
}

/// Who may read outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputReaders {
    /// The party that asked for the run.
    Runner,
    /// All collaborators.
    All,
}

/// What holds for outputs. Part of every revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSettings {
    /// Who may read them.
    pub readers: OutputReaders,
    /// How many days after the end of its run an output can be read; at least 1.
    pub time_to_live_days: u64,
}

impl RoomDocument {
    /// Checks that aliases and keys are distinct, that the creator is a party, and that no
    /// party has a reserved alias such as `host`. Their number is a matter of policy, see
    /// [`RoomDocument::exceeds_limit`].
    ///
    /// # Errors
    /// When it does not make sense; it says what and why.
    pub fn validate(&self) -> Result<(), StatementError> {
        let error = |what: &str, why: &str| Err(StatementError::new(what, why));
        let mut aliases = BTreeSet::new();
        let mut keys = BTreeSet::from([*self.host_key.as_bytes()]);
        for party in &self.collaborators {
            if RESERVED_ALIASES.contains(&party.alias.as_str()) {
                return error(
                    "collaborators",
                    "the aliases host, output, public and information_schema are taken",
                );
            }
            if !aliases.insert(&party.alias) {
                return error("collaborators", "two have the same alias");
            }
            if !keys.insert(*party.public_key.as_bytes()) {
                return error("collaborators", "two keys are the same, the host's included");
            }
            check_line("organisation", &party.organisation)?;
        }
        if !aliases.contains(&self.creator) {
            return error("creator", "it is not among the collaborators");
        }
        if from_hex::<16>(&self.nonce).is_none() {
            return error("nonce", "expected 32 lower-case hex digits");
        }
        if !(1..=MAX_TIME_TO_LIVE_DAYS).contains(&self.outputs.time_to_live_days) {
            return error("outputs", "the time to live is 1 to 36500 days");
        }
        check_line("region", &self.region)?;
        if let Some(billing) = &self.billing {
            billing.validate(&aliases)?;
        }
        self.check_package(&aliases)
    }

    /// In a packaged room nothing that a run makes goes to the provider.
    fn check_package(&self, aliases: &BTreeSet<&Alias>) -> Result<(), StatementError> {
        let Some(provider) = &self.package_provider else { return Ok(()) };
        let error = |why: &str| Err(StatementError::new("package_provider", why));
        if !aliases.contains(provider) {
            return error("it is not among the collaborators");
        }
        if aliases.len() < 2 {
            return error("somebody else must be there to run what it provides");
        }
        if self.outputs.readers != OutputReaders::Runner {
            return error("the outputs of a packaged room are for the runner only");
        }
        if self.log_readers != LogReaders::Runner {
            return error("the log text of a packaged room is for the runner only");
        }
        Ok(())
    }

    /// Whether there are more collaborators than the limits allow.
    pub fn exceeds_limit(&self) -> bool {
        u64::try_from(self.collaborators.len()).unwrap_or(u64::MAX) > self.limits.collaborators
    }
}
