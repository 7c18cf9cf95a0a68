//! `glovebox keys`: what can be said about join keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use glovebox_join_keys::{KeyKind, Profile};

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Replace e-mail addresses, phone numbers or device ids in a file of yours by their hashes.
    Hash(HashKeys),
    /// Make a secret with which the parties of a room hash, so that nobody else can test guesses.
    ///
    /// Share the file with the other parties, never with the host.
    New {
        /// File to write, readable by you only; must not exist.
        file: PathBuf,
    },
    /// Print the fingerprint of a room key, for the parties to compare.
    Fingerprint {
        /// A room key file.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct HashKeys {
    /// Whose rules: uid2, google or meta, the newest version or a given one (`uid2/1`).
    #[arg(long)]
    pub(crate) profile: Profile,
    /// What the values are: email, phone or device-id.
    #[arg(long)]
    pub(crate) kind: KeyKind,
    /// Room key file: hash with the secret that the parties share.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The column of the values [default: email, phone or device_id, as the kind].
    #[arg(long)]
    pub(crate) column: Option<String>,
    /// Append the hashes as a new column of this name and keep the values.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) into: Option<String>,
    /// A CSV (with header), NDJSON or Parquet file, or a text file (`.txt`) or `-` with one value
    /// a line.
    #[arg(default_value = "-")]
    pub(crate) input: PathBuf,
    /// File to write, in the format of its ending [default: standard output, as the input].
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
}

/// How a column of a table was hashed: `COLUMN=PROFILE:KIND[:KEYFILE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinKeyOption {
    pub(crate) column: String,
    pub(crate) profile: Profile,
    pub(crate) kind: KeyKind,
    /// The room key's file; its fingerprint is told, never the key.
    pub(crate) key: Option<PathBuf>,
}

impl std::str::FromStr for JoinKeyOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected COLUMN=PROFILE:KIND or COLUMN=PROFILE:KIND:KEYFILE";
        // A column's name may hold an equals sign, what follows it only in the file's name.
        let (front, kind) = text.split_once(':').ok_or(expected)?;
        let (column, profile) = front.rsplit_once('=').ok_or(expected)?;
        let (kind, key) = match kind.split_once(':') {
            Some((kind, key)) => (kind, Some(PathBuf::from(key))),
            None => (kind, None),
        };
        Ok(Self {
            column: column.to_owned(),
            profile: profile.parse().map_err(|error| format!("{error}"))?,
            kind: kind.parse().map_err(|error| format!("{error}"))?,
            key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_key_is_said_in_one_word() {
        let check = |text: &str, expect: Result<(&str, Profile, KeyKind, Option<&str>), &str>| {
            let parsed = text.parse::<JoinKeyOption>();
            match (parsed, expect) {
                (Ok(got), Ok((column, profile, kind, key))) => assert_eq!(
                    got,
                    JoinKeyOption {
                        column: column.into(),
                        profile,
                        kind,
                        key: key.map(PathBuf::from)
                    }
                ),
                (Err(got), Err(words)) => assert!(got.contains(words), "{text}: {got}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        };
        check("email=uid2:email", Ok(("email", Profile::Uid2V1, KeyKind::Email, None)));
        check("a=b=google/1:phone", Ok(("a=b", Profile::GoogleV1, KeyKind::Phone, None)));
        check(
            "id=meta:device-id:keys/a:b.key",
            Ok(("id", Profile::MetaV1, KeyKind::DeviceId, Some("keys/a:b.key"))),
        );
        check("email", Err("expected COLUMN="));
        check("email=uid2", Err("expected COLUMN="));
        check("uid2:email", Err("expected COLUMN="));
        check("email=uid3:email", Err("uid2, google or meta"));
        check("email=uid2:mail", Err("email, phone or device-id"));
    }
}
