//! URLs of files: signed, good for a while, and for one recipient as long as it may read the table.
//!
//! The query key is `X-Databricks-Signature` because Delta's readers take a URL for a URL only if
//! it has one of a few keys that clouds use.

use axum::http::{HeaderMap, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use glovebox_contract::name::{Alias, AssetName};
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::error::{Result, SharingError};
use super::names::{Key, Listed};
use super::seal::Seal;
use crate::app::App;

/// How long a URL is good at most.
const SECONDS: u64 = 3600;

/// Longest part of a path that is looked at.
const MAX_TICKET_BYTES: usize = 4096;

/// What a URL lets its holder read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ticket {
    pub(crate) room: String,
    pub(crate) owner: Alias,
    pub(crate) recipient: AssetName,
    pub(crate) share: AssetName,
    pub(crate) key: Key,
}

/// Makes the URLs of one answer.
pub(crate) struct Links<'a> {
    seal: &'a Seal,
    base: String,
    ticket: String,
    /// When the least patient of all reasons ends them, in seconds since 1970-01-01T00:00:00Z.
    expires: u64,
}

/// A URL and when it ends, in milliseconds since 1970-01-01T00:00:00Z.
pub(crate) struct Link {
    pub(crate) url: String,
    pub(crate) expires: u64,
}

impl<'a> Links<'a> {
    pub(crate) fn new(caller: &'a Caller, listed: &Listed, base: String) -> Result<Self> {
        let recipient = caller.recipient()?;
        let ticket = Ticket {
            room: caller.slot.id.0.to_hex(),
            owner: caller.owner.clone(),
            recipient: caller.name.clone(),
            share: listed.share.clone(),
            key: listed.key.clone(),
        };
        let ticket = BASE64.encode(serde_json::to_vec(&ticket).unwrap_or_default());
        let token_ends = recipient.expires().max(recipient.previous().map_or(0, |(_, at)| at));
        let expires = caller
            .now
            .saturating_add(SECONDS)
            .min(token_ends)
            .min(listed.until.unwrap_or(u64::MAX));
        Ok(Self { seal: &caller.app.sharing().seal, base, ticket, expires })
    }

    /// The URL of a file whose rows end at `ends`.
    pub(crate) fn to(&self, file: &str, ends: Option<u64>) -> Link {
        let expires = self.expires.min(ends.unwrap_or(u64::MAX));
        let Self { base, ticket, .. } = self;
        let signature = self.seal.signature(&purpose(ticket, file, &expires.to_string()));
        Link {
            url: format!(
                "{base}/delta-sharing/files/{ticket}/{file}?X-Databricks-Signature={signature}&expires={expires}"
            ),
            expires: expires.saturating_mul(1000),
        }
    }
}

fn purpose<'a>(ticket: &'a str, file: &'a str, expires: &'a str) -> [&'a str; 4] {
    ["file", ticket, file, expires]
}

/// What a URL lets its holder read.
///
/// # Errors
/// When this host did not make it, or it has ended.
pub(crate) fn check(
    seal: &Seal,
    ticket: &str,
    file: &str,
    query: &str,
    now: u64,
) -> Result<Ticket> {
    let value = |key: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    };
    let read = || {
        let (signature, expires) = (value("x-databricks-signature")?, value("expires")?);
        let fits = ticket.len() <= MAX_TICKET_BYTES
            && seal.is_signature(&purpose(ticket, file, expires), signature)
            && now < expires.parse().ok()?;
        let said = BASE64.decode(ticket).ok().filter(|_| fits)?;
        serde_json::from_slice(&said).ok()
    };
    read().ok_or_else(SharingError::forbidden)
}

/// Where this host is, for the one who asks: what its operator says, or else what the request says.
///
/// # Errors
/// When the request does not say it.
pub(crate) fn base(app: &App, uri: &Uri, headers: &HeaderMap) -> Result<String> {
    if let Some(url) = app.public_url() {
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    }
    let named = uri.authority().map(|authority| authority.as_str());
    let host = named.or_else(|| headers.get(header::HOST)?.to_str().ok());
    let good = |host: &&str| {
        let good = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
        };
        !host.is_empty() && host.len() <= 255 && host.bytes().all(good)
    };
    let host = host.filter(good);
    let host = host.ok_or_else(|| SharingError::malformed("the request names no host"))?;
    let scheme = if app.is_tls() { "https" } else { "http" };
    Ok(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            room: "00".repeat(32),
            owner: "airline".parse().unwrap(),
            recipient: "acme".parse().unwrap(),
            share: "results".parse().unwrap(),
            key: Key::Plain { table: "airline.flights".parse().unwrap() },
        }
    }

    #[test]
    fn a_url_is_good_as_it_was_made_until_it_ends() {
        let seal = Seal::new([7; 32]);
        let said = BASE64.encode(serde_json::to_vec(&ticket()).unwrap());
        let links =
            Links { seal: &seal, base: "http://h".into(), ticket: said.clone(), expires: 1000 };
        let link = links.to("a-0.parquet", Some(2000));
        assert_eq!(link.expires, 1_000_000);
        assert_eq!(links.to("a-0.parquet", Some(500)).expires, 500_000);
        let query = link.url.split_once('?').unwrap().1;
        let checked = |ticket: &str, file: &str, query: &str, now| {
            check(&seal, ticket, file, query, now).ok()
        };
        assert_eq!(checked(&said, "a-0.parquet", query, 999), Some(ticket()));
        // Some proxies change the case of keys.
        assert_eq!(
            checked(&said, "a-0.parquet", &query.replace("X-D", "x-d"), 999),
            Some(ticket())
        );
        assert_eq!(checked(&said, "a-0.parquet", query, 1000), None);
        assert_eq!(checked(&said, "b-0.parquet", query, 999), None);
        assert_eq!(checked(&format!("{said}A"), "a-0.parquet", query, 999), None);
        for other in ["", "expires=9999999999", &query.replace("1000", "9999999999"), &query[1..]] {
            assert_eq!(checked(&said, "a-0.parquet", other, 999), None, "{other}");
        }
        assert!(check(&Seal::new([8; 32]), &said, "a-0.parquet", query, 999).is_err());
    }
}
