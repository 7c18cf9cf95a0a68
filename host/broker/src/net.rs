//! How far this host reaches out, and for whom.
//!
//! The operator of the machine may read from anywhere. A party over the network may name any place
//! of the public internet, over TLS; the host's own neighbours it may name only where the operator
//! listed them. What counts is the address that a connection is made to, so a name that resolves to
//! a private address opens nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use glovebox_room::remote::Origin;
use url::{Host, Url};

use crate::error::Failure;

/// Places that parties over the network may name besides those of the public internet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourcePolicy {
    /// They.
    pub allow: Vec<AllowedSource>,
}

/// A place of [`SourcePolicy`]: `HOST`, `HOST:PORT` or `ADDRESS/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedSource {
    /// A host by the very name or address that the party writes, whatever it resolves to.
    Host {
        /// The name, in lower case; an IPv6 address without brackets.
        name: String,
        /// The port; any when there is none.
        port: Option<u16>,
    },
    /// Addresses that begin with the same bits.
    Network {
        /// One of them.
        address: IpAddr,
        /// How many bits.
        prefix: u8,
    },
}

/// Why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a host, HOST:PORT nor ADDRESS/PREFIX")]
pub struct ParseAllowedError(String);

impl FromStr for AllowedSource {
    type Err = ParseAllowedError;

    fn from_str(text: &str) -> Result<Self, ParseAllowedError> {
        let wrong = || ParseAllowedError(text.escape_debug().to_string());
        if let Some((address, prefix)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| wrong())?;
            let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            return match prefix <= longest {
                true => Ok(Self::Network { address, prefix }),
                false => Err(wrong()),
            };
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Host { name: address.to_string(), port: None });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let name = match Host::parse(name).map_err(|_| wrong())? {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Ok(Self::Host { name, port })
    }
}

impl fmt::Display for AllowedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { name, port: None } => f.write_str(name),
            Self::Host { name, port: Some(port) } if name.contains(':') => {
                write!(f, "[{name}]:{port}")
            }
            Self::Host { name, port: Some(port) } => write!(f, "{name}:{port}"),
            Self::Network { address, prefix } => write!(f, "{address}/{prefix}"),
        }
    }
}

/// Which addresses a connection may be made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Any: the operator named the host.
    Anywhere,
    /// Those of the public internet and of listed networks.
    Public,
    /// Those of listed networks only, for what is not encrypted.
    Listed,
}

/// How far one request may reach out.
#[derive(Debug, Clone)]
pub(crate) struct Outbound {
    origin: Origin,
    policy: Arc<SourcePolicy>,
}

impl Outbound {
    pub(crate) fn new(origin: Origin, policy: Arc<SourcePolicy>) -> Self {
        Self { origin, policy }
    }

    /// Whether files of this machine may be read.
    pub(crate) fn may_read_files(&self) -> bool {
        self.origin == Origin::Operator
    }

