//! One request and its answer.

mod answer;

use std::path::Path;
use std::time::Duration;

use glovebox_api::headers;
use glovebox_api::signature::{self, Request};
use glovebox_contract::key::{PrivateKey, PublicKey};
use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::redirect::Policy;
use url::Url;

pub(crate) use answer::Answer;

use crate::error::{ClientError, Context as _, Result};
use crate::files;

/// How long it may take until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How much longer a host may take for an answer when it has to work for it, such as to compile a
/// component.
const WORK: u32 = 10;

/// Most bytes of a file with certificates.
const MAX_CA_BYTES: u64 = 1 << 20;

/// Reaches one host.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    http: Client,
    base: Url,
    timeout: Duration,
}

/// Who asks, and which host.
#[derive(Clone, Copy)]
pub(crate) struct Signer<'a> {
    pub(crate) key: &'a PrivateKey,
    pub(crate) host: &'a PublicKey,
}

/// What is asked.
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a str,
    query: &'a str,
    media: Option<&'static str>,
    body: &'a [u8],
    headers: Vec<(&'static str, u64)>,
    works: bool,
}

impl<'a> Call<'a> {
    fn new(method: Method, path: &'a str) -> Self {
        let (query, media, body) = ("", None, &[][..]);
        Self { method, path, query, media, body, headers: Vec::new(), works: false }
    }

    pub(crate) fn get(path: &'a str, query: &'a str) -> Self {
        Self { query, ..Self::new(Method::GET, path) }
    }

    pub(crate) fn head(path: &'a str) -> Self {
        Self::new(Method::HEAD, path)
    }

    /// JSON, for which the host may have to work.
    pub(crate) fn post(path: &'a str, body: &'a [u8]) -> Self {
        let media = Some(glovebox_api::media::JSON);
        Self { media, body, works: true, ..Self::new(Method::POST, path) }
    }

    /// A chunk of an upload.
    pub(crate) fn patch(path: &'a str, body: &'a [u8], offset: u64, length: u64) -> Self {
        let media = Some(glovebox_api::media::BYTES);
        let headers = vec![(headers::UPLOAD_OFFSET, offset), (headers::UPLOAD_LENGTH, length)];
        // At the end the host checks the digest of the whole.
        Self { media, body, headers, works: true, ..Self::new(Method::PATCH, path) }
    }
}

/// Reads the address of a host.
pub(crate) fn parse_url(text: &str) -> Result<Url> {
    let invalid = |why: &str| {
        let shown = glovebox_contract::text::printable(text);
        Err(ClientError::Invalid(format!("`{shown}` is not the address of a host: {why}")))
    };
    let Ok(url) = Url::parse(text) else {
        return invalid("write it as https://name:port");
    };
    if !matches!(url.scheme(), "https" | "http") {
        return invalid("it begins with https:// or http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ClientError::Invalid(
            "the address of a host has no user and no password: a key says who asks".into(),
        ));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return invalid("it has nothing behind the name and the port");
    }
    Ok(url)
}

