//! The record of denials: whole, bounded, without floods.

use std::net::IpAddr;

use axum::http::HeaderMap;
use glovebox_gateway::access::{
    Action, AuditFilter, Kind, Privilege, Refusal, Resource, Retention, Scope, Store,
};

use crate::support::{Gateway, START, bearer, in_room, peer, room};

fn with_alice() -> (Gateway, String) {
    let gateway = Gateway::new();
    gateway.add(Kind::User, "alice");
    let token = gateway.token("alice");
    (gateway, token)
}

#[test]
fn every_denial_is_recorded_with_who_what_where_and_why() {
    let (gateway, token) = with_alice();
    gateway.grant("alice", Privilege::Execute, &Scope::Room(room("a")));
    gateway.ask(&token, Action::ExecuteTask, &in_room("a")).unwrap();
    assert_eq!(gateway.audit(), [], "what is permitted is not a denial");
    gateway.ask(&token, Action::ManageRoom, &in_room("a")).unwrap_err();
    gateway.later(5);
    gateway
        .access
        .authorize(&HeaderMap::new(), peer(), Action::CreateRoom, &Resource::Gateway)
        .unwrap_err();
    let [second, first] = gateway.audit().try_into().unwrap();
    assert_eq!((first.time, first.last, first.times), (START, START, 1));
    assert_eq!(first.principal.as_deref(), Some("alice"));
    assert_eq!(first.peer.as_deref(), Some("192.0.2.1"));
    assert_eq!(first.action, "ManageRoom");
    assert_eq!(first.resource, format!("room {}", room("a")));
    assert_eq!(first.reason, "it needs MANAGE");
    assert_eq!((second.time, second.principal), (START + 5, None));
    assert_eq!((second.action.as_str(), second.resource.as_str()), ("CreateRoom", "gateway"));
    assert_eq!(second.reason, "no bearer token");
}

#[test]
fn asking_to_leave_out_is_no_denial() {
    let (gateway, token) = with_alice();
    let principal = gateway.authenticate(&token).unwrap();
    assert!(!gateway.access.permits(&principal, Action::ReadRoom, &in_room("a")));
    assert_eq!(gateway.audit(), []);
    gateway.access.permit(&principal, Action::ReadRoom, &in_room("a")).unwrap_err();
    assert_eq!(gateway.audit().len(), 1);
}

#[test]
fn the_same_within_a_minute_is_counted() {
    let (gateway, token) = with_alice();
    for seconds in [0, 30, 60, 61] {
        gateway.later(seconds);
        gateway.ask(&token, Action::ReadRoom, &in_room("a")).unwrap_err();
        gateway.ask(&token, Action::ReadRoom, &in_room("b")).unwrap_err();
    }
    let counted: Vec<_> =
        gateway.audit().iter().map(|e| (e.time - START, e.last - START, e.times)).collect();
    assert_eq!(counted, [(151, 151, 1), (151, 151, 1), (0, 90, 3), (0, 90, 3)]);
}

#[test]
fn entries_are_chosen_by_time_principal_and_number() {
    let (gateway, token) = with_alice();
    gateway.add(Kind::User, "bob");
    let bob = gateway.token("bob");
    for name in ["a", "b", "c"] {
        gateway.ask(&token, Action::ReadRoom, &in_room(name)).unwrap_err();
        gateway.later(100);
    }
    gateway.ask(&bob, Action::ReadRoom, &in_room("a")).unwrap_err();
    let chosen = |since, principal: Option<&str>, limit| {
        let filter = AuditFilter { since, principal: principal.map(Into::into), limit };
        gateway.access.store().audit(&filter).unwrap().len()
    };
    assert_eq!(chosen(None, None, 100), 4);
    assert_eq!(chosen(None, None, 2), 2);
    assert_eq!(chosen(None, Some("Alice"), 100), 3);
    assert_eq!(chosen(Some(START + 200), None, 100), 2);
    assert_eq!(chosen(Some(START + 200), Some("bob"), 100), 1);
}

#[test]
fn old_entries_and_too_many_go() {
    let (gateway, _) = with_alice();
    // A second store on the file, as the gateway itself would have with another retention.
    let retention = Retention { entries: 3, seconds: 1000 };
    let clock = gateway.config.clock.clone();
    let store =
        Store::open_with_clock(&gateway.store_file(), clock).unwrap().with_retention(retention);
    let access = {
        let mut config = gateway.config.clone();
        config.retention = retention;
        glovebox_gateway::access::Access::open(config).unwrap()
    };
    let deny = |name: &str| {
        let unknown = Resource::UnknownRoom(name.into());
        access.authorize(&HeaderMap::new(), peer(), Action::ReadRoom, &unknown).unwrap_err();
    };
    let kept = || -> Vec<_> {
        let entries = store.audit(&AuditFilter::default()).unwrap();
        entries.into_iter().map(|entry| entry.resource.replace("unknown room ", "")).collect()
    };
    for name in ["a", "b", "c", "d"] {
        deny(name);
        gateway.later(100);
    }
    assert_eq!(kept(), ["d", "c", "b"]);
    gateway.later(850);
    deny("e");
    assert_eq!(kept(), ["e", "d"]);
}

#[test]
fn what_comes_from_outside_is_short_and_printable() {
    let (gateway, token) = with_alice();
    let name = format!("\u{1b}[31m\n{}", "x".repeat(10_000));
    gateway.ask(&token, Action::ReadRoom, &Resource::UnknownRoom(name)).unwrap_err();
    let resource = gateway.audit()[0].resource.clone();
    assert!(resource.starts_with("unknown room \\u{1b}[31m\\nxxx"), "{resource}");
    assert!(resource.len() < 500 && !resource.contains(char::is_control));
}

#[test]
fn failures_of_one_address_are_slowed_down_and_right_tokens_are_not() {
    let (gateway, token) = with_alice();
    let fail = |from: IpAddr, nth: u64| {
        let resource = Resource::UnknownRoom(format!("{nth}"));
        gateway
            .access
            .authorize(&bearer("gbx_wrong"), from, Action::ReadRoom, &resource)
            .unwrap_err()
    };
    for nth in 0..20 {
        assert_eq!(fail(peer(), nth).status(), 401, "{nth}");
    }
    for nth in 20..50 {
        let refused = fail(peer(), nth);
        assert_eq!(refused.refusal(), Refusal::RateLimited { retry_after: 60 }, "{nth}");
        assert_eq!((refused.status(), refused.error_code()), (429, "RESOURCE_EXHAUSTED"));
    }
    assert_eq!(gateway.audit().len(), 21, "one entry says that no more are recorded");
    assert!(gateway.last_reason().contains("too many failures"), "{}", gateway.last_reason());
    gateway.authenticate(&token).unwrap();
    assert_eq!(fail("192.0.2.2".parse().unwrap(), 50).status(), 401);
    gateway.later(60);
    assert_eq!(fail(peer(), 51).status(), 401);
}
