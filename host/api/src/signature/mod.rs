//! Signatures on requests: one fixed profile of RFC 9421 (HTTP Message Signatures).
//!
//! ```text
//! Content-Digest: sha-256=:<base64>:
//! Signature-Input: glovebox=("@method" "@path" "@query" "content-digest");created=<seconds>;nonce="<32 hex digits>";keyid="<public key>";alg="ed25519";tag="glovebox-v1:<host key>"
//! Signature: glovebox=:<base64>:
//! ```
//!
//! Nothing else is accepted: no other components, no other order, no second signature, no other
//! spelling. So there is nothing to negotiate and nothing to parse in two ways. The tag binds a
//! request to one host, so a host cannot pass it on to another; `created` and the nonce make it
//! good once. Whether a nonce was used before is for the host to remember, for
//! [`crate::limits::NONCE_SECONDS`].

mod base;
mod form;

use std::fmt;

use glovebox_contract::key::{PrivateKey, PublicKey};
use glovebox_contract::reason::ReasonCode;

use crate::limits::MAX_SKEW_SECONDS;
use form::Parameters;

/// What of a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method in capitals, for example `POST`.
    pub method: &'a str,
    /// The path as it is sent, escapes included; it begins with a slash.
    pub path: &'a str,
    /// The query as it is sent, without its `?`; empty when there is none.
    pub query: &'a str,
    /// The body; empty when there is none.
    pub body: &'a [u8],
}

/// The headers of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    /// Value of [`crate::headers::CONTENT_DIGEST`].
    pub content_digest: String,
    /// Value of [`crate::headers::SIGNATURE_INPUT`].
    pub signature_input: String,
    /// Value of [`crate::headers::SIGNATURE`].
    pub signature: String,
}

/// Who made a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The key that signed it.
    pub key: PublicKey,
    /// What makes it good once, together with the key.
    pub nonce: Nonce,
    /// When its signer says it was made, in seconds since 1970-01-01T00:00:00Z.
    pub created: u64,
}

/// 16 random bytes, written as 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// Fresh bytes of the system's generator.
    ///
    /// # Errors
    /// When it has none.
    pub fn random() -> Result<Self, SignatureError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| SignatureError(Kind::Random))?;
        Ok(Self(bytes))
    }

    /// The nonce with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a request cannot be signed, or is not taken for one of a party.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct SignatureError(Kind);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Kind {
    #[error("the system has no random bytes")]
    Random,
    #[error("the {0} of the request has characters that cannot be signed")]
    Target(&'static str),
    #[error("the header {0} is not in the one form that is accepted")]
    Form(&'static str),
    #[error("the key of the signature is not usable")]
    Key,
    #[error("the request is signed for another host")]
    OtherHost,
    #[error("the request was made at {created}, the clock of this host says {now}: set the clock")]
    Created { created: u64, now: u64 },
    #[error("the body is not the one that was signed")]
    Body,
    #[error("the signature does not verify")]
    Signature,
}

impl SignatureError {
    /// The public reason.
    pub fn reason(&self) -> ReasonCode {
        match self.0 {
            Kind::Random => ReasonCode::Internal,
            _ => ReasonCode::Unauthenticated,
        }
    }
}

/// Signs a request to the host with the key `host`. `now` is the time on the signer's clock, in
/// seconds since 1970-01-01T00:00:00Z.
///
/// # Errors
/// When the method, the path or the query cannot stand in a request, or the system has no random
/// bytes.
pub fn sign(
    request: &Request<'_>,
    key: &PrivateKey,
    host: &PublicKey,
    now: u64,
) -> Result<SignedHeaders, SignatureError> {
    sign_with(request, key, host, now, Nonce::random()?)
}

/// As [`sign`], with a nonce that the caller chose.
///
/// # Errors
/// When the method, the path or the query cannot stand in a request.
pub fn sign_with(
    request: &Request<'_>,
    key: &PrivateKey,
    host: &PublicKey,
    created: u64,
    nonce: Nonce,
) -> Result<SignedHeaders, SignatureError> {
    base::check_target(request)?;
    let parameters = Parameters { created, nonce, key: key.public(), host: *host }.to_string();
    let content_digest = form::content_digest(request.body);
    let signature = key.sign(base::of(request, &content_digest, &parameters).as_bytes());
    Ok(SignedHeaders {
        content_digest,
        signature_input: format!("{}{parameters}", form::LABEL),
        signature: form::signature(&signature),
    })
}

/// Finds out who made a request to the host with the key `host`, whose clock says `now`.
///
/// The caller makes sure that each of the three headers was there once, and that this key has not
/// used the nonce before.
///
/// # Errors
/// When the headers are in another form, the request is for another host, too old or from the
/// future, or anything that is signed is not what was signed. The reason is `unauthenticated`.
pub fn verify(
    request: &Request<'_>,
    headers: &SignedHeaders,
    host: &PublicKey,
    now: u64,
) -> Result<Verified, SignatureError> {
    let Request { method, path, query, body } = *request;
    let verified = verify_headers(method, path, query, headers, host, now)?;
    check_body(&headers.content_digest, body)?;
    Ok(verified)
}

/// The part of [`verify`] that needs no body, so that nobody unknown makes a host read one. The
/// request is not verified before [`check_body`] has seen the body.
///
/// # Errors
/// As [`verify`].
pub fn verify_headers(
    method: &str,
    path: &str,
    query: &str,
    headers: &SignedHeaders,
    host: &PublicKey,
    now: u64,
) -> Result<Verified, SignatureError> {
    let request = Request { method, path, query, body: &[] };
    base::check_target(&request)?;
    form::check_content_digest(&headers.content_digest)?;
    let text = headers
        .signature_input
        .strip_prefix(form::LABEL)
        .ok_or(SignatureError(Kind::Form(crate::headers::SIGNATURE_INPUT)))?;
    let parameters = Parameters::parse(text)?;
    if parameters.host != *host {
        return Err(SignatureError(Kind::OtherHost));
    }
    let Parameters { created, nonce, key, .. } = parameters;
    if created.abs_diff(now) > MAX_SKEW_SECONDS {
        return Err(SignatureError(Kind::Created { created, now }));
    }
    let signature = form::parse_signature(&headers.signature)?;
    let base = base::of(&request, &headers.content_digest, text);
    key.verify(base.as_bytes(), &signature).map_err(|_| SignatureError(Kind::Signature))?;
    Ok(Verified { key, nonce, created })
}

/// Whether `body` is what the value of `Content-Digest` says, which [`verify_headers`] has found
/// signed.
///
/// # Errors
/// When it is not. The reason is `unauthenticated`.
pub fn check_body(content_digest: &str, body: &[u8]) -> Result<(), SignatureError> {
    if content_digest == form::content_digest(body) {
        Ok(())
    } else {
        Err(SignatureError(Kind::Body))
    }
}

#[cfg(test)]
mod tests;
