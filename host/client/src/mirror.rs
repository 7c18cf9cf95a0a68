//! What was seen of a room's log, kept on this side, so that a host cannot take it back.
//!
//! A directory for each room:
//!
//! ```text
//! log         one envelope a line, appended only
//! checkpoint  the last signed note that was found to be over these entries
//! lock        held while the others change
//! forks/      evidence against the host
//! ```
//!
//! Entries are on the disk before the checkpoint is, so the checkpoint never says more than the
//! log holds, unless the disk lost something. Lines behind the checkpoint are what a dead process
//! left and are cut off. If lines before it are missing or damaged, all are fetched again, and the
//! checkpoint still binds the host.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use glovebox_contract::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PublicKey;
use glovebox_contract::name::RoomId;

use crate::error::{ClientError, Context as _, Result};
use crate::files;
use crate::verified::{Extension, Folded, VerifiedLog};

/// The mirrored log of one room.
#[derive(Debug)]
pub(crate) struct Mirror {
    directory: PathBuf,
    room: RoomId,
    host: PublicKey,
    /// Bytes of the file that are known to be the first entries of the log at hand.
    known: u64,
}

/// What a mirror holds.
pub(crate) struct Mirrored {
    /// The log, when it is whole.
    pub(crate) log: Option<VerifiedLog>,
    /// What the host signed last, when it has signed something.
    pub(crate) checkpoint: Option<Checkpoint>,
}

/// Another process mirrored other entries: the host shows two logs.
pub(crate) struct OtherEntries;

impl Mirror {
    /// Opens or makes the mirror of a room on the host with this key.
    pub(crate) fn open(state: &Path, room: &RoomId, host: &PublicKey) -> Result<Self> {
        let directory = state.join("rooms").join(room.0.to_hex());
        files::create_directory(&directory).trying(|| format!("make `{}`", directory.display()))?;
        Ok(Self { directory, room: *room, host: *host, known: 0 })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Held until the file is dropped.
    fn lock(&self) -> Result<File> {
        let path = self.path("lock");
        let locking = || format!("lock `{}`", path.display());
        let file = files::open_or_create(&path).trying(locking)?;
        file.lock().trying(locking)?;
        Ok(file)
    }

    fn reading(&self) -> String {
        format!("read the mirrored log in `{}`", self.directory.display())
    }

    fn writing(&self) -> String {
        format!("mirror the log in `{}`", self.directory.display())
    }

    /// Reads what was mirrored, and cuts off what a dead process left half done.
    pub(crate) fn load(&mut self) -> Result<Mirrored> {
        let _lock = self.lock()?;
        let checkpoint = self.checkpoint()?;
        let mut file = files::open_or_create(&self.path("log")).trying(|| self.reading())?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).trying(|| self.reading())?;
        let whole = checkpoint.as_ref().and_then(|(note, signed)| {
            let (extension, bytes) = self.fold(&text, signed.size());
            let holds = extension.size() == signed.size() && extension.contains(signed);
            let folded = extension.into_folded().filter(|_| holds)?;
            Some((folded.into_log(note.clone()), bytes))
        });
        let (log, bytes) = match whole {
            Some((log, bytes)) => (Some(log), bytes),
            None => (None, 0),
        };
        if u64::try_from(text.len()).unwrap_or(u64::MAX) != bytes {
            file.set_len(bytes).and_then(|()| file.sync_all()).trying(|| self.writing())?;
        }
        self.known = bytes;
        Ok(Mirrored { log, checkpoint: checkpoint.map(|(_, signed)| signed) })
    }

    /// The last mirrored note, which is put in place at once: so damage is no accident, and is not
    /// passed over.
    fn checkpoint(&self) -> Result<Option<(String, Checkpoint)>> {
        let path = self.path("checkpoint");
        let limit = u64::try_from(MAX_CHECKPOINT_BYTES).unwrap_or(u64::MAX);
        let Some(bytes) = files::read(&path, limit).trying(|| self.reading())? else {
            return Ok(None);
        };
        let note = String::from_utf8_lossy(&bytes).into_owned();
        let signed = Checkpoint::verify(&note, &self.room, &self.host).map_err(|error| {
            let why = format!(
                "`{}` is not what was mirrored there: {error}; if the host is to be trusted \
                 afresh, remove the directory",
                path.display()
            );
            ClientError::Tampered { room: self.room, why }
        })?;
        Ok(Some((note, signed)))
    }

