//! Asking the issuer: its discovery document, then its key set.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use reqwest::Certificate;
use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::{Host, Url};

const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_DOCUMENT_BYTES: u64 = 1 << 20;

/// Fetches the keys of one issuer.
#[derive(Debug)]
pub(super) struct Fetcher {
    issuer: String,
    roots: Vec<Certificate>,
}

/// What is read of a discovery document.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    pub(super) fn new(issuer: &str, ca: Option<&Path>) -> Result<Self, String> {
        let roots = match ca {
            None => Vec::new(),
            Some(path) => {
                let failed = |what: String| format!("{}: {what}", path.display());
                let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
                Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?
            }
        };
        Ok(Self { issuer: issuer.into(), roots })
    }

    /// The keys that the issuer publishes now.
    ///
    /// On a thread of its own: the blocking client may not be used on one that runs async tasks.
    pub(super) fn keys(&self) -> Result<JwkSet, String> {
        std::thread::scope(|scope| {
            scope.spawn(|| self.ask()).join().map_err(|_| "asking the issuer failed".to_owned())?
        })
    }

    fn ask(&self) -> Result<JwkSet, String> {
        let client = self.client()?;
        let discovery = format!(
            "{}/.well-known/openid-configuration",
            self.issuer.strip_suffix('/').unwrap_or(&self.issuer)
        );
        let found: Discovery = get(&client, &discovery)?;
        if found.issuer != self.issuer {
            return Err(format!("{discovery} is the document of another issuer"));
        }
        let keys = Url::parse(&found.jwks_uri).map_err(|error| format!("jwks_uri: {error}"))?;
        check_url(&keys).map_err(|error| format!("jwks_uri: {error}"))?;
        get(&client, keys.as_str())
    }

    fn client(&self) -> Result<Client, String> {
        let mut builder = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("glovebox/", env!("CARGO_PKG_VERSION")));
        for root in &self.roots {
            builder = builder.add_root_certificate(root.clone());
        }
        builder.build().map_err(|error| error.to_string())
    }
}

fn get<T: DeserializeOwned>(client: &Client, url: &str) -> Result<T, String> {
    let failed = |what: &dyn std::fmt::Display| format!("{url}: {what}");
    let answer = client.get(url).send().map_err(|error| failed(&error.without_url()))?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(failed(&answer.status()));
    }
    let mut body = Vec::new();
    answer.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut body).map_err(|error| failed(&error))?;
    if u64::try_from(body.len()).unwrap_or(u64::MAX) > MAX_DOCUMENT_BYTES {
        return Err(failed(&"the answer is too long"));
    }
    serde_json::from_slice(&body).map_err(|error| failed(&error))
}

/// Keys come over https, or from this machine: whoever could change them on the way could be
/// anybody here.
pub(super) fn check_url(url: &Url) -> Result<(), String> {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("no user and password in the URL".into())
        }
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => Err("https is needed, except on loopback".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_safely_or_not_at_all() {
        for (url, good) in [
            ("https://issuer.example/keys", true),
            ("http://127.0.0.1:9/keys", true),
            ("http://[::1]:9/keys", true),
            ("http://localhost:9/keys", true),
            ("http://issuer.example/keys", false),
            ("http://127.0.0.1.issuer.example/keys", false),
            ("http://localhost.issuer.example/keys", false),
            ("https://user@issuer.example/keys", false),
            ("file:///etc/keys", false),
            ("ftp://127.0.0.1/keys", false),
        ] {
            assert_eq!(check_url(&Url::parse(url).unwrap()).is_ok(), good, "{url}");
        }
    }
}
