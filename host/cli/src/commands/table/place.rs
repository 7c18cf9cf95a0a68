//! Where `--from` leads.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use glovebox_room::remote::{Location, Origin, RemoteOffer, RemoteTable};

use super::credentials;
use crate::arguments::TableFrom;
use crate::host::Rows;

/// What Delta keeps beside its files.
const DELTA_LOG: &str = "_delta_log";

/// Where rows are. `is_here` says whether this machine is the host, which then reads the folders of
/// this machine as they are.
pub(super) fn find<'a>(from: &TableFrom, path: &'a Path, is_here: bool) -> Result<Rows<'a>> {
    let text = path.to_str().unwrap_or_default();
    if Location::is_meant_by(text) {
        return elsewhere(from, text.parse()?);
    }
    if let Some((profile, table)) = shared(path, text) {
        if from.credentials.is_some() {
            bail!("the profile in `--from` is all that opens a share: leave `--credentials` out");
        }
        let location: Location = format!("delta-sharing://{table}").parse()?;
        let credential = Some(credentials::read_profile(profile)?);
        return Ok(Rows::Elsewhere(Box::new(offer(from, location, credential))));
    }
    let is_delta = path.join(DELTA_LOG).is_dir();
    if is_delta || !from.partitions.is_empty() {
        if !is_here {
            bail!(
                "{text} is a table with files of its own order, which a host in the network does \
                 not take: put it where the host reads it, such as s3://"
            );
        }
        let absolute = path.canonicalize().with_context(|| format!("cannot read {text}"))?;
        let absolute = absolute.to_str().context("the path is not UTF-8")?;
        return elsewhere(from, format!("file://{absolute}").parse()?);
    }
    if from.credentials.is_some() {
        bail!("`--credentials` are for a place elsewhere, such as s3://bucket/folder");
    }
    Ok(Rows::Files(path, from.format.map(Into::into)))
}

fn elsewhere(from: &TableFrom, location: Location) -> Result<Rows<'static>> {
    let credential = from.credentials.as_deref().map(credentials::read).transpose()?;
    Ok(Rows::Elsewhere(Box::new(offer(from, location, credential))))
}

fn offer(
    from: &TableFrom,
    location: Location,
    credential: Option<glovebox_room::remote::Credential>,
) -> RemoteOffer {
    let remote = RemoteTable {
        format: from.format.map(Into::into),
        location,
        partitions: from.partitions.clone(),
    };
    RemoteOffer { remote, credential, origin: Origin::Operator }
}

/// A profile and the table that it opens, written as clients of Delta Sharing take it:
/// `PROFILE#SHARE.SCHEMA.TABLE`.
fn shared<'a>(path: &Path, text: &'a str) -> Option<(&'a Path, &'a str)> {
    let (profile, table) = text.rsplit_once('#')?;
    let profile = Path::new(profile);
    (!path.exists() && profile.is_file()).then_some((profile, table))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    fn from(credentials: Option<PathBuf>, partitions: &[&str]) -> TableFrom {
        let partitions = partitions.iter().map(|text| text.parse().unwrap()).collect();
        TableFrom { from: None, from_output: None, credentials, format: None, partitions }
    }

    /// What was found, in a few words.
    fn found(from: &TableFrom, path: &Path, is_here: bool) -> String {
        match find(from, path, is_here) {
            Ok(Rows::Files(path, _)) => format!("files {}", path.display()),
            Ok(Rows::Elsewhere(offer)) => {
                let with = if offer.credential.is_some() { " with a credential" } else { "" };
                format!("{}{with}", offer.remote.location)
            }
            Ok(Rows::View { .. }) => "a view".into(),
            Err(error) => format!("error: {error:#}"),
        }
    }

    #[test]
    fn a_place_is_known_by_how_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let secret = root.join("s3.toml");
        fs::write(&secret, "aws_access_key_id = \"k\"").unwrap();
        let profile = root.join("partner.share");
        fs::write(&profile, r#"{"shareCredentialsVersion":1}"#).unwrap();
        for file in [&secret, &profile] {
            fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
        }
        fs::create_dir_all(root.join("delta/_delta_log")).unwrap();
        fs::create_dir(root.join("plain")).unwrap();
        fs::write(root.join("odd#name.csv"), "a\n1\n").unwrap();

        let check = |given: &TableFrom, path: &str, is_here: bool, expect: &str| {
            let said = found(given, Path::new(path), is_here);
            let said = said.replace(root.to_str().unwrap(), "ROOT");
            assert!(said.starts_with(expect), "{path}: {said}");
        };
        let at = |name: &str| format!("{}/{name}", root.display());
        let (plain, secret) = (from(None, &[]), from(Some(secret.clone()), &[]));
        let of_year = from(None, &["year=2013"]);
        check(&plain, "s3://bucket/a", true, "s3://bucket/a");
        check(&secret, "s3://bucket/a", false, "s3://bucket/a with a credential");
        check(
            &secret,
            "postgresql://db/shop#orders",
            false,
            "postgresql://db:5432/shop#public.orders",
        );
        check(&plain, &at("partner.share#s.d.t"), false, "delta-sharing://s.d.t with a credential");
        check(&secret, &at("partner.share#s.d.t"), true, "error: the profile in `--from`");
        check(&plain, &at("s3.toml#s.d.t"), true, "error: ROOT/s3.toml is not the profile");
        check(&plain, &at("odd#name.csv"), true, "files ROOT/odd#name.csv");
        check(&plain, &at("plain"), true, "files ROOT/plain");
        check(&secret, &at("plain"), true, "error: `--credentials` are for a place elsewhere");
        check(&plain, &at("delta"), true, "file://ROOT/delta");
        check(&plain, &at("delta"), false, "error: ROOT/delta is a table with files of its own");
        check(&of_year, &at("plain"), true, "file://ROOT/plain");
        check(&plain, "s3://key:secret@bucket/a", true, "error: a place holds no password");
    }
}
