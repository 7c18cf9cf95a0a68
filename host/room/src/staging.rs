//! Where outputs wait until their receipt is logged, and where they are after that.

use std::io;
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, Permissions, PermissionsExt as _};
use glovebox_contract::digest::ContentDigest;
use glovebox_contract::name::{Identifier, RunId};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::error::{Context as _, Result, RoomError};
use crate::files;

/// The room's directory of published outputs.
const OUTPUTS: &str = "outputs";

/// Where the outputs of a room are: `staging/<run>/` before publish, `outputs/<run>/` after.
pub(crate) struct OutputStore {
    staging: Dir,
    outputs: Dir,
}

/// Outputs of one run that nobody sees yet.
///
/// The directory is locked while its run lives. The kernel drops the lock with the process, so a
/// staging directory without a lock is the remains of a dead run.
pub(crate) struct StagedRun {
    run: RunId,
    directory: Dir,
    _lock: Flock<std::fs::File>,
}

/// What a staging directory turns out to be.
pub(crate) enum Found {
    /// Its run is alive in some process.
    Alive,
    /// Its run died.
    Dead(StagedRun),
}

/// Name of the file of an output. An [`Identifier`] holds no `/` and no `.`.
pub(crate) fn output_file_name(output: &Identifier) -> String {
    format!("{output}.parquet")
}

impl OutputStore {
    pub(crate) fn open(room: &Dir) -> Result<Self> {
        let open = |name: &str| {
            files::create_directory(room, name)
                .and_then(|()| room.open_dir(name))
                .trying(|| format!("open the room's {name} directory"))
        };
        Ok(Self { staging: open("staging")?, outputs: open(OUTPUTS)? })
    }

    /// Makes and locks the staging directory of a run. Call it under the home's lock, so that
    /// recovery does not meet the directory before its lock.
    pub(crate) fn stage(&self, run: &RunId) -> Result<StagedRun> {
        let making = || format!("make the staging directory of run {run}");
        let name = run.to_string();
        files::create_new_directory(&self.staging, &name).trying(making)?;
        let directory = self.staging.open_dir(&name).trying(making)?;
        match lock(directory, *run).trying(making)? {
            Found::Dead(staged) => Ok(staged),
            Found::Alive => Err(RoomError::internal(format!("run {run} is running already"))),
        }
    }

    /// The staging directories that are there. What no run made is removed.
    pub(crate) fn staged(&self) -> Result<Vec<(RunId, Found)>> {
        let reading = || "read the staging directory".into();
        let mut found = Vec::new();
        for entry in self.staging.entries().trying(reading)? {
            let name = entry.trying(reading)?.file_name();
            let run = name.to_str().and_then(|name| name.parse::<RunId>().ok());
            let directory = self.staging.open_dir(&name);
            match (run, directory) {
                (Some(run), Ok(directory)) => {
                    found.push((run, lock(directory, run).trying(reading)?));
                }
                (_, Ok(_)) => self.staging.remove_dir_all(&name).trying(reading)?,
                (_, Err(_)) => self.staging.remove_file(&name).trying(reading)?,
            }
        }
        Ok(found)
    }

    /// Whether no run is staged.
    pub(crate) fn is_staging_empty(&self) -> Result<bool> {
        let mut entries = self.staging.entries().trying(|| "read the staging directory".into())?;
        Ok(entries.next().is_none())
    }

    /// Gives staged outputs their final name. Call [`OutputStore::sync`] after it.
    pub(crate) fn rename(&self, staged: &StagedRun) -> Result<()> {
        let name = staged.run.to_string();
        match files::rename_new(&self.staging, &name, &self.outputs, &name) {
            // Done before a crash: the staged copy has the same content.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.staging.remove_dir_all(&name)
            }
            other => other,
        }
        .trying(|| format!("publish the outputs of run {name}"))
    }

    /// Makes renames durable. Should the old name survive a power cut as well, recovery removes it.
    pub(crate) fn sync(&self) -> Result<()> {
        files::sync_directory(&self.outputs).trying(|| "make the published outputs durable".into())
    }

    /// Removes the outputs of a run that nobody will see.
    pub(crate) fn discard(&self, staged: StagedRun) -> Result<()> {
        let name = staged.run.to_string();
        self.staging
            .remove_dir_all(&name)
            .trying(|| format!("remove the staging directory of run {name}"))
    }

    /// Runs whose outputs are here.
    pub(crate) fn published(&self) -> Result<Vec<RunId>> {
        let reading = || "read the outputs directory".into();
        let mut runs = Vec::new();
        for entry in self.outputs.entries().trying(reading)? {
            let name = entry.trying(reading)?.file_name();
            runs.extend(name.to_str().and_then(|name| name.parse::<RunId>().ok()));
        }
        Ok(runs)
    }

    /// Removes the outputs of a run for good.
    pub(crate) fn remove(&self, run: &RunId) -> Result<()> {
        match self.outputs.remove_dir_all(run.to_string()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.trying(|| format!("remove the outputs of run {run}")),
        }
    }

    /// Where a published output is, from the room's directory on.
    pub(crate) fn path(run: &RunId, output: &Identifier) -> PathBuf {
        Path::new(OUTPUTS).join(run.to_string()).join(output_file_name(output))
    }

    /// Opens a published output for reading. `None` when there is none.
    pub(crate) fn open_output(
        &self,
        run: &RunId,
        output: &Identifier,
    ) -> Result<Option<std::fs::File>> {
        let opening = || format!("open output {output} of run {run}");
        let opened = self
            .outputs
            .open_dir(run.to_string())
            .and_then(|directory| files::open_regular(&directory, output_file_name(output)));
        match opened {
            Ok(file) => Ok(Some(file.into_std())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).trying(opening),
        }
    }
}

fn lock(directory: Dir, run: RunId) -> io::Result<Found> {
    let handle = files::directory_handle(&directory)?;
    match Flock::lock(handle, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Found::Dead(StagedRun { run, directory, _lock: lock })),
        Err((_, Errno::EWOULDBLOCK)) => Ok(Found::Alive),
        Err((_, error)) => Err(error.into()),
    }
}

impl StagedRun {
    /// Makes the empty file of an output, for the worker to fill.
    pub(crate) fn create(&self, output: &Identifier) -> Result<std::fs::File> {
        files::create_new(&self.directory, output_file_name(output))
            .map(cap_std::fs::File::into_std)
            .trying(|| format!("make the file of output {output}"))
    }

    /// What is in an output's file now, by the host's own reading.
    pub(crate) fn measure(&self, output: &Identifier) -> Result<(ContentDigest, u64)> {
        files::open_regular(&self.directory, output_file_name(output))
            .and_then(files::digest_reader)
            .trying(|| format!("read output {output}"))
    }

    /// Makes the files of all outputs read-only and durable.
    pub(crate) fn seal<'a>(&self, outputs: impl Iterator<Item = &'a Identifier>) -> Result<()> {
        for output in outputs {
            let name = output_file_name(output);
            files::open_regular(&self.directory, &name)
                .and_then(|file| {
                    file.set_permissions(Permissions::from_mode(0o400))?;
                    file.sync_all()
                })
                .trying(|| format!("make output {output} durable"))?;
        }
        files::sync_directory(&self.directory).trying(|| "make the outputs durable".into())
    }
}
