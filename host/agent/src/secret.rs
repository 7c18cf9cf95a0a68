//! Tokens of triggers and secrets of webhooks.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::{Digest as _, Sha256};

/// What every webhook secret begins with, as <https://www.standardwebhooks.com> has it.
const SECRET_PREFIX: &str = "whsec_";

/// Bytes of a webhook secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The SHA-256 digest of a trigger's token, which is all that has to be known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads 64 hex digits.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0_u8; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }

    pub(crate) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is this token's, in a time that does not tell how much of it is right.
    pub(crate) fn fits(&self, token: &str) -> bool {
        let given = Self::of(token);
        self.0.iter().zip(given.0).fold(0, |all, (known, given)| all | (known ^ given)) == 0
    }
}

/// The key with which webhooks to one endpoint are signed.
#[derive(Clone)]
pub(crate) struct WebhookSecret(SecretSlice<u8>);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

impl WebhookSecret {
    /// Reads `whsec_` and base64.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let why = || {
            format!(
                "expected `{SECRET_PREFIX}` and {} to {} bytes in base64; `glovebox agent secret` \
                 makes one",
                SECRET_BYTES.start(),
                SECRET_BYTES.end()
            )
        };
        let bytes = text.strip_prefix(SECRET_PREFIX).and_then(|text| BASE64.decode(text).ok());
        match bytes {
            Some(bytes) if SECRET_BYTES.contains(&bytes.len()) => Ok(Self(bytes.into())),
            _ => Err(why()),
        }
    }

    /// The value of the header `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        // An HMAC takes keys of every length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else {
            return String::new();
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

/// A new token of a trigger, and its digest for the standing orders.
///
/// # Errors
/// When the system gives no randomness.
pub fn new_token() -> std::io::Result<(String, String)> {
    let token = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let digest = TokenDigest::of(&token).to_hex();
    Ok((token, digest))
}

/// A new secret of a webhook.
///
/// # Errors
/// When the system gives no randomness.
pub fn new_webhook_secret() -> std::io::Result<String> {
    Ok(format!("{SECRET_PREFIX}{}", BASE64.encode(random::<32>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's hmac and with the reference library of Standard Webhooks' layout.
    #[test]
    fn a_signature_is_over_id_time_and_body() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let other = |id: &str, at: u64, body: &[u8]| secret.sign(id, at, body) != signed;
        assert!(other("msg_q5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body));
        assert!(other("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_331, body));
        assert!(other("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{}"));
    }

    #[test]
    fn secrets_are_long_and_never_shown() {
        let made = new_webhook_secret().unwrap();
        let secret = WebhookSecret::parse(&made).unwrap();
        assert_eq!(format!("{secret:?}"), "WebhookSecret");
        for wrong in
            ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%"]
        {
            let error = WebhookSecret::parse(wrong).unwrap_err();
            assert!(wrong.is_empty() || !error.contains("c2hvcnQ"), "{error}");
        }
    }

    #[test]
    fn a_token_is_known_by_its_digest() {
        let (token, digest) = new_token().unwrap();
        let known = TokenDigest::from_hex(&digest).unwrap();
        assert!(known.fits(&token));
        assert!(!known.fits(""));
        assert!(!known.fits(&digest));
        assert_eq!(known.to_hex(), digest);
        for wrong in ["", "ab", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(TokenDigest::from_hex(wrong), None, "{wrong}");
        }
    }
}
