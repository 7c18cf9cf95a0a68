//! Slows down whoever fails to authenticate again and again.
//!
//! A right token is never refused for the failures of others behind the same address: what is
//! bounded is what failures cost, the entries in the audit and the answers.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// So many failures within [`WINDOW`] are recorded one by one.
pub(super) const MOST: u32 = 20;
/// Seconds after which the counting starts anew.
pub(super) const WINDOW: u64 = 60;
/// Addresses remembered at once.
const MAX_PEERS: usize = 10_000;

/// Failures of the last minute by address.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    peers: Mutex<HashMap<IpAddr, Window>>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    started: u64,
    failures: u32,
}

/// What to do about one more failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer and record it like the first.
    Counted,
    /// The first of too many: record it as that.
    First { retry_after: u64 },
    /// One more of too many.
    Over { retry_after: u64 },
}

impl Limiter {
    /// Counts a failure.
    pub(super) fn failed(&self, peer: IpAddr, now: u64) -> Verdict {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= MAX_PEERS {
            peers.retain(|_, window| window.goes_on(now));
        }
        let network = network(peer);
        if peers.len() >= MAX_PEERS && !peers.contains_key(&network) {
            return Verdict::Over { retry_after: WINDOW };
        }
        let window = peers.entry(network).or_insert(Window { started: now, failures: 0 });
        if !window.goes_on(now) {
            *window = Window { started: now, failures: 0 };
        }
        window.failures = window.failures.saturating_add(1);
        let retry_after = window.started.saturating_add(WINDOW).saturating_sub(now).max(1);
        match window.failures {
            ..=MOST => Verdict::Counted,
            failures if failures == MOST + 1 => Verdict::First { retry_after },
            _ => Verdict::Over { retry_after },
        }
    }
}

impl Window {
    fn goes_on(&self, now: u64) -> bool {
        (self.started..self.started.saturating_add(WINDOW)).contains(&now)
    }
}

/// One IPv6 subscriber has a whole /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_network_and_starts_anew() {
        let limiter = Limiter::default();
        let (one, same, other) = (ip("2001:db8::1"), ip("2001:db8::ffff:1"), ip("2001:db8:0:1::1"));
        for _ in 0..MOST {
            assert_eq!(limiter.failed(one, 1000), Verdict::Counted);
        }
        assert_eq!(limiter.failed(same, 1010), Verdict::First { retry_after: 50 });
        assert_eq!(limiter.failed(one, 1059), Verdict::Over { retry_after: 1 });
        assert_eq!(limiter.failed(other, 1059), Verdict::Counted);
        assert_eq!(limiter.failed(one, 1060), Verdict::Counted);
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        assert_eq!(network(ip("::ffff:192.0.2.7")), ip("192.0.2.7"));
    }

    #[test]
    fn remembers_a_bounded_number_of_addresses() {
        let limiter = Limiter::default();
        for number in 0..u32::try_from(MAX_PEERS).unwrap() {
            assert_eq!(limiter.failed(IpAddr::V4(number.into()), 5), Verdict::Counted);
        }
        let one_more = IpAddr::V4(u32::MAX.into());
        assert_eq!(limiter.failed(one_more, 5), Verdict::Over { retry_after: WINDOW });
        assert_eq!(limiter.failed(one_more, 5 + WINDOW), Verdict::Counted);
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
