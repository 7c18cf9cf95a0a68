//! The gateway's own tokens.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use glovebox_gateway::access::{Access, Action, Kind, Privilege, Scope, Store};
use rusqlite::Connection;

use crate::support::{Gateway, START, authorization, bearer, in_room, named, peer};

fn with_alice() -> Gateway {
    let gateway = Gateway::new();
    gateway.add(Kind::User, "alice");
    gateway
}

#[test]
fn a_new_gateway_denies_everything() {
    let gateway = Gateway::new();
    assert!(gateway.access.store().is_empty().unwrap());
    assert!(gateway.access.store().tokens().unwrap().is_empty());
    for headers in [HeaderMap::new(), authorization("Bearer "), authorization("Bearer gbx_")] {
        let refused = gateway
            .access
            .authorize(&headers, peer(), Action::ReadRoom, &in_room("a"))
            .unwrap_err();
        assert_eq!((refused.status(), refused.error_code()), (401, "UNAUTHENTICATED"));
    }
}

#[test]
fn a_token_has_its_form() {
    let gateway = with_alice();
    let tokens: BTreeSet<_> = (0..20).map(|_| gateway.token("alice")).collect();
    assert_eq!(tokens.len(), 20);
    for token in &tokens {
        let secret = URL_SAFE_NO_PAD.decode(token.strip_prefix("gbx_").unwrap()).unwrap();
        assert_eq!(secret.len(), 32);
        assert_eq!(gateway.authenticate(token).unwrap().name(), &named("alice"));
    }
}

