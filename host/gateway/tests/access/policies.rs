//! The table of cases of `policies/access`, and policies of an operator's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use glovebox_gateway::access::{Access, Action, Kind, Privilege, Resource, Scope};
use serde::Deserialize;

use crate::support::{Gateway, in_room, named, room};

const CASES: &str = include_str!("../../../../policies/access/cases.toml");
const SCHEMA: &str = include_str!("../../../../policies/access/schema.cedarschema");
const POLICIES: &str = include_str!("../../../../policies/access/policies.cedar");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    users: Vec<String>,
    service_principals: Vec<String>,
    groups: BTreeMap<String, Vec<String>>,
    owners: BTreeMap<String, String>,
    privileges: Vec<Given>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    principal: String,
    privilege: String,
    scope: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    who: String,
    on: String,
    may: BTreeSet<String>,
}

fn table() -> Table {
    toml::from_str(CASES).unwrap()
}

fn set_up(table: &Table) -> Gateway {
    let gateway = Gateway::new();
    for user in &table.users {
        gateway.add(Kind::User, user);
    }
    for program in &table.service_principals {
        gateway.add(Kind::ServicePrincipal, program);
    }
    for group in table.groups.keys() {
        gateway.add(Kind::Group, group);
    }
    for (group, members) in &table.groups {
        members.iter().for_each(|member| gateway.join(group, member));
    }
    for (name, owner) in &table.owners {
        gateway.access.store().set_owner(&room(name), &named(owner)).unwrap();
    }
    for given in &table.privileges {
        let scope = match given.scope.as_str() {
            "gateway" => Scope::Gateway,
            name => Scope::Room(room(name)),
        };
        gateway.grant(&given.principal, given.privilege.parse().unwrap(), &scope);
    }
    gateway
}

#[test]
fn every_case_of_the_table_is_decided_as_it_says() {
    let table = table();
    let gateway = set_up(&table);
    let known: BTreeSet<_> = Action::ALL.iter().map(|action| action.name().to_owned()).collect();
    for Case { who, on, may } in &table.cases {
        assert!(may.is_subset(&known), "{who} on {on}: an action that is none");
        let resource = match on.as_str() {
            "gateway" => Resource::Gateway,
            "unknown" => Resource::UnknownRoom("nowhere".into()),
            name => in_room(name),
        };
        let token = gateway.token(who);
        let principal = gateway.authenticate(&token).unwrap();
        for action in Action::ALL {
            let expected = may.contains(action.name());
            let case = format!("{who}: {action} on {on}");
            assert_eq!(gateway.access.permits(&principal, action, &resource), expected, "{case}");
            assert_eq!(
                gateway.access.permit(&principal, action, &resource).is_ok(),
                expected,
                "{case}"
            );
            let asked = gateway.ask(&token, action, &resource);
            assert_eq!(asked.is_ok(), expected, "{case}");
            if let Err(refused) = asked {
                assert_eq!(
                    (refused.status(), refused.error_code()),
                    (403, "PERMISSION_DENIED"),
                    "{case}"
                );
                assert_eq!(gateway.audit()[0].action, action.name(), "{case}");
            }
        }
    }
}

#[test]
fn the_table_of_cases_leaves_nothing_out() {
    let table = table();
    let given: BTreeSet<_> =
        table.privileges.iter().map(|given| given.privilege.parse().unwrap()).collect();
    assert_eq!(given, BTreeSet::from(Privilege::ALL), "every privilege is held by somebody");
    let allowed: BTreeSet<_> = table.cases.iter().flat_map(|case| case.may.clone()).collect();
    assert_eq!(allowed.len(), Action::ALL.len(), "every action is allowed to somebody");
    let asked: BTreeSet<_> = table.cases.iter().map(|case| case.who.as_str()).collect();
    for who in table.users.iter().chain(&table.service_principals) {
        assert!(asked.contains(who.as_str()), "no case asks for {who}");
    }
    for place in ["gateway", "unknown", "a", "b"] {
        assert!(table.cases.iter().any(|case| case.on == place && !case.may.is_empty()), "{place}");
        assert!(table.cases.iter().any(|case| case.on == place && case.may.is_empty()), "{place}");
    }
}

fn write(directory: &Path, policies: Option<&str>, schema: Option<&str>) {
    if let Some(policies) = policies {
        std::fs::write(directory.join("policies.cedar"), policies).unwrap();
    }
    if let Some(schema) = schema {
        std::fs::write(directory.join("schema.cedarschema"), schema).unwrap();
    }
}

