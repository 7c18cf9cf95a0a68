//! The files of a run's volumes, as descriptors that the host opened.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;

use glovebox_contract::grants::Grants;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::descriptors::ReceivedDescriptors;
use glovebox_job::job::VolumeFile;
use glovebox_sandbox::services::{ErrorCode, HostError, VolumeFiles};

use crate::work::Failure;

/// Open files by volume and path.
pub(crate) struct Volumes(BTreeMap<String, BTreeMap<String, File>>);

impl Volumes {
    /// Takes the descriptors of `files`, which are all that `grants` name.
    pub(crate) fn new(
        grants: &Grants,
        files: &[VolumeFile],
        descriptors: &mut ReceivedDescriptors,
    ) -> Result<Self, Failure> {
        let mut opened: BTreeMap<String, BTreeMap<String, File>> = BTreeMap::new();
        for VolumeFile { descriptor, path, volume } in files {
            let file = descriptors.take(*descriptor)?;
            opened.entry(volume.to_string()).or_default().insert(path.clone(), file);
        }
        let complete = grants.volumes().iter().all(|(volume, files)| {
            let found = opened.get(volume.as_str());
            found.is_some_and(|found| found.keys().eq(files.keys()))
        });
        if complete && opened.len() == grants.volumes().len() {
            return Ok(Self(opened));
        }
        Err(Failure::new(ReasonCode::Internal, "the files of the job are not those of its volumes"))
    }
}

impl VolumeFiles for Volumes {
    fn read(
        &self,
        volume: &str,
        path: &str,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, HostError> {
        let error = |reason, why: &str| {
            let detail = format!("file `{}` of volume {volume} {why}", path.escape_debug());
            HostError::new(ErrorCode::Internal, reason, detail)
        };
        let file = self.0.get(volume).and_then(|files| files.get(path));
        let file = file.ok_or_else(|| error(ReasonCode::Internal, "is not open"))?;
        let length = usize::try_from(length)
            .map_err(|_| error(ReasonCode::Internal, "is read in too large a piece"))?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset).map_err(|failure| match failure.kind() {
            ErrorKind::UnexpectedEof => error(ReasonCode::VolumeChanged, "became shorter"),
            _ => error(ReasonCode::InputUnreadable, "cannot be read"),
        })?;
        Ok(bytes)
    }
}
