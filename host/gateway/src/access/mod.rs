//! Who may do what at this gateway: people and programs of one party, their tokens, their
//! privileges, the decision, and the record of every denial.
//!
//! A request comes with a bearer token: one of this gateway's own (`gbx_…`, kept as its SHA-256
//! only) or a JWT of the party's OIDC issuer. [`Access`] turns it into a [`Principal`] and asks
//! the Cedar policies whether that principal may do an [`Action`] on a [`Resource`].
//! Everything not permitted is denied; a store that cannot be read denies too.
//!
//! [`Store`] is what an operator changes: principals, groups, privileges, tokens. Two processes
//! may have it open: a revocation made by the command line is in force at the next request.
//! A new store has no principal, so a gateway with a new store denies everything.
//!
//! Every call here blocks (SQLite, and now and then the issuer's key set): an async handler makes
//! it in `spawn_blocking`.
//!
//! ```text
//! let access = Access::open(Config::new(state.join("access.sqlite")))?;
//! let principal = access.authorize(&headers, peer.ip(), Action::ReadRoom, &Resource::Room(id))?;
//! let rooms = rooms.filter(|room| access.permits(&principal, Action::ReadRoom, &Resource::Room(room.id)));
//! access.created_room(&principal, &id)?; // its creator owns it
//! ```
//!
//! | action | privilege |
//! |---|---|
//! | [`Action::CreateRoom`] | CREATE on the gateway |
//! | [`Action::ReadRoom`] | BROWSE, or any other on that room |
//! | [`Action::ModifyRoom`], [`Action::ReviewNotebook`] | MODIFY |
//! | [`Action::ExecuteTask`], [`Action::ReadOutput`] | EXECUTE |
//! | [`Action::ManageRoom`] (rules, shares, deletion, owner) | MANAGE |
//!
//! MANAGE and ownership of a room imply the others; a privilege on the gateway is one on every
//! room. The policies are `policies/access/`.

mod action;
mod audit;
mod clock;
mod error;
mod limiter;
mod oidc;
mod policy;
mod principal;
mod privilege;
mod store;
mod token;

use std::net::IpAddr;
use std::path::PathBuf;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use glovebox_contract::name::RoomId;

pub use action::{Action, Resource};
pub use audit::{AuditEntry, AuditFilter};
pub use clock::Clock;
pub use error::{AccessError, Refusal, StoreError};
pub use oidc::{OidcConfig, UserClaim};
pub use policy::PolicyError;
pub use principal::{
    Kind, NewPrincipal, ParsePrincipalError, Principal, PrincipalInfo, PrincipalName,
};
pub use privilege::{Grant, ParsePrivilegeError, Privilege, Scope};
pub use store::{Retention, Store};
pub use token::{NewToken, ParseTokenIdError, TokenId, TokenInfo};

/// What [`Access::open`] needs.
#[derive(Debug, Clone)]
pub struct Config {
    /// The SQLite file of principals, tokens and the audit, made when there is none.
    pub store: PathBuf,
    /// A directory with `schema.cedarschema` and `policies.cedar` in place of the built-in ones.
    pub policies: Option<PathBuf>,
    /// The party's OIDC issuer, when JWTs are taken.
    pub oidc: Option<OidcConfig>,
    /// How much audit is kept.
    pub retention: Retention,
    /// Tells the time.
    pub clock: Clock,
}

impl Config {
    /// The built-in policies, no OIDC, the machine's clock.
    pub fn new(store: PathBuf) -> Self {
        Self {
            store,
            policies: None,
            oidc: None,
            retention: Retention::default(),
            clock: Clock::default(),
        }
    }
}

/// Decides who may do what, for the whole gateway.
#[derive(Debug)]
pub struct Access {
    store: Store,
    policies: policy::Policies,
    oidc: Option<oidc::Oidc>,
    failures: limiter::Limiter,
    clock: Clock,
}

/// Why a gateway cannot start to decide.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The policies are invalid.
    #[error(transparent)]
    Policies(#[from] PolicyError),
    /// The OIDC settings are.
    #[error("invalid OIDC settings: {0}")]
    Oidc(String),
}

impl Access {
    /// Opens the store, parses and validates the policies. The issuer is first asked when the
    /// first JWT comes.
    pub fn open(config: Config) -> Result<Self, StartError> {
        let policies = match &config.policies {
            Some(directory) => policy::Policies::read(directory)?,
            None => policy::Policies::built_in()?,
        };
        let oidc = config.oidc.map(oidc::Oidc::new).transpose().map_err(StartError::Oidc)?;
        Ok(Self {
            store: Store::open_with_clock(&config.store, config.clock.clone())?
                .with_retention(config.retention),
            policies,
            oidc,
            failures: limiter::Limiter::default(),
            clock: config.clock,
        })
    }

    /// The principals, tokens and the audit.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Who a request comes from, and whether that principal may do this; refusals are recorded.
    pub fn authorize(
        &self,
        headers: &HeaderMap,
        peer: IpAddr,
        action: Action,
        resource: &Resource,
    ) -> Result<Principal, AccessError> {
        let asked = (action.name(), resource.to_string());
        let principal = self.identify(bearer(headers), peer, (asked.0, &asked.1))?;
        self.decide(&principal, Some(peer), action, resource)?;
        Ok(principal)
    }

