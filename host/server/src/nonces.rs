//! Which requests have been made already: a signed request is good once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use glovebox_api::limits::MAX_SKEW_SECONDS;
use glovebox_api::signature::Verified;

/// Seconds whose nonces are forgotten together.
const WINDOW: u64 = 60;

/// What to do with a request by its nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is the first with it.
    First,
    /// It was made before.
    Before,
    /// The key has made too many requests to remember one more.
    TooMany,
}

/// The nonces of the last minutes.
///
/// A nonce is remembered for as long as a request with it would pass for its age. Only requests
/// with a good signature get here, so nobody uses up the nonces of another's key.
pub(crate) struct Nonces {
    secret: [u8; 32],
    per_key: usize,
    /// What is dropped, all of it, when more than so many are remembered; nothing when `None`.
    total: Option<usize>,
    windows: Mutex<Windows>,
}

/// By the minute in which the requests were made.
type Windows = BTreeMap<u64, Window>;

#[derive(Default)]
struct Window {
    /// Digests of key and nonce: 16 bytes an entry instead of 48.
    seen: HashSet<u128>,
    of_key: HashMap<[u8; 32], usize>,
}

impl Nonces {
    /// Remembers up to `per_key` nonces of every key.
    pub(crate) fn new(secret: [u8; 32], per_key: usize) -> Self {
        Self { secret, per_key, total: None, windows: Mutex::default() }
    }

    /// Remembers up to `total` nonces and forgets all when there are more. For requests that may
    /// be repeated without harm.
    pub(crate) fn forgetful(secret: [u8; 32], total: usize) -> Self {
        Self { secret, per_key: total, total: Some(total), windows: Mutex::default() }
    }

    /// Takes note of a request.
    pub(crate) fn note(&self, request: &Verified, now: u64) -> Seen {
        let key = *request.key.as_bytes();
        let digest = self.digest(&key, request.nonce.as_bytes());
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|minute, _| minute.saturating_add(1) * WINDOW + MAX_SKEW_SECONDS >= now);
        let count = |windows: &Windows| -> usize {
            windows.values().filter_map(|window| window.of_key.get(&key)).sum()
        };
        let all: usize = windows.values().map(|window| window.seen.len()).sum();
        if self.total.is_some_and(|total| all >= total) {
            windows.clear();
        }
        let minute = request.created / WINDOW;
        if windows.get(&minute).is_some_and(|window| window.seen.contains(&digest)) {
            return Seen::Before;
        }
        if count(&windows) >= self.per_key {
            return Seen::TooMany;
        }
        let window = windows.entry(minute).or_default();
        window.seen.insert(digest);
        let of_key = window.of_key.entry(key).or_default();
        *of_key = of_key.saturating_add(1);
        Seen::First
    }

    fn digest(&self, key: &[u8; 32], nonce: &[u8; 16]) -> u128 {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(key).update(nonce);
        let mut half = [0; 16];
        hasher.finalize_xof().fill(&mut half);
        u128::from_le_bytes(half)
    }
}

#[cfg(test)]
mod tests {
    use glovebox_api::signature::Nonce;
    use glovebox_contract::key::PrivateKey;

    use super::*;

    fn request(key: u8, nonce: u8, created: u64) -> Verified {
        let key = PrivateKey::from_seed(&[key; 32]).public();
        Verified { key, nonce: Nonce::from_bytes([nonce; 16]), created }
    }

    #[test]
    fn a_nonce_is_good_once_for_each_key_and_as_long_as_the_request_would_pass() {
        let nonces = Nonces::new([0; 32], 10);
        let now = 1_800_000_000;
        let made = request(1, 1, now);
        assert_eq!(nonces.note(&made, now), Seen::First);
        assert_eq!(nonces.note(&request(2, 1, now), now), Seen::First);
        for later in [0, 1, 299, 300] {
            assert_eq!(nonces.note(&made, now + later), Seen::Before, "{later}");
        }
        let from_the_future = request(1, 2, now + 300);
        assert_eq!(nonces.note(&from_the_future, now), Seen::First);
        assert_eq!(nonces.note(&from_the_future, now + 600), Seen::Before);
        // Whoever sends it now is refused for its age.
        assert_eq!(nonces.note(&made, now + 700), Seen::First);
        assert_eq!(nonces.windows.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_busy_key_is_held_up_and_holds_up_nobody_else() {
        let nonces = Nonces::new([0; 32], 3);
        let now = 1_800_000_000;
        for nonce in 0..3 {
            let made = request(1, nonce, now - 100 * u64::from(nonce));
            assert_eq!(nonces.note(&made, now), Seen::First);
        }
        assert_eq!(nonces.note(&request(1, 9, now), now), Seen::TooMany);
        assert_eq!(nonces.note(&request(1, 2, now - 200), now), Seen::Before);
        assert_eq!(nonces.note(&request(2, 9, now), now), Seen::First);
        // The oldest is forgotten after a while.
        assert_eq!(nonces.note(&request(1, 9, now + 200), now + 200), Seen::First);
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let nonces = Nonces::forgetful([0; 32], 4);
        for key in 0..100 {
            assert_eq!(nonces.note(&request(key, 0, 1000), 1000), Seen::First);
            let windows = nonces.windows.lock().unwrap();
            assert!(windows.values().map(|window| window.seen.len()).sum::<usize>() <= 4);
        }
    }
}