    /// Whether it is the operator's, or the host stands on the list by its name.
    pub(crate) fn is_listed(&self, host: &str, port: u16) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        self.origin == Origin::Operator
            || self.policy.allow.iter().any(|allowed| match allowed {
                AllowedSource::Host { name, port: only } => {
                    *name == host && only.is_none_or(|only| only == port)
                }
                AllowedSource::Network { .. } => false,
            })
    }

    /// Which addresses a host may stand for.
    pub(crate) fn reach(&self, host: &str, port: u16, encrypted: bool) -> Reach {
        match (self.is_listed(host, port), encrypted) {
            (true, _) => Reach::Anywhere,
            (false, true) => Reach::Public,
            (false, false) => Reach::Listed,
        }
    }

    /// Whether a connection may be made to an address.
    pub(crate) fn permits(&self, address: IpAddr, reach: Reach) -> bool {
        let address = address.to_canonical();
        let listed = || {
            self.policy.allow.iter().any(|allowed| match allowed {
                AllowedSource::Network { address: network, prefix } => {
                    is_within(address, *network, *prefix)
                }
                AllowedSource::Host { .. } => false,
            })
        };
        match reach {
            Reach::Anywhere => true,
            Reach::Public => is_public(address) || listed(),
            Reach::Listed => listed(),
        }
    }

    /// How far a URL may lead.
    ///
    /// # Errors
    /// When it is none of HTTP, or its host is an address that may not be connected to.
    pub(crate) fn reach_of(&self, url: &Url) -> Result<Reach, Failure> {
        let encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(Failure::refused("only http and https addresses are read")),
        };
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Failure::refused("the address has no host"));
        };
        let reach = self.reach(&host.to_string(), port, encrypted);
        let literal = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        match literal {
            Some(address) if !self.permits(address, reach) => Err(refused(&host.to_string())),
            // A name is judged by what it resolves to, unless nothing could pass.
            None if reach == Reach::Listed && !self.lists_networks() => Err(Failure::refused(
                format!("`{host}` over plain http, which the operator of this host did not allow"),
            )),
            _ => Ok(reach),
        }
    }

    fn lists_networks(&self) -> bool {
        let networks = |allowed: &AllowedSource| matches!(allowed, AllowedSource::Network { .. });
        self.policy.allow.iter().any(networks)
    }

    /// The addresses of a host that a connection may be made to, at least one. `host` may be an
    /// address, also in brackets.
    pub(crate) async fn resolve(
        &self,
        host: &str,
        port: u16,
        encrypted: bool,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let reach = self.reach(host, port, encrypted);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((bare, port))
            .await
            .map_err(|error| Failure::unavailable(format!("cannot resolve `{host}`: {error}")))?;
        self.permitted(host, found, reach)
    }

    /// Those of `addresses` that a connection may be made to, at least one.
    pub(crate) fn permitted(
        &self,
        host: &str,
        addresses: impl Iterator<Item = SocketAddr>,
        reach: Reach,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let mut any = false;
        let permitted: Vec<SocketAddr> = addresses
            .inspect(|_| any = true)
            .filter(|address| self.permits(address.ip(), reach))
            .collect();
        match (any, permitted.is_empty()) {
            (_, false) => Ok(permitted),
            (true, true) => Err(refused(host)),
            (false, true) => Err(Failure::unavailable(format!("`{host}` has no address"))),
        }
    }
}

fn refused(host: &str) -> Failure {
    Failure::refused(format!(
        "`{host}` is not of the public internet, and the operator of this host did not allow it"
    ))
}

/// Whether two addresses of one family begin with the same `prefix` bits.
fn is_within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| match width.checked_sub(u32::from(prefix)) {
        Some(rest) => (a ^ b).checked_shr(rest).unwrap_or(0) == 0,
        None => false,
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

/// IPv4 networks that are not of the public internet, from IANA's registry of special-purpose
/// addresses.
const SPECIAL_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Cloud providers answer with credentials of the machine there.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// IPv6 networks within 2000::/3 that are not of the public internet, or carry an IPv4 address.
const SPECIAL_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an address is of the public internet.
fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_in = |network: IpAddr, prefix: u8| is_within(address, network, prefix);
    if address.is_ipv4() {
        return !SPECIAL_V4.iter().any(|(network, prefix)| is_in((*network).into(), *prefix));
    }
    is_in(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0).into(), 3)
        && !SPECIAL_V6.iter().any(|(network, prefix)| is_in((*network).into(), *prefix))
}

#[cfg(test)]
mod tests {
    use glovebox_contract::reason::ReasonCode;

    use super::*;

    fn outbound(origin: Origin, allow: &[&str]) -> Outbound {
        let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
        Outbound::new(origin, Arc::new(SourcePolicy { allow }))
    }

