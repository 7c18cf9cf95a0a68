//! What can be said about approving in advance.

use std::str::FromStr;

use clap::{Args, Subcommand};
use glovebox_contract::name::{Alias, AssetName, Identifier};
use glovebox_contract::statement::AllowedValues;

use super::{Moment, ReadRoom, RoomOnly, Signer};

#[derive(Debug, Subcommand)]
pub(crate) enum Rule {
    /// Approve every revision that is offered from now on and that only these collaborators run,
    /// without a look at it. Your rejection or revocation of a revision outweighs your rules. Every
    /// run names the rules that approved it.
    Add {
        #[command(flatten)]
        room: RoomOnly,
        /// Name of the rule; a rule of yours with this name is replaced.
        rule: AssetName,
        /// The collaborator who may run it. A notebook of several runners needs a rule for each.
        #[arg(long, value_name = "ALIAS")]
        runner: Alias,
        /// Whose notebooks [default: everyone's].
        #[arg(long, value_name = "ALIAS")]
        author: Option<Alias>,
        #[command(flatten)]
        conditions: RuleConditions,
        #[command(flatten)]
        signer: Signer,
    },
    /// List the rules of a room, everyone's.
    List(ReadRoom),
    /// Take a rule of yours back: what it approved is no longer approved by it.
    Remove {
        #[command(flatten)]
        room: RoomOnly,
        /// Name of the rule.
        rule: AssetName,
        #[command(flatten)]
        signer: Signer,
    },
}

/// What must hold besides.
#[derive(Debug, Args)]
#[command(next_help_heading = "Conditions, all of which must hold")]
pub(crate) struct RuleConditions {
    /// Only if the revision may read, do, choose and let out nothing more than the one that you
    /// approved last with your own signature. While there is none, the rule does not apply.
    #[arg(long)]
    pub(crate) if_not_grown: bool,
    /// Only if its outputs, their columns, caps and readers are those of the revision that you
    /// approved last with your own signature.
    #[arg(long)]
    pub(crate) if_same_outputs: bool,
    /// Only for runs with such a parameter, as NAME=LEAST..MOST (either may be left out) or
    /// NAME=VALUE|VALUE|…; repeat for more.
    #[arg(long = "if-param", value_name = "NAME=VALUES")]
    pub(crate) parameters: Vec<ParameterCondition>,
    /// Only until then: a Unix time in seconds, `YYYY-MM-DD`, or how long from now, as `30d`.
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<Moment>,
    /// Only for so many runs.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_runs: Option<u64>,
}

/// Which values of a parameter are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParameterCondition {
    pub(crate) name: Identifier,
    pub(crate) allowed: AllowedValues,
}

impl FromStr for ParameterCondition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected NAME=LEAST..MOST or NAME=VALUE|VALUE".to_owned();
        let (name, values) = text.split_once('=').ok_or_else(expected)?;
        let name = name.parse().map_err(|error| format!("{error}"))?;
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let allowed = match values.split_once("..") {
            Some(("", "")) => return Err(expected()),
            Some((least, most)) => {
                AllowedValues { choices: Vec::new(), maximum: some(most), minimum: some(least) }
            }
            None => AllowedValues {
                choices: values.split('|').map(str::to_owned).collect(),
                ..AllowedValues::default()
            },
        };
        Ok(Self { name, allowed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_on_parameters_are_ranges_or_choices() {
        let check = |text: &str, expect: Option<&str>| {
            let read = text.parse::<ParameterCondition>().ok();
            let said = read.map(|condition| format!("{} {}", condition.name, condition.allowed));
            assert_eq!(said.as_deref(), expect, "{text}");
        };
        check("min_group=30..", Some("min_group at least 30"));
        check("min_group=..100", Some("min_group at most 100"));
        check("day=2013-01-01..2013-01-31", Some("day from 2013-01-01 to 2013-01-31"));
        check("n=-5..-1", Some("n from -5 to -1"));
        check("origin=JFK", Some("origin JFK"));
        check("origin=JFK|LGA", Some("origin JFK or LGA"));
        for wrong in ["", "min_group", "min_group=..", "=1..2", "a b=1", "A=1"] {
            check(wrong, None);
        }
    }
}
