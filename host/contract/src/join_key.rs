//! How a column of join keys was made, so that two parties find out before a run that theirs can
//! never match.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Blake3Digest;
use crate::name::{AssetName, TableName};
use crate::reason::ReasonCode;
use crate::state::Refusal;

/// What a party says about a column of hashed identifiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinKey {
    /// Fingerprint of the secret key that the parties share, when the hash is keyed. The key itself
    /// never reaches the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Blake3Digest>,
    /// What was hashed.
    pub kind: JoinKeyKind,
    /// The rules by which it was normalised and hashed, for example `uid2`.
    pub profile: AssetName,
    /// Version of these rules.
    pub version: u64,
}

/// What an identifier identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JoinKeyKind {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A device's advertising id.
    DeviceId,
}

impl JoinKeyKind {
    /// The kind's name, as in its encoding.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::DeviceId => "device-id",
        }
    }
}

/// Refuses columns of one kind that were made by different rules or with different keys: joined,
/// they would match nothing, and nobody would notice.
pub(crate) fn check_agreement<'a>(
    columns: impl Iterator<Item = (&'a TableName, &'a String, &'a JoinKey)>,
) -> Result<(), Refusal> {
    let mut first: BTreeMap<JoinKeyKind, (&TableName, &String, &JoinKey)> = BTreeMap::new();
    for (table, column, key) in columns {
        let (other_table, other_column, other) =
            *first.entry(key.kind).or_insert((table, column, key));
        if other == key {
            continue;
        }
        let how = if (&other.profile, other.version) == (&key.profile, key.version) {
            "with another key".to_owned()
        } else {
            format!("by {}/{}, not {}/{}", key.profile, key.version, other.profile, other.version)
        };
        return Err(Refusal::new(
            ReasonCode::JoinKeyMismatch,
            format!(
                "{} keys would not match: column `{}` of {table} was hashed {how} as column `{}` \
                 of {other_table}; the parties agree on one profile and key and hash again",
                key.kind.as_str(),
                column.escape_debug(),
                other_column.escape_debug(),
            ),
        ));
    }
    Ok(())
}
