//! Settings that nobody but the host may know.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// Settings by name: what opens a table that is elsewhere. `Debug` shows the names only, and so does
/// the error of a body that holds something else in their place.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// These settings.
    pub fn new(settings: BTreeMap<String, String>) -> Self {
        Self(settings)
    }

    /// The settings.
    pub fn into_settings(self) -> BTreeMap<String, String> {
        self.0
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'de> Deserialize<'de> for Secrets {
    /// The usual errors show what they found.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("credentials are an object of texts");
        let found = serde_json::Value::deserialize(deserializer).map_err(|_| wrong())?;
        let serde_json::Value::Object(found) = found else { return Err(wrong()) };
        let settings = found.into_iter().map(|(name, value)| match value {
            serde_json::Value::String(value) => Ok((name, value)),
            _ => Err(wrong()),
        });
        Ok(Self(settings.collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_cross_and_show_nowhere() {
        let json = r#"{"password":"correct horse","region":"eu"}"#;
        let secrets: Secrets = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&secrets).unwrap(), json);
        assert_eq!(format!("{secrets:?}"), r#"{"password", "region"}"#);
        for wrong in [
            r#""correct horse""#,
            r#"{"password":["correct horse"]}"#,
            r#"["correct horse"]"#,
            r#"{"password":4711}"#,
            "4711",
            "null",
        ] {
            let error = serde_json::from_str::<Secrets>(wrong).unwrap_err().to_string();
            assert!(error.starts_with("credentials are an object of texts"), "{error}");
            assert!(!error.contains("horse") && !error.contains("4711"), "{error}");
        }
    }
}
