//! componentize-py, installed once and run so that the same notebook gives the same bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BuildOptions;
use crate::error::BuildError;
use crate::tools::{self, cached};

/// What the manifest says of the toolchain.
pub(super) const VERSION: &str = "componentize-py 0.25.1 (CPython 3.14)";

/// The packages to install, with the digests of the files that are accepted.
const REQUIREMENTS: &str = include_str!("../../python/requirements.txt");
/// Shows componentize-py the same world every time.
const REPEATABLE: &str = include_str!("../../python/repeatable.py");
/// Calls it. It takes its own place from `sys.argv`, not from Python's search path.
const CALL: &str = "import sys; sys.path.insert(0, sys.argv.pop(1)); \
    from componentize_py import script; sys.exit(script())";

pub(super) const PYTHON: &str =
    "Python notebooks are built with Python 3.10 or newer and its pip: install both";

/// An installed componentize-py.
pub(super) struct Toolchain {
    directory: PathBuf,
}

impl Toolchain {
    /// Finds what is installed; installs it when `options` allow.
    pub(super) fn find(
        options: &BuildOptions,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, BuildError> {
        let directory = cached("python-componentize-0.25.1", |directory| {
            if !options.install_tools {
                return Err(BuildError::new("the tools for Python notebooks are not installed")
                    .help("build with --install-tools: pip gets them, to be used by all builds"));
            }
            progress("installing the tools for Python notebooks");
            install(directory)
        })?;
        Ok(Self { directory })
    }

    /// Makes the component of what lies in `place`.
    pub(super) fn componentize(
        &self,
        place: &Path,
        with_packages: bool,
        seed: &str,
    ) -> Result<Vec<u8>, BuildError> {
        tools::write(&place.join("repeatable.py"), REPEATABLE)?;
        let interpreter =
            tools::output(python().args(["-c", "import sys; print(sys.executable)"]), PYTHON)?;
        // An empty environment of Python's: componentize-py would bundle what the caller's has.
        tools::write(&place.join("environment/lib/python3/site-packages/none"), "")?;
        tools::write(&place.join("temporary/none"), "")?;
        let mut command = python();
        command
            .current_dir(place)
            .env("VIRTUAL_ENV", place.join("environment"))
            .env("TMPDIR", place.join("temporary"))
            .args(["repeatable.py", seed, interpreter.trim(), "-I", "-c", CALL])
            .arg(self.directory.join("packages"))
            .args(["--wit-path", "wit", "--world", "python-notebook"])
            .args(["componentize", "--stub-wasi", "--python-path", "sources"]);
        if with_packages {
            command.args(["--python-path", "packages/unpacked"]);
        }
        tools::output(command.args(["--output", "notebook.wasm", "app"]), PYTHON)?;
        tools::read(&place.join("notebook.wasm"))
    }
}

fn install(directory: &Path) -> Result<(), BuildError> {
    let requirements = directory.join("requirements.txt");
    tools::write(&requirements, REQUIREMENTS)?;
    let mut pip = python();
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--require-hashes", "--no-compile", "--target"])
        .arg(directory.join("packages"))
        .arg("--requirement")
        .arg(&requirements);
    tools::output(&mut pip, PYTHON).map(drop)
}

/// The interpreter, deaf to the caller's settings that change what Python imports.
pub(super) fn python() -> Command {
    let mut command = Command::new("python3");
    for name in ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONHASHSEED", "LD_PRELOAD"] {
        command.env_remove(name);
    }
    command
}
