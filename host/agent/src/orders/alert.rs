//! Whom to tell what.

use std::collections::BTreeSet;

use glovebox_contract::name::AssetName;
use url::{Host, Url};

use crate::event::EventKind;
use crate::secret::WebhookSecret;

/// An endpoint that is told of events.
#[derive(Debug, Clone)]
pub struct Alert {
    /// Its name.
    pub name: AssetName,
    /// What it is told of.
    pub on: BTreeSet<EventKind>,
    /// Of which rooms, by the names that the orders have for them; of all when there is none.
    pub rooms: BTreeSet<String>,
    /// Seconds without a statement after which a room is silent.
    pub silence_seconds: Option<u64>,
    /// Rules of the party whose approvals are no news.
    pub expected_rules: BTreeSet<AssetName>,
    /// Where to send it.
    pub(crate) url: Url,
    /// What it is signed with.
    pub(crate) secret: WebhookSecret,
}

impl Alert {
    /// Where webhooks go, without what an address may hide in its path and query.
    pub fn endpoint(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}", self.url.scheme())
    }

    /// Whether it is told of this kind of events in this room.
    pub(crate) fn wants(&self, kind: EventKind, room: &str) -> bool {
        self.on.contains(&kind) && (self.rooms.is_empty() || self.rooms.contains(room))
    }
}

/// Reads the address of an endpoint. Without TLS everybody between reads the events, so that is for
/// this machine, or must be asked for.
pub(super) fn parse_url(text: &str, plain_http: bool) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("the address makes no sense: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address has a user or a password; events are signed instead".into());
    }
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err("the address names no host".into()),
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here || plain_http => Ok(url),
        "http" => Err("an address in a network begins with https://, or `plain_http = true` says \
                       that everybody on the way may read the events"
            .into()),
        _ => Err("an address begins with https://".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_go_over_tls_unless_somebody_says_otherwise() {
        let check = |url: &str, plain_http: bool, expect: bool| {
            assert_eq!(parse_url(url, plain_http).is_ok(), expect, "{url}");
        };
        check("https://alerts.example/a?b=c", false, true);
        check("http://127.0.0.1:9000/", false, true);
        check("http://[::1]:9000/", false, true);
        check("http://localhost/", false, true);
        check("http://alerts.example/", false, false);
        check("http://alerts.example/", true, true);
        check("http://127.0.0.1.example/", false, false);
        check("https://user@alerts.example/", false, false);
        check("https://user:word@alerts.example/", true, false);
        check("ftp://alerts.example/", true, false);
        check("alerts.example", true, false);
        check("data:text/plain,hello", true, false);
    }
}
