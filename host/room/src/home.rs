//! The home directory of a host.
//!
//! ```text
//! version               `glovebox-home 1`
//! host.key              the host's signing key, mode 0600
//! lock                  held by whoever makes the home
//! rooms/<id>/           room.sqlite, staging/<run>/, outputs/<run>/, data/<alias>/<statement>/
//! components/           by digest
//! cache/                machine code by component and engine
//! staging/              things in the making
//! uploads/<key id>/     files of parties on their way into a room
//! delta/                Delta tables of outputs, made from the logs
//! sealing               which key seals credentials, when it is not one of the home's own
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _, PermissionsExt as _};
use glovebox_contract::key::{PrivateKey, PublicKey};
use glovebox_contract::reason::ReasonCode;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::clock::{Clock, SystemClock};
use crate::error::{Context as _, Result, RoomError};
use crate::remote::SealingKey;
use crate::{files, store};

/// Text of the version file.
const VERSION: &str = "glovebox-home 1\n";
const VERSION_FILE: &str = "version";
const KEY_FILE: &str = "host.key";
const LOCK_FILE: &str = "lock";
const SEALING_FILE: &str = "sealing";
const DIRECTORIES: [&str; 4] = ["cache", "components", "rooms", "staging"];

/// What else may stand in a directory that becomes a home: what other parts of this program keep
/// there, some of them before there is a host.
const NEIGHBOURS: [&str; 4] = ["delta", "gateway", "hosts", "uploads"];

/// How long a change waits for another process's change.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// The home directory of a host: its key, its rooms, its components.
///
/// Cheap to clone. Several processes may have the same home open: changes take turns, a run
/// holds up nobody.
#[derive(Clone)]
pub struct Home {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    directory: Dir,
    host_key: PrivateKey,
    clock: Arc<dyn Clock>,
    /// The operator's key for credentials, when there is one.
    sealing: OnceLock<SealingKey>,
}

/// Held while something changes that several processes share.
pub(crate) struct HomeLock {
    _lock: Flock<std::fs::File>,
}

impl Home {
    /// Opens a home, or makes one when `path` does not exist or is an empty directory.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        Self::open_or_create_with(path, Arc::new(SystemClock))
    }

    /// [`Home::open_or_create`] with another clock.
    pub fn open_or_create_with(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        create(path)?;
        Self::open_with(path, clock)
    }

    /// Opens an existing home.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, Arc::new(SystemClock))
    }

    /// [`Home::open`] with another clock.
    pub fn open_with(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        store::check_sqlite()?;
        let path = std::path::absolute(path)
            .and_then(|path| path.canonicalize())
            .trying(|| format!("open the home `{}`", path.display()))?;
        let directory = Dir::open_ambient_dir(&path, ambient_authority())
            .trying(|| format!("open the home `{}`", path.display()))?;
        check_version(&directory, &path)?;
        let host_key = read_key(&directory)?;
        for name in [".", "cache", "components", "staging"] {
            let swept = directory.open_dir(name).and_then(|inside| files::sweep(&inside));
            swept.trying(|| format!("look into the home `{}`", path.display()))?;
        }
        let sealing = OnceLock::new();
        Ok(Self { shared: Arc::new(Shared { path, directory, host_key, clock, sealing }) })
    }

    /// The public half of the key with which this host signs checkpoints and receipts.
    pub fn host_key(&self) -> PublicKey {
        self.shared.host_key.public()
    }

    /// Where the home is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// This host's time, in seconds since 1970-01-01T00:00:00Z.
    pub fn now(&self) -> u64 {
        self.clock().unix_seconds()
    }

    /// A secret of this host for one purpose, which `context` names for good. It comes from the
    /// host's key and tells nothing about it.
    pub fn derive_secret(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, self.shared.host_key.to_file().as_bytes())
    }

    /// Seals credentials with a key that is not in this home, from now on: whoever has the home
    /// alone does not have them. The home remembers which key it is, and seals nothing without it.
    /// What was sealed before stays readable.
    ///
    /// # Errors
    /// `internal` when this home has been used with another such key.
    pub fn use_sealing_key(&self, key: SealingKey) -> Result<()> {
        let id = sealing_id(&key);
        let _lock = lock(&self.shared.directory)?;
        match self.remembered_sealing()? {
            Some(known) if known == id => {}
            Some(_) => {
                return Err(RoomError::internal(
                    "this home's credentials are sealed with another sealing key",
                ));
            }
            None => files::write_atomically(&self.shared.directory, SEALING_FILE, id.as_bytes())
                .trying(|| "remember the sealing key".into())?,
        }
        let _ = self.shared.sealing.set(key);
        Ok(())
    }

    /// The key that seals credentials.
    pub(crate) fn sealing_key(&self) -> Result<SealingKey> {
        match self.shared.sealing.get() {
            Some(key) => Ok(key.clone()),
            None if self.remembered_sealing()?.is_none() => Ok(self.own_sealing_key()),
            None => Err(RoomError::internal(
                "this home's credentials are sealed with a key that is not in it: give that with \
                 `--sealing-key`",
            )),
        }
    }

    /// The keys with which credentials may be sealed here.
    pub(crate) fn opening_keys(&self) -> Vec<SealingKey> {
        self.shared.sealing.get().cloned().into_iter().chain([self.own_sealing_key()]).collect()
    }

    fn own_sealing_key(&self) -> SealingKey {
        SealingKey::from_bytes(self.derive_secret("glovebox sealing key"))
    }

    /// Which key the operator gave before, if any.
    fn remembered_sealing(&self) -> Result<Option<String>> {
        match files::read_limited(&self.shared.directory, SEALING_FILE, 256) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(RoomError::io("cannot read which sealing key is used", error)),
        }
    }

    pub(crate) fn private_key(&self) -> &PrivateKey {
        &self.shared.host_key
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.shared.clock.as_ref()
    }

    /// One of the home's own directories.
    pub(crate) fn directory(&self, name: &str) -> Result<Dir> {
        self.shared
            .directory
            .open_dir(name)
            .trying(|| format!("open `{name}` in the home `{}`", self.shared.path.display()))
    }

    /// A directory of the home that homes of before may lack.
    pub(crate) fn made_directory(&self, name: &str) -> Result<Dir> {
        files::create_directory(&self.shared.directory, name)
            .trying(|| format!("make `{name}` in the home `{}`", self.shared.path.display()))?;
        self.directory(name)
    }
}

