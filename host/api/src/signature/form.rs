//! The values of the headers, written and read in one form only.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use glovebox_contract::key::PublicKey;
use sha2::{Digest as _, Sha256};

use super::{Kind, Nonce, SignatureError};
use crate::headers;

/// The label of the signature, in front of both headers.
pub(super) const LABEL: &str = "glovebox=";

const COMPONENTS: &str = r#"("@method" "@path" "@query" "content-digest")"#;
const TAG: &str = "glovebox-v1:";

/// Longest `Signature-Input` without its label: the keys take 72 characters each.
const MAX_PARAMETERS_BYTES: usize = 400;

/// The parameters of a signature.
pub(super) struct Parameters {
    pub(super) created: u64,
    pub(super) nonce: Nonce,
    pub(super) key: PublicKey,
    pub(super) host: PublicKey,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, nonce, key, host } = self;
        write!(
            f,
            "{COMPONENTS};created={created};nonce=\"{nonce}\";keyid=\"{key}\";alg=\"ed25519\";\
             tag=\"{TAG}{host}\""
        )
    }
}

impl Parameters {
    /// Reads the parts, then compares the text with the one that these parts give.
    pub(super) fn parse(text: &str) -> Result<Self, SignatureError> {
        let other = SignatureError(Kind::Form(headers::SIGNATURE_INPUT));
        if text.len() > MAX_PARAMETERS_BYTES {
            return Err(other);
        }
        let parts = split(text).ok_or(other.clone())?;
        let key = |text: &str| text.parse().map_err(|_| SignatureError(Kind::Key));
        let parameters = Self {
            created: parts.created.parse().map_err(|_| other.clone())?,
            nonce: parse_nonce(parts.nonce).ok_or(other.clone())?,
            key: key(parts.key)?,
            host: key(parts.host)?,
        };
        if parameters.to_string() == text { Ok(parameters) } else { Err(other) }
    }
}

struct Parts<'a> {
    created: &'a str,
    nonce: &'a str,
    key: &'a str,
    host: &'a str,
}

fn split(text: &str) -> Option<Parts<'_>> {
    let rest = text.strip_prefix(COMPONENTS)?.strip_prefix(";created=")?;
    let (created, rest) = rest.split_once(";nonce=\"")?;
    let (nonce, rest) = rest.split_once("\";keyid=\"")?;
    let (key, rest) = rest.split_once("\";alg=\"ed25519\";tag=\"")?;
    let host = rest.strip_prefix(TAG)?.strip_suffix('"')?;
    Some(Parts { created, nonce, key, host })
}

fn parse_nonce(text: &str) -> Option<Nonce> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(|number| Nonce::from_bytes(number.to_be_bytes()))
}

/// The value of `Content-Digest` for this body.
pub(super) fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64.encode(Sha256::digest(body)))
}

/// A digest is signed as text, so it must not hold a line end.
pub(super) fn check_content_digest(text: &str) -> Result<(), SignatureError> {
    let encoded = text.strip_prefix("sha-256=:").and_then(|text| text.strip_suffix(':'));
    let bytes = encoded.filter(|text| text.len() == 44).and_then(|text| BASE64.decode(text).ok());
    if bytes.is_some_and(|bytes| bytes.len() == 32) {
        Ok(())
    } else {
        Err(SignatureError(Kind::Form(headers::CONTENT_DIGEST)))
    }
}

/// The value of `Signature`.
pub(super) fn signature(bytes: &[u8; 64]) -> String {
    format!("{LABEL}:{}:", BASE64.encode(bytes))
}

pub(super) fn parse_signature(text: &str) -> Result<[u8; 64], SignatureError> {
    let encoded = text
        .strip_prefix(LABEL)
        .and_then(|text| text.strip_prefix(':'))
        .and_then(|text| text.strip_suffix(':'));
    encoded
        // Longer ones are not decoded at all.
        .filter(|encoded| encoded.len() == 88)
        .and_then(|encoded| BASE64.decode(encoded).ok())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(SignatureError(Kind::Form(headers::SIGNATURE)))
}
