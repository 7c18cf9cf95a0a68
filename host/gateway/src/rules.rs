//! `/api/2.0/clean-rooms/{room}/auto-approval-rules`: what the party approves beforehand.

use std::sync::Arc;

use glovebox_contract::name::{Alias, AssetName};
use glovebox_contract::state::{AutoApprovalRule, RoomState};
use glovebox_contract::statement::{AutoApproval, Body, Conditions, Rule};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::Action;
use crate::app::{App, ms};
use crate::call::{Call, Reply};
use crate::error::Failure;
use crate::paging::Sizes;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    auto_approval_rule: RuleBody,
}

/// The `CleanRoomAutoApprovalRule` object, and what a rule of a room can ask for besides: a client
/// that does not know `conditions` neither sets nor removes them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RuleBody {
    author_collaborator_alias: Option<String>,
    author_scope: Option<String>,
    clean_room_name: Option<String>,
    conditions: Option<Conditions>,
    created_at: Option<Value>,
    rule_id: Option<String>,
    rule_owner_collaborator_alias: Option<String>,
    runner_collaborator_alias: Option<String>,
}

impl RuleBody {
    /// The rule, with the conditions of `before` where none are given.
    fn rule(
        &self,
        id: AssetName,
        room: &AssetName,
        before: &Conditions,
    ) -> Result<AutoApproval, Failure> {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if said(&self.clean_room_name).is_some_and(|name| name != room.as_str()) {
            return Err(Failure::invalid("clean_room_name is another than the path's"));
        }
        let alias = |field: &str, text: String| -> Result<Alias, Failure> {
            text.parse().map_err(|error| Failure::invalid(format!("{field}: {error}")))
        };
        let author = match (said(&self.author_collaborator_alias), said(&self.author_scope)) {
            (Some(author), None) => Some(alias("author_collaborator_alias", author)?),
            (None, Some(scope)) if scope == "ANY_AUTHOR" => None,
            _ => {
                return Err(Failure::invalid(
                    "give either author_collaborator_alias or author_scope ANY_AUTHOR",
                ));
            }
        };
        let runner = said(&self.runner_collaborator_alias)
            .ok_or_else(|| Failure::invalid("runner_collaborator_alias is needed"))?;
        Ok(AutoApproval {
            author,
            conditions: self.conditions.as_ref().unwrap_or(before).clone(),
            id,
            runner: alias("runner_collaborator_alias", runner)?,
        })
    }
}

/// Adds a rule.
pub(crate) fn create(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ManageRoom)?;
    let Create { auto_approval_rule: asked } = call.body()?;
    let id = fresh_id()?;
    let rule = asked.rule(id.clone(), &entered.name, &Conditions::default())?;
    {
        let room = entered.fresh()?;
        let me = app.me(room.state())?;
        let same = |known: &AutoApprovalRule| {
            known.owner == me
                && known.rule.author == rule.author
                && known.rule.runner == rule.runner
                && known.rule.conditions == rule.conditions
        };
        if let Some(known) = room.state().rules().find(|known| same(known)) {
            let id = &known.rule.id;
            return Err(Failure::exists(format!("the rule {id} says the same already")));
        }
    }
    let room = entered.say(Body::Rule(Rule::Add(rule)))?;
    Ok(Reply::json(rendered(room.state(), own(app, room.state(), &id)?)))
}

/// One rule of the party.
pub(crate) fn get(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ReadRoom)?;
    let id = call.name("rule")?;
    let room = entered.fresh()?;
    Ok(Reply::json(rendered(room.state(), own(app, room.state(), &id)?)))
}

/// The rules of the party.
pub(crate) fn list(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ReadRoom)?;
    let query = call.query(&["page_size", "page_token"])?;
    let room_id = entered.id.to_string();
    let scope = ["rules", room_id.as_str(), entered.principal.name().as_str()];
    let sizes = Sizes { usual: 100, most: 100 };
    let page = app.pager.page(query, "page_size", &scope, sizes)?;
    let room = entered.fresh()?;
    let me = app.me(room.state())?;
    let rules = room.state().rules().filter(|rule| rule.owner == me);
    let (rules, next) = page.cut(rules, |rule| rule.rule.id.to_string());
    let rules: Vec<Value> = rules.into_iter().map(|rule| rendered(room.state(), rule)).collect();
    Ok(Reply::json(json!({ "rules": rules, "next_page_token": next })))
}

