//! Values as the tables have them.

use glovebox_contract::digest::Blake3Digest;
use serde_json::{Value, json};

/// The last second of the year 9999: what parties claim is not always a time that programs know.
const LAST_SECOND: u64 = 253_402_300_799;

/// A time in seconds as tables have it.
pub(crate) fn micros(seconds: u64) -> Value {
    json!(seconds.min(LAST_SECOND).saturating_mul(1_000_000))
}

/// A count as tables have it.
pub(crate) fn number_of(count: u64) -> Value {
    json!(i64::try_from(count).unwrap_or(i64::MAX))
}

/// A digest as tables have it.
pub(crate) fn digest(digest: &Blake3Digest) -> Value {
    json!(digest.to_string())
}
