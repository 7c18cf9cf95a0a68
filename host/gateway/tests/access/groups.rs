//! Groups in groups, circles of them, owners, names.

use glovebox_gateway::access::{
    Action, Kind, NewPrincipal, PrincipalName, Privilege, Resource, Scope,
};
use rusqlite::Connection;

use crate::support::{Gateway, in_room, named, room};

fn three_groups() -> Gateway {
    let gateway = Gateway::new();
    gateway.add(Kind::User, "alice");
    gateway.add(Kind::ServicePrincipal, "etl");
    for group in ["one", "two", "three"] {
        gateway.add(Kind::Group, group);
    }
    gateway.join("one", "alice");
    gateway.join("two", "one");
    gateway.join("three", "two");
    gateway
}

#[test]
fn a_privilege_of_an_outer_group_is_one_of_its_members() {
    let gateway = three_groups();
    let token = gateway.token("alice");
    gateway.ask(&token, Action::ExecuteTask, &in_room("a")).unwrap_err();
    gateway.grant("three", Privilege::Execute, &Scope::Room(room("a")));
    gateway.ask(&token, Action::ExecuteTask, &in_room("a")).unwrap();
    gateway.ask(&token, Action::ExecuteTask, &in_room("b")).unwrap_err();
    gateway.ask(&gateway.token("etl"), Action::ExecuteTask, &in_room("a")).unwrap_err();
    gateway.access.store().remove_member(&named("two"), &named("one")).unwrap();
    gateway.ask(&token, Action::ExecuteTask, &in_room("a")).unwrap_err();
}

#[test]
fn a_privilege_of_an_inner_group_is_none_of_the_outer() {
    let gateway = three_groups();
    gateway.join("three", "etl");
    gateway.grant("one", Privilege::Manage, &Scope::Gateway);
    gateway.ask(&gateway.token("etl"), Action::ReadRoom, &in_room("a")).unwrap_err();
    gateway.ask(&gateway.token("alice"), Action::ManageRoom, &in_room("a")).unwrap();
}

#[test]
fn circles_are_refused() {
    let gateway = three_groups();
    for (group, member) in [("one", "one"), ("one", "two"), ("one", "three"), ("two", "three")] {
        let error = gateway.access.store().add_member(&named(group), &named(member)).unwrap_err();
        assert!(error.to_string().contains("circles"), "{group} {member}: {error}");
    }
}

#[test]
fn a_circle_in_the_file_ends_no_decision() {
    let gateway = three_groups();
    gateway.grant("three", Privilege::Execute, &Scope::Room(room("a")));
    let file = Connection::open(gateway.store_file()).unwrap();
    let made = file
        .execute(
            "INSERT INTO member SELECT a.id, b.id FROM principal a, principal b \
             WHERE a.kind = 'group' AND b.kind = 'group' ON CONFLICT DO NOTHING",
            [],
        )
        .unwrap();
    assert_eq!(made, 7);
    let token = gateway.token("alice");
    gateway.ask(&token, Action::ExecuteTask, &in_room("a")).unwrap();
    gateway.ask(&token, Action::ModifyRoom, &in_room("a")).unwrap_err();
}

#[test]
fn only_groups_have_members() {
    let gateway = three_groups();
    for (group, member) in [("alice", "etl"), ("nobody", "etl"), ("one", "nobody")] {
        gateway.access.store().add_member(&named(group), &named(member)).unwrap_err();
    }
}

