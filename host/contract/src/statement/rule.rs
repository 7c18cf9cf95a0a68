//! Rules by which a party approves notebooks beforehand.

use serde::{Deserialize, Serialize};

use super::{Conditions, StatementError};
use crate::name::{Alias, AssetName};

/// Adds or removes a rule of the signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "rule")]
pub enum Rule {
    /// Adds a rule, or replaces the signer's rule with the same id. A replaced rule starts anew: it
    /// holds for what is added after it.
    Add(AutoApproval),
    /// Removes a rule. What only it approved is not approved any more.
    Remove {
        /// Its name.
        id: AssetName,
    },
}

/// The signer approves what an author adds after this statement and a runner may run.
///
/// One rule covers one author (or all) and one runner. A revision is approved when, for every
/// party that wrote code in it (the author of the notebook and the owners of its libraries, the
/// signer left out) and for each of its runners, one of the signer's rules covers the two. So a
/// notebook with two runners needs a rule for each, and a library of a party that no rule covers
/// leaves the decision to the signer. A signer's own decision about a revision counts more.
///
/// Each run that starts names the rules that approved it, so every use of a rule is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoApproval {
    /// Who wrote it; any party when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Alias>,
    /// What must hold besides.
    #[serde(default, skip_serializing_if = "Conditions::is_none")]
    pub conditions: Conditions,
    /// The signer's name for the rule.
    pub id: AssetName,
    /// Who may run it.
    pub runner: Alias,
}

impl Rule {
    /// The signer's name for the rule.
    pub fn id(&self) -> &AssetName {
        match self {
            Self::Add(rule) => &rule.id,
            Self::Remove { id } => id,
        }
    }

    /// One line for people: `approves by rule trusted what partner adds for weather to run`.
    pub(super) fn summary(&self) -> String {
        match self {
            Self::Add(AutoApproval { author, conditions, id, runner }) => {
                let author = author.as_ref().map_or("anyone", Alias::as_str);
                format!("approves by rule {id} what {author} adds for {runner} to run{conditions}")
            }
            Self::Remove { id } => format!("removes the rule {id}"),
        }
    }

    pub(super) fn validate(&self) -> Result<(), StatementError> {
        match self {
            Self::Add(rule) => rule.conditions.validate(),
            Self::Remove { .. } => Ok(()),
        }
    }
}
