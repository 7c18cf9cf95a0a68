//! One time at which an order fell due.

use std::collections::BTreeMap;

use glovebox_contract::envelope::Envelope;
use glovebox_contract::name::{AssetName, Identifier, RunId};
use glovebox_contract::reason::ReasonCode;
use serde::{Deserialize, Serialize};

/// One time at which an order fell due: one run, if all goes well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Occurrence {
    /// The order.
    pub order: AssetName,
    /// When it fell due, in Unix seconds.
    pub due: u64,
    /// When it was written down, in Unix seconds.
    pub noted: u64,
    /// Why it fell due.
    pub cause: Cause,
    /// Parameters that a trigger gave.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given: BTreeMap<Identifier, String>,
    /// How many requests were answered with a failure.
    pub failures: u32,
    /// Why the last of them failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<ReasonCode>,
    /// How far it is.
    pub stage: Stage,
}

/// Why an order fell due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "by")]
pub enum Cause {
    /// The clock.
    Clock,
    /// The clock, while the agent was away.
    CatchUp,
    /// The orders before it succeeded.
    After,
    /// Somebody asked.
    Trigger {
        /// Through which trigger.
        trigger: AssetName,
        /// What the asker calls this one request, so that it may ask twice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
}

/// How far an occurrence is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "stage")]
pub enum Stage {
    /// No request is signed, or none that counts any more.
    Waiting {
        /// When to ask, in Unix seconds.
        not_before: u64,
    },
    /// A request is signed. It may have been sent, or not.
    Asked {
        /// The request, to send it again if need be.
        envelope: Envelope,
        /// The run that it asks for.
        run: RunId,
    },
    /// It is over.
    Done {
        /// When that was found, in Unix seconds.
        at: u64,
        /// How it ended.
        outcome: Outcome,
        /// The last run of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
    },
}

/// How an occurrence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "outcome")]
pub enum Outcome {
    /// With outputs.
    Succeeded,
    /// It was given up.
    Failed {
        /// Why.
        reason: ReasonCode,
    },
    /// It was left out, for the one before it went on.
    Skipped,
}

impl Occurrence {
    /// Whether it is over.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done { .. })
    }

    /// How it ended, when it has.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.stage {
            Stage::Done { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Its latest run.
    pub fn run(&self) -> Option<&RunId> {
        match &self.stage {
            Stage::Waiting { .. } => None,
            Stage::Asked { run, .. } => Some(run),
            Stage::Done { run, .. } => run.as_ref(),
        }
    }
}
