//! Rules by which parties approve notebooks beforehand.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::effect::Effect;
use super::notebook::{Notebook, Version};
use super::run::StartRecord;
use super::{Refusal, RoomState};
use crate::difference::{Growth, RevisionFacts};
use crate::name::{Alias, AssetName};
use crate::reason::ReasonCode;
use crate::revision::Revision;
use crate::statement::{AutoApproval, Rule};

/// Most rules of one party.
const MAX_RULES: usize = 1000;

/// A rule of a party, from the time it is added until it is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoApprovalRule {
    /// The party that approves by it.
    pub owner: Alias,
    /// What it approves.
    pub rule: AutoApproval,
    /// When the owner says it was added, in seconds since 1970-01-01T00:00:00Z.
    pub added_at: u64,
    /// How many runs have started by it.
    pub runs: u64,
    /// Its place in the log, which decides what was added after it.
    position: u64,
}

impl AutoApprovalRule {
    /// Whether its time is over at `now` (seconds since 1970-01-01T00:00:00Z).
    pub fn has_expired(&self, now: u64) -> bool {
        self.rule.conditions.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether all runs that it allows have started.
    pub fn is_used_up(&self) -> bool {
        self.rule.conditions.max_runs.is_some_and(|most| most <= self.runs)
    }
}

/// When and for what it is asked which rules approve.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    /// At a time, in seconds since 1970-01-01T00:00:00Z.
    At(u64),
    /// For a run that has started, and its runner: what ended since its start by date or number does
    /// not matter.
    For(&'a StartRecord, &'a Alias),
    /// Whatever the time, and however often rules were used.
    Ever,
}

impl Asked<'_> {
    /// The time that decides whether a version has ended. For runs that have started it has not.
    pub(super) fn time(self) -> u64 {
        match self {
            Self::At(now) => now,
            Self::For(..) | Self::Ever => 0,
        }
    }

    fn takes(self, rule: &AutoApprovalRule) -> bool {
        let named = |start: &StartRecord| {
            let of_owner = start.rules.get(&rule.owner);
            of_owner.is_some_and(|rules| rules.contains(&rule.rule.id))
        };
        match self {
            Self::At(now) => !rule.has_expired(now) && !rule.is_used_up(),
            Self::For(start, runner) => {
                let used_by_others = rule.rule.runner != *runner;
                !rule.has_expired(start.at)
                    && (!rule.is_used_up() || named(start) || used_by_others)
            }
            Self::Ever => true,
        }
    }
}

/// The rules of all parties, by owner and name.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules(BTreeMap<Alias, BTreeMap<AssetName, AutoApprovalRule>>);

/// The rules of one party that approve a version, whatever the parameters of a run.
pub(super) struct Approving<'a> {
    rules: Vec<&'a AutoApprovalRule>,
    revision: &'a Revision,
    owner: Alias,
}

impl Rules {
    pub(super) fn add(&mut self, rule: AutoApprovalRule) {
        self.0.entry(rule.owner.clone()).or_default().insert(rule.rule.id.clone(), rule);
    }

    pub(super) fn remove(&mut self, owner: &Alias, id: &AssetName) {
        if let Some(rules) = self.0.get_mut(owner) {
            rules.remove(id);
        }
    }

    /// A run has started by these rules.
    pub(super) fn count_run(&mut self, used: &BTreeMap<Alias, BTreeSet<AssetName>>) {
        for (owner, ids) in used {
            let Some(rules) = self.0.get_mut(owner) else { continue };
            for (_, rule) in rules.iter_mut().filter(|(id, _)| ids.contains(*id)) {
                rule.runs = rule.runs.saturating_add(1);
            }
        }
    }

    fn of(&self, owner: &Alias) -> impl Iterator<Item = &AutoApprovalRule> {
        self.0.get(owner).into_iter().flat_map(BTreeMap::values)
    }