impl Transport {
    /// Prepares to reach the host at `base`. `ca` is a file of certificates in PEM that are
    /// trusted besides the system's.
    pub(crate) fn new(base: Url, ca: Option<&Path>, timeout: Duration) -> Result<Self> {
        let mut builder = Client::builder()
            // A host that points elsewhere would have us show our requests to someone else.
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .user_agent(concat!("glovebox/", env!("CARGO_PKG_VERSION")));
        let ca = ca.map(read_certificates).transpose()?;
        builder = match ca {
            // No certificate is ever looked at, so a machine without any will do.
            _ if base.scheme() == "http" => builder.tls_certs_only([]),
            Some(certificates) => builder.tls_certs_merge(certificates),
            None => builder,
        };
        let http = builder.build().map_err(|error| {
            ClientError::Invalid(format!("cannot prepare to reach the host: {}", words(&error)))
        })?;
        Ok(Self { http, base, timeout })
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// How long to wait for a host that has nothing to do.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks once. An answer that is an error comes back as one.
    pub(crate) fn ask(&self, signer: Option<Signer<'_>>, call: &Call<'_>) -> Result<Answer> {
        let mut url = self.base.clone();
        url.set_path(call.path);
        url.set_query(Some(call.query).filter(|query| !query.is_empty()));
        let at =
            format!("{} {}{}", call.method, self.base.as_str().trim_end_matches('/'), url.path());
        let mut request = self.http.request(call.method.clone(), url.clone());
        if call.works {
            request = request.timeout(self.timeout.saturating_mul(WORK));
        }
        if let Some(media) = call.media {
            request = request.header(reqwest::header::CONTENT_TYPE, media);
        }
        for (name, value) in &call.headers {
            request = request.header(*name, *value);
        }
        if let Some(signer) = signer {
            request = sign(request, signer, call, &url)?;
        }
        if call.media.is_some() {
            request = request.body(call.body.to_vec());
        }
        match request.send() {
            Ok(response) => {
                Answer { at, response, timeout: self.timeout }.checked(call.method == Method::HEAD)
            }
            Err(error) => Err(unreachable(at, error)),
        }
    }
}

/// Signs the path and the query as they stand in the address that is sent.
fn sign(
    request: RequestBuilder,
    Signer { key, host }: Signer<'_>,
    call: &Call<'_>,
    url: &Url,
) -> Result<RequestBuilder> {
    let query = url.query().unwrap_or_default();
    let signed = Request { method: call.method.as_str(), path: url.path(), query, body: call.body };
    let signed = signature::sign(&signed, key, host, crate::now())
        .map_err(|error| ClientError::Invalid(format!("cannot sign a request: {error}")))?;
    Ok(request
        .header(headers::CONTENT_DIGEST, signed.content_digest)
        .header(headers::SIGNATURE_INPUT, signed.signature_input)
        .header(headers::SIGNATURE, signed.signature))
}

fn read_certificates(path: &Path) -> Result<Vec<reqwest::Certificate>> {
    let pem = files::read(path, MAX_CA_BYTES)
        .and_then(|pem| pem.ok_or_else(|| std::io::ErrorKind::NotFound.into()))
        .trying(|| format!("read the certificates in `{}`", path.display()))?;
    let invalid = |why: &str| {
        Err(ClientError::Invalid(format!("`{}` holds no certificate in PEM{why}", path.display())))
    };
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if certificates.is_empty() => invalid(""),
        Ok(certificates) => Ok(certificates),
        Err(error) => invalid(&format!(": {}", words(&error))),
    }
}

/// No answer, or half of one.
pub(crate) fn unreachable(at: String, error: reqwest::Error) -> ClientError {
    let passing = !error.is_builder() && !is_invalid_data(&error);
    ClientError::Unreachable { at, why: words(&error.without_url()), passing }
}

/// Whether TLS found the other side's words wrong, such as a certificate that nobody vouches for:
/// that does not pass by itself.
fn is_invalid_data(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        // What such an error wraps is not among its sources.
        return error.kind() == std::io::ErrorKind::InvalidData
            || error.get_ref().is_some_and(|inner| is_invalid_data(inner));
    }
    error.source().is_some_and(is_invalid_data)
}

/// An error and what caused it, in one line.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line = format!("{line}: {cause}");
        next = cause.source();
    }
    glovebox_contract::text::printable(&line)
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn what_tls_refuses_does_not_pass() {
        let refused = || Error::new(ErrorKind::InvalidData, "unknown issuer");
        assert!(is_invalid_data(&refused()));
        assert!(is_invalid_data(&Error::other(refused())));
        assert!(is_invalid_data(&Error::other(Error::other(refused()))));
        assert!(!is_invalid_data(&Error::other("reset")));
        assert!(!is_invalid_data(&Error::from(ErrorKind::ConnectionRefused)));
        let error = Error::other(Error::other("why"));
        assert_eq!(words(&error), "why");
    }
}