    /// Folds whole lines until there are `size` entries or one does not hold up. Gives how many
    /// bytes they have.
    fn fold(&self, text: &[u8], size: u64) -> (Extension<'_>, u64) {
        let mut extension = Extension::behind(None, &self.room, &self.host);
        let mut bytes = 0_u64;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let envelope = line.strip_suffix(b"\n").map(Envelope::from_bytes);
            let Some(Ok(envelope)) = envelope else { break };
            if extension.size() >= size || extension.push(envelope).is_err() {
                break;
            }
            bytes = bytes.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        }
        (extension, bytes)
    }

    /// Keeps entries that were `folded`, which go on where `before` ends and are signed by `note`.
    ///
    /// # Errors
    /// The inner one when another process has mirrored other entries in their place.
    pub(crate) fn keep(
        &mut self,
        before: &[Envelope],
        folded: &Folded,
        note: &str,
    ) -> Result<Result<(), OtherEntries>> {
        let _lock = self.lock()?;
        let mut file = files::open_or_create(&self.path("log")).trying(|| self.reading())?;
        let length = file.metadata().trying(|| self.reading())?.len();
        let new = lines(folded.entries());
        if length < self.known {
            // Someone took the file away; the log at hand is whole.
            file.set_len(0).trying(|| self.writing())?;
            let all = [lines(before), new].concat();
            return self.append(&mut file, 0, &all, note).map(Ok);
        }
        // What other processes have mirrored since.
        let mut theirs = Vec::new();
        file.seek(SeekFrom::Start(self.known))
            .and_then(|_| file.read_to_end(&mut theirs))
            .trying(|| self.reading())?;
        let theirs = match theirs.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => theirs.get(..=last).unwrap_or_default(),
            None => &[],
        };
        let common = new.len().min(theirs.len());
        if new.get(..common) != theirs.get(..common) {
            return Ok(Err(OtherEntries));
        }
        let shared = u64::try_from(common).unwrap_or(u64::MAX).saturating_add(self.known);
        if theirs.len() > new.len() {
            self.known = shared;
            let mirrored = self.checkpoint()?.map_or(0, |(_, signed)| signed.size());
            if mirrored < folded.size() {
                files::write(&self.path("checkpoint"), note.as_bytes())
                    .trying(|| self.writing())?;
            }
            return Ok(Ok(()));
        }
        file.set_len(shared).trying(|| self.writing())?;
        self.append(&mut file, shared, new.get(common..).unwrap_or_default(), note).map(Ok)
    }

    fn append(&mut self, file: &mut File, at: u64, lines: &[u8], note: &str) -> Result<()> {
        file.write_all(lines).and_then(|()| file.sync_all()).trying(|| self.writing())?;
        files::write(&self.path("checkpoint"), note.as_bytes()).trying(|| self.writing())?;
        self.known = at.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Keeps what proves that the host shows two logs: the notes that it signed, and the entries
    /// that it gave with the second. Gives the directory.
    pub(crate) fn keep_evidence(
        &self,
        mirrored: &str,
        received: &str,
        entries: &[Envelope],
    ) -> Result<PathBuf> {
        // One directory for the same evidence, however often it is seen.
        let name = Blake3Digest::of(received.as_bytes()).to_hex();
        let directory = self.path("forks").join(name.get(..16).unwrap_or(&name));
        let keeping = || format!("keep the evidence in `{}`", directory.display());
        files::create_directory(&directory).trying(keeping)?;
        for (name, content) in [
            ("mirrored.checkpoint", mirrored.as_bytes()),
            ("received.checkpoint", received.as_bytes()),
            ("received.entries", &lines(entries)),
        ] {
            files::write(&directory.join(name), content).trying(keeping)?;
        }
        Ok(directory)
    }

    /// The room.
    pub(crate) fn room(&self) -> &RoomId {
        &self.room
    }

    /// The last note that was mirrored, as it is on the disk.
    pub(crate) fn note(&self) -> Result<Option<String>> {
        Ok(self.checkpoint()?.map(|(note, _)| note))
    }
}

fn lines(entries: &[Envelope]) -> Vec<u8> {
    let line = |envelope: &Envelope| {
        let mut line = envelope.to_bytes();
        line.push(b'\n');
        line
    };
    entries.iter().flat_map(line).collect()
}