    /// The rules by which `owner` approves a version, if they cover all of it: every party that
    /// wrote code in it, for every runner.
    pub(super) fn approving<'a>(
        &'a self,
        owner: &Alias,
        notebook: &Notebook,
        version: &'a Version,
        asked: Asked<'_>,
    ) -> Option<Approving<'a>> {
        let revision = version.revision.as_ref().ok()?.revision();
        if revision.author == *owner || revision.runners.is_empty() {
            return None;
        }
        let approving = Approving {
            rules: self.holding(owner, notebook, version, asked),
            revision,
            owner: owner.clone(),
        };
        let mut runners = revision.runners.iter();
        runners
            .all(|runner| approving.for_runner(runner).all(|rules| !rules.is_empty()))
            .then_some(approving)
    }

    /// The rules of `owner` whose conditions a version meets, parameters of runs aside. First those
    /// for any number of runs, so that the others are not used up in vain.
    fn holding(
        &self,
        owner: &Alias,
        notebook: &Notebook,
        version: &Version,
        asked: Asked<'_>,
    ) -> Vec<&AutoApprovalRule> {
        let growth = OnceCell::new();
        let meets = |rule: &AutoApproval| {
            let conditions = &rule.conditions;
            if !conditions.fit(&version.asset.manifest) {
                return false;
            }
            if !conditions.compare() {
                return true;
            }
            let growth = growth.get_or_init(|| growth_of(owner, notebook, version));
            growth.is_some_and(|Growth { capabilities, outputs }| {
                !(conditions.capabilities_not_grown && capabilities
                    || conditions.outputs_unchanged && outputs)
            })
        };
        let mut rules: Vec<_> = self
            .of(owner)
            .filter(|rule| rule.position < version.position && asked.takes(rule))
            .filter(|rule| meets(&rule.rule))
            .collect();
        rules.sort_by_key(|rule| rule.rule.conditions.max_runs.is_some());
        rules
    }
}

/// What a version may do more than the one that `owner` approved last with its own signature,
/// before this one was added; nothing when there is none.
fn growth_of(owner: &Alias, notebook: &Notebook, version: &Version) -> Option<Growth> {
    let reviewed = notebook.reviewed_before(owner, version.position)?;
    let old =
        RevisionFacts { revision: reviewed.revision.revision(), manifest: &reviewed.manifest };
    let new = RevisionFacts {
        revision: version.revision.as_ref().ok()?.revision(),
        manifest: &version.asset.manifest,
    };
    Some(Growth::between(old, new))
}

impl<'a> Approving<'a> {
    /// For each other party that wrote code in it, the rules that cover it for a runner.
    pub(super) fn for_runner(
        &self,
        runner: &Alias,
    ) -> impl Iterator<Item = Vec<&'a AutoApprovalRule>> {
        writers(self.revision).into_iter().filter(|writer| **writer != self.owner).map(
            move |writer| {
                let covers = |rule: &AutoApproval| {
                    rule.runner == *runner
                        && rule.author.as_ref().is_none_or(|author| author == writer)
                };
                self.rules.iter().copied().filter(|rule| covers(&rule.rule)).collect()
            },
        )
    }

    /// The one to show where there is room for one: for the author of the notebook.
    pub(super) fn shown(&self) -> Option<&'a AssetName> {
        let runner = self.revision.runners.first()?;
        let covers = |rule: &AutoApproval| {
            rule.runner == *runner
                && rule.author.as_ref().is_none_or(|author| *author == self.revision.author)
        };
        let mut rules = self.rules.iter();
        rules.find(|rule| covers(&rule.rule)).map(|rule| &rule.rule.id)
    }
}

/// Whose code runs: anyone who replaces a library changes what the notebook does.
fn writers(revision: &Revision) -> BTreeSet<&Alias> {
    let owners = revision.libraries.values().map(|library| &library.owner);
    owners.chain([&revision.author]).collect()
}

impl RoomState {
    /// The rules that were added and not removed, by owner and name.
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
        self.check_rule(party, rule, at)?;
        // The same rule again counts its runs from the beginning.
        let is_fresh = |present: &AutoApprovalRule| !present.is_used_up();
        if present.is_some_and(|present| present.rule == *rule && is_fresh(present)) {
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
            runs: 0,
            position: self.statements,
        }))
    }

    /// Whether a rule can ever approve anything.
    fn check_rule(&self, party: &Alias, rule: &AutoApproval, at: u64) -> Result<(), Refusal> {
        self.member(&rule.runner)?;
        if let Some(author) = &rule.author {
            self.member(author)?;
        }
        let refuse = |why: String| Err(Refusal::new(ReasonCode::NotPermitted, why));
        if rule.author.as_ref() == Some(party) {
            return refuse(format!(
                "{party} approves its own notebooks by adding them; a rule adds nothing"
            ));
        }
        if rule.conditions.expires.is_some_and(|expires| expires <= at) {
            return refuse(format!("the rule {} has expired before it is added", rule.id));
        }
        Ok(())
    }
}
