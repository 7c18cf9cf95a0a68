//! JWTs of the party's OIDC issuer.
//!
//! A token must be signed by a key that the issuer publishes now, with that key's algorithm and
//! none other, be made by this issuer for this audience, and be in its time (60 s of skew).
//! Symmetric algorithms and `none` do not exist here: a public key can never be taken for a
//! shared secret.

mod fetch;
mod keys;

use std::path::PathBuf;

use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};
use url::Url;

use super::Unauthenticated;
use keys::Keys;

/// Seconds that the clocks of the issuer and this machine may differ.
const SKEW: u64 = 60;
/// Longest token in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Most groups of one token that are looked up.
const MAX_GROUPS: usize = 500;
/// Types of tokens that stand for a person or program.
const TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// The party's OIDC issuer, and how its claims are read.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// The issuer's URL, as its tokens have it in `iss`. Plain http only on loopback.
    pub issuer: String,
    /// This gateway's name at the issuer: tokens for others are refused.
    pub audience: String,
    /// The claim that a principal's subject is compared with.
    pub user_claim: UserClaim,
    /// The claim with the groups, for example `groups`; without it no group comes from a token.
    pub groups_claim: Option<String>,
    /// Roots besides the well-known ones, in PEM, for an issuer of the party's own.
    pub ca: Option<PathBuf>,
}

/// Which claim names the principal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserClaim {
    /// `sub`.
    #[default]
    Subject,
    /// `email`, taken only when the issuer says `email_verified`.
    Email,
}

/// Whom a token stands for, as the issuer calls them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) subject: String,
    pub(super) groups: Vec<String>,
}

/// Checks tokens of one issuer.
#[derive(Debug)]
pub(super) struct Oidc {
    config: OidcConfig,
    keys: Keys,
}

impl Oidc {
    /// Checks the settings; asks nobody yet.
    pub(super) fn new(config: OidcConfig) -> Result<Self, String> {
        let issuer = Url::parse(&config.issuer).map_err(|error| format!("issuer: {error}"))?;
        fetch::check_url(&issuer).map_err(|error| format!("issuer: {error}"))?;
        if issuer.query().is_some() || issuer.fragment().is_some() {
            return Err("issuer: a URL without query and fragment is needed".into());
        }
        if config.audience.is_empty() {
            return Err("an audience is needed".into());
        }
        let fetcher = fetch::Fetcher::new(&config.issuer, config.ca.as_deref())?;
        Ok(Self { config, keys: Keys::new(fetcher) })
    }

    /// Whom a token stands for.
    pub(super) fn identity(&self, token: &str, now: u64) -> Result<Identity, Unauthenticated> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Unauthenticated::because("the token is too long"));
        }
        // Unknown algorithms, `none` among them, do not parse.
        let header = decode_header(token)
            .map_err(|_| Unauthenticated::because("neither a token of this gateway nor a JWT"))?;
        if header.crit.is_some() {
            return Err(Unauthenticated::because("a JWT with critical extensions"));
        }
        let fits = |typ: &str| TYPES.iter().any(|known| known.eq_ignore_ascii_case(typ));
        if !header.typ.as_deref().is_none_or(fits) {
            return Err(Unauthenticated::because("a JWT of another type"));
        }
        let Some(kid) = header.kid.as_deref() else {
            return Err(Unauthenticated::because("a JWT without a key id"));
        };
        let key = self.keys.find(kid, now)?;
        if !key.algorithms.contains(&header.alg) {
            return Err(Unauthenticated::because(format!(
                "a JWT with {:?}, which is not the algorithm of its key",
                header.alg
            )));
        }
        let claims = decode::<Map<String, Value>>(token, &key.key, &self.validation(header.alg))
            .map_err(|error| Unauthenticated::because(format!("a JWT that fails: {error}")))?
            .claims;
        in_time(&claims, now)?;
        self.read(&claims)
    }

    fn validation(&self, algorithm: jsonwebtoken::Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        // `in_time` does, by the gateway's clock.
        validation.validate_exp = false;
        validation
    }

    fn read(&self, claims: &Map<String, Value>) -> Result<Identity, Unauthenticated> {
        let claim = match self.config.user_claim {
            UserClaim::Subject => "sub",
            UserClaim::Email => "email",
        };
        if self.config.user_claim == UserClaim::Email
            && claims.get("email_verified") != Some(&Value::Bool(true))
        {
            return Err(Unauthenticated::because("a JWT without a verified email"));
        }
        let Some(subject) = claims.get(claim).and_then(Value::as_str).filter(|s| !s.is_empty())
        else {
            return Err(Unauthenticated::because(format!("a JWT without the claim {claim}")));
        };
        let groups = match self.config.groups_claim.as_deref().and_then(|name| claims.get(name)) {
            None => Vec::new(),
            Some(Value::Array(groups)) if groups.len() <= MAX_GROUPS => {
                groups.iter().filter_map(Value::as_str).map(Into::into).collect()
            }
            Some(_) => {
                return Err(Unauthenticated::because("a JWT whose groups are no short list"));
            }
        };
        Ok(Identity { subject: subject.into(), groups })
    }
}

/// `exp` is needed and lies ahead, `nbf` and `iat`, where given, do not.
fn in_time(claims: &Map<String, Value>, now: u64) -> Result<(), Unauthenticated> {
    let bad = |claim| Unauthenticated::because(format!("a JWT whose {claim} is not a time"));
    let Some(expires) = claims.get("exp").and_then(seconds) else { return Err(bad("exp")) };
    if expires.saturating_add(SKEW) <= now {
        return Err(Unauthenticated::because("a JWT that is expired"));
    }
    for claim in ["nbf", "iat"] {
        let Some(value) = claims.get(claim) else { continue };
        let Some(start) = seconds(value) else { return Err(bad(claim)) };
        if start > now.saturating_add(SKEW) {
            return Err(Unauthenticated::because(format!("a JWT whose {claim} lies ahead")));
        }
    }
    Ok(())
}

/// A NumericDate; a fraction of a second is dropped.
fn seconds(value: &Value) -> Option<u64> {
    match value.as_u64() {
        Some(seconds) => Some(seconds),
        None => {
            let seconds = value.as_f64()?.floor();
            // Far above every date, and exact in a double.
            let fits = (0.0..9_007_199_254_740_992.0).contains(&seconds);
            fits.then(|| format!("{seconds:.0}").parse().ok()).flatten()
        }
    }
}
