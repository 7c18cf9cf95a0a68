//! `glovebox rule`: approvals in advance.

use std::process::ExitCode;

use anyhow::{Result, bail};
use glovebox_contract::name::{Alias, AssetName};
use glovebox_contract::state::{AutoApprovalRule, RoomState};
use glovebox_contract::statement::{AutoApproval, Body, Conditions, Rule as RuleStatement};
use serde_json::{Value, json};

use crate::arguments::{RoomOnly, Rule, RuleConditions, Signer};
use crate::context::{self, Context};
use crate::terminal::{self, print_json};

pub(crate) fn run(context: &Context, command: &Rule) -> Result<ExitCode> {
    match command {
        Rule::Add { room, rule, runner, author, conditions, signer } => {
            let added = AutoApproval {
                author: author.clone(),
                conditions: conditions_of(conditions)?,
                id: rule.clone(),
                runner: runner.clone(),
            };
            say(context, room, signer, RuleStatement::Add(added), rule)?;
        }
        Rule::Remove { room, rule, signer } => {
            say(context, room, signer, RuleStatement::Remove { id: rule.clone() }, rule)?;
        }
        Rule::List(room) => list(context, context.read_room(room)?.state())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn conditions_of(said: &RuleConditions) -> Result<Conditions> {
    let mut conditions = Conditions {
        capabilities_not_grown: said.if_not_grown,
        expires: said.expires.map(|moment| moment.from(context::now())),
        max_runs: said.max_runs,
        outputs_unchanged: said.if_same_outputs,
        ..Conditions::default()
    };
    for condition in &said.parameters {
        let (name, allowed) = (condition.name.clone(), condition.allowed.clone());
        if conditions.parameters.insert(name, allowed).is_some() {
            bail!("`--if-param` is given twice for {}", condition.name);
        }
    }
    Ok(conditions)
}

fn say(
    context: &Context,
    room: &RoomOnly,
    signer: &Signer,
    rule: RuleStatement,
    id: &AssetName,
) -> Result<()> {
    let (mut room, party) = context.act(room, signer)?;
    let body = Body::Rule(rule);
    let summary = body.summary();
    room.say(&party, body)?;
    if context.json() {
        return print_json(&json!({ "rule": id, "owner": party.alias, "says": summary }));
    }
    println!("{} {summary}", party.alias);
    Ok(())
}

fn list(context: &Context, state: &RoomState) -> Result<()> {
    if context.json() {
        return print_json(&as_json(state));
    }
    if state.rules().next().is_none() {
        println!("no rules");
        return Ok(());
    }
    let rows = state.rules().map(|rule| {
        [
            rule.rule.id.to_string(),
            rule.owner.to_string(),
            author(rule.rule.author.as_ref()),
            rule.rule.runner.to_string(),
            terminal::time(rule.added_at),
            rule.runs.to_string(),
            conditions(rule),
        ]
    });
    let header = ["rule", "of", "approves what", "adds for", "since", "runs", "conditions"];
    println!("{}", terminal::table(&header, &["runs"], rows));
    Ok(())
}

/// The conditions of a rule, and whether it approves nothing any more.
fn conditions(rule: &AutoApprovalRule) -> String {
    let conditions = rule.rule.conditions.to_string();
    let mut said = vec![conditions.trim_start_matches(", ").to_owned()];
    if rule.has_expired(context::now()) {
        said.push("EXPIRED".to_owned());
    }
    if rule.is_used_up() {
        said.push("USED UP".to_owned());
    }
    said.retain(|words| !words.is_empty());
    said.join(", ")
}

fn author(author: Option<&Alias>) -> String {
    author.map_or_else(|| "anyone".to_owned(), ToString::to_string)
}

/// The rules in force, as `--json` shows them.
pub(super) fn as_json(state: &RoomState) -> Vec<Value> {
    state
        .rules()
        .map(|rule| {
            json!({
                "rule": rule.rule.id,
                "owner": rule.owner,
                "author": rule.rule.author,
                "runner": rule.rule.runner,
                "added_at": rule.added_at,
                "conditions": rule.rule.conditions,
                "runs": rule.runs,
                "expired": rule.has_expired(context::now()),
                "used_up": rule.is_used_up(),
            })
        })
        .collect()
}

/// The rules in force as sentences.
pub(super) fn sentences(state: &RoomState) -> Vec<String> {
    let sentence = |rule: &AutoApprovalRule| {
        let author = author(rule.rule.author.as_ref());
        let (owner, id, runner) = (&rule.owner, &rule.rule.id, &rule.rule.runner);
        let conditions = conditions(rule);
        let and = if conditions.is_empty() { "" } else { ", " };
        let runs = match rule.runs {
            0 => String::new(),
            1 => " (one run so far)".to_owned(),
            runs => format!(" ({runs} runs so far)"),
        };
        format!(
            "{id}: {owner} approves what {author} adds for {runner} to run{and}{conditions}{runs}"
        )
    };
    state.rules().map(sentence).collect()
}
