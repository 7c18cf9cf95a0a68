//! What the host gives out and takes back later: page tokens and file URLs. What they say is
//! authenticated, not secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest text that is looked at.
const MAX_BYTES: usize = 4096;

/// Makes and checks them.
pub(crate) struct Seal {
    secret: [u8; 32],
}

impl Seal {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// A token that says `value`, good where `purpose` is the same.
    pub(crate) fn token(&self, purpose: &[&str], value: &impl Serialize) -> String {
        let said = serde_json::to_vec(value).unwrap_or_default();
        let mut bytes = self.mac(purpose, &said).as_bytes().to_vec();
        bytes.extend_from_slice(&said);
        BASE64.encode(bytes)
    }

    /// What a token says. None when this host did not make it for this purpose.
    pub(crate) fn read<T: DeserializeOwned>(&self, purpose: &[&str], token: &str) -> Option<T> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let bytes = BASE64.decode(token).ok()?;
        let (mac, said) = bytes.split_first_chunk::<32>()?;
        // Compared in constant time.
        if blake3::Hash::from_bytes(*mac) != self.mac(purpose, said) {
            return None;
        }
        serde_json::from_slice(said).ok()
    }

    /// The signature of a URL, in hex.
    pub(crate) fn signature(&self, purpose: &[&str]) -> String {
        self.mac(purpose, b"").to_hex().to_string()
    }

    /// Whether a URL's signature is the one made for it.
    pub(crate) fn is_signature(&self, purpose: &[&str], signature: &str) -> bool {
        // Compared in constant time.
        blake3::Hash::from_hex(signature).is_ok_and(|found| found == self.mac(purpose, b""))
    }

    fn mac(&self, purpose: &[&str], said: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        for part in purpose.iter().map(|part| part.as_bytes()).chain([said]) {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hasher.update(&length.to_le_bytes()).update(part);
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_as_it_was_made_and_where_it_was_made_for() {
        let seal = Seal::new([7; 32]);
        let token = seal.token(&["list", "bob"], &("last", 3_u64));
        assert_eq!(seal.read(&["list", "bob"], &token), Some(("last".to_owned(), 3_u64)));
        for purpose in [&["list", "eve"][..], &["lis", "tbob"], &["listbob"], &[]] {
            assert_eq!(seal.read::<(String, u64)>(purpose, &token), None, "{purpose:?}");
        }
        assert_eq!(Seal::new([8; 32]).read::<(String, u64)>(&["list", "bob"], &token), None);
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(seal.read::<(String, u64)>(&["list", "bob"], &other), None, "{at}");
        }
        for other in ["", "A", "%%%", &token[1..], &format!("{token}AA"), &"A".repeat(100_000)] {
            assert_eq!(seal.read::<(String, u64)>(&["list", "bob"], other), None);
        }
    }

    #[test]
    fn a_signature_is_of_one_url() {
        let seal = Seal::new([7; 32]);
        let signature = seal.signature(&["file", "a", "1700000000"]);
        assert!(seal.is_signature(&["file", "a", "1700000000"], &signature));
        for purpose in [&["file", "a", "1700000001"][..], &["file", "b", "1700000000"], &["file"]] {
            assert!(!seal.is_signature(purpose, &signature));
        }
        for other in ["", "00", &signature[1..], &format!("{signature}0"), &"g".repeat(64)] {
            assert!(!seal.is_signature(&["file", "a", "1700000000"], other));
        }
    }
}
