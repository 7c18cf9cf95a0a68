//! A gateway's access with a clock that the test sets.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HeaderValue};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::name::RoomId;
use glovebox_gateway::access::{
    Access, AccessError, Action, AuditEntry, AuditFilter, Clock, Config, Kind, NewPrincipal,
    Principal, PrincipalName, Privilege, Resource, Scope,
};
use tempfile::TempDir;

pub(crate) const START: u64 = 1_800_000_000;

pub(crate) struct Gateway {
    pub(crate) access: Access,
    pub(crate) config: Config,
    pub(crate) time: Arc<AtomicU64>,
    pub(crate) directory: TempDir,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let time = Arc::new(AtomicU64::new(START));
        let mut config = Config::new(directory.path().join("access.sqlite"));
        let shared = time.clone();
        config.clock = Clock::new(move || shared.load(Ordering::Relaxed));
        change(&mut config);
        Self { access: Access::open(config.clone()).unwrap(), config, time, directory }
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.time.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, kind: Kind, name: &str) {
        self.add_known_as(kind, name, None);
    }

    pub(crate) fn add_known_as(&self, kind: Kind, name: &str, subject: Option<&str>) {
        let new = NewPrincipal { name: named(name), kind, subject: subject.map(Into::into) };
        self.access.store().add_principal(&new).unwrap();
    }

    pub(crate) fn join(&self, group: &str, member: &str) {
        self.access.store().add_member(&named(group), &named(member)).unwrap();
    }

    pub(crate) fn grant(&self, name: &str, privilege: Privilege, scope: &Scope) {
        self.access.store().grant(&named(name), privilege, scope).unwrap();
    }

    /// A token for an hour.
    pub(crate) fn token(&self, name: &str) -> String {
        let hour = Duration::from_secs(3600);
        self.access.store().new_token(&named(name), "test", hour).unwrap().reveal().into()
    }

    pub(crate) fn authenticate(&self, token: &str) -> Result<Principal, AccessError> {
        self.access.authenticate(&bearer(token), peer())
    }

    pub(crate) fn ask(
        &self,
        token: &str,
        action: Action,
        resource: &Resource,
    ) -> Result<Principal, AccessError> {
        self.access.authorize(&bearer(token), peer(), action, resource)
    }

    pub(crate) fn audit(&self) -> Vec<AuditEntry> {
        self.access.store().audit(&AuditFilter::default()).unwrap()
    }

    /// Why the last failure failed, as the audit has it.
    pub(crate) fn last_reason(&self) -> String {
        self.audit().first().unwrap().reason.clone()
    }

    pub(crate) fn store_file(&self) -> PathBuf {
        self.config.store.clone()
    }
}

pub(crate) fn named(name: &str) -> PrincipalName {
    name.parse().unwrap()
}

pub(crate) fn room(name: &str) -> RoomId {
    RoomId(Blake3Digest::of(name.as_bytes()))
}

pub(crate) fn in_room(name: &str) -> Resource {
    Resource::Room(room(name))
}

pub(crate) fn peer() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

pub(crate) fn bearer(token: &str) -> HeaderMap {
    authorization(&format!("Bearer {token}"))
}

pub(crate) fn authorization(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    headers
}
