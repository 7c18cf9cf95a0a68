//! `glovebox rule`: approvals in advance.

use std::process::ExitCode;

use anyhow::Result;
use glovebox_contract::name::{Alias, AssetName};
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{AutoApproval, Body, Rule as RuleStatement};
use serde_json::{Value, json};

use crate::arguments::{RoomOnly, Rule, Signer};
use crate::context::Context;
use crate::terminal::{self, print_json};

pub(crate) fn run(context: &Context, command: &Rule) -> Result<ExitCode> {
    match command {
        Rule::Add { room, rule, runner, author, signer } => {
            let added =
                AutoApproval { author: author.clone(), id: rule.clone(), runner: runner.clone() };
            say(context, room, signer, RuleStatement::Add(added), rule)?;
        }
        Rule::Remove { room, rule, signer } => {
            say(context, room, signer, RuleStatement::Remove { id: rule.clone() }, rule)?;
        }
        Rule::List(room) => list(context, context.read_room(room)?.state())?,
    }
    Ok(ExitCode::SUCCESS)
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
        ]
    });
    let header = ["rule", "of", "approves what", "adds for", "since"];
    println!("{}", terminal::table(&header, &[], rows));
    Ok(())
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
            })
        })
        .collect()
}

/// The rules in force as sentences.
pub(super) fn sentences(state: &RoomState) -> Vec<String> {
    let sentence = |rule: &glovebox_contract::state::AutoApprovalRule| {
        let author = author(rule.rule.author.as_ref());
        let (owner, id, runner) = (&rule.owner, &rule.rule.id, &rule.rule.runner);
        format!("{id}: {owner} approves what {author} adds for {runner} to run")
    };
    state.rules().map(sentence).collect()
}