#[test]
fn policies_of_an_operator_narrow() {
    let directory = tempfile::tempdir().unwrap();
    let own = format!(
        "{POLICIES}
        @id(\"contractors\")
        forbid (principal in Group::\"contractors\", action, resource)
        unless {{ action == Action::\"ReadRoom\" }};
        @id(\"people-manage\")
        forbid (principal, action == Action::\"ManageRoom\", resource)
        unless {{ principal is User && context.authentication == \"oidc\" }};"
    );
    write(directory.path(), Some(&own), None);
    let gateway = Gateway::with(|config| config.policies = Some(directory.path().into()));
    gateway.add(Kind::User, "alice");
    gateway.add(Kind::Group, "contractors");
    gateway.grant("alice", Privilege::Manage, &Scope::Gateway);
    let token = gateway.token("alice");
    gateway.ask(&token, Action::ExecuteTask, &in_room("a")).unwrap();
    gateway.ask(&token, Action::ManageRoom, &in_room("a")).unwrap_err();
    assert_eq!(gateway.last_reason(), "policy people-manage forbids it");
    gateway.join("contractors", "alice");
    gateway.ask(&token, Action::ReadRoom, &in_room("a")).unwrap();
    let refused = gateway.ask(&token, Action::ExecuteTask, &in_room("a")).unwrap_err();
    assert_eq!(refused.status(), 403);
    assert_eq!(gateway.last_reason(), "policy contractors forbids it");
}

#[test]
fn a_policy_that_fails_denies() {
    let directory = tempfile::tempdir().unwrap();
    let own = "permit (principal, action, resource);
        forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };";
    write(directory.path(), Some(own), None);
    let gateway = Gateway::with(|config| config.policies = Some(directory.path().into()));
    gateway.add(Kind::User, "alice");
    let token = gateway.token("alice");
    gateway.ask(&token, Action::ReadRoom, &in_room("a")).unwrap_err();
    assert_eq!(gateway.last_reason(), "an access policy failed");
}

#[test]
fn invalid_policies_refuse_to_start() {
    let without_room = SCHEMA.replace("ReadRoom,", "LookAtRoom,");
    let cases = [
        ("no file", None, None, "policies.cedar: No such file"),
        ("no Cedar", Some("permit (principal, action, resource)"), None, "policies.cedar: "),
        (
            "unknown action",
            Some("permit (principal, action == Action::\"Fly\", resource);"),
            None,
            "Fly",
        ),
        ("unknown type", Some("permit (principal is Robot, action, resource);"), None, "Robot"),
        (
            "unknown attribute",
            Some("permit (principal, action, resource is Room) when { resource.secret };"),
            None,
            "secret",
        ),
        (
            "not a truth value",
            Some("permit (principal, action, resource is Room) when { resource.owner };"),
            None,
            "expected Bool",
        ),
        (
            "a template",
            Some("permit (principal == ?principal, action, resource);"),
            None,
            "template",
        ),
        ("no schema", Some(POLICIES), Some("entity {"), "schema.cedarschema: "),
        (
            "a schema for other questions",
            Some("permit (principal, action, resource);"),
            Some(without_room.as_str()),
            "ReadRoom cannot be asked",
        ),
    ];
    for (case, policies, schema, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), policies, schema);
        let mut config = Gateway::new().config;
        config.store = directory.path().join("access.sqlite");
        config.policies = Some(directory.path().into());
        let error = Access::open(config).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{case}: {error}");
    }
}

#[test]
fn names_are_taken_as_they_are() {
    let gateway = Gateway::new();
    gateway.add(Kind::User, "alice");
    gateway.grant("alice", Privilege::Manage, &Scope::Room(room("a")));
    let token = gateway.token("alice");
    for name in
        ["\" || true || \"", "x\"}; permit(principal,action,resource);", "", "\0", "é\u{202e}"]
    {
        let unknown = Resource::UnknownRoom(name.into());
        assert_eq!(gateway.ask(&token, Action::ReadRoom, &unknown).unwrap_err().status(), 403);
    }
    // A name that is another room's id is still no room.
    let pretended = Resource::UnknownRoom(room("a").to_string());
    gateway.ask(&token, Action::ReadRoom, &pretended).unwrap_err();
    gateway.ask(&token, Action::ReadRoom, &in_room("a")).unwrap();
}