/// How a home remembers a sealing key: enough to know it again.
fn sealing_id(key: &SealingKey) -> String {
    let digits: String = key.id().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("glovebox-sealing {digits}\n")
}

/// Makes what is missing of a home. Harmless on a whole one.
fn create(path: &Path) -> Result<()> {
    let creating = || format!("create the home `{}`", path.display());
    std::fs::create_dir_all(path).trying(creating)?;
    let directory = Dir::open_ambient_dir(path, ambient_authority()).trying(creating)?;
    if directory.exists(VERSION_FILE) {
        return Ok(());
    }
    for entry in directory.entries().trying(creating)? {
        let name = entry.trying(creating)?.file_name();
        let ours = name.to_str().is_some_and(|name| {
            DIRECTORIES.contains(&name)
                || NEIGHBOURS.contains(&name)
                || [KEY_FILE, LOCK_FILE].contains(&name)
                || files::is_temporary(name)
        });
        if !ours {
            return Err(RoomError::internal(format!(
                "`{}` is not a glovebox home and not empty: it holds `{}`",
                path.display(),
                name.display()
            )));
        }
    }
    let _lock = lock(&directory)?;
    directory
        .set_permissions(".", cap_std::fs::Permissions::from_std(private_mode()))
        .trying(creating)?;
    for name in DIRECTORIES {
        files::create_directory(&directory, name).trying(creating)?;
    }
    if !directory.exists(KEY_FILE) {
        create_key(&directory)?;
    }
    // The version comes last: a home without it was never whole.
    files::write_atomically(&directory, VERSION_FILE, VERSION.as_bytes()).trying(creating)
}

fn private_mode() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o700)
}

fn check_version(directory: &Dir, path: &Path) -> Result<()> {
    let text = match files::read_limited(directory, VERSION_FILE, 256) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(RoomError::not_found(format!(
                "`{}` is not a glovebox home: it has no version file",
                path.display()
            )));
        }
        Err(error) => return Err(RoomError::io("cannot read the home's version file", error)),
    };
    if text == VERSION.as_bytes() {
        return Ok(());
    }
    let what = format!(
        "the home `{}` was made by another version of glovebox: its version file says `{}`, \
         this program reads `{}`",
        path.display(),
        String::from_utf8_lossy(&text).trim_end().escape_debug(),
        VERSION.trim_end()
    );
    Err(RoomError::new(ReasonCode::HomeVersion, what))
}

fn create_key(directory: &Dir) -> Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| RoomError::internal("cannot make the host's key").because(error))?;
    let text = PrivateKey::from_seed(&seed).to_file();
    files::write_atomically(directory, KEY_FILE, text.as_bytes())
        .trying(|| "write the host's key".into())
}

fn read_key(directory: &Dir) -> Result<PrivateKey> {
    let reading = || "read the host's key `host.key`".into();
    let mode = directory.metadata(KEY_FILE).trying(reading)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(RoomError::internal(
            "the host's key `host.key` can be read by others on this machine: make it private \
             with `chmod 600`, and distrust it if they are not yours",
        ));
    }
    let text = files::read_limited(directory, KEY_FILE, 1024).trying(reading)?;
    let text = String::from_utf8_lossy(&text);
    PrivateKey::from_file(&text).map_err(|error| {
        RoomError::internal("the host's key `host.key` is damaged: restore it from a backup")
            .because(error)
    })
}

/// Waits for its turn to change what processes share in this directory: the home, or one room.
pub(crate) fn lock(directory: &Dir) -> Result<HomeLock> {
    lock_within(directory, LOCK_WAIT)
}

fn lock_within(directory: &Dir, wait: Duration) -> Result<HomeLock> {
    let file = directory
        .open_with(LOCK_FILE, OpenOptions::new().read(true).write(true).create(true).mode(0o600))
        .trying(|| "open the home's lock file".into())?
        .into_std();
    let lock = lock_file(file, wait, "another glovebox process has been changing it")?;
    Ok(HomeLock { _lock: lock })
}

/// Locks a file, or waits for its turn. `busy` says what whoever has the lock is doing.
pub(crate) fn lock_file(
    mut file: std::fs::File,
    wait: Duration,
    busy: &str,
) -> Result<Flock<std::fs::File>> {
    let started = Instant::now();
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((returned, Errno::EWOULDBLOCK)) if started.elapsed() < wait => {
                file = returned;
                std::thread::sleep(LOCK_RETRY);
            }
            Err((_, Errno::EWOULDBLOCK)) => {
                let seconds = wait.as_secs();
                let what = format!("the home is busy: {busy} for {seconds} seconds");
                return Err(RoomError::new(ReasonCode::HomeBusy, what));
            }
            Err((_, error)) => return Err(error).trying(|| "lock a file of the home".into()),
        }
    }
}

#[cfg(test)]
mod tests;
