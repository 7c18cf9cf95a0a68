//! The Rust toolchain: found, completed, and run so that anyone gets the same bytes.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::BuildOptions;
use crate::error::BuildError;

/// The target of Rust notebooks: it has no ambient imports at all.
const TARGET: &str = "wasm32-unknown-unknown";

/// How every package is compiled, whatever its own profile says.
const PROFILE: [(&str, &str); 8] = [
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "false"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
];

/// Variables that change what is compiled: the caller's must not.
const CLEANED: [&str; 9] = [
    "CARGO_BUILD_",
    "CARGO_ENCODED_",
    "CARGO_INCREMENTAL",
    "CARGO_PKG_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
];

/// A toolchain that can compile for [`TARGET`].
pub(crate) struct Toolchain {
    version: String,
    commit: String,
    sysroot: PathBuf,
}

impl Toolchain {
    /// Finds the toolchain that the package in `directory` uses.
    pub(crate) fn find(
        directory: &Path,
        options: &BuildOptions,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, BuildError> {
        let verbose = output(clean("rustc", directory).args(["--version", "--verbose"]))?;
        let version = verbose.lines().next().unwrap_or_default().to_owned();
        let commit = verbose.lines().find_map(|line| line.strip_prefix("commit-hash: "));
        let sysroot = output(clean("rustc", directory).args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(sysroot.trim());
        if !sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
            if !options.install_target {
                return Err(BuildError::new(format!(
                    "{version} lacks the target {TARGET}, which Rust notebooks are compiled for"
                ))
                .help(format!(
                    "run `rustup target add {TARGET}`, or build with --install-target"
                )));
            }
            progress("installing the target wasm32-unknown-unknown");
            output(clean("rustup", directory).args(["target", "add", TARGET]))?;
        }
        Ok(Self { version, commit: commit.unwrap_or("unknown").into(), sysroot })
    }

    /// The compiler's name for itself, for example `rustc 1.95.0 (…)`.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Compiles the package and gives the path of its core module.
    pub(crate) fn compile(
        &self,
        directory: &Path,
        options: &BuildOptions,
        progress: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, BuildError> {
        let directory = directory.canonicalize().map_err(|error| {
            BuildError::new(format!("cannot be found: {error}")).in_file(directory)
        })?;
        let target_directory =
            options.target_directory.clone().unwrap_or_else(|| directory.join("target"));
        let mut cargo = clean("cargo", &directory);
        cargo
            .args(["rustc", "--lib", "--release", "--target", TARGET, "--crate-type", "cdylib"])
            .args(["--message-format", "json-render-diagnostics", "--target-dir"])
            .arg(&target_directory)
            .envs(PROFILE)
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags(&directory)?)
            .env("GLOVEBOX_CARGO_HOME", cargo_home().unwrap_or_else(|| "/nowhere".into()))
            .env("RUSTC_WRAPPER", wrapper(&target_directory)?);
        if directory.join("Cargo.lock").exists() {
            cargo.arg("--locked");
        }
        // For this crate alone: with it in the flags of all, no two packages could share a build.
        cargo.arg("--").arg(remapped(&directory, "/package"));
        let messages = run_cargo(&mut cargo, progress)?;
        let manifest = directory.join("Cargo.toml");
        messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Message>(line).ok())
            .filter(|message| message.manifest_path == manifest)
            .flat_map(|message| message.filenames)
            .find(|path| path.extension() == Some(OsStr::new("wasm")))
            .ok_or_else(|| BuildError::new("cargo made no WebAssembly module").in_file(&manifest))
    }

    /// Compiler flags, separated as cargo wants them: no path of this machine in the module.
    fn flags(&self, directory: &Path) -> Result<OsString, BuildError> {
        let mut paths: Vec<(PathBuf, String)> = Vec::new();
        if let Some(home) = cargo_home() {
            paths.push((home, "/cargo".into()));
        }
        let library = self.sysroot.join("lib/rustlib/src/rust");
        paths.push((self.sysroot.clone(), "/rust".into()));
        paths.push((library, format!("/rustc/{}", self.commit)));
        for (path, name) in path_dependencies(directory)? {
            paths.push((path, format!("/{name}")));
        }
        // The metadata tells what the wrapper compiled from what another cargo left here.
        let mut flags = OsString::from("-Ctarget-feature=+simd128\x1f-Cmetadata=glovebox");
        for (from, to) in paths {
            flags.push("\x1f");
            flags.push(remapped(&from, &to));
        }
        Ok(flags)
    }
}

/// Stands between cargo and the compiler, see there.
const WRAPPER: &str = include_str!("toolchain/rustc.sh");

