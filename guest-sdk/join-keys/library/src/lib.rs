//! The library `join_keys`, for SQL notebooks: `join_keys.uid2_email(address)`.

use glovebox_guest::library;

/// The functions.
#[library]
pub mod functions {
    use glovebox_guest::{Result, bail};
    use glovebox_join_keys::{KeyKind, Profile};

    /// The key of an e-mail address by uid2/1, in Base64.
    #[scalar_function]
    pub fn uid2_email(address: &str) -> Option<String> {
        key(Profile::Uid2V1, KeyKind::Email, address)
    }

    /// The key of a phone number with country code by uid2/1, in Base64.
    #[scalar_function]
    pub fn uid2_phone(number: &str) -> Option<String> {
        key(Profile::Uid2V1, KeyKind::Phone, number)
    }

    /// The key of an e-mail address by google/2, in hexadecimal digits.
    #[scalar_function]
    pub fn google_email(address: &str) -> Option<String> {
        key(Profile::GoogleV2, KeyKind::Email, address)
    }

    /// The key of a phone number with country code by google/2, in hexadecimal digits.
    #[scalar_function]
    pub fn google_phone(number: &str) -> Option<String> {
        key(Profile::GoogleV2, KeyKind::Phone, number)
    }

    /// The key of a device's advertising id by google/2, in hexadecimal digits.
    #[scalar_function]
    pub fn google_device_id(id: &str) -> Option<String> {
        key(Profile::GoogleV2, KeyKind::DeviceId, id)
    }

    /// The key of an e-mail address by meta/1, in hexadecimal digits.
    #[scalar_function]
    pub fn meta_email(address: &str) -> Option<String> {
        key(Profile::MetaV1, KeyKind::Email, address)
    }

    /// The key of a phone number with country code by meta/1, in hexadecimal digits.
    #[scalar_function]
    pub fn meta_phone(number: &str) -> Option<String> {
        key(Profile::MetaV1, KeyKind::Phone, number)
    }

    /// The key of a device's advertising id by meta/1, in hexadecimal digits.
    #[scalar_function]
    pub fn meta_device_id(id: &str) -> Option<String> {
        key(Profile::MetaV1, KeyKind::DeviceId, id)
    }

    /// The key of a value by any profile (`google/1`) and kind (email, phone, device-id).
    #[scalar_function]
    pub fn hash(profile: &str, kind: &str, value: &str) -> Result<Option<String>> {
        match (profile.parse(), kind.parse()) {
            (Ok(profile), Ok(kind)) => Ok(key(profile, kind, value)),
            (Err(error), _) | (_, Err(error)) => bail!("{error}"),
        }
    }

    fn key(profile: Profile, kind: KeyKind, value: &str) -> Option<String> {
        glovebox_join_keys::hash(profile, kind, value).ok()
    }
}
