//! A stage for whole-system tests: an empty directory, the real binary, and a few words.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

/// The repository's root.
pub(crate) fn repository() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
    })
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    command: String,
}

impl Done {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Ended with status 1 and this public reason code on standard error.
    #[track_caller]
    pub(crate) fn refused(self, reason: &str) -> Self {
        assert_eq!(self.code, Some(1), "{self}");
        assert!(self.stderr.contains(&format!("({reason})")), "expected ({reason}): {self}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "$ glovebox {}\nstatus {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}

impl From<(String, Output)> for Done {
    fn from((command, output): (String, Output)) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            command,
        }
    }
}

/// An empty directory in which commands run.
pub(crate) struct Stage {
    directory: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().expect("a temporary directory") }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file of the stage");
        path
    }

    /// The command, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glovebox"));
        command.current_dir(self.directory.path()).args(arguments);
        for name in [
            "GLOVEBOX_CA",
            "GLOVEBOX_HOME",
            "GLOVEBOX_HOST",
            "GLOVEBOX_JAIL",
            "GLOVEBOX_KEY",
            "GLOVEBOX_LOG",
            "RUSTFLAGS",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Runs `glovebox` with the words of `line`.
    pub(crate) fn run(&self, line: &str) -> Done {
        let words: Vec<_> = line.split_whitespace().collect();
        let output = self.command(&words).output().expect("the glovebox binary");
        (line.to_owned(), output).into()
    }

    /// Makes a key file `NAME.key` and returns the public key.
    pub(crate) fn key(&self, name: &str) -> String {
        let done = self.run(&format!("key new {name}.key --json")).ok();
        done.json()["public_key"].as_str().expect("a public key").to_owned()
    }

    /// Makes keys for `aliases` and a room `ROOM` that all of them have accepted.
    pub(crate) fn room(&self, room: &str, aliases: &[&str], settings: &str) {
        let mut text = format!("name = \"{room}\"\nregion = \"test\"\n");
        for alias in aliases {
            let key = self.key(alias);
            text += &format!(
                "[[collaborators]]\nalias = \"{alias}\"\norganisation = \"{alias} inc\"\npublic_key = \"{key}\"\n"
            );
        }
        self.write(&format!("{room}.toml"), text + settings);
        self.run(&format!("room create {room}.toml --as {}.key", aliases[0])).ok();
        for alias in &aliases[1..] {
            self.run(&format!("room accept {room} --as {alias}.key")).ok();
        }
    }

    /// The digest of the newest revision of a notebook.
    pub(crate) fn revision(&self, room: &str, notebook: &str) -> String {
        let shown = self.run(&format!("room show {room} --json")).ok().json();
        shown["notebooks"]
            .as_array()
            .expect("notebooks")
            .iter()
            .find(|listed| listed["name"] == notebook)
            .and_then(|listed| listed["revisions"].as_array()?.last()?["digest"].as_str())
            .unwrap_or_else(|| panic!("no revision of {notebook} in {shown:#}"))
            .to_owned()
    }
}

/// Where all guests of all tests share what cargo compiles for them, and keep it for the next time.
pub(crate) fn build_directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-builds")
}

/// The component of a guest in the repository, a package or one file, built once for all tests of
/// a process.
pub(crate) fn guest(package: &str) -> PathBuf {
    static BUILDING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = BUILDING.lock();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    std::fs::create_dir_all(&directory).expect("a directory for guests");
    let output =
        directory.join(format!("{}-{}.wasm", package.replace('/', "-"), std::process::id()));
    if !output.exists() {
        let done = Command::new(env!("CARGO_BIN_EXE_glovebox"))
            .args(["build", "--install-target", "--install-tools"])
            .arg(repository().join(package))
            .arg("-o")
            .arg(&output)
            .env("GLOVEBOX_BUILD_DIRECTORY", build_directory())
            .env_remove("RUSTFLAGS")
            .output()
            .expect("the glovebox binary");
        let done = Done::from((format!("build {package}"), done));
        assert_eq!(done.code, Some(0), "{done}");
    }
    output
}
