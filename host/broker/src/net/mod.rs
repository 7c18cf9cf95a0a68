//! How far this host reaches out, and for whom.
//!
//! The operator of the machine may read from anywhere. A party over the network may name any place
//! of the public internet, over TLS; the host's own neighbours it may name only where the operator
//! listed them. What counts is the address that a connection is made to, so a name that resolves to
//! a private address opens nothing.

mod policy;
mod public;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use glovebox_room::remote::Origin;
use url::{Host, Url};

use crate::error::Failure;
use crate::http::Clients;
use public::{is_public, is_within};

pub use policy::{AllowedSource, ParseAllowedError, SourcePolicy};

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
    clients: Arc<Clients>,
}

impl Outbound {
    pub(crate) fn new(origin: Origin, policy: Arc<SourcePolicy>) -> Self {
        Self { origin, policy, clients: Arc::default() }
    }

    /// The clients of this and of all clones.
    pub(crate) fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The same rules, for use in a client itself.
    pub(crate) fn without_clients(&self) -> Self {
        Self { clients: Arc::default(), ..self.clone() }
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

#[cfg(test)]
mod tests {
    use glovebox_contract::reason::ReasonCode;

    use super::*;

    fn outbound(origin: Origin, allow: &[&str]) -> Outbound {
        let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
        Outbound::new(origin, Arc::new(SourcePolicy { allow }))
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
}
