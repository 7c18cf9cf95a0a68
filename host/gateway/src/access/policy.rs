//! The decision, by Cedar policies.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};

use super::action::{Action, Resource};
use super::principal::{Credential, Kind, Principal, PrincipalName};
use super::privilege::Privilege;
use super::store::Standing;
use super::token::TokenId;

const SCHEMA: &str = include_str!("../../../../policies/access/schema.cedarschema");
const POLICIES: &str = include_str!("../../../../policies/access/policies.cedar");
const SCHEMA_FILE: &str = "schema.cedarschema";
const POLICIES_FILE: &str = "policies.cedar";

/// Invalid policies: a gateway does not start with them.
#[derive(Debug, thiserror::Error)]
#[error("invalid access policies ({place}): {what}")]
pub struct PolicyError {
    place: String,
    what: String,
}

/// Most decisions that are remembered.
const MAX_DECIDED: usize = 20_000;

/// The policies in force, and the schema they were validated against.
#[derive(Debug)]
pub(super) struct Policies {
    schema: Schema,
    policies: PolicySet,
    authorizer: Authorizer,
    /// Decisions by everything that a policy can look at, so that a list of a thousand rooms is
    /// not decided anew each time. Policies do not change while a gateway runs.
    decided: Mutex<HashMap<Question, Result<(), String>>>,
}

/// All that a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    name: PrincipalName,
    kind: Kind,
    authentication: &'static str,
    standing: Standing,
    action: Action,
    resource: Resource,
}

impl Policies {
    /// The policies of `policies/access`.
    pub(super) fn built_in() -> Result<Self, PolicyError> {
        Self::parse(SCHEMA, POLICIES).map_err(|what| PolicyError { place: "built in".into(), what })
    }

    /// The policies of a directory; its schema may be left out.
    pub(super) fn read(directory: &Path) -> Result<Self, PolicyError> {
        let in_directory =
            |what: String| PolicyError { place: directory.display().to_string(), what };
        let text = |file: &str| {
            let path: PathBuf = directory.join(file);
            std::fs::read_to_string(&path)
        };
        let schema = match text(SCHEMA_FILE) {
            Ok(schema) => schema,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => SCHEMA.into(),
            Err(error) => return Err(in_directory(format!("{SCHEMA_FILE}: {error}"))),
        };
        let policies = text(POLICIES_FILE)
            .map_err(|error| in_directory(format!("{POLICIES_FILE}: {error}")))?;
        Self::parse(&schema, &policies).map_err(in_directory)
    }

    fn parse(schema: &str, policies: &str) -> Result<Self, String> {
        let (schema, _) = Schema::from_cedarschema_str(schema)
            .map_err(|error| format!("{SCHEMA_FILE}: {}", chain(&error)))?;
        let policies: PolicySet =
            policies.parse().map_err(|error| format!("{POLICIES_FILE}: {}", chain(&error)))?;
        if policies.templates().next().is_some() {
            return Err(format!("{POLICIES_FILE}: a template that nothing fills in"));
        }
        let found = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        if !found.validation_passed() {
            let errors: Vec<_> = found.validation_errors().map(|error| error.to_string()).collect();
            return Err(format!("{POLICIES_FILE}: {}", errors.join("; ")));
        }
        let decided = Mutex::default();
        let parsed = Self { schema, policies, authorizer: Authorizer::new(), decided };
        parsed.can_ask()?;
        Ok(parsed)
    }

    /// Every question can be put under this schema; otherwise all would be denied for no reason
    /// that an operator could see.
    fn can_ask(&self) -> Result<(), String> {
        let room = Resource::UnknownRoom("check".into());
        for (kind, action) in [Kind::User, Kind::ServicePrincipal]
            .into_iter()
            .flat_map(|kind| Action::ALL.map(|action| (kind, action)))
        {
            let name = "check".parse().map_err(|error| format!("{error}"))?;
            let credential = Credential::Token(TokenId::from_random([0; 8]));
            let principal = Principal { id: 0, name, kind, credential };
            let on = if action == Action::CreateRoom { &Resource::Gateway } else { &room };
            question(&self.schema, &principal, &Standing::default(), action, on)
                .map_err(|what| format!("{SCHEMA_FILE}: {action} cannot be asked: {what}"))?;
        }
        Ok(())
    }

    /// Decides; the error says why not.
    pub(super) fn decide(
        &self,
        principal: &Principal,
        standing: &Standing,
        action: Action,
        resource: &Resource,
    ) -> Result<(), String> {
        // What does not exist has a name of the asker's choice: that is not remembered.
        if matches!(resource, Resource::UnknownRoom(_)) {
            return self.ask(principal, standing, action, resource);
        }
        let asked = Question {
            name: principal.name.clone(),
            kind: principal.kind,
            authentication: authentication(principal),
            standing: standing.clone(),
            action,
            resource: resource.clone(),
        };
        if let Some(decided) = self.decided().get(&asked) {
            return decided.clone();
        }
        let decision = self.ask(principal, standing, action, resource);
        let mut decided = self.decided();
        if decided.len() >= MAX_DECIDED {
            decided.clear();
        }
        decided.insert(asked, decision.clone());
        decision
    }

