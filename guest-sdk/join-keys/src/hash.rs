//! From a value to its key.

use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::{InvalidValue, KeyKind, Profile, RoomKey, normalise};

/// What separates keyed hashes from any other use of the same key.
const DOMAIN: &str = "glovebox-join-key/1";

/// SHA-256 of the normalised value, written as the platform writes it: Base64 for UID2, lower-case
/// hexadecimal digits for Google and Meta.
///
/// Anybody who can guess the value can check the guess. Where that matters, use [`keyed_hash`].
///
/// # Errors
/// When the value makes no key; see [`normalise`].
pub fn hash(profile: Profile, kind: KeyKind, value: &str) -> Result<String, InvalidValue> {
    let digest = Sha256::digest(normalise(profile, kind, value)?);
    Ok(match profile {
        Profile::Uid2V1 => STANDARD.encode(digest),
        Profile::GoogleV1 | Profile::GoogleV2 | Profile::MetaV1 => to_hex(&digest),
    })
}

/// HMAC-SHA256 with the room's key, as 64 lower-case hexadecimal digits, of
/// `glovebox-join-key/1`, the profile, the kind and the normalised value with a zero byte between
/// each. Only who holds the key can check a guess.
///
/// # Errors
/// When the value makes no key; see [`normalise`].
pub fn keyed_hash(
    key: &RoomKey,
    profile: Profile,
    kind: KeyKind,
    value: &str,
) -> Result<String, InvalidValue> {
    let normal = normalise(profile, kind, value)?;
    let mut mac = Hmac::<Sha256>::new(&block(key).into());
    for part in [DOMAIN, profile.as_str(), kind.as_str()] {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    mac.update(normal.as_bytes());
    Ok(to_hex(&mac.finalize().into_bytes()))
}

/// The key as one block of the hash, zeros behind it, which is how the standard pads it.
fn block(key: &RoomKey) -> [u8; 64] {
    let mut block = [0; 64];
    let (front, _) = block.split_at_mut(32);
    front.copy_from_slice(key.as_bytes());
    block
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |byte: u8| DIGITS.get(usize::from(byte)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
