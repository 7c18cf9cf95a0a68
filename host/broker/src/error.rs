//! Why a source could not be had.

use glovebox_contract::name::TableName;
use glovebox_contract::reason::ReasonCode;
use glovebox_room::RoomError;
use glovebox_room::remote::Credential;

/// Why something could not be had: a reason for everybody, a detail for the operator of this host
/// and the table's owner. The detail may name places; secrets are taken out of it by
/// [`Failure::redacted`] before anybody sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Failure {
    pub(crate) reason: ReasonCode,
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn new(reason: ReasonCode, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// It cannot be reached, or does not answer as it should; later it may.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(ReasonCode::SourceUnavailable, detail)
    }

    /// Credentials are missing, wrong, expired or not sufficient.
    pub(crate) fn denied(detail: impl Into<String>) -> Self {
        Self::new(ReasonCode::SourceDenied, detail)
    }

    /// This host does not reach out there.
    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self::new(ReasonCode::SourceRefused, detail)
    }

    /// It needs a reader that this host does not have.
    pub(crate) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(ReasonCode::SourceUnsupported, detail)
    }

    /// It is there and cannot be read: not a table, or damaged.
    pub(crate) fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(ReasonCode::InputUnreadable, detail)
    }

    /// It is not the version that was opened.
    pub(crate) fn changed(detail: impl Into<String>) -> Self {
        Self::new(ReasonCode::InputChanged, detail)
    }

    /// The same without secrets: neither what the credential holds nor the query of any address,
    /// where signatures stand.
    pub(crate) fn redacted(mut self, credential: Option<&Credential>) -> Self {
        if let Some(credential) = credential {
            self.detail = credential.redact(&self.detail);
            for secret in secrets_within(credential) {
                self.detail = self.detail.replace(&secret, "[…]");
            }
        }
        self.detail = without_queries(&self.detail);
        self
    }

    /// As the control plane has it. The text names the table, the cause is the detail.
    pub(crate) fn into_room_error(self, table: &TableName) -> RoomError {
        let what = match self.reason {
            ReasonCode::SourceUnavailable => "where it is cannot be reached",
            ReasonCode::SourceDenied => "its credentials do not open it",
            ReasonCode::SourceRefused => "this host does not reach out to where it is",
            ReasonCode::SourceUnsupported => "this host has no reader for it",
            ReasonCode::InputChanged => "it changed while it was read",
            ReasonCode::SchemaMismatch => "its columns are not those that were declared",
            _ => "it cannot be read",
        };
        RoomError::new(self.reason, format!("table {table}: {what}")).because(self.detail)
    }
}

impl From<glovebox_delta::read::SourceError> for Failure {
    fn from(error: glovebox_delta::read::SourceError) -> Self {
        use glovebox_delta::read::SourceError;
        match error {
            SourceError::Damaged(what) => Self::unreadable(what),
            SourceError::Unsupported(what) => Self::unsupported(what),
        }
    }
}

/// The secrets in those settings of a credential that are files in JSON: a profile, a key.
fn secrets_within(credential: &Credential) -> Vec<String> {
    const SHORTEST: usize = 6;
    let files = credential.settings().filter_map(|(_, value)| serde_json::from_str(value).ok());
    let texts = files.flat_map(|file: serde_json::Map<String, serde_json::Value>| {
        file.into_iter().filter_map(|(_, value)| value.as_str().map(str::to_owned))
    });
    // An address is no secret, and an error without it says little.
    let secrets = texts.filter(|text| text.len() >= SHORTEST && !text.starts_with("http"));
    let mut secrets: Vec<String> = secrets.collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// Longest detail that is kept: a server may answer with whole pages.
const MAX_DETAIL_CHARS: usize = 2000;

/// Hides what follows the `?` of every address in a text, and cuts a text that is too long.
fn without_queries(text: &str) -> String {
    let mut clean = String::new();
    let mut address = false;
    let mut hiding = false;
    for (at, c) in text.char_indices().take(MAX_DETAIL_CHARS) {
        if c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ')') {
            (address, hiding) = (false, false);
        } else if text.get(at..).is_some_and(|rest| rest.starts_with("://")) {
            address = true;
        }
        if hiding {
            continue;
        }
        clean.push(c);
        if address && c == '?' {
            clean.push_str("[…]");
            hiding = true;
        }
    }
    if text.chars().nth(MAX_DETAIL_CHARS).is_some() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_show_no_secret() {
        let profile =
            r#"{"shareCredentialsVersion":1,"endpoint":"https://h/","bearerToken":"faaie590d5"}"#;
        let settings = [
            ("aws_secret_access_key", "wJalrXUtnFEMI"),
            ("aws_region", "eu-1"),
            ("profile", profile),
        ];
        let credential =
            Credential::new(settings.map(|(name, value)| (name.into(), value.into())).into());
        let check = |detail: &str, expect: &str| {
            let shown = Failure::denied(detail).redacted(Some(&credential)).detail;
            assert_eq!(shown, expect, "{detail}");
        };
        check("no entry for wJalrXUtnFEMI in eu-1", "no entry for […] in eu-1");
        check("https://h/ does not know faaie590d5", "https://h/ does not know […]");
        check("GET https://h/a?sig=abc&x=1 failed", "GET https://h/a?[…] failed");
        check("GET \"https://h/a?sig=abc\": why?", "GET \"https://h/a?[…]\": why?");
        check("what? nothing", "what? nothing");
        check("(https://h/a?s) (https://h/b?t)", "(https://h/a?[…]) (https://h/b?[…])");
        let long = "x".repeat(3000);
        check(&long, &format!("{}…", "x".repeat(2000)));
    }
}
