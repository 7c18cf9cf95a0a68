//! Rules by which parties approve notebooks beforehand.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::Effect;
use super::notebook::Version;
use super::{Refusal, RoomState};
use crate::name::{Alias, AssetName};
use crate::reason::ReasonCode;
use crate::revision::Revision;
use crate::statement::{AutoApproval, Rule};

/// Most rules of one party.
const MAX_RULES: usize = 1000;

/// A rule that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoApprovalRule {
    /// The party that approves by it.
    pub owner: Alias,
    /// What it approves.
    pub rule: AutoApproval,
    /// When the owner says it was added, in seconds since 1970-01-01T00:00:00Z.
    pub added_at: u64,
    /// Its place in the log, which decides what was added after it.
    position: u64,
}

/// The rules of all parties, by owner and name.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules(BTreeMap<Alias, BTreeMap<AssetName, AutoApprovalRule>>);

impl Rules {
    pub(super) fn add(&mut self, rule: AutoApprovalRule) {
        self.0.entry(rule.owner.clone()).or_default().insert(rule.rule.id.clone(), rule);
    }

    pub(super) fn remove(&mut self, owner: &Alias, id: &AssetName) {
        if let Some(rules) = self.0.get_mut(owner) {
            rules.remove(id);
        }
    }

    fn of(&self, owner: &Alias) -> impl Iterator<Item = &AutoApprovalRule> {
        self.0.get(owner).into_iter().flat_map(BTreeMap::values)
    }

    /// The rule by which `owner` approves a version, if its rules cover all of it: every party that
    /// wrote code in it, for every runner. With several it is the one for the notebook's author.
    pub(super) fn approving(&self, owner: &Alias, version: &Version) -> Option<&AssetName> {
        let revision = version.revision.as_ref().ok()?.revision();
        if revision.author == *owner {
            return None;
        }
        let covering = |writer: &Alias, runner: &Alias| {
            self.of(owner).find(|rule| {
                rule.position < version.position
                    && rule.rule.runner == *runner
                    && rule.rule.author.as_ref().is_none_or(|author| author == writer)
            })
        };
        let all_covered = writers(revision)
            .iter()
            .filter(|writer| **writer != owner)
            .all(|writer| revision.runners.iter().all(|runner| covering(writer, runner).is_some()));
        let rule = covering(&revision.author, revision.runners.first()?)?;
        all_covered.then_some(&rule.rule.id)
    }
}

/// Whose code runs: anyone who replaces a library changes what the notebook does.
fn writers(revision: &Revision) -> BTreeSet<&Alias> {
    let owners = revision.libraries.values().map(|library| &library.owner);
    owners.chain([&revision.author]).collect()
}

impl RoomState {
    /// The rules in force, by owner and name.
    pub fn rules(&self) -> impl Iterator<Item = &AutoApprovalRule> {
        self.rules.0.values().flat_map(BTreeMap::values)
    }

    pub(super) fn decide_rule(
        &self,
        party: &Alias,
        rule: &Rule,
        at: u64,
    ) -> Result<Effect, Refusal> {
        let present = self.rules.of(party).find(|present| present.rule.id == *rule.id());
        let rule = match rule {
            Rule::Add(rule) => rule,
            Rule::Remove { id } if present.is_some() => {
                return Ok(Effect::RemoveRule { owner: party.clone(), id: id.clone() });
            }
            Rule::Remove { id } => {
                let why = format!("{party} has no rule {id}");
                return Err(Refusal::new(ReasonCode::NotFound, why));
            }
        };
        self.member(&rule.runner)?;
        if let Some(author) = &rule.author {
            self.member(author)?;
        }
        if rule.author.as_ref() == Some(party) {
            return Err(Refusal::new(
                ReasonCode::NotPermitted,
                format!("{party} approves its own notebooks by adding them; a rule adds nothing"),
            ));
        }
        if present.is_some_and(|present| present.rule == *rule) {
            return Err(Refusal::new(
                ReasonCode::AlreadyExists,
                format!("{party} has this very rule {} already", rule.id),
            ));
        }
        if present.is_none() && self.rules.of(party).count() >= MAX_RULES {
            return Err(Refusal::new(
                ReasonCode::PolicyLimit,
                format!("{party} has {MAX_RULES} rules, the most a party may have"),
            ));
        }
        Ok(Effect::AddRule(AutoApprovalRule {
            owner: party.clone(),
            rule: rule.clone(),
            added_at: at,
            position: self.statements,
        }))
    }
}
