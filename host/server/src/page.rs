//! Page tokens: where a list goes on, for the caller who got the page before and nobody else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use glovebox_api::limits::MAX_PAGE_TOKEN_BYTES;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::key::PublicKey;
use glovebox_contract::name::RoomId;

use crate::error::{HttpError, Result};

/// Makes and reads tokens. What they say is authenticated, not secret.
pub(crate) struct PageTokens {
    secret: [u8; 32],
}

impl PageTokens {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The token of the page that begins behind the room `last`.
    pub(crate) fn after(&self, last: &RoomId, caller: &PublicKey) -> String {
        let mut bytes = last.0.as_bytes().to_vec();
        bytes.extend_from_slice(self.mac(last, caller).as_bytes());
        BASE64.encode(bytes)
    }

    /// The room behind which the page begins.
    ///
    /// # Errors
    /// When the token was not made for this caller by this host.
    pub(crate) fn read(&self, token: &str, caller: &PublicKey) -> Result<RoomId> {
        let last = Some(token)
            .filter(|token| token.len() <= MAX_PAGE_TOKEN_BYTES)
            .and_then(|token| BASE64.decode(token).ok())
            .and_then(|bytes| <[u8; 64]>::try_from(bytes).ok())
            .and_then(|bytes| {
                let (last, mac) = bytes.split_first_chunk::<32>()?;
                let last = RoomId(Blake3Digest::from_bytes(*last));
                let mac = blake3::Hash::from_bytes(<[u8; 32]>::try_from(mac).ok()?);
                // In constant time.
                (mac == self.mac(&last, caller)).then_some(last)
            });
        last.ok_or_else(|| {
            HttpError::malformed("page_token: this host gave your key no such token")
        })
    }

    fn mac(&self, last: &RoomId, caller: &PublicKey) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(b"rooms").update(caller.as_bytes()).update(last.0.as_bytes());
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use glovebox_contract::key::PrivateKey;

    use super::*;

    #[test]
    fn a_token_is_good_for_its_caller_as_it_was_made() {
        let key = |seed| PrivateKey::from_seed(&[seed; 32]).public();
        let tokens = PageTokens::new([7; 32]);
        let room = RoomId(Blake3Digest::of(b"room"));
        let token = tokens.after(&room, &key(1));
        assert_eq!(tokens.read(&token, &key(1)).unwrap(), room);
        assert!(tokens.read(&token, &key(2)).is_err());
        assert!(PageTokens::new([8; 32]).read(&token, &key(1)).is_err());
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert!(tokens.read(&other, &key(1)).is_err(), "{at}");
        }
        for other in ["", "A", &token[1..], &format!("{token}AA"), &"A".repeat(100_000)] {
            assert!(tokens.read(other, &key(1)).is_err());
        }
    }
}
