//! The one encoding that is hashed and signed: canonical JSON after RFC 8785.
//!
//! Decoding is strict: a text is accepted only when encoding what was read gives the very same
//! bytes. That refuses duplicate keys, unknown fields, explicit nulls, white space and numbers
//! written in a second way, without a list of such tricks.
//!
//! RFC 8785 writes every number as an IEEE 754 double, so numbers here are integers that a double
//! holds exactly. Anything else (a 64-bit parameter, a fraction) is written as text.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::text::printable;

/// Largest integer that canonical JSON carries: 2⁵³ − 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Why a value has no canonical encoding, or a text is not canonical.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct CanonicalError(Kind);

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error("{bytes} bytes are too many, at most {limit} are allowed")]
    TooLarge { bytes: usize, limit: usize },
    #[error("not readable: {0}")]
    Parse(String),
    #[error("cannot be written: {0}")]
    Write(String),
    #[error("the number {0} is not an integer of at most 53 bits")]
    Number(String),
    #[error("readable, but not in canonical form: the first difference is at byte {at}")]
    NotCanonical { at: usize },
}

impl CanonicalError {
    /// Whether the text was well-formed, only written in another way than the canonical one.
    pub fn is_encoding_only(&self) -> bool {
        matches!(self.0, Kind::NotCanonical { .. })
    }
}

/// The canonical bytes of `value`.
///
/// # Errors
/// When `value` holds a number that is no integer of at most 53 bits, or refuses to serialise.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value =
        serde_json::to_value(value).map_err(|error| CanonicalError(Kind::Write(words(&error))))?;
    check_numbers(&value)?;
    serde_json_canonicalizer::to_vec(&value)
        .map_err(|error| CanonicalError(Kind::Write(words(&error))))
}

/// Reads a `T` from canonical bytes, at most `limit` of them.
///
/// # Errors
/// When the bytes are too many, do not hold a `T`, or are not the canonical encoding of it.
pub fn decode<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, CanonicalError> {
    if bytes.len() > limit {
        return Err(CanonicalError(Kind::TooLarge { bytes: bytes.len(), limit }));
    }
    let value = serde_json::from_slice(bytes)
        .map_err(|error| CanonicalError(Kind::Parse(words(&error))))?;
    let again = encode(&value)?;
    if again == bytes {
        return Ok(value);
    }
    let at = again.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    Err(CanonicalError(Kind::NotCanonical { at }))
}

/// The BLAKE3 digest of the canonical bytes of `value`.
///
/// # Errors
/// As [`encode`].
pub fn digest<T: Serialize + ?Sized>(
    value: &T,
) -> Result<crate::digest::Blake3Digest, CanonicalError> {
    encode(value).map(|bytes| crate::digest::Blake3Digest::of(&bytes))
}

/// What went wrong, fit for a screen: the error of a parser quotes its input.
fn words(error: &serde_json::Error) -> String {
    printable(&error.to_string())
}

fn check_numbers(value: &Value) -> Result<(), CanonicalError> {
    match value {
        Value::Number(number) => {
            let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            match magnitude {
                Some(magnitude) if magnitude <= MAX_INTEGER => Ok(()),
                _ => Err(CanonicalError(Kind::Number(number.to_string()))),
            }
        }
        Value::Array(items) => items.iter().try_for_each(check_numbers),
        Value::Object(fields) => fields.values().try_for_each(check_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}
