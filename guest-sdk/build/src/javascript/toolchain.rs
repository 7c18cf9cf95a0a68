//! The JavaScript engine, and the tools that load a notebook into it.

use std::path::{Path, PathBuf};
use std::process::Command;

use glovebox_contract::digest::Blake3Digest;

use super::asked::Asked;
use super::pin::pin;
use crate::BuildOptions;
use crate::component::WIT;
use crate::error::BuildError;
use crate::tools::{self, cached};

const PACKAGES: &str = include_str!("../../javascript/package.json");
const LOCK: &str = include_str!("../../javascript/package-lock.json");
const DRIVER: &str = include_str!("../../javascript/driver.mjs");
/// Stands in for the packages that componentize-js names and our driver does not use.
const UNUSED: &str = r#"{ "name": "unused", "version": "0.0.0", "private": true }"#;

/// What the manifest says of the toolchain.
pub(super) const VERSION: &str = "componentize-js 0.23.0";

const NODE: &str =
    "JavaScript notebooks are built with Node.js 20 or newer and its npm: install it";

/// An engine that is ready for notebooks.
pub(super) struct Toolchain {
    driver: PathBuf,
    engine: PathBuf,
}

impl Toolchain {
    /// Finds what is installed; installs it when `options` allow.
    pub(super) fn find(
        asked: &Asked,
        options: &BuildOptions,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, BuildError> {
        let packages = format!("js-{}", key(&[PACKAGES, LOCK, DRIVER]));
        let directory = cached(&packages, |directory| {
            if !options.install_tools {
                return Err(BuildError::new(
                    "the tools for JavaScript notebooks are not installed",
                )
                .help("build with --install-tools: npm gets them, to be used by all builds"));
            }
            progress("installing the tools for JavaScript notebooks");
            install(directory)
        })?;
        let driver = directory.join("driver.mjs");
        let world = asked.world();
        let wit: Vec<_> = WIT.iter().map(|(_, text)| *text).chain([world.as_str()]).collect();
        let engine = cached(&format!("{packages}-{}", key(&wit)), |engine| {
            progress("preparing the engine");
            prepare(&driver, &world, engine)
        })?;
        Ok(Self { driver, engine })
    }

    /// Loads `sources`, a directory with `entry.js`, and gives the core module with its memory.
    pub(super) fn load(&self, sources: &Path, output: &Path) -> Result<Vec<u8>, BuildError> {
        let wit = self.engine.join("wit");
        let mut command = node(&self.driver, "load");
        command.arg(&self.engine).arg(wit).arg(sources).arg(output);
        tools::output(&mut command, NODE)?;
        tools::read(output)
    }
}

/// Names what is made of `texts`.
fn key(texts: &[&str]) -> String {
    let digests: Vec<_> =
        texts.iter().map(|text| Blake3Digest::of(text.as_bytes()).to_hex()).collect();
    Blake3Digest::of(digests.concat().as_bytes()).to_hex().chars().take(16).collect()
}

fn install(directory: &Path) -> Result<(), BuildError> {
    let files = [
        ("package.json", PACKAGES),
        ("package-lock.json", LOCK),
        ("driver.mjs", DRIVER),
        ("unused/package.json", UNUSED),
    ];
    for (path, text) in files {
        tools::write(&directory.join(path), text)?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(directory);
    tools::output(&mut npm, NODE).map(drop)
}

fn prepare(driver: &Path, world: &str, engine: &Path) -> Result<(), BuildError> {
    let wit = engine.join("wit");
    for (path, text) in WIT {
        tools::write(&wit.join(path), text)?;
    }
    tools::write(&wit.join("javascript.wit"), world)?;
    tools::output(node(driver, "splice").arg(wit).arg(engine), NODE)?;
    let module = engine.join("engine.wasm");
    tools::write(&module, pin(&tools::read(&module)?)?)
}

fn node(driver: &Path, step: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(driver).arg(step).env_remove("NODE_OPTIONS").env_remove("NODE_PATH");
    command
}