    fn decided(&self) -> MutexGuard<'_, HashMap<Question, Result<(), String>>> {
        self.decided.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(
        &self,
        principal: &Principal,
        standing: &Standing,
        action: Action,
        resource: &Resource,
    ) -> Result<(), String> {
        let (request, entities) = question(&self.schema, principal, standing, action, resource)
            .map_err(|what| {
                tracing::warn!(%what, "the access policies cannot be asked");
                format!("{action} is not for this resource")
            })?;
        let answer = self.authorizer.is_authorized(&request, &self.policies, &entities);
        // A policy that failed may be one that forbids.
        if let Some(error) = answer.diagnostics().errors().next() {
            tracing::error!(%error, "an access policy failed");
            return Err("an access policy failed".into());
        }
        if answer.decision() == Decision::Allow {
            return Ok(());
        }
        match answer.diagnostics().reason().next() {
            Some(policy) => Err(format!("policy {} forbids it", self.label(policy))),
            None => Err(format!("it needs {}", needed(action))),
        }
    }

    fn label(&self, policy: &PolicyId) -> String {
        self.policies.annotation(policy, "id").map_or_else(|| policy.to_string(), str::to_owned)
    }
}

fn needed(action: Action) -> Privilege {
    match action {
        Action::CreateRoom => Privilege::Create,
        Action::ReadRoom => Privilege::Browse,
        Action::ModifyRoom | Action::ReviewNotebook => Privilege::Modify,
        Action::ExecuteTask | Action::ReadOutput => Privilege::Execute,
        Action::ManageRoom => Privilege::Manage,
    }
}

/// The request and the entities that it is about.
fn question(
    schema: &Schema,
    principal: &Principal,
    standing: &Standing,
    action: Action,
    resource: &Resource,
) -> Result<(Request, Entities), String> {
    let who = uid(principal.kind.entity_type(), principal.name.as_str())?;
    let gateway = uid("Gateway", "gateway")?;
    let (room, on) = match resource {
        Resource::Gateway => (None, gateway.clone()),
        Resource::Room(id) => some_room(id.to_string())?,
        // No id of a room has a space in it.
        Resource::UnknownRoom(name) => some_room(format!("unknown {name}"))?,
    };
    let mut parents = HashSet::new();
    for group in &standing.groups {
        parents.insert(uid("Group", group)?);
    }
    for privilege in &standing.gateway {
        parents.insert(holders(GATEWAY, privilege.attribute())?);
    }
    let mut entities = Vec::new();
    for group in &standing.groups {
        entities.push(Entity::new_no_attrs(uid("Group", group)?, HashSet::new()));
    }
    if let Some(room) = &room {
        for privilege in &standing.room {
            parents.insert(holders(room, privilege.attribute())?);
        }
        if standing.owns {
            parents.insert(holders(room, OWNER)?);
        }
        let mut attributes = held_on(room, ROOM_PRIVILEGES.map(Privilege::attribute))?;
        attributes.extend(held_on(room, [OWNER])?);
        attributes.insert("gateway".into(), RestrictedExpression::new_entity_uid(gateway.clone()));
        let within = HashSet::from([gateway.clone()]);
        entities.push(Entity::new(on.clone(), attributes, within).map_err(|e| chain(&e))?);
    }
    let attributes = held_on(GATEWAY, Privilege::ALL.map(Privilege::attribute))?;
    entities.push(Entity::new(gateway, attributes, HashSet::new()).map_err(|e| chain(&e))?);
    entities.push(Entity::new_no_attrs(who.clone(), parents));
    let entities = Entities::from_entities(entities, Some(schema)).map_err(|e| chain(&e))?;
    let action = uid("Action", action.name())?;
    let request = Request::new(who, action, on, context(principal)?, Some(schema))
        .map_err(|error| chain(&error))?;
    Ok((request, entities))
}

const GATEWAY: &str = "gateway";
const OWNER: &str = "owner";
const ROOM_PRIVILEGES: [Privilege; 4] =
    [Privilege::Modify, Privilege::Execute, Privilege::Browse, Privilege::Manage];

fn some_room(id: String) -> Result<(Option<String>, EntityUid), String> {
    let on = uid("Room", &id)?;
    Ok((Some(id), on))
}

fn authentication(principal: &Principal) -> &'static str {
    match principal.credential {
        Credential::Token(_) => "token",
        Credential::Oidc { .. } => "oidc",
    }
}

fn context(principal: &Principal) -> Result<Context, String> {
    let value = RestrictedExpression::new_string(authentication(principal).into());
    Context::from_pairs([("authentication".into(), value)]).map_err(|error| chain(&error))
}

fn held_on<const N: usize>(
    place: &str,
    attributes: [&str; N],
) -> Result<HashMap<String, RestrictedExpression>, String> {
    attributes
        .into_iter()
        .map(|name| Ok((name.into(), RestrictedExpression::new_entity_uid(holders(place, name)?))))
        .collect()
}

fn holders(place: &str, attribute: &str) -> Result<EntityUid, String> {
    uid("Holders", &format!("{place}/{attribute}"))
}

/// The id is taken as it is, whatever is in it: nothing is parsed.
fn uid(entity_type: &str, id: &str) -> Result<EntityUid, String> {
    let name: EntityTypeName = entity_type.parse().map_err(|error| format!("{error}"))?;
    Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