/// Writes [`WRAPPER`] into the directory of what is compiled and gives its path.
fn wrapper(target_directory: &Path) -> Result<PathBuf, BuildError> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = target_directory.join("glovebox-rustc.sh");
    let write = || {
        if std::fs::read(&path).is_ok_and(|text| text == WRAPPER.as_bytes()) {
            return path.canonicalize();
        }
        // Moved into place whole: another build may be about to run it.
        std::fs::create_dir_all(target_directory)?;
        let mut file = tempfile::NamedTempFile::new_in(target_directory)?;
        file.write_all(WRAPPER.as_bytes())?;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o755))?;
        file.persist(&path).map_err(|error| error.error)?;
        path.canonicalize()
    };
    write().map_err(|error: std::io::Error| {
        BuildError::new(format!("cannot be written to: {error}")).in_file(target_directory)
    })
}

/// The compiler flag that writes `to` for paths that begin with `from`.
fn remapped(from: &Path, to: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(from);
    flag.push("=");
    flag.push(to);
    flag
}

/// A line of cargo's `--message-format json` that names a file.
#[derive(Deserialize)]
struct Message {
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    version: String,
    manifest_path: PathBuf,
    source: Option<String>,
}

/// Directories of the packages on this machine that `directory` depends on, with a name for each.
fn path_dependencies(directory: &Path) -> Result<Vec<(PathBuf, String)>, BuildError> {
    let mut command = clean("cargo", directory);
    command.args(["metadata", "--format-version", "1", "--filter-platform", TARGET]);
    if directory.join("Cargo.lock").exists() {
        command.arg("--locked");
    }
    let text = output(&mut command)?;
    let metadata: Metadata = serde_json::from_str(&text)
        .map_err(|error| BuildError::new(format!("cargo metadata is not understood: {error}")))?;
    if metadata.workspace_root != directory {
        let root = metadata.workspace_root.display();
        return Err(BuildError::new(format!("the package is a member of the workspace {root}"))
            .in_file(&directory.join("Cargo.toml"))
            .help("its source must build alone: add an empty [workspace] table and a Cargo.lock"));
    }
    let local = metadata.packages.into_iter().filter(|package| package.source.is_none());
    let mut found: Vec<_> = local
        .filter_map(|package| {
            let path = package.manifest_path.parent().filter(|path| *path != directory)?.to_owned();
            Some((path, format!("{}-{}", package.name, package.version)))
        })
        .collect();
    found.sort();
    Ok(found)
}

fn cargo_home() -> Option<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

/// A command without the variables that would change what is compiled.
fn clean(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if CLEANED.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

fn cannot_run(command: &Command, error: &std::io::Error) -> BuildError {
    let program = command.get_program().to_string_lossy().into_owned();
    BuildError::new(format!("cannot run `{program}`: {error}"))
        .help("Rust notebooks are compiled by cargo: install Rust from https://rustup.rs")
}

fn failed(command: &Command, errors: &str) -> BuildError {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args().take(2))
        .map(OsStr::to_string_lossy)
        .collect();
    BuildError::new(format!("`{}` failed\n{}", words.join(" "), errors.trim_end()))
}

/// What a command prints, or an error with what it complains of.
fn output(command: &mut Command) -> Result<String, BuildError> {
    let output = command.output().map_err(|error| cannot_run(command, &error))?;
    if !output.status.success() {
        return Err(failed(command, &String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs cargo; its `Compiling …` lines are progress. Gives what it prints.
fn run_cargo(command: &mut Command, progress: &mut dyn FnMut(&str)) -> Result<String, BuildError> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| cannot_run(command, &error))?;
    let messages = child.stdout.take().map(|mut stdout| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).map(|_| bytes)
        })
    });
    let mut errors = String::new();
    for line in
        child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).split(b'\n'))
    {
        let Ok(line) = line else { break };
        let line = String::from_utf8_lossy(&line).into_owned();
        match line.trim_start().split_once(' ') {
            Some((
                "Compiling" | "Downloading" | "Downloaded" | "Updating" | "Locking" | "Adding"
                | "Finished" | "Blocking",
                _,
            )) => progress(line.trim()),
            _ => {
                errors.push_str(&line);
                errors.push('\n');
            }
        }
    }
    let status = child.wait().map_err(|error| cannot_run(command, &error))?;
    let messages = messages.and_then(|reader| reader.join().ok()).and_then(Result::ok);
    if !status.success() {
        return Err(failed(command, &errors));
    }
    Ok(String::from_utf8_lossy(&messages.unwrap_or_default()).into_owned())
}