#[test]
fn what_is_no_good_token_is_refused() {
    let gateway = with_alice();
    let token = gateway.token("alice");
    let unknown = format!("gbx_{}", URL_SAFE_NO_PAD.encode([7; 32]));
    let padded = format!("{token}=");
    // The last letter has two bits to spare: these three decode to the same bytes elsewhere.
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = letters.find(token.chars().next_back().unwrap()).unwrap();
    for spare in 1..4 {
        let twin = letters.chars().nth(last | spare).unwrap();
        let twin = format!("{}{twin}", &token[..token.len() - 1]);
        assert_eq!(gateway.authenticate(&twin).unwrap_err().status(), 401);
    }
    for (value, reason) in [
        (String::new(), "the authorization is not a bearer token"),
        ("Bearer".into(), "the authorization is not a bearer token"),
        (token.clone(), "the authorization is not a bearer token"),
        (format!("Basic {token}"), "the authorization is not a bearer token"),
        (format!("Bearer {unknown}"), "unknown token"),
        (format!("Bearer {padded}"), "not the form of a token"),
        (format!("Bearer {token}A"), "not the form of a token"),
        (format!("Bearer {token} {token}"), "not the form of a token"),
        (
            format!("Bearer {}", token.to_uppercase()),
            "not a token of this gateway, and no issuer is set",
        ),
        ("Bearer gbx_".into(), "not the form of a token"),
        (
            "Bearer eyJhbGciOiJub25lIn0.e30.".into(),
            "not a token of this gateway, and no issuer is set",
        ),
    ] {
        // Not counted with the one before.
        gateway.later(61);
        let refused = gateway.access.authenticate(&authorization(&value), peer()).unwrap_err();
        assert_eq!(refused.status(), 401, "{value}");
        assert_eq!(refused.to_string(), "the bearer token is missing or not good", "{value}");
        assert_eq!(gateway.last_reason(), reason, "{value}");
    }
    let mut two = bearer(&token);
    two.append(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    gateway.access.authenticate(&two, peer()).unwrap_err();
    gateway.access.authenticate(&HeaderMap::new(), peer()).unwrap_err();
    for good in ["Bearer", "bearer", "BEARER"] {
        gateway.access.authenticate(&authorization(&format!("{good} {token}")), peer()).unwrap();
    }
    gateway.access.authenticate_token(&token, peer()).unwrap();
}

#[test]
fn a_token_ends() {
    let gateway = with_alice();
    let store = gateway.access.store();
    let minute = Duration::from_secs(60);
    let first = store.new_token(&named("alice"), "laptop", minute).unwrap();
    let second = store.new_token(&named("alice"), "desktop", 2 * minute).unwrap();
    assert_eq!((first.info().created, first.info().expires), (START, START + 60));
    gateway.later(59);
    let principal = gateway.authenticate(first.reveal()).unwrap();
    gateway.later(1);
    assert_eq!(gateway.authenticate(first.reveal()).unwrap_err().status(), 401);
    assert!(gateway.last_reason().ends_with("of alice is expired"), "{}", gateway.last_reason());
    assert!(!gateway.access.permits(&principal, Action::ReadRoom, &in_room("a")));
    gateway.authenticate(second.reveal()).unwrap();
    // Another process revokes it.
    let other = Store::open(&gateway.store_file()).unwrap();
    other.revoke_token(&second.info().id).unwrap();
    assert!(other.revoke_token(&second.info().id).unwrap_err().is_not_found());
    gateway.authenticate(second.reveal()).unwrap_err();
    assert!(gateway.last_reason().ends_with("of alice is revoked"), "{}", gateway.last_reason());
}

#[test]
fn a_principal_in_hand_is_worth_no_more_than_its_token() {
    let gateway = with_alice();
    gateway.grant("alice", Privilege::Manage, &Scope::Gateway);
    let hour = Duration::from_secs(3600);
    let token = gateway.access.store().new_token(&named("alice"), "", hour).unwrap();
    let principal = gateway.authenticate(token.reveal()).unwrap();
    gateway.access.permit(&principal, Action::ReadRoom, &in_room("a")).unwrap();
    gateway.access.store().revoke_token(&token.info().id).unwrap();
    let refused = gateway.access.permit(&principal, Action::ReadRoom, &in_room("a")).unwrap_err();
    assert_eq!(refused.status(), 403);
}

#[test]
fn the_last_use_is_known_to_the_minute() {
    let gateway = with_alice();
    let token = gateway.token("alice");
    let last_used = || gateway.access.store().tokens().unwrap()[0].last_used;
    assert_eq!(last_used(), None);
    gateway.authenticate(&token).unwrap();
    assert_eq!(last_used(), Some(START));
    gateway.later(59);
    gateway.authenticate(&token).unwrap();
    assert_eq!(last_used(), Some(START));
    gateway.later(1);
    gateway.authenticate(&token).unwrap();
    assert_eq!(last_used(), Some(START + 60));
}

#[test]
fn groups_and_bad_lives_and_labels_get_no_token() {
    let gateway = with_alice();
    gateway.add(Kind::Group, "group");
    let store = gateway.access.store();
    let day = Duration::from_secs(86400);
    for (name, label, life) in [
        ("group", "", day),
        ("nobody", "", day),
        ("alice", "", Duration::ZERO),
        ("alice", "", 401 * day),
        ("alice", "", Duration::MAX),
        ("alice", "a\nb", day),
        ("alice", &"x".repeat(101), day),
    ] {
        store.new_token(&named(name), label, life).unwrap_err();
    }
    assert!(store.tokens().unwrap().is_empty());
}

/// The store's files, however many SQLite has made.
fn files(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_store_holds_no_token_and_is_private() {
    let gateway = with_alice();
    let tokens: Vec<_> = (0..5).map(|_| gateway.token("alice")).collect();
    for token in &tokens {
        gateway.ask(token, Action::ReadRoom, &in_room("a")).unwrap_err();
        gateway.authenticate(&format!("{token}x")).unwrap_err();
        gateway.authenticate(&token.replace("gbx_", "gby_")).unwrap_err();
    }
    let files = files(gateway.directory.path());
    assert!(files.len() > 1, "the log beside the file is looked at too");
    for file in files {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        let bytes = std::fs::read(&file).unwrap();
        for token in &tokens {
            let text = token.trim_start_matches("gbx_");
            let secret = URL_SAFE_NO_PAD.decode(text).unwrap();
            for part in [&text.as_bytes()[..16], &secret[..12]] {
                assert!(
                    !bytes.windows(part.len()).any(|window| window == part),
                    "{}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn an_open_file_is_closed_to_others() {
    let gateway = with_alice();
    std::fs::set_permissions(gateway.store_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    Store::open(&gateway.store_file()).unwrap();
    let mode = std::fs::metadata(gateway.store_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_no_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.sqlite");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    assert!(Store::open(&path).unwrap_err().is_unavailable());
    std::fs::write(&path, "not a database at all, but long enough to be read as one, perhaps")
        .unwrap();
    assert!(Store::open(&path).unwrap_err().is_unavailable());
    assert!(Store::open(&directory.path().join("no/such")).unwrap_err().is_unavailable());
    let gateway = Gateway::new();
    Connection::open(gateway.store_file()).unwrap().pragma_update(None, "user_version", 2).unwrap();
    Access::open(gateway.config.clone()).unwrap_err();
}

#[test]
fn a_store_that_cannot_be_read_denies() {
    let gateway = with_alice();
    gateway.grant("alice", Privilege::Manage, &Scope::Gateway);
    let token = gateway.token("alice");
    let principal = gateway.authenticate(&token).unwrap();
    Connection::open(gateway.store_file()).unwrap().execute_batch("DROP TABLE owner").unwrap();
    let refused = gateway.ask(&token, Action::ReadRoom, &in_room("a")).unwrap_err();
    assert_eq!(refused.status(), 503);
    assert!(!gateway.access.permits(&principal, Action::ReadRoom, &in_room("a")));
}

/// Writes down everything that is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::field::Visit for Log {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push_str(&format!("{field}={value:?} "));
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn no_token_is_logged_or_told() {
    let gateway = with_alice();
    let log = Log::default();
    let mut told = String::new();
    let token = gateway.token("alice");
    tracing::subscriber::with_default(log.clone(), || {
        // Other tests may be the first to come to a line that logs, on threads that log nowhere.
        for _ in 0..10 {
            tracing::callsite::rebuild_interest_cache();
            gateway.authenticate("gbx_first").unwrap_err();
        }
        let hour = Duration::from_secs(3600);
        let new = gateway.access.store().new_token(&named("alice"), "", hour).unwrap();
        told.push_str(&format!("{new:?} {:?}", gateway.access));
        told.push_str(&format!("{:?}", gateway.authenticate(&token)));
        for wrong in [format!("{token}x"), token.replace("gbx_", "gbx-"), token.replace('_', "__")]
        {
            told.push_str(&format!("{:?}", gateway.authenticate(&wrong).unwrap_err()));
        }
        let refused = gateway.ask(&token, Action::ReadRoom, &in_room("a")).unwrap_err();
        told.push_str(&format!("{refused:?} {refused} {:?}", gateway.audit()));
    });
    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("not the form of a token") && log.contains("it needs BROWSE"), "{log}");
    let secret = &token[8..24];
    assert!(!log.contains(secret) && !told.contains(secret));
}
