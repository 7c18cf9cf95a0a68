//! HTTP to sources: clients that connect to permitted addresses only.
//!
//! They follow no redirect, so nobody can send a request, and the signature in it, elsewhere; they
//! know no proxy from the environment; they give up on a server that stands still.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Method, RequestBuilder};
use url::Url;

use crate::error::Failure;
use crate::net::{Outbound, Reach};

/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long a server may send nothing.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// How long one request may take with all of its answer.
const REQUEST_TIME: Duration = Duration::from_secs(300);

/// An address that the policy does not permit, deep in the error of a client.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotPermitted(pub(crate) String);

/// Clients, by how far they go; each is made when it is needed for the first time, and keeps its
/// connections.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    anywhere: OnceLock<Client>,
    public: OnceLock<Client>,
    listed: OnceLock<Client>,
}

/// Makes requests, each checked before it is sent and again when its host is resolved.
#[derive(Debug)]
pub(crate) struct Http {
    outbound: Outbound,
}

impl Http {
    pub(crate) fn new(outbound: Outbound) -> Self {
        Self { outbound }
    }

    /// A request to a permitted address.
    ///
    /// # Errors
    /// `source-refused` when the policy forbids it.
    pub(crate) fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, Failure> {
        Ok(self.client(url)?.request(method, url.clone()))
    }

    /// The client for a URL, which may be used for that URL only.
    pub(crate) fn client(&self, url: &Url) -> Result<&Client, Failure> {
        let reach = self.outbound.reach_of(url)?;
        let clients = self.outbound.clients();
        let client = match reach {
            Reach::Anywhere => &clients.anywhere,
            Reach::Public => &clients.public,
            Reach::Listed => &clients.listed,
        };
        if let Some(client) = client.get() {
            return Ok(client);
        }
        let made = self.make(reach)?;
        Ok(client.get_or_init(|| made))
    }

    fn make(&self, reach: Reach) -> Result<Client, Failure> {
        Client::builder()
            .no_proxy()
            .http1_only()
            .referer(false)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIME)
            .read_timeout(IDLE_TIME)
            .timeout(REQUEST_TIME)
            .dns_resolver(Arc::new(Permitted { outbound: self.outbound.without_clients(), reach }))
            .build()
            .map_err(|error| Failure::unavailable(format!("no HTTP client: {error}")))
    }
}

/// Resolves names to permitted addresses.
#[derive(Debug)]
struct Permitted {
    outbound: Outbound,
    reach: Reach,
}

impl Resolve for Permitted {
    fn resolve(&self, name: Name) -> Resolving {
        let (outbound, reach) = (self.outbound.clone(), self.reach);
        Box::pin(async move {
            let name = name.as_str();
            let found = tokio::net::lookup_host((name, 0)).await?;
            let permitted = outbound
                .permitted(name, found, reach)
                .map_err(|failure| NotPermitted(failure.detail))?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// Whether an error came of an address that the policy does not permit.
pub(crate) fn not_permitted<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a NotPermitted> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<NotPermitted>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// An error with all its causes, as one line.
pub(crate) fn whole_error(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Many errors already say their cause.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// The failure that the error of a client is.
pub(crate) fn failure(what: &str, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    match not_permitted(&error) {
        Some(NotPermitted(why)) => Failure::refused(format!("{what}: {why}")),
        None => Failure::unavailable(format!("{what}: {}", whole_error(&error))),
    }
}
