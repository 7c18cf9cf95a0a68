//! Profile files of Delta Sharing: where a server is, and what lets a recipient in.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use url::Url;

use crate::error::Failure;

/// A profile. Never printed.
pub(super) struct Profile {
    /// Where the server is.
    pub(super) endpoint: Url,
    pub(super) access: Access,
}

/// What lets a recipient in.
pub(super) enum Access {
    /// A token.
    Bearer(String),
    /// A name and a password.
    Basic { user: String, password: String },
    /// A client that is given tokens elsewhere.
    Client { token_endpoint: Url, id: String, secret: String, scope: Option<String> },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    share_credentials_version: u32,
    #[serde(rename = "type")]
    kind: Option<String>,
    endpoint: String,
    bearer_token: Option<String>,
    expiration_time: Option<String>,
    username: Option<String>,
    password: Option<String>,
    token_endpoint: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
}

impl Profile {
    /// Reads the text of a profile file.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        // The parser's own words quote the text.
        let fields: Fields = serde_json::from_str(text).map_err(|error| {
            Failure::denied(format!(
                "the profile is not one of Delta Sharing (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        fields.check_expiration()?;
        let mut endpoint = address("endpoint", &fields.endpoint)?;
        if endpoint.cannot_be_a_base() {
            return Err(Failure::denied("the `endpoint` of the profile is no address"));
        }
        endpoint.set_query(None);
        endpoint.set_fragment(None);
        Ok(Self { endpoint, access: fields.access()? })
    }

    /// Hides the profile's secrets in what somebody else wrote.
    pub(super) fn redact(&self, text: &str) -> String {
        let secret = match &self.access {
            Access::Bearer(token) => token,
            Access::Basic { password, .. } => password,
            Access::Client { secret, .. } => secret,
        };
        match secret.is_empty() {
            true => text.to_owned(),
            false => text.replace(secret.as_str(), "[…]"),
        }
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").finish_non_exhaustive()
    }
}

impl Fields {
    fn check_expiration(&self) -> Result<(), Failure> {
        let Some(text) = &self.expiration_time else { return Ok(()) };
        let ends = chrono::DateTime::parse_from_rfc3339(text)
            .map_err(|_| Failure::denied("the `expirationTime` of the profile is no time"))?;
        match ends.timestamp_millis() <= now() {
            true => Err(Failure::denied(format!("the profile expired at {}", ends.to_rfc3339()))),
            false => Ok(()),
        }
    }

    fn access(self) -> Result<Access, Failure> {
        let needed = |name: &str, value: Option<String>| {
            value
                .filter(|value| !value.is_empty())
                .ok_or_else(|| Failure::denied(format!("the profile lacks `{name}`")))
        };
        match (self.share_credentials_version, self.kind.as_deref()) {
            (1, _) | (2, Some("bearer_token")) => {
                needed("bearerToken", self.bearer_token).map(Access::Bearer)
            }
            (2, Some("basic")) => Ok(Access::Basic {
                user: needed("username", self.username)?,
                password: needed("password", self.password)?,
            }),
            (2, Some("oauth_client_credentials")) => Ok(Access::Client {
                token_endpoint: address(
                    "tokenEndpoint",
                    &needed("tokenEndpoint", self.token_endpoint)?,
                )?,
                id: needed("clientId", self.client_id)?,
                secret: needed("clientSecret", self.client_secret)?,
                scope: self.scope,
            }),
            (2, _) => Err(Failure::unsupported(
                "profiles of version 2 are read when their `type` is bearer_token, basic or \
                 oauth_client_credentials",
            )),
            (version, _) => Err(Failure::unsupported(format!(
                "profiles of version {version} are not read, those of 1 and 2 are"
            ))),
        }
    }
}

fn address(name: &str, text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| Failure::denied(format!("the `{name}` of the profile is no address")))
}

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use glovebox_contract::reason::ReasonCode;

    use super::*;

    fn check(text: &str, expect: Result<&str, (ReasonCode, &str)>) {
        let found = Profile::parse(text).map(|profile| profile.endpoint.to_string());
        let found = found.map_err(|failure| (failure.reason, failure.detail));
        assert_eq!(
            found,
            expect.map(str::to_owned).map_err(|(reason, detail)| (reason, detail.to_owned())),
            "{text}"
        );
    }

    #[test]
    fn profiles_are_read() {
        let denied = |why| Err((ReasonCode::SourceDenied, why));
        let unsupported = |why| Err((ReasonCode::SourceUnsupported, why));
        check(
            r#"{"shareCredentialsVersion":1,"endpoint":"https://h/sharing/","bearerToken":"t"}"#,
            Ok("https://h/sharing/"),
        );
        check(
            r#"{"shareCredentialsVersion":2,"type":"oauth_client_credentials","endpoint":"https://h/s",
               "tokenEndpoint":"https://i/token","clientId":"a","clientSecret":"b"}"#,
            Ok("https://h/s"),
        );
        check(
            r#"{"shareCredentialsVersion":2,"type":"basic","endpoint":"https://h/s","username":"a"}"#,
            denied("the profile lacks `password`"),
        );
        check(
            r#"{"shareCredentialsVersion":1,"endpoint":"https://h","bearerToken":"t",
               "expirationTime":"2021-11-12T00:12:29.0Z"}"#,
            denied("the profile expired at 2021-11-12T00:12:29+00:00"),
        );
        check(
            r#"{"shareCredentialsVersion":1,"endpoint":"https://h","bearerToken":""}"#,
            denied("the profile lacks `bearerToken`"),
        );
        check(
            r#"{"shareCredentialsVersion":1,"endpoint":"file:///etc","bearerToken":"t"}"#,
            denied("the `endpoint` of the profile is no address"),
        );
        check(
            r#"{"shareCredentialsVersion":1,"endpoint":"https://a:b@h","bearerToken":"t"}"#,
            denied("the `endpoint` of the profile is no address"),
        );
        check(
            r#"{"shareCredentialsVersion":2,"type":"oauth_jwt_bearer_private_key_jwt","endpoint":"https://h"}"#,
            unsupported(
                "profiles of version 2 are read when their `type` is bearer_token, basic or \
                 oauth_client_credentials",
            ),
        );
        check(
            r#"{"shareCredentialsVersion":3,"endpoint":"https://h"}"#,
            unsupported("profiles of version 3 are not read, those of 1 and 2 are"),
        );
        check(
            r#"{"shareCredentialsVersion":"secret"}"#,
            denied("the profile is not one of Delta Sharing (line 1, column 35)"),
        );
    }
}
