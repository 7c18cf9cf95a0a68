//! `glovebox build`: sources to a component.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use glovebox_build::BuildOptions;
use serde_json::json;

use crate::arguments::Build;
use crate::context::Context;
use crate::terminal::{self, print_json};

/// How to build, as it was said.
pub(crate) fn options(build: &Build) -> BuildOptions {
    BuildOptions {
        hidden: build.hidden,
        install_target: build.install_target,
        install_tools: build.install_tools,
        target_directory: build.target_directory.clone(),
    }
}

pub(crate) fn run(context: &Context, build: &Build) -> Result<ExitCode> {
    if build.verify {
        return super::rebuild::run(context, build);
    }
    let options = options(build);
    let bar = terminal::spinner(context.quiet(), format!("building {}", build.source.display()));
    let component = glovebox_build::build(&build.source, &options, &mut |step| {
        bar.set_message(terminal::plain(step));
    })
    .with_context(|| format!("cannot build {}", build.source.display()))?;
    bar.finish_and_clear();
    let output = build
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.wasm", component.manifest().name)));
    std::fs::write(&output, component.bytes())
        .with_context(|| format!("cannot write {}", output.display()))?;
    let digest = component.digest();
    if context.json() {
        print_json(&json!({
            "file": output,
            "bytes": component.bytes().len(),
            "blake3": digest.blake3,
            "sha256": digest.sha256,
            "manifest": component.manifest(),
        }))?;
    } else {
        println!(
            "{} {} → {} ({})\n{digest}",
            component.manifest().name,
            component.manifest().version,
            output.display(),
            terminal::bytes(component.bytes().len() as u64),
        );
    }
    Ok(ExitCode::SUCCESS)
}