#[test]
fn who_creates_a_room_owns_it() {
    let gateway = Gateway::new();
    gateway.add(Kind::ServicePrincipal, "etl");
    gateway.add(Kind::User, "alice");
    gateway.grant("etl", Privilege::Create, &Scope::Gateway);
    let (etl, alice) = (gateway.token("etl"), gateway.token("alice"));
    let principal = gateway.ask(&etl, Action::CreateRoom, &Resource::Gateway).unwrap();
    gateway.access.created_room(&principal, &room("a")).unwrap();
    gateway.ask(&etl, Action::ManageRoom, &in_room("a")).unwrap();
    gateway.ask(&etl, Action::ReadRoom, &in_room("b")).unwrap_err();
    gateway.access.store().set_owner(&room("a"), &named("alice")).unwrap();
    assert_eq!(gateway.access.store().owner(&room("a")).unwrap(), Some(named("alice")));
    gateway.ask(&etl, Action::ReadRoom, &in_room("a")).unwrap_err();
    gateway.ask(&alice, Action::ManageRoom, &in_room("a")).unwrap();
    gateway.access.store().remove_principal(&named("alice")).unwrap();
    assert_eq!(gateway.access.store().owner(&room("a")).unwrap(), None);
}

#[test]
fn who_comes_back_under_a_name_gets_nothing_of_the_one_before() {
    let gateway = Gateway::new();
    gateway.add(Kind::User, "alice");
    gateway.add(Kind::Group, "admins");
    gateway.join("admins", "alice");
    gateway.grant("admins", Privilege::Browse, &Scope::Gateway);
    gateway.grant("alice", Privilege::Manage, &Scope::Gateway);
    let token = gateway.token("alice");
    let principal = gateway.ask(&token, Action::ReadRoom, &in_room("a")).unwrap();
    gateway.access.store().remove_principal(&named("alice")).unwrap();
    gateway.add(Kind::User, "alice");
    assert_eq!(gateway.authenticate(&token).unwrap_err().status(), 401);
    assert!(!gateway.access.permits(&principal, Action::ReadRoom, &in_room("a")));
    let token = gateway.token("alice");
    gateway.ask(&token, Action::ReadRoom, &in_room("a")).unwrap_err();
    assert_eq!(gateway.access.store().grants().unwrap().len(), 1);
}

#[test]
fn names_subjects_and_privileges_are_checked() {
    for text in ["", ".a", "a b", "a/b", "a\n", "é", "a\u{202e}", &"a".repeat(129)] {
        assert!(text.parse::<PrincipalName>().is_err(), "{text:?}");
    }
    for text in ["a", "alice@airline.example", "0-1_2+3", &"a".repeat(128)] {
        assert!(text.parse::<PrincipalName>().is_ok(), "{text:?}");
    }
    let gateway = Gateway::new();
    let store = gateway.access.store();
    gateway.add_known_as(Kind::User, "alice", Some("1"));
    let add = |kind, name: &str, subject: Option<&str>| {
        store.add_principal(&NewPrincipal {
            name: named(name),
            kind,
            subject: subject.map(Into::into),
        })
    };
    assert!(add(Kind::Group, "ALICE", None).unwrap_err().is_already_exists());
    assert!(add(Kind::ServicePrincipal, "bob", Some("1")).unwrap_err().is_already_exists());
    add(Kind::Group, "group", Some("1")).unwrap();
    add(Kind::User, "bob", Some("")).unwrap_err();
    add(Kind::User, "bob", Some(&"x".repeat(256))).unwrap_err();
    let (alice, on_a) = (named("alice"), Scope::Room(room("a")));
    store.grant(&alice, Privilege::Create, &on_a).unwrap_err();
    store.grant(&alice, Privilege::Browse, &on_a).unwrap();
    assert!(store.grant(&alice, Privilege::Browse, &on_a).unwrap_err().is_already_exists());
    assert!(store.revoke(&alice, Privilege::Browse, &Scope::Gateway).unwrap_err().is_not_found());
    store.revoke(&named("Alice"), Privilege::Browse, &on_a).unwrap();
    assert_eq!(store.grants().unwrap(), []);
    assert!(store.remove_principal(&named("nobody")).unwrap_err().is_not_found());
    let listed = store.principals().unwrap();
    let names: Vec<_> = listed.iter().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["alice", "group"]);
}
