//! Files with what opens a place: read here, and sent to the host only.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use glovebox_room::remote::Credential;
use serde_json::Value;

use crate::private_file;

/// What a profile of Delta Sharing has, and nothing else.
const PROFILE: &str = "shareCredentialsVersion";

/// Reads a file of settings in TOML or JSON, a profile of Delta Sharing, or the key file of a Google
/// service account. No error shows what is in it.
pub(crate) fn read(file: &Path) -> Result<Credential> {
    let text = private_file::read(file, "credentials")?;
    match settings(&text) {
        Ok(settings) => Ok(Credential::new(settings)),
        Err(why) => bail!("{}: {why}", file.display()),
    }
}

/// Reads the profile of a share.
pub(super) fn read_profile(file: &Path) -> Result<Credential> {
    let text = private_file::read(file, "the profile of a share")?;
    match settings(&text) {
        Ok(settings) if settings.contains_key("profile") => Ok(Credential::new(settings)),
        _ => bail!("{} is not the profile of a share", file.display()),
    }
}

fn settings(text: &str) -> Result<BTreeMap<String, String>, String> {
    let whole = |name: &str| Ok(BTreeMap::from([(name.to_owned(), text.to_owned())]));
    let found = match text.trim_start().starts_with('{') {
        true => json(text)?,
        false => toml(text)?,
    };
    if found.contains_key(PROFILE) {
        return whole("profile");
    }
    if found.get("type").and_then(Value::as_str) == Some("service_account") {
        return whole("google_service_account_key");
    }
    let settings = found.into_iter().map(|(name, value)| match value {
        Value::String(value) => Ok((name, value)),
        Value::Bool(value) => Ok((name, value.to_string())),
        Value::Number(value) => Ok((name, value.to_string())),
        _ => Err(format!("the setting `{}` is not a text", name.escape_debug())),
    });
    let settings: BTreeMap<_, _> = settings.collect::<Result<_, String>>()?;
    match settings.is_empty() {
        true => Err("it holds no settings".into()),
        false => Ok(settings),
    }
}

fn json(text: &str) -> Result<BTreeMap<String, Value>, String> {
    // The words of such an error may be those of the file.
    serde_json::from_str(text)
        .map_err(|error| format!("line {} is not JSON of settings", error.line()))
}

fn toml(text: &str) -> Result<BTreeMap<String, Value>, String> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {} is not TOML of settings", before.matches('\n').count() + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_settings() {
        let check = |text: &str, expect: &[(&str, &str)]| {
            let expect: BTreeMap<_, _> =
                expect.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            assert_eq!(settings(text), Ok(expect), "{text}");
        };
        check("user = \"me\"\npassword = \"horse\"", &[("user", "me"), ("password", "horse")]);
        check(r#" {"user":"me"}"#, &[("user", "me")]);
        check("aws_allow_http = true\nport = 7", &[("aws_allow_http", "true"), ("port", "7")]);
        let profile = r#"{"shareCredentialsVersion":1,"bearerToken":"t"}"#;
        check(profile, &[("profile", profile)]);
        let account = r#"{"type":"service_account","private_key":"p"}"#;
        check(account, &[("google_service_account_key", account)]);
    }

    #[test]
    fn no_error_shows_what_is_in_the_file() {
        let check = |text: &str, expect: &str| {
            assert_eq!(settings(text), Err(expect.to_owned()), "{text}");
        };
        check("a = \"b\"\npassword = horse", "line 2 is not TOML of settings");
        check("{\"password\":\n horse}", "line 2 is not JSON of settings");
        check("[password]\nis = \"horse\"", "the setting `password` is not a text");
        check(r#"{"password":["horse"]}"#, "the setting `password` is not a text");
        check("", "it holds no settings");
        check("{}", "it holds no settings");
    }
}
