//! By which rules a run is approved.

use std::collections::{BTreeMap, BTreeSet};

use super::notebook::{Notebook, Version};
use super::rules::Asked;
use super::{Refusal, RoomState};
use crate::name::{Alias, AssetName, Identifier, RunId};
use crate::parameter::ParameterValue;
use crate::reason::ReasonCode;
use crate::statement::{AutoApproval, RunStart};

/// For each party that has signed no decision about a revision: for each other party that wrote
/// code in it, the rules that speak for it, in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub(super) struct ByRule(BTreeMap<Alias, Vec<Vec<AutoApproval>>>);

/// The names of the rules that were used, by their owners.
pub(super) type UsedRules = BTreeMap<Alias, BTreeSet<AssetName>>;

impl ByRule {
    /// The rules that approve a run with these parameters, all of them given.
    pub(super) fn choose(
        &self,
        parameters: &BTreeMap<Identifier, ParameterValue>,
    ) -> Result<UsedRules, Refusal> {
        let mut used = UsedRules::new();
        for (owner, writers) in &self.0 {
            for rules in writers {
                let rule = first_admitting(owner, rules, parameters)?;
                used.entry(owner.clone()).or_default().insert(rule.id.clone());
            }
        }
        Ok(used)
    }

    /// Whether one of the chosen rules has conditions, so that a run-start must name them. Before
    /// there were conditions, run-starts named no rules.
    fn has_conditions(&self, used: &UsedRules) -> bool {
        self.0.iter().any(|(owner, writers)| {
            let chosen = used.get(owner);
            let is_chosen =
                |rule: &&AutoApproval| chosen.is_some_and(|chosen| chosen.contains(&rule.id));
            let mut rules = writers.iter().flatten().filter(is_chosen);
            rules.any(|rule| !rule.conditions.is_none())
        })
    }

    /// Checks what a run-start says, and gives the rules that were used.
    pub(super) fn check(
        &self,
        start: &RunStart,
        parameters: &BTreeMap<Identifier, ParameterValue>,
    ) -> Result<UsedRules, Refusal> {
        let used = self.choose(parameters)?;
        let untold = start.rules.is_empty() && !self.has_conditions(&used);
        if start.rules == used || untold {
            return Ok(used);
        }
        Err(Refusal::new(
            ReasonCode::Malformed,
            "the rules in the run-start are not those that approve the run",
        ))
    }
}

fn first_admitting<'a>(
    owner: &Alias,
    rules: &'a [AutoApproval],
    parameters: &BTreeMap<Identifier, ParameterValue>,
) -> Result<&'a AutoApproval, Refusal> {
    let mut refused = None;
    for rule in rules {
        match rule.conditions.admit(parameters) {
            Ok(()) => return Ok(rule),
            Err(why) => refused = refused.or(Some((rule, why))),
        }
    }
    let (rule, name, why) = match refused {
        Some((rule, (name, why))) => (rule.id.to_string(), name.to_string(), why),
        None => return Err(Refusal::new(ReasonCode::NotApproved, format!("{owner} has no rule"))),
    };
    let why = why.map_or_else(|| "it has no value".to_owned(), |why| why.to_string());
    Err(Refusal::new(
        ReasonCode::ParameterInvalid,
        format!("{owner} approves this by its rule {rule} only: parameter `{name}`: {why}"),
    ))
}

impl RoomState {
    /// The rules that speak for the parties that have signed no decision.
    pub(super) fn by_rule(
        &self,
        notebook: &Notebook,
        version: &Version,
        runner: &Alias,
        asked: Asked<'_>,
    ) -> ByRule {
        let Some(digest) = version.revision_digest() else { return ByRule::default() };
        let decided = notebook.decisions(digest);
        let undecided = self.members.keys().filter(|party| !decided.contains_key(*party));
        let speaking = undecided.filter_map(|party| {
            let approving = self.rules.approving(party, notebook, version, asked)?;
            let rules = approving
                .for_runner(runner)
                .map(|rules| rules.into_iter().map(|rule| rule.rule.clone()).collect());
            Some((party.clone(), rules.collect()))
        });
        ByRule(speaking.collect())
    }

    /// The rules by which parties approve a run that waits, if it starts at `now` (seconds since
    /// 1970-01-01), which must be the `issued_at` of its run-start. The run-start names them.
    ///
    /// # Errors
    /// As [`RoomState::grants_for`].
    pub fn approving_rules(
        &self,
        run: &RunId,
        now: u64,
    ) -> Result<BTreeMap<Alias, BTreeSet<AssetName>>, Refusal> {
        let run = self.run(run)?;
        let approved = self.approved(&run.notebook, Some(&run.revision), &run.runner, now)?;
        approved.by_rule().choose(&run.parameters)
    }
}