/// Replaces a rule; it holds for what is added from now on.
pub(crate) fn update(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ManageRoom)?;
    let id: AssetName = call.name("rule")?;
    let asked: RuleBody = call.body()?;
    if asked.rule_id.as_ref().is_some_and(|said| said != id.as_str()) {
        return Err(Failure::invalid("rule_id is another than the path's"));
    }
    let (rule, unchanged) = {
        let room = entered.fresh()?;
        let known = &own(app, room.state(), &id)?.rule;
        let rule = asked.rule(id.clone(), &entered.name, &known.conditions)?;
        let unchanged = rule == *known;
        (rule, unchanged)
    };
    let room =
        if unchanged { entered.fresh()? } else { entered.say(Body::Rule(Rule::Add(rule)))? };
    Ok(Reply::json(rendered(room.state(), own(app, room.state(), &id)?)))
}

/// Removes a rule.
pub(crate) fn delete(app: &Arc<App>, call: &Call) -> Result<Reply, Failure> {
    let entered = app.enter(call, Action::ManageRoom)?;
    let id: AssetName = call.name("rule")?;
    {
        let room = entered.fresh()?;
        own(app, room.state(), &id)?;
    }
    drop(entered.say(Body::Rule(Rule::Remove { id }))?);
    Ok(Reply::empty())
}

fn own<'a>(
    app: &App,
    state: &'a RoomState,
    id: &AssetName,
) -> Result<&'a AutoApprovalRule, Failure> {
    let me = app.me(state)?;
    let mut rules = state.rules();
    rules
        .find(|known| known.owner == me && known.rule.id == *id)
        .ok_or_else(|| Failure::missing(format!("auto-approval rule {id} does not exist")))
}

fn rendered(state: &RoomState, known: &AutoApprovalRule) -> Value {
    let AutoApproval { author, conditions, id, runner } = &known.rule;
    let mut rule = json!({
        "rule_id": id,
        "clean_room_name": state.document().name,
        "rule_owner_collaborator_alias": known.owner,
        "author_collaborator_alias": author,
        "author_scope": if author.is_none() { Some("ANY_AUTHOR") } else { None },
        "runner_collaborator_alias": runner,
        "created_at": ms(known.added_at),
    });
    if let Some(members) = rule.as_object_mut().filter(|_| !conditions.is_none()) {
        members.insert("conditions".into(), json!(conditions));
    }
    rule
}

fn fresh_id() -> Result<AssetName, Failure> {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).map_err(Failure::internal)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("rule-{digits}").parse().map_err(Failure::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> RuleBody {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_client_that_does_not_know_conditions_leaves_them() {
        let room: AssetName = "delays".parse().unwrap();
        let before = Conditions { max_runs: Some(3), ..Conditions::default() };
        let check = |conditions: &str, expect: Option<u64>| {
            let text = format!(
                r#"{{"author_scope": "ANY_AUTHOR", "runner_collaborator_alias": "weather"{conditions}}}"#
            );
            let rule = asked(&text).rule("r".parse().unwrap(), &room, &before).unwrap();
            assert_eq!(rule.conditions.max_runs, expect, "{text}");
        };
        check("", Some(3));
        check(r#", "conditions": null"#, Some(3));
        check(r#", "conditions": {}"#, None);
        check(r#", "conditions": {"max_runs": 5}"#, Some(5));
        check(r#", "conditions": {"capabilities_not_grown": true}"#, None);
        let wrong = r#"{"author_scope": "ANY_AUTHOR", "runner_collaborator_alias": "w", "conditions": {"max_run": 1}}"#;
        assert!(serde_json::from_str::<RuleBody>(wrong).is_err());
    }
}
