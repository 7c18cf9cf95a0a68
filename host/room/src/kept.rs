//! Files of parties that a room keeps: the tables, views and volumes that came as uploads.
//!
//! ```text
//! data/<alias>/<statement>/      what came with one statement, by its digest
//!     pins.json                  both digests and the length of every file
//!     rows/NAME                  the files of a table
//!     tables/TABLE/NAME          those behind a view
//!     files/PATH                 those of a volume
//! ```
//!
//! A set of files is complete and on disk before the statement that it comes with is logged; the
//! transaction that logs the statement also writes where the files are. A set that nothing names is
//! removed, unless it is locked: by whoever makes it, or by a run that reads it. The kernel drops
//! the locks with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use cap_std::fs::Dir;
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::key::PublicKey;
use glovebox_contract::name::Alias;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::FileDigest;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::error::{Context as _, Result, RoomError};
use crate::files;
use crate::uploads::Uploads;

/// The room's directory of kept files.
const DIRECTORY: &str = "data";
const PINS: &str = "pins.json";

/// Longest file of pins: a view over many files.
const MAX_PINS_BYTES: u64 = 64 << 20;

/// How long a run waits for a set of files that is just being removed.
const HOLD_WAIT: Duration = Duration::from_secs(10);

/// Files by their path in a set, the first part of which says what they are for.
pub(crate) type Pins = BTreeMap<String, FileDigest>;

/// The kept files of one room.
pub(crate) struct KeptFiles {
    room: Dir,
    /// Where the room is now. A place inside it is stored without this, so a home can be moved.
    path: PathBuf,
}

/// A set of kept files that is not removed while this lives.
pub(crate) struct HeldFiles {
    pub(crate) path: PathBuf,
    pins: Pins,
    _lock: Flock<std::fs::File>,
}

impl KeptFiles {
    pub(crate) fn open(room: &Dir, path: &Path) -> Result<Self> {
        let room = room.try_clone().trying(|| "open the room's directory".into())?;
        Ok(Self { room, path: path.to_owned() })
    }

    /// How a place is written down: from the room's directory on, when it is a kept one.
    pub(crate) fn stored_place(&self, place: &Path) -> PathBuf {
        match place.strip_prefix(&self.path) {
            Ok(inside) if inside.starts_with(DIRECTORY) => inside.to_owned(),
            _ => place.to_owned(),
        }
    }

    /// The place that was written down so.
    pub(crate) fn place_of(&self, stored: PathBuf) -> PathBuf {
        if stored.is_relative() { self.path.join(stored) } else { stored }
    }

    /// Begins a set of files for a statement of `party`. Call it under the room's lock, so that
    /// nobody takes the set for unused before it is locked.
    pub(crate) fn begin(
        &self,
        party: &Alias,
        statement: &Blake3Digest,
        pins: Pins,
        most: u64,
    ) -> Result<HeldFiles> {
        let making = || "make room for the uploaded files".into();
        let data = made(&self.room, DIRECTORY).trying(making)?;
        let own = made(&data, party.as_str()).trying(making)?;
        let name = statement.to_hex();
        if let Ok(left) = own.open_dir(&name) {
            // A host that was killed had begun it; it is not in the log, or this would not be asked.
            let _lock = try_lock(&left, FlockArg::LockExclusiveNonblock)
                .trying(making)?
                .ok_or_else(|| {
                    RoomError::new(ReasonCode::HomeBusy, "this very statement is being added now")
                })?;
            own.remove_dir_all(&name).trying(making)?;
        }
        check_quota(&own, &pins, most)?;
        files::create_new_directory(&own, &name).trying(making)?;
        let directory = own.open_dir(&name).trying(making)?;
        let lock = try_lock(&directory, FlockArg::LockSharedNonblock).trying(making)?;
        let lock = lock.ok_or_else(|| RoomError::internal("new files are locked already"))?;
        let text = serde_json::to_vec(&pins)
            .map_err(|error| RoomError::internal("cannot write the pins").because(error))?;
        files::write_atomically(&directory, PINS, &text).trying(making)?;
        for directory in [&own, &data, &self.room] {
            files::sync_directory(directory).trying(making)?;
        }
        let path = self.path.join(DIRECTORY).join(party.as_str()).join(name);
        Ok(HeldFiles { path, pins, _lock: lock })
    }

    /// Takes the uploads of `key` into a set that was begun, and makes all of it durable.
    pub(crate) fn fill(&self, set: &HeldFiles, uploads: &Uploads, key: &PublicKey) -> Result<()> {
        let keeping = || "keep the uploaded files".into();
        let root = self.directory_of(&set.path).trying(keeping)?;
        let mut folders = BTreeSet::new();
        for (path, file) in &set.pins {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let directory = made_path(&root, folder, &mut folders).trying(keeping)?;
            uploads.keep(key, file, &directory, name)?;
        }
        for folder in &folders {
            root.open_dir(folder)
                .and_then(|folder| files::sync_directory(&folder))
                .trying(keeping)?;
        }
        files::sync_directory(&root).trying(keeping)
    }

