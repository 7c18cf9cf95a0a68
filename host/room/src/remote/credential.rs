//! What opens a table that is elsewhere.

use std::collections::BTreeMap;
use std::fmt;

/// Longest credential in bytes of JSON.
pub const MAX_CREDENTIAL_BYTES: usize = 64 << 10;

/// Settings that a source needs and nobody else may know, by their names. Never printed, never in an
/// error; `Debug` shows the names only.
///
/// | source | names |
/// |---|---|
/// | S3 | those of `object_store`: `aws_access_key_id`, `aws_secret_access_key`, `aws_session_token`, `aws_region`, `aws_endpoint`, `aws_allow_http`, … |
/// | Google Cloud Storage | `google_service_account_key`, … |
/// | Azure | `azure_storage_account_name`, `azure_storage_account_key`, `azure_storage_sas_key`, … |
/// | Delta Sharing | `profile`: the text of the profile file |
/// | PostgreSQL | `user`, `password`, `sslmode` (`disable`, `prefer`, `require`, `verify-full`), `sslrootcert` (PEM text) |
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(BTreeMap<String, String>);

impl Credential {
    /// A credential of these settings.
    pub fn new(settings: BTreeMap<String, String>) -> Self {
        Self(settings)
    }

    /// A setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All settings.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Hides every secret of this credential that stands in `text`, whoever put it there.
    pub fn redact(&self, text: &str) -> String {
        let mut secrets = Vec::new();
        for (name, value) in &self.0 {
            note_secrets(name, value, &mut secrets);
        }
        // A secret may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(&secret, "[…]"))
    }

    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&self.0)
    }

    pub(crate) fn from_json(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json).map(Self)
    }
}

/// Notes what must not be shown of a setting: the value, and what stands in it, should it be a
/// document of its own, as profiles of Delta Sharing and keys of service accounts are.
fn note_secrets(name: &str, value: &str, secrets: &mut Vec<String>) {
    // Short values would make any text unreadable, and are no secrets: `true`, a region. Unless
    // their name says that they are.
    const SHORTEST: usize = 6;
    const SHORTEST_OF_A_SECRET: usize = 3;
    let name = name.to_ascii_lowercase();
    // Where something is, is for the owner to see, unless there is a password in it.
    if ["endpoint", "region"].iter().any(|word| name.contains(word)) && !value.contains('@') {
        return;
    }
    let telling = ["password", "secret", "token", "key"].iter().any(|word| name.contains(word));
    if value.len() >= if telling { SHORTEST_OF_A_SECRET } else { SHORTEST } {
        secrets.push(value.to_owned());
    }
    if let Ok(document) = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(value) {
        for (name, inner) in &document {
            if let Some(inner) = inner.as_str() {
                note_secrets(name, inner, secrets);
            }
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nowhere() {
        let settings = [("password", "correct horse"), ("region", "eu-1")];
        let credential =
            Credential::new(settings.map(|(name, value)| (name.into(), value.into())).into());
        assert_eq!(format!("{credential:?}"), r#"{"password", "region"}"#);
        assert_eq!(
            credential.redact("no `correct horse` in eu-1"),
            "no `[…]` in eu-1",
            "what is too short to be a secret stays readable"
        );
    }

    #[test]
    fn what_stands_in_a_document_is_hidden_too() {
        let check = |name: &str, value: &str, text: &str, expect: &str| {
            let credential = Credential::new([(name.into(), value.into())].into());
            assert_eq!(credential.redact(text), expect, "{name}");
        };
        let profile = r#"{"shareCredentialsVersion":1,"endpoint":"https://a.example/delta-sharing",
            "bearerToken":"faaie590d541265bcab1"}"#;
        check("profile", profile, "401 of faaie590d541265bcab1", "401 of […]");
        check(
            "profile",
            profile,
            "https://a.example/delta-sharing",
            "https://a.example/delta-sharing",
        );
        check("aws_endpoint", "https://s3.example", "https://s3.example/b", "https://s3.example/b");
        check("aws_endpoint", "https://me:abc@s3.example", "https://me:abc@s3.example", "[…]");
        check("password", "abc", "xabcx", "x[…]x");
        check("sslmode", "abc", "xabcx", "xabcx");
    }
}
