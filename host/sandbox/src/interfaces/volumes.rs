//! `volumes`: files whose digests the revision pins.

use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::FileDigest;
use wasmtime::component::Resource;

use super::bindings::glovebox::guest::volumes::{FileInfo, Host, HostFile};
use crate::services::{ErrorCode, HostError};
use crate::state::{Failure, HostState};

/// An open file of a volume.
pub struct File {
    volume: String,
    path: String,
    pinned: FileDigest,
}

fn info(path: &str, pinned: &FileDigest) -> FileInfo {
    let digest = pinned.digest.blake3.to_string();
    FileInfo { path: path.to_owned(), size: pinned.bytes, digest }
}

fn not_granted(what: String) -> Failure {
    HostError::new(ErrorCode::NotGranted, ReasonCode::NotFound, what).into()
}

impl Host for HostState {
    fn list_volumes(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.facts.volumes.keys().cloned().collect())
    }

    fn list_files(&mut self, volume: String) -> Result<Vec<FileInfo>, Failure> {
        match self.facts.volumes.get(&volume) {
            Some(files) => Ok(files.iter().map(|(path, pinned)| info(path, pinned)).collect()),
            None => Err(not_granted(no_volume(&volume))),
        }
    }

    fn open_file(&mut self, volume: String, path: String) -> Result<Resource<File>, Failure> {
        let Some(files) = self.facts.volumes.get(&volume) else {
            return Err(not_granted(no_volume(&volume)));
        };
        // Paths are looked up as they are: nothing resolves `..` or a second `/`.
        let Some(pinned) = files.get(&path).copied() else {
            let path = path.escape_debug();
            return Err(not_granted(format!("volume {volume} has no file `{path}`")));
        };
        self.push(File { volume, path, pinned })
    }
}

fn no_volume(name: &str) -> String {
    format!("volume `{}` is not granted", name.escape_debug())
}

impl HostFile for HostState {
    fn info(&mut self, file: Resource<File>) -> wasmtime::Result<FileInfo> {
        let file = self.handles.get(&file)?;
        Ok(info(&file.path, &file.pinned))
    }

    fn read(&mut self, file: Resource<File>, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        let file = self.handles.get(&file)?;
        let left = file.pinned.bytes.saturating_sub(offset);
        let length = left.min(length.into()).min(self.facts.batch_bytes);
        if length == 0 {
            return Ok(Vec::new());
        }
        // Held until the copy for the guest is made; that one counts as its own memory.
        let _held = self.budget.charge(length)?;
        Ok(self.volumes.read(&file.volume, &file.path, offset, length)?)
    }

    fn drop(&mut self, file: Resource<File>) -> wasmtime::Result<()> {
        self.handles.delete(file)?;
        Ok(())
    }
}
