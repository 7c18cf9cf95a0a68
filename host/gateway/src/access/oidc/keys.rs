//! The issuer's keys, kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::fetch::Fetcher;
use crate::access::Unauthenticated;

/// Seconds after which the keys are asked for again.
const FRESH: u64 = 600;
/// Seconds after which keys that could not be asked for again are used no more.
const STALE: u64 = 3600;
/// Seconds between two askings, whoever sends tokens with unknown keys.
const PAUSE: u64 = 20;
const MAX_KEYS: usize = 100;
const MIN_RSA_BYTES: usize = 256;

/// A key, and the algorithms that it is for.
pub(super) struct IssuerKey {
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

/// The keys of one issuer, by id.
#[derive(Debug)]
pub(super) struct Keys {
    fetcher: Fetcher,
    known: RwLock<Known>,
    /// When the issuer was last asked; held while asking, so that one asks for all.
    asked: Mutex<Option<u64>>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<IssuerKey>>,
    read_at: Option<u64>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

impl Keys {
    pub(super) fn new(fetcher: Fetcher) -> Self {
        Self { fetcher, known: RwLock::default(), asked: Mutex::default() }
    }

    /// The key with this id. The issuer is asked when what is known is old, and once in a while
    /// when the key is new; a key that it publishes no more is gone with the next asking.
    pub(super) fn find(&self, kid: &str, now: u64) -> Result<Arc<IssuerKey>, Unauthenticated> {
        let (found, age) = self.known(kid, now);
        if let Some(key) = &found
            && age.is_some_and(|age| age < FRESH)
        {
            return Ok(key.clone());
        }
        self.ask(kid, now);
        match self.known(kid, now) {
            (Some(key), Some(age)) if age < STALE => Ok(key),
            (None, Some(age)) if age < STALE => {
                Err(Unauthenticated::because("a JWT with an unknown key"))
            }
            _ => Err(Unauthenticated::Unavailable),
        }
    }

    /// What is known, and how old it is; nothing when the clock went back.
    fn known(&self, kid: &str, now: u64) -> (Option<Arc<IssuerKey>>, Option<u64>) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        (known.keys.get(kid).cloned(), known.read_at.and_then(|then| now.checked_sub(then)))
    }

    fn ask(&self, kid: &str, now: u64) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_some_and(|then| (then..then.saturating_add(PAUSE)).contains(&now)) {
            return;
        }
        // Another thread may have asked while this one waited.
        let (found, age) = self.known(kid, now);
        if found.is_some() && age.is_some_and(|age| age < FRESH) {
            return;
        }
        *asked = Some(now);
        match self.fetcher.keys() {
            Ok(set) => {
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                *known = Known { keys: usable(&set), read_at: Some(now) };
            }
            Err(error) => tracing::error!(%error, "the issuer's keys cannot be read"),
        }
    }
}

/// The keys for signatures of the kinds known here. An id that stands twice stands for none.
fn usable(set: &JwkSet) -> HashMap<String, Arc<IssuerKey>> {
    let mut keys = HashMap::new();
    let mut twice = Vec::new();
    for jwk in set.keys.iter().take(MAX_KEYS) {
        let Some(kid) = &jwk.common.key_id else { continue };
        let algorithms = algorithms(jwk);
        if algorithms.is_empty() {
            continue;
        }
        let Ok(key) = DecodingKey::from_jwk(jwk) else { continue };
        if keys.insert(kid.clone(), Arc::new(IssuerKey { key, algorithms })).is_some() {
            twice.push(kid.clone());
        }
    }
    for kid in twice {
        keys.remove(&kid);
    }
    keys
}

/// What a key is for: its kind decides, `alg` narrows it down to one.
fn algorithms(jwk: &Jwk) -> Vec<Algorithm> {
    let common = &jwk.common;
    let signs = common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
    let verifies =
        common.key_operations.as_ref().is_none_or(|list| list.contains(&KeyOperations::Verify));
    if !signs || !verifies {
        return Vec::new();
    }
    let mut fitting = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if rsa_bytes(&rsa.n) >= MIN_RSA_BYTES => vec![
            (KeyAlgorithm::RS256, Algorithm::RS256),
            (KeyAlgorithm::RS384, Algorithm::RS384),
            (KeyAlgorithm::RS512, Algorithm::RS512),
            (KeyAlgorithm::PS256, Algorithm::PS256),
            (KeyAlgorithm::PS384, Algorithm::PS384),
            (KeyAlgorithm::PS512, Algorithm::PS512),
        ],
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => vec![(KeyAlgorithm::ES256, Algorithm::ES256)],
            EllipticCurve::P384 => vec![(KeyAlgorithm::ES384, Algorithm::ES384)],
            _ => Vec::new(),
        },
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
            vec![(KeyAlgorithm::EdDSA, Algorithm::EdDSA)]
        }
        _ => Vec::new(),
    };
    if let Some(named) = common.key_algorithm {
        fitting.retain(|(name, _)| *name == named);
    }
    fitting.into_iter().map(|(_, algorithm)| algorithm).collect()
}

/// The length of a modulus; none when it is not base64url.
fn rsa_bytes(modulus: &str) -> usize {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(modulus) else { return 0 };
    bytes.iter().skip_while(|byte| **byte == 0).count()
}
