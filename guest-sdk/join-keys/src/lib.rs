//! Join keys: e-mail addresses, phone numbers and device ids, normalised and hashed by the rules
//! that UID2, Google and Meta publish.
//!
//! The rules differ. Two parties that hash the same address by different rules share no key and
//! see no overlap where there is one, so a key says by which [`Profile`], in which version, it was
//! made. `policies/join-keys/README.md` tells each profile in words with its source, and
//! `policies/join-keys/vectors.txt` has what each must give.
//!
//! ```
//! use glovebox_join_keys::{KeyKind, Profile, RoomKey, hash, keyed_hash, normalise};
//!
//! let address = " Jane.Saoirse+News@gmail.com";
//! let (uid2, meta) = (Profile::Uid2V1, Profile::MetaV1);
//! assert_eq!(normalise(uid2, KeyKind::Email, address)?, "janesaoirse@gmail.com");
//! assert_eq!(normalise(meta, KeyKind::Email, address)?, "jane.saoirse+news@gmail.com");
//!
//! let bare = hash(uid2, KeyKind::Email, address)?;
//! assert_eq!(bare, "ku4mBX7Z3qJTXWyLFB1INzkyR2WZGW4ANSJUiW21iI8=");
//! // Who knows the address can compute that hash. This one only the holders of the key can.
//! let key = RoomKey::from_bytes([7; 32]);
//! assert_eq!(keyed_hash(&key, uid2, KeyKind::Email, address)?.len(), 64);
//! # Ok::<(), glovebox_join_keys::InvalidValue>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod device;
mod email;
mod hash;
mod invalid;
mod phone;
mod profile;
mod room_key;

use alloc::string::String;

pub use hash::{hash, keyed_hash};
pub use invalid::{InvalidValue, Why};
pub use profile::{KeyKind, ParseNameError, Profile};
pub use room_key::{ParseRoomKeyError, RoomKey};

/// `value` in the one form that `profile` hashes.
///
/// Normalising twice changes nothing more.
///
/// # Errors
/// When `value` is no address, number or id of that kind, or the profile has no rule for the kind.
/// The error does not show the value.
pub fn normalise(profile: Profile, kind: KeyKind, value: &str) -> Result<String, InvalidValue> {
    match kind {
        KeyKind::Email => email::normalise(profile, value),
        KeyKind::Phone => phone::normalise(profile, value),
        KeyKind::DeviceId => device::normalise(profile, value),
    }
    .map_err(|why| InvalidValue::new(profile, kind, why))
}
