//! What a rule asks for besides the right author and the right runner.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::StatementError;
use crate::manifest::{MAX_DECLARATIONS, Manifest};
use crate::name::Identifier;
use crate::parameter::{ParameterDeclaration, ParameterError, ParameterType, ParameterValue};
use crate::text::{MAX_TEXT_BYTES, check_text, printable, utc};

/// What must hold besides for a rule to approve. All of it must; without any condition the rule
/// approves whatever its author adds.
///
/// Two conditions compare a revision with the one that the rule's owner approved last *with its own
/// signature*, before the version was added to the log, and has not taken back since. Where there is
/// none, the rule does not apply: somebody has to look once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// The revision may read, do, choose and let out nothing more than the one that the owner
    /// approved last, see [`crate::difference::Growth`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub capabilities_not_grown: bool,
    /// From when on the rule approves nothing, in seconds since 1970-01-01T00:00:00Z. A run that
    /// has started by then may end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// How many runs may start by the rule. When they have, it approves nothing any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_runs: Option<u64>,
    /// The outputs have the very columns, order, mode and caps of the revision that the owner
    /// approved last, and the same readers for as long.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub outputs_unchanged: bool,
    /// What the parameters of a run may be, default values included. A notebook without such a
    /// parameter is not approved.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<Identifier, AllowedValues>,
}

/// Which values of a parameter a rule takes. Values are written as text, as in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AllowedValues {
    /// These only; any when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// None above this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<String>,
    /// None below this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<String>,
}

impl Conditions {
    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether they ask what the owner has reviewed before.
    pub fn compare(&self) -> bool {
        self.capabilities_not_grown || self.outputs_unchanged
    }

    /// Whether a notebook declares the parameters, with types that the values can have.
    pub(crate) fn fit(&self, manifest: &Manifest) -> bool {
        self.parameters.iter().all(|(name, allowed)| {
            let declared = manifest.parameters.get(name);
            declared.is_some_and(|declared| {
                allowed.declaration(declared.parameter_type).validate().is_ok()
            })
        })
    }

    /// Whether a run may have these parameters.
    ///
    /// # Errors
    /// Which parameter is not allowed, and why.
    pub(crate) fn admit(
        &self,
        parameters: &BTreeMap<Identifier, ParameterValue>,
    ) -> Result<(), (Identifier, Option<ParameterError>)> {
        for (name, allowed) in &self.parameters {
            let value = parameters.get(name).ok_or_else(|| (name.clone(), None))?;
            allowed
                .declaration(value.parameter_type())
                .check(value)
                .map_err(|error| (name.clone(), Some(error)))?;
        }
        Ok(())
    }

    pub(super) fn validate(&self) -> Result<(), StatementError> {
        let error = |what: &str, why: &str| Err(StatementError::new(what, why));
        if self.max_runs == Some(0) {
            return error("max_runs", "a rule for no run at all approves nothing");
        }
        if self.parameters.len() > MAX_DECLARATIONS {
            return error("parameters", "there are more than a notebook can have");
        }
        let mut bytes: usize = 0;
        for allowed in self.parameters.values() {
            let texts = [&allowed.minimum, &allowed.maximum].into_iter().flatten();
            if allowed == &AllowedValues::default() {
                return error("parameters", "a condition says which values it takes");
            }
            for text in texts.chain(&allowed.choices) {
                check_text("parameters", text)?;
                bytes = bytes.saturating_add(text.len());
            }
        }
        if bytes > MAX_TEXT_BYTES {
            return error("parameters", "the values together are longer than 4096 bytes");
        }
        Ok(())
    }
}

impl AllowedValues {
    /// The same as a declaration, which knows how to check values.
    fn declaration(&self, parameter_type: ParameterType) -> ParameterDeclaration {
        ParameterDeclaration {
            choices: self.choices.clone(),
            default: None,
            description: String::new(),
            maximum: self.maximum.clone(),
            minimum: self.minimum.clone(),
            parameter_type,
        }
    }
}

impl fmt::Display for AllowedValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = match (self.minimum.as_deref(), self.maximum.as_deref()) {
            (Some(least), Some(most)) => {
                format!("from {} to {}", printable(least), printable(most))
            }
            (Some(least), None) => format!("at least {}", printable(least)),
            (None, Some(most)) => format!("at most {}", printable(most)),
            (None, None) => String::new(),
        };
        let choices: Vec<_> = self.choices.iter().map(|text| printable(text)).collect();
        let choices = choices.join(" or ");
        let between = if bounds.is_empty() || choices.is_empty() { "" } else { " and " };
        write!(f, "{bounds}{between}{choices}")
    }
}

/// As the end of a sentence, each condition behind a comma: `, for 3 runs`.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LAST: &str = "what it reviewed last";
        match (self.capabilities_not_grown, self.outputs_unchanged) {
            (true, true) => write!(f, ", if it may do no more than {LAST}, with the same outputs")?,
            (true, false) => write!(f, ", if it may do no more than {LAST}")?,
            (false, true) => write!(f, ", if its outputs are those of {LAST}")?,
            (false, false) => {}
        }
        for (name, allowed) in &self.parameters {
            write!(f, ", with {name} {allowed}")?;
        }
        match self.max_runs {
            Some(1) => f.write_str(", for one run")?,
            Some(runs) => write!(f, ", for {runs} runs")?,
            None => {}
        }
        match self.expires {
            Some(expires) => write!(f, ", until {}", utc(expires)),
            None => Ok(()),
        }
    }
}