    /// Who a request comes from, for the calls that every principal may make. What comes of it
    /// still goes through [`Self::permit`] or [`Self::permits`].
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: IpAddr,
    ) -> Result<Principal, AccessError> {
        self.identify(bearer(headers), peer, ("Authenticate", "gateway"))
    }

    /// The same with the token's text, for a login form.
    pub fn authenticate_token(&self, token: &str, peer: IpAddr) -> Result<Principal, AccessError> {
        self.identify(Ok(token), peer, ("Authenticate", "gateway"))
    }

    /// Whether a principal may do this; a denial is recorded.
    pub fn permit(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
    ) -> Result<(), AccessError> {
        self.decide(principal, None, action, resource)
    }

    /// Whether a principal may do this, to leave things out of lists and forms: nothing is
    /// recorded, and an error is a no.
    pub fn permits(&self, principal: &Principal, action: Action, resource: &Resource) -> bool {
        matches!(self.verdict(principal, action, resource), Ok(Ok(())))
    }

    /// Makes the principal that created a room its owner.
    pub fn created_room(&self, principal: &Principal, room: &RoomId) -> Result<(), AccessError> {
        Ok(self.store.set_owner(room, principal.name())?)
    }

    fn identify(
        &self,
        token: Result<&str, Unauthenticated>,
        peer: IpAddr,
        (action, resource): (&str, &str),
    ) -> Result<Principal, AccessError> {
        let reason = match token.and_then(|token| self.recognise(token)) {
            Ok(principal) => return Ok(principal),
            Err(Unauthenticated::Because(reason)) => reason,
            Err(Unauthenticated::Unavailable) => return Err(AccessError::unavailable()),
        };
        let now = self.clock.now();
        match self.failures.failed(peer, now) {
            limiter::Verdict::Counted => {
                self.record(None, Some(peer), action, resource, &reason)?;
                Err(AccessError::unauthenticated())
            }
            limiter::Verdict::First { retry_after } => {
                let reason = format!("{reason}; too many failures, no more are recorded for now");
                self.record(None, Some(peer), action, resource, &reason)?;
                Err(AccessError::rate_limited(retry_after))
            }
            limiter::Verdict::Over { retry_after } => Err(AccessError::rate_limited(retry_after)),
        }
    }

    fn recognise(&self, token: &str) -> Result<Principal, Unauthenticated> {
        if token.starts_with(token::PREFIX) {
            return self.store.recognise(token);
        }
        let Some(oidc) = &self.oidc else {
            return Err(Unauthenticated::because(
                "not a token of this gateway, and no issuer is set",
            ));
        };
        let identity = oidc.identity(token, self.clock.now())?;
        self.store.recognise_identity(&identity)
    }

    fn decide(
        &self,
        principal: &Principal,
        peer: Option<IpAddr>,
        action: Action,
        resource: &Resource,
    ) -> Result<(), AccessError> {
        let Err(reason) = self.verdict(principal, action, resource)? else { return Ok(()) };
        let name = principal.name().as_str();
        self.record(Some(name), peer, action.name(), &resource.to_string(), &reason)?;
        Err(AccessError::denied(format!("{name} may not do {action} here: {reason}")))
    }

    /// The inner error is the reason of a denial.
    fn verdict(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
    ) -> Result<Result<(), String>, StoreError> {
        match self.store.standing(principal, resource)? {
            Some(standing) => Ok(self.policies.decide(principal, &standing, action, resource)),
            None => Ok(Err("the principal is gone, or its token".into())),
        }
    }

    fn record(
        &self,
        principal: Option<&str>,
        peer: Option<IpAddr>,
        action: &str,
        resource: &str,
        reason: &str,
    ) -> Result<(), AccessError> {
        let peer = peer.map(|peer| peer.to_string());
        tracing::warn!(principal, peer, action, resource, reason, "denied");
        let denial = audit::Denial { principal, peer: peer.as_deref(), action, resource, reason };
        // A denial that cannot be recorded stays one.
        Ok(self.store.record(&denial)?)
    }
}

/// Why no principal stands behind a request; for the audit, not for the caller.
#[derive(Debug, PartialEq, Eq)]
enum Unauthenticated {
    Because(String),
    Unavailable,
}

impl Unauthenticated {
    fn because(reason: impl Into<String>) -> Self {
        Self::Because(reason.into())
    }
}

impl From<StoreError> for Unauthenticated {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the access store failed");
        Self::Unavailable
    }
}

/// The one bearer token of a request.
fn bearer(headers: &HeaderMap) -> Result<&str, Unauthenticated> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(Unauthenticated::because("no bearer token"));
    };
    if values.next().is_some() {
        return Err(Unauthenticated::because("more than one authorization header"));
    }
    value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Unauthenticated::because("the authorization is not a bearer token"))
}
