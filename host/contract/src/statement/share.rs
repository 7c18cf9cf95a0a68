//! Delivery to people outside the room: recipients, what they are granted, what they read.
//!
//! A recipient belongs to one party, which answers for it as for itself: it may be granted the
//! outputs that the party may read, and the party's own tables, and nothing else. It signs nothing
//! and is known by a bearer token, of which the log has the digest.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::StatementError;
use crate::digest::Sha256Digest;
use crate::name::{Alias, AssetName, Identifier, TableName};
use crate::text::check_line;

/// Longest time for which a token that was replaced stays good: 7 days.
pub const MAX_TOKEN_GRACE_SECONDS: u64 = 7 * 86_400;

/// What the signer shares, with whom, or shares no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "act")]
pub enum Share {
    /// Adds a recipient of the signer, or gives the one of that name another token.
    Recipient(Recipient),
    /// Puts a table into a share of a recipient of the signer, or changes until when it is there.
    Grant(Grant),
    /// Takes a share from a recipient of the signer, or the whole recipient away.
    Revoke {
        /// The recipient.
        recipient: AssetName,
        /// The share; the whole recipient when absent, with its tokens and all its shares.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share: Option<AssetName>,
    },
}

/// Someone outside the room to whom a party gives tables to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// When the token ends, in seconds since 1970-01-01T00:00:00Z.
    pub expires: u64,
    /// The signer's name for it.
    pub name: AssetName,
    /// Until when the token before this one stays good, in seconds since 1970-01-01T00:00:00Z, at
    /// most [`MAX_TOKEN_GRACE_SECONDS`] from now. When absent it ends at once. Only where there is
    /// a token to replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<u64>,
    /// SHA-256 of the bearer token. A room takes each token once.
    pub token: Sha256Digest,
}

/// A table in a share. A share is all that a recipient was granted under one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The signer's recipient.
    pub recipient: AssetName,
    /// The share.
    pub share: AssetName,
    /// When the grant ends, in seconds since 1970-01-01T00:00:00Z; when revoked, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// What is granted.
    pub what: Shared,
}

/// What can be shared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "shared")]
pub enum Shared {
    /// Outputs of those runs of a notebook whose outputs the signer may read.
    Output {
        /// The notebook.
        notebook: AssetName,
        /// The output table; all of them when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Identifier>,
    },
    /// A table of the signer, as it is in the room.
    Table {
        /// Its name.
        table: TableName,
    },
    /// What happened in the room and what its runs used: every [`AuditTable`]. They say what the
    /// log says, which the signer may read.
    Events {},
}

/// A table that is made of the log of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditTable {
    /// What happened.
    Events,
    /// What was run, what it used and what it costs.
    Runs,
}

/// A recipient read a shared table, says the host that served it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedRead {
    /// The party whose recipient it is.
    pub owner: Alias,
    /// The recipient.
    pub recipient: AssetName,
    /// The share.
    pub share: AssetName,
    /// Version of the table.
    pub version: u64,
    /// What was read: `notebook.output` of runs of the recipient's owner, `notebook.output@runner`
    /// of those of another party, the name of a table, or [`AuditTable::in_statement`].
    pub what: String,
}

impl Share {
    /// One line for people: `shares delay-by-wind.delays with acme in the share results`.
    pub(super) fn summary(&self) -> String {
        match self {
            Self::Recipient(Recipient { name, previous_until: None, .. }) => {
                format!("gives the recipient {name} a token")
            }
            Self::Recipient(Recipient { name, .. }) => {
                format!("gives the recipient {name} another token")
            }
            Self::Grant(Grant { recipient, share, what, .. }) => {
                format!("shares {what} with {recipient} in the share {share}")
            }
            Self::Revoke { recipient, share: Some(share) } => {
                format!("takes the share {share} from {recipient}")
            }
            Self::Revoke { recipient, share: None } => format!("revokes the recipient {recipient}"),
        }
    }
}

impl Shared {
    /// Whether a read of `what`, see [`SharedRead::what`], is one of this.
    pub fn is_called(&self, what: &str) -> bool {
        match self {
            Self::Table { table } => table.as_str() == what,
            Self::Events {} => AuditTable::ALL.iter().any(|table| table.in_statement() == what),
            Self::Output { notebook, output } => OutputName::parse(what).is_some_and(|read| {
                read.notebook == *notebook
                    && output.as_ref().is_none_or(|output| *output == read.output)
            }),
        }
    }
}

impl AuditTable {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Events, Self::Runs];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Runs => "runs",
        }
    }

    /// What a statement about a read calls it. Neither a table nor an output can be called so.
    pub const fn in_statement(self) -> &'static str {
        match self {
            Self::Events => "audit:events",
            Self::Runs => "audit:runs",
        }
    }
}

/// What a read of an output names.
#[derive(Debug)]
pub(crate) struct OutputName {
    notebook: AssetName,
    output: Identifier,
    /// Whose runs, if not those of the recipient's owner.
    pub(crate) runner: Option<Alias>,
}

impl OutputName {
    /// Reads `notebook.output` and `notebook.output@runner`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, runner) = match text.split_once('@') {
            Some((name, runner)) => (name, Some(runner.parse().ok()?)),
            None => (text, None),
        };
        let (notebook, output) = name.rsplit_once('.')?;
        Some(Self { notebook: notebook.parse().ok()?, output: output.parse().ok()?, runner })
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { table } => write!(f, "the table {table}"),
            Self::Output { notebook, output: Some(output) } => {
                write!(f, "the output {notebook}.{output}")
            }
            Self::Output { notebook, output: None } => write!(f, "the outputs of {notebook}"),
            Self::Events {} => f.write_str("the events of the room"),
        }
    }
}

impl SharedRead {
    pub(super) fn validate(&self) -> Result<(), StatementError> {
        Ok(check_line("what", &self.what)?)
    }

    /// One line for people: `lets acme of weather read delay-by-wind.delays version 3`.
    pub(super) fn summary(&self) -> String {
        let Self { owner, recipient, what, version, .. } = self;
        format!("lets {recipient} of {owner} read {what}, version {version}")
    }
}