    /// Holds the set of files that `place` is in; none when it is in none, but where the operator
    /// of this host said.
    pub(crate) fn hold(&self, place: &Path) -> io::Result<Option<HeldFiles>> {
        let Some(set) = self.set_of(place) else { return Ok(None) };
        let end = Instant::now() + HOLD_WAIT;
        loop {
            let directory = self.directory_of(&set)?;
            if let Some(lock) = try_lock(&directory, FlockArg::LockSharedNonblock)? {
                let pins = files::read_limited(&directory, PINS, MAX_PINS_BYTES)?;
                let pins = serde_json::from_slice(&pins)?;
                return Ok(Some(HeldFiles { path: set, pins, _lock: lock }));
            }
            if Instant::now() >= end {
                return Err(io::Error::from(Errno::EWOULDBLOCK));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Removes the sets that are not among the stored places, unless someone holds them. Call it
    /// under the room's lock.
    pub(crate) fn remove_unused(&self, places: &[PathBuf]) -> Result<()> {
        let removing = || "remove files that nothing uses any more".into();
        for (party, name) in self.unused(places)? {
            let own = self.room.open_dir(Path::new(DIRECTORY).join(&party)).trying(removing)?;
            let Ok(directory) = own.open_dir(&name) else {
                own.remove_file(&name).trying(removing)?;
                continue;
            };
            if let Some(_lock) =
                try_lock(&directory, FlockArg::LockExclusiveNonblock).trying(removing)?
            {
                own.remove_dir_all(&name).trying(removing)?;
            }
        }
        Ok(())
    }

    /// Whether there are sets that are not among the stored places.
    pub(crate) fn has_unused(&self, places: &[PathBuf]) -> Result<bool> {
        Ok(!self.unused(places)?.is_empty())
    }

    /// Whether any file of a party is kept.
    pub(crate) fn is_empty(&self) -> bool {
        !self.room.is_dir(DIRECTORY)
    }

    /// Sets that are not among the stored places, by party and name.
    fn unused(&self, places: &[PathBuf]) -> Result<Vec<(PathBuf, PathBuf)>> {
        let reading = || "look through the files that are kept".into();
        let used: BTreeSet<PathBuf> = places
            .iter()
            .filter(|place| place.is_relative())
            .map(|place| place.components().take(3).collect())
            .collect();
        let mut unused = Vec::new();
        if self.is_empty() {
            return Ok(unused);
        }
        for party in self.room.read_dir(DIRECTORY).trying(reading)? {
            let party = PathBuf::from(party.trying(reading)?.file_name());
            let own = Path::new(DIRECTORY).join(&party);
            // What is no directory is not ours.
            let Ok(sets) = self.room.read_dir(&own) else { continue };
            for set in sets {
                let set = PathBuf::from(set.trying(reading)?.file_name());
                if !used.contains(&own.join(&set)) {
                    unused.push((party.clone(), set));
                }
            }
        }
        Ok(unused)
    }

    /// The set that a place is in.
    fn set_of(&self, place: &Path) -> Option<PathBuf> {
        let inside = place.strip_prefix(&self.path).ok()?;
        let parts: Vec<Component<'_>> = inside.components().take(3).collect();
        match parts.as_slice() {
            [Component::Normal(data), Component::Normal(_), Component::Normal(_)]
                if *data == DIRECTORY =>
            {
                Some(self.path.join(parts.iter().collect::<PathBuf>()))
            }
            _ => None,
        }
    }

    fn directory_of(&self, set: &Path) -> io::Result<Dir> {
        let inside = set.strip_prefix(&self.path).map_err(io::Error::other)?;
        self.room.open_dir(inside)
    }
}

impl HeldFiles {
    /// The digest that a file had when it was added. `place` is the directory that it is in.
    pub(crate) fn pin(&self, place: &Path, name: &str) -> Option<&FileDigest> {
        let folder = place.strip_prefix(&self.path).ok()?.to_str()?;
        self.pins.get(&format!("{folder}/{name}"))
    }

    /// How many files of this set are right in the directory `place`.
    pub(crate) fn count(&self, place: &Path) -> usize {
        let Some(folder) = place.strip_prefix(&self.path).ok().and_then(Path::to_str) else {
            return 0;
        };
        let within =
            |path: &&String| path.rsplit_once('/').is_some_and(|(in_set, _)| in_set == folder);
        self.pins.keys().filter(within).count()
    }
}

/// The files that a party has kept and those that come would stay within its share.
fn check_quota(own: &Dir, pins: &Pins, most: u64) -> Result<()> {
    let reading = || "count the files that are kept".into();
    let size = |pins: &Pins| pins.values().fold(0_u64, |all, file| all.saturating_add(file.bytes));
    let mut bytes = size(pins);
    for set in own.entries().trying(reading)? {
        let name = set.trying(reading)?.file_name();
        let Ok(directory) = own.open_dir(&name) else { continue };
        let pins = files::read_limited(&directory, PINS, MAX_PINS_BYTES).unwrap_or_default();
        bytes = bytes.saturating_add(serde_json::from_slice(&pins).map_or(0, |pins| size(&pins)));
    }
    if bytes <= most {
        return Ok(());
    }
    Err(RoomError::new(
        ReasonCode::PolicyLimit,
        format!(
            "the files of this party in this room would have {bytes} bytes; {most} are allowed"
        ),
    ))
}

fn made(parent: &Dir, name: &str) -> io::Result<Dir> {
    files::create_directory(parent, name)?;
    parent.open_dir(name)
}

/// Opens a folder below `root`, making it and those above it, and notes all of them.
fn made_path(root: &Dir, folder: &str, folders: &mut BTreeSet<PathBuf>) -> io::Result<Dir> {
    let mut path = PathBuf::new();
    for part in folder.split('/').filter(|part| !part.is_empty()) {
        path.push(part);
        if folders.insert(path.clone()) {
            files::create_directory(root, &path)?;
        }
    }
    root.open_dir(&path)
}

/// Locks a directory; none when others have it.
fn try_lock(directory: &Dir, how: FlockArg) -> io::Result<Option<Flock<std::fs::File>>> {
    match Flock::lock(files::directory_handle(directory)?, how) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
    }
}