    #[test]
    fn the_host_s_neighbours_are_not_of_the_public_internet() {
        let check = |address: &str, expect: bool| {
            assert_eq!(is_public(address.parse().unwrap()), expect, "{address}");
        };
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "198.19.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "::127.0.0.1",
        ] {
            check(private, false);
        }
        for public in [
            "8.8.8.8",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
        ] {
            check(public, true);
        }
    }

    #[test]
    fn a_url_leads_as_far_as_its_origin_may_go() {
        let check = |origin, allow: &[&str], url: &str, expect: Option<Reach>| {
            let reach = outbound(origin, allow).reach_of(&Url::parse(url).unwrap());
            if let Err(failure) = &reach {
                assert_eq!(failure.reason, ReasonCode::SourceRefused, "{url}");
            }
            assert_eq!(reach.ok(), expect, "{url} with {allow:?}");
        };
        check(Origin::Operator, &[], "http://127.0.0.1:5000/b", Some(Reach::Anywhere));
        let network = Origin::Network;
        check(network, &[], "https://bucket.example/x", Some(Reach::Public));
        check(network, &[], "http://bucket.example/x", None);
        check(network, &[], "https://127.0.0.1/x", None);
        check(network, &[], "https://2130706433/x", None);
        check(network, &[], "https://[::ffff:169.254.169.254]/x", None);
        check(network, &[], "https://8.8.8.8/x", Some(Reach::Public));
        check(network, &[], "http://8.8.8.8/x", None);
        check(network, &["127.0.0.0/8"], "http://127.0.0.1:9/x", Some(Reach::Listed));
        check(network, &["127.0.0.0/8"], "http://10.0.0.1/x", None);
        check(network, &["127.0.0.0/8"], "http://minio:9000/x", Some(Reach::Listed));
        check(network, &["minio:9000"], "http://MINIO:9000/x", Some(Reach::Anywhere));
        check(network, &["minio:9000"], "http://minio:9001/x", None);
        check(network, &["minio"], "http://minio:9001/x", Some(Reach::Anywhere));
        check(network, &["[::1]:80"], "http://[::1]/x", Some(Reach::Anywhere));
        check(network, &["0.0.0.0/0"], "http://10.0.0.1/x", Some(Reach::Listed));
        check(network, &[], "ftp://bucket.example/x", None);
        check(Origin::Operator, &[], "file:///etc/passwd", None);
    }

    #[test]
    fn a_name_is_judged_by_what_it_resolves_to() {
        let check = |allow: &[&str], found: &[&str], expect: Result<&[&str], ReasonCode>| {
            let found = found.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 443));
            let permitted = outbound(Origin::Network, allow)
                .permitted("bucket.example", found, Reach::Public)
                .map_err(|failure| failure.reason);
            let shown = permitted
                .map(|found| found.iter().map(|at| at.ip().to_string()).collect::<Vec<_>>());
            assert_eq!(shown, expect.map(|found| found.iter().map(ToString::to_string).collect()));
        };
        check(&[], &["8.8.8.8", "127.0.0.1"], Ok(&["8.8.8.8"]));
        check(&[], &["127.0.0.1", "::1"], Err(ReasonCode::SourceRefused));
        check(&[], &[], Err(ReasonCode::SourceUnavailable));
        check(&["127.0.0.0/8"], &["127.0.0.1", "::1"], Ok(&["127.0.0.1"]));
        check(&["::/0"], &["::1", "10.0.0.1"], Ok(&["::1"]));
    }

    #[test]
    fn places_are_read_and_written() {
        let check = |text: &str, expect: Option<&str>| {
            let read = text.parse::<AllowedSource>().ok().map(|allowed| allowed.to_string());
            assert_eq!(read.as_deref(), expect, "{text}");
        };
        check("minio:9000", Some("minio:9000"));
        check("Minio.Example", Some("minio.example"));
        check("10.0.0.0/8", Some("10.0.0.0/8"));
        check("::1", Some("::1"));
        check("[::1]:5432", Some("[::1]:5432"));
        check("10.0.0.0/33", None);
        check("minio:port", None);
        check("https://minio", None);
        check("", None);
    }
}
