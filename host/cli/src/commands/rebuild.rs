//! `glovebox build --verify`: builds sources again and compares the result with what is claimed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use glovebox_build::{BuildOptions, Component, Embedded};
use glovebox_contract::digest::{Blake3Digest, Sha256Digest};
use serde_json::json;
use tempfile::TempDir;

use super::diff::{Compared, Side};
use crate::arguments::Build;
use crate::context::Context;
use crate::terminal::{self, plain, print_json};

/// What the component should be.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    Blake3(Blake3Digest),
    Sha256(Sha256Digest),
    File(PathBuf),
}

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("blake3:") {
            text.parse().map(Self::Blake3).map_err(|error| format!("{error}"))
        } else if text.starts_with("sha256:") {
            text.parse().map(Self::Sha256).map_err(|error| format!("{error}"))
        } else {
            Ok(Self::File(text.into()))
        }
    }
}

pub(crate) fn run(context: &Context, build: &Build) -> Result<ExitCode> {
    let place = TempDir::new().context("cannot make a temporary directory")?;
    let carried = build.source.extension().is_some_and(|extension| extension == "wasm");
    let expected = match (&build.expect, carried) {
        (Some(expected), _) => expected.clone(),
        (None, true) => Expected::File(build.source.clone()),
        (None, false) => bail!("say what it should be: `--expect` a digest or a component file"),
    };
    let claimed = match &expected {
        Expected::File(file) => Some(read(file)?),
        _ => None,
    };
    let source = if carried { extract(build, place.path())? } else { build.source.clone() };
    // What a file hides is hidden in what it is compared with, too.
    let hidden = match &claimed {
        Some(bytes) => build.hidden || Side::of_component(bytes)?.hidden(),
        None => build.hidden,
    };
    let built = again(context, build, &source, hidden, place.path())?;
    report(context, &built, &expected, claimed.as_deref())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The source that a component carries, in a directory of its own.
fn extract(build: &Build, place: &Path) -> Result<PathBuf> {
    let file = build.source.display();
    let directory = place.join("source");
    std::fs::create_dir(&directory).context("cannot make a directory for the source")?;
    let embedded = glovebox_build::extract(&read(&build.source)?, &directory)
        .with_context(|| format!("cannot build {file} again from itself"))?;
    if matches!(embedded, Embedded::Package(_)) && !build.trust_source {
        bail!(
            "compiling the source inside {file} runs its build scripts on this machine: read it with \
             `glovebox inspect --source {file}`, then add --trust-source"
        );
    }
    Ok(embedded.path().to_owned())
}

fn again(
    context: &Context,
    build: &Build,
    source: &Path,
    hidden: bool,
    place: &Path,
) -> Result<Component> {
    // Nothing that an earlier build left behind may stand in for what the source gives.
    let options = BuildOptions {
        hidden,
        target_directory: Some(place.join("target")),
        ..super::build::options(build)
    };
    let bar = terminal::spinner(context.quiet(), format!("building {} again", source.display()));
    let built = glovebox_build::build(source, &options, &mut |step| bar.set_message(plain(step)))
        .with_context(|| format!("cannot build {}", build.source.display()))?;
    bar.finish_and_clear();
    Ok(built)
}

fn report(
    context: &Context,
    built: &Component,
    expected: &Expected,
    claimed: Option<&[u8]>,
) -> Result<ExitCode> {
    let digest = built.digest();
    let same = match expected {
        Expected::Blake3(expected) => digest.blake3 == *expected,
        Expected::Sha256(expected) => digest.sha256 == *expected,
        Expected::File(_) => claimed == Some(built.bytes()),
    };
    let compared = match claimed.filter(|_| !same) {
        Some(bytes) => Some(Compared::components(
            Side::of_component(bytes)?,
            Side::of_component(built.bytes())?,
        )),
        None => None,
    };
    if context.json() {
        print_json(&json!({
            "same": same,
            "blake3": digest.blake3,
            "sha256": digest.sha256,
            "bytes": built.bytes().len(),
            "toolchain": built.manifest().toolchain,
            "difference": compared.as_ref().map(Compared::to_json),
        }))?;
    } else {
        println!("built again  {} {}", built.manifest().name, plain(&built.manifest().version));
        println!("             {}\n             {}", digest.blake3, digest.sha256);
        println!("{}", verdict(same, expected, built));
        if let Some(compared) = &compared {
            println!(
                "\nWhat is claimed is the old, what was built is the new:\n{}",
                compared.to_text()
            );
        }
    }
    Ok(ExitCode::from(u8::from(!same)))
}

fn verdict(same: bool, expected: &Expected, built: &Component) -> String {
    if same {
        return "SAME: this source gives exactly that component.".into();
    }
    let toolchain = plain(&built.manifest().toolchain);
    let here = if toolchain.is_empty() {
        String::new()
    } else {
        format!("; the compiler here is {toolchain}")
    };
    let what = match expected {
        Expected::Blake3(digest) => digest.to_string(),
        Expected::Sha256(digest) => digest.to_string(),
        Expected::File(file) => file.display().to_string(),
    };
    let more = match expected {
        Expected::File(_) => "",
        _ => ". With the component itself, `--expect COMPONENT.wasm`, the difference can be shown",
    };
    format!(
        "DIFFERENT: expected {what}, built {}{here}{more}.",
        terminal::bytes(built.bytes().len() as u64)
    )
}
