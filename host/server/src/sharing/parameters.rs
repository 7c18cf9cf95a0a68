//! What stands in the query of a URL and in the body of a request.
//!
//! The protocol grows, so what is unknown is passed over; what is known must be right.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime};
use glovebox_delta::History;
use serde_json::{Map, Value};

use super::error::{Result, SharingError};

/// Longest query of a URL.
const MAX_QUERY_BYTES: usize = 16_384;

/// Keys and values of the query of a URL.
#[derive(Debug, Default)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads a query.
    pub(crate) fn of(query: Option<&str>) -> Result<Self> {
        let query = query.unwrap_or_default();
        if query.len() > MAX_QUERY_BYTES {
            return Err(SharingError::malformed("the query of the URL is too long"));
        }
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let mut parameters = BTreeMap::new();
        for (key, value) in pairs {
            if parameters.insert(key.to_string(), value.to_string()).is_some() {
                return Err(SharingError::malformed("the query of the URL has a key twice"));
            }
        }
        Ok(Self(parameters))
    }

    /// A text; none when it is empty.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A number that is not negative.
    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>> {
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits).ok_or_else(|| bad_number(key))
        };
        self.text(key).map(number).transpose()
    }

    /// Yes or no, in any case: Python says `True`.
    pub(crate) fn flag(&self, key: &str) -> Result<bool> {
        match self.text(key).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(SharingError::invalid(format!("{key} is true or false"))),
        }
    }

    /// A time, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) fn time(&self, key: &str) -> Result<Option<i64>> {
        self.text(key).map(|text| time(key, text)).transpose()
    }
}

/// The members of the body of a request.
pub(crate) struct Body(Map<String, Value>);

impl Body {
    /// Reads a body; nothing is `{}`.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(SharingError::malformed("the body is not a JSON object")),
            Err(_) => Err(SharingError::malformed("the body is not JSON")),
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// A text; none when it is empty.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>> {
        let text = |value: &'_ Value| match value {
            Value::String(_) => Ok(()),
            _ => Err(SharingError::invalid(format!("{key} is a text"))),
        };
        self.get(key).map(text).transpose()?;
        Ok(self.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()))
    }

    /// A number that is not negative.
    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>> {
        self.get(key).map(|value| value.as_u64().ok_or_else(|| bad_number(key))).transpose()
    }

    /// Yes or no.
    pub(crate) fn flag(&self, key: &str) -> Result<bool> {
        let flag = |value: &Value| match value {
            Value::Bool(flag) => Ok(*flag),
            _ => Err(SharingError::invalid(format!("{key} is true or false"))),
        };
        Ok(self.get(key).map(flag).transpose()?.unwrap_or(false))
    }

    /// A time, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) fn time(&self, key: &str) -> Result<Option<i64>> {
        self.text(key)?.map(|text| time(key, text)).transpose()
    }

    /// Texts, as far as there are any: hints that are not understood are no hints.
    pub(crate) fn hints(&self, key: &str) -> Vec<&str> {
        let items = self.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).collect()
    }
}

fn bad_number(key: &str) -> SharingError {
    SharingError::invalid(format!("{key} is a number that is not negative"))
}

fn time(key: &str, text: &str) -> Result<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, form) {
            return Ok(time.and_utc().timestamp_millis());
        }
    }
    Err(SharingError::invalid(format!("{key} is a time like 2026-01-31T12:00:00Z")))
}

/// The version that is meant by a number or a time; the newest when neither is given.
pub(crate) fn version(history: &History, number: Option<u64>, time: Option<i64>) -> Result<u64> {
    let latest = history.latest().ok_or_else(|| SharingError::missing("table"))?;
    match (number, time) {
        (Some(_), Some(_)) => Err(SharingError::invalid("give a version or a timestamp, not both")),
        (Some(number), None) => Ok(number),
        (None, Some(time)) => Ok(history.version_at(time)?),
        (None, None) => Ok(latest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_must_be_right() {
        let of = |query: &str| Parameters::of(Some(query)).unwrap();
        assert_eq!(of("a=1&b=").number("a").unwrap(), Some(1));
        assert_eq!(of("a=1&b=").number("b").unwrap(), None);
        assert_eq!(of("").number("a").unwrap(), None);
        for bad in ["a=-1", "a=1.5", "a=x", "a=+1", "a=99999999999999999999"] {
            assert!(of(bad).number("a").is_err(), "{bad}");
        }
        for (text, expected) in [("true", true), ("True", true), ("FALSE", false), ("", false)] {
            assert_eq!(of(&format!("f={text}")).flag("f").unwrap(), expected, "{text}");
        }
        assert!(of("f=1").flag("f").is_err());
        assert!(Parameters::of(Some("a=1&a=2")).is_err());
        assert!(Parameters::of(Some(&"a".repeat(20_000))).is_err());
    }

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        for (text, expected) in [
            ("2026-01-31T12:00:00Z", Some(1_769_860_800_000)),
            ("2026-01-31T13:00:00.5+01:00", Some(1_769_860_800_500)),
            ("2026-01-31 12:00:00", Some(1_769_860_800_000)),
            ("yesterday", None),
            ("1769860800000", None),
        ] {
            assert_eq!(time("timestamp", text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_body_is_an_object_or_nothing() {
        for nothing in [&b""[..], b" \n", b"{}", br#"{"version":null,"unknown":[1]}"#] {
            let body = Body::of(nothing).unwrap();
            assert_eq!(body.number("version").unwrap(), None);
        }
        for bad in [&b"[]"[..], b"1", b"{", b"null", b"\xff"] {
            assert!(Body::of(bad).is_err(), "{bad:?}");
        }
        let body = Body::of(br#"{"version":-1,"timestamp":5,"maxFiles":"3","includeRefreshToken":1,"predicateHints":["a = 1",2]}"#).unwrap();
        assert!(body.number("version").is_err());
        assert!(body.time("timestamp").is_err());
        assert!(body.number("maxFiles").is_err());
        assert!(body.flag("includeRefreshToken").is_err());
        assert_eq!(body.hints("predicateHints"), ["a = 1"]);
        assert!(body.hints("version").is_empty());
    }
}
