//! Profile files: with one, any Delta Sharing client reads what is shared.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use glovebox_contract::digest::Sha256Digest;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::{folder_of, writing};
use crate::terminal;

/// A profile of version 1, by the names of the protocol.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    share_credentials_version: u32,
    endpoint: &'a str,
    bearer_token: &'a str,
    expiration_time: String,
}

/// A profile that is on disk under a passing name.
pub(super) struct Written(NamedTempFile);

/// A bearer token: 32 random bytes as text.
pub(super) fn new_token() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// What the room learns of a token: the digest of its text, as it stands in a request.
pub(super) fn digest(token: &str) -> Sha256Digest {
    Sha256Digest::of(token.as_bytes())
}

/// Writes a profile beside `file`, readable by this user only.
pub(super) fn write(
    file: &Path,
    endpoint: &str,
    token: &str,
    expires: u64,
    replace: bool,
) -> Result<Written> {
    if !replace && file.try_exists()? {
        bail!("{} exists already", file.display());
    }
    let profile = Profile {
        share_credentials_version: 1,
        endpoint,
        bearer_token: token,
        expiration_time: terminal::time(expires).replacen(' ', "T", 1).replace('Z', ".000Z"),
    };
    let mut to = writing(NamedTempFile::new_in(folder_of(file)), file)?;
    let text = serde_json::to_string_pretty(&profile)?;
    writing(writeln!(to, "{text}").and_then(|()| to.as_file().sync_all()), file)?;
    Ok(Written(to))
}

impl Written {
    /// Gives the profile its name. The token counts already, so it is kept in any case.
    pub(super) fn keep(self, file: &Path) -> Result<()> {
        let Err(error) = self.0.persist(file) else { return Ok(()) };
        let (_, kept) = error.file.keep()?;
        Err(anyhow!(error.error).context(format!(
            "the profile is in {}; it cannot be called {}",
            kept.display(),
            file.display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_profile_is_private_and_never_overwritten_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.share");
        let write =
            |token, replace| write(&file, "https://h/delta-sharing", token, 1_357_862_401, replace);
        drop(write("forgotten", false).unwrap());
        assert!(!file.exists(), "what the room refused leaves nothing");
        write("first", false).unwrap().keep(&file).unwrap();
        assert!(write("second", false).is_err());
        write("third", true).unwrap().keep(&file).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&file).unwrap();
        let profile: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            profile,
            serde_json::json!({
                "shareCredentialsVersion": 1,
                "endpoint": "https://h/delta-sharing",
                "bearerToken": "third",
                "expirationTime": "2013-01-11T00:00:01.000Z",
            })
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn tokens_are_long_and_distinct() {
        let tokens: std::collections::BTreeSet<_> =
            (0..100).map(|_| new_token().unwrap()).collect();
        assert_eq!(tokens.len(), 100);
        assert!(tokens.iter().all(|token| token.len() == 43));
    }
}
