//! Packages of pure Python that a notebook brings along.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use glovebox_contract::digest::Sha256Digest;

use super::toolchain::{PYTHON, python};
use crate::error::BuildError;
use crate::tools;

const FORM: &str = "write requirements = [\"name==1.2.3\"], or \"name==1.2.3 sha256:…\" to accept \
    one file only; what the package needs itself is listed too";

/// One line of `requirements`.
struct Requirement<'a> {
    /// `name==version`.
    pin: &'a str,
    digest: Option<&'a str>,
}

impl<'a> Requirement<'a> {
    fn parse(text: &'a str) -> Result<Self, BuildError> {
        let (pin, digest) = match text.split_once(" sha256:") {
            Some((pin, digest)) => (pin.trim_end(), Some(digest)),
            None => (text, None),
        };
        let is_name = |text: &str, more: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        match pin.split_once("==") {
            Some((name, version)) if is_name(name, "-_.") && is_name(version, "-_.+!") => {
                Ok(Self { pin, digest })
            }
            _ => Err(BuildError::new(format!(
                "requirement `{}` is not pinned to one version",
                text.escape_debug()
            ))
            .help(FORM)),
        }
    }
}

/// Unpacks the wheels of `requirements` to `directory` and gives one line for each, with the digest
/// of its file.
pub(super) fn get(requirements: &[String], directory: &Path) -> Result<String, BuildError> {
    let mut lines = BTreeSet::new();
    for text in requirements {
        let requirement = Requirement::parse(text)?;
        let wheels = directory.join("wheels").join(requirement.pin);
        let wheel = download(&requirement, &wheels)?;
        let digest = Sha256Digest::of(&tools::read(&wheel)?).to_string();
        if let Some(expected) = requirement.digest
            && digest != format!("sha256:{expected}")
        {
            let message = format!("the file of `{}` has digest {digest}", requirement.pin);
            return Err(BuildError::new(message)
                .help("it is not the file that the notebook names: do not use it"));
        }
        let mut unpack = python();
        unpack.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(directory.join("unpacked"));
        tools::output(&mut unpack, PYTHON)?;
        lines.insert(format!("{} {digest}\n", requirement.pin));
    }
    Ok(lines.into_iter().collect())
}

/// Gets the one wheel of a requirement that runs anywhere. No code of the package runs here.
fn download(requirement: &Requirement<'_>, wheels: &Path) -> Result<PathBuf, BuildError> {
    let mut pip: Command = python();
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--platform", "any", "--implementation", "py"])
        .args(["--abi", "none", "--python-version", "3.14", "--dest"])
        .arg(wheels)
        .arg(requirement.pin);
    tools::output(&mut pip, PYTHON).map_err(|error| {
        let said = error.message().lines().rev().find(|line| line.contains("ERROR"));
        BuildError::new(format!(
            "`{}` cannot be bundled: {}",
            requirement.pin,
            said.unwrap_or_else(|| error.message()).trim_start_matches("ERROR: ")
        ))
        .help("only packages of pure Python that have a wheel can be bundled")
    })?;
    fs::read_dir(wheels)
        .ok()
        .and_then(|mut found| found.next()?.ok())
        .map(|entry| entry.path())
        .ok_or_else(|| BuildError::new(format!("pip got no wheel of `{}`", requirement.pin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_pinned() {
        for good in ["attrs==25.1.0", "zope.interface==1!2.0+x", "a==1 sha256:00"] {
            assert!(Requirement::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["attrs", "attrs>=1", "==1", "a==", "--index-url==x", "a==1; os", "./a==1", "a @ b==1"]
        {
            assert!(Requirement::parse(bad).is_err(), "{bad}");
        }
    }
}
