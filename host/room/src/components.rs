//! Components by digest, and the machine code made from them.

use std::fs::File;
use std::io::{self, Seek as _};

use cap_std::fs::{Dir, Permissions, PermissionsExt as _};
use glovebox_contract::canonical;
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::limits::Limits;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::Refusal;
use glovebox_job::event::Compiled;
use serde::Serialize;

use crate::error::{Context as _, Result, RoomError};
use crate::files;
use crate::home::Home;
use crate::libraries::Libraries;

/// Longest digest file: `blake3:` and 64 digits.
const DIGEST_BYTES: u64 = 71;

/// Components, each in a file named by its BLAKE3 digest.
pub(crate) struct ComponentStore {
    directory: Dir,
}

impl ComponentStore {
    pub(crate) fn open(home: &Home) -> Result<Self> {
        Ok(Self { directory: home.directory("components")? })
    }

    fn file_name(component: &Blake3Digest) -> String {
        format!("{}.wasm", component.to_hex())
    }

    /// Keeps a component. A file of that name with other bytes is replaced.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<ContentDigest> {
        let digest = ContentDigest::of(bytes);
        if self.read(&digest, u64::try_from(bytes.len()).unwrap_or(u64::MAX)).is_err() {
            let name = Self::file_name(&digest.blake3);
            files::write_atomically(&self.directory, &name, bytes)
                .and_then(|()| self.directory.set_permissions(&name, Permissions::from_mode(0o400)))
                .trying(|| format!("store component {digest}"))?;
        }
        Ok(digest)
    }

    /// Opens the file of a component. Its bytes are the reader's to check.
    pub(crate) fn open_file(&self, component: &ContentDigest) -> Result<(File, u64)> {
        let opening = || format!("open component {component}");
        let file = files::open_regular(&self.directory, Self::file_name(&component.blake3))
            .trying(opening)?
            .into_std();
        let bytes = file.metadata().trying(opening)?.len();
        Ok((file, bytes))
    }

    /// A component whose bytes have both digests.
    pub(crate) fn read(&self, component: &ContentDigest, limit: u64) -> Result<Vec<u8>> {
        let mismatch = |why: &str| {
            RoomError::new(
                ReasonCode::ComponentMismatch,
                format!("component {component}: {why}; add it again"),
            )
        };
        let name = Self::file_name(&component.blake3);
        let bytes = match files::read_limited(&self.directory, &name, limit) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(mismatch("the host does not have it"));
            }
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Err(mismatch("the stored file is larger than the room allows"));
            }
            Err(error) => {
                return Err(RoomError::io(format!("cannot read component {component}"), error));
            }
        };
        if component.matches(&bytes) {
            Ok(bytes)
        } else {
            Err(mismatch("the stored file has other bytes"))
        }
    }
}

/// What machine code is kept by: the component, and the libraries that it may be composed with.
pub(crate) fn code_key(component: &ContentDigest, libraries: &Libraries) -> Result<Blake3Digest> {
    if libraries.is_empty() {
        return Ok(component.blake3);
    }
    Ok(canonical::digest(&(component, libraries)).map_err(Refusal::from)?)
}

/// Longest answer of the compiler that is kept.
const COMPILED_BYTES: u64 = 4 << 20;

/// What the compiler is asked when a party adds a component. The same question has the same answer,
/// so whoever brings one component to many rooms waits for one compilation.
///
/// The party is part of the question: the time that an answer takes must not tell what others have
/// brought to other rooms.
#[derive(Serialize)]
pub(crate) struct Compilation<'a> {
    pub(crate) component: &'a ContentDigest,
    pub(crate) engine: &'a Blake3Digest,
    /// The program that asks: another one may admit other components.
    pub(crate) host_binary: &'a Blake3Digest,
    pub(crate) libraries: &'a Libraries,
    pub(crate) limits: &'a Limits,
    /// The key of the party.
    pub(crate) party: String,
}

impl Compilation<'_> {
    fn file_name(&self) -> Result<String> {
        let digest = canonical::digest(self).map_err(Refusal::from)?;
        Ok(format!("{}.compiled", digest.to_hex()))
    }
}

/// Machine code by component and engine. Only a jailed child of this host writes it; a party's
/// never gets here.
pub(crate) struct CodeCache {
    directory: Dir,
}

impl CodeCache {
    pub(crate) fn open(home: &Home) -> Result<Self> {
        Ok(Self { directory: home.directory("cache")? })
    }

    fn stem(component: &Blake3Digest, engine: &Blake3Digest) -> String {
        format!("{}-{}", component.to_hex(), engine.to_hex())
    }

    /// Machine code that still has the digest it had when it was made; none when there is none,
    /// or when it does not.
    pub(crate) fn get(
        &self,
        component: &Blake3Digest,
        engine: &Blake3Digest,
    ) -> Option<CachedCode> {
        let stem = Self::stem(component, engine);
        let digest =
            files::read_limited(&self.directory, &format!("{stem}.digest"), DIGEST_BYTES).ok()?;
        let expected: Blake3Digest = std::str::from_utf8(&digest).ok()?.parse().ok()?;
        let mut file =
            files::open_regular(&self.directory, format!("{stem}.code")).ok()?.into_std();
        let (digest, bytes) = files::blake3_reader(&file).ok()?;
        file.rewind().ok()?;
        (digest == expected).then_some(CachedCode { file, code: MachineCodeFile { digest, bytes } })
    }

    /// A new file for machine code that is not in the cache yet.
    pub(crate) fn stage(&self) -> Result<StagedCode> {
        let name = files::temporary_name();
        let file = files::create_new(&self.directory, &name)
            .trying(|| "make room for machine code".into())?
            .into_std();
        Ok(StagedCode { name, file })
    }

    /// Puts staged machine code in the cache if it is the code that was announced.
    pub(crate) fn put(
        &self,
        staged: StagedCode,
        component: &Blake3Digest,
        engine: &Blake3Digest,
        announced: &MachineCodeFile,
    ) -> Result<()> {
        let storing = || format!("cache the machine code of {component}");
        let StagedCode { name, mut file } = staged;
        let written = file.rewind().and_then(|()| files::blake3_reader(&file)).trying(storing)?;
        if written != (announced.digest, announced.bytes) {
            let _ = self.directory.remove_file(&name);
            return Err(RoomError::new(
                ReasonCode::WorkerProtocol,
                "the compiler wrote other machine code than it announced",
            ));
        }
        file.sync_all().trying(storing)?;
        let stem = Self::stem(component, engine);
        // Between the two renames the digest is of other code, which makes it a miss.
        self.directory.rename(&name, &self.directory, format!("{stem}.code")).trying(storing)?;
        let digest = announced.digest.to_string();
        files::write_atomically(&self.directory, &format!("{stem}.digest"), digest.as_bytes())
            .trying(storing)
    }

    /// What the compiler said the last time that this was asked, if it was and its machine code is
    /// still there.
    pub(crate) fn compiled(&self, asked: &Compilation<'_>) -> Option<Compiled> {
        let name = asked.file_name().ok()?;
        let bytes = files::read_limited(&self.directory, &name, COMPILED_BYTES).ok()?;
        let compiled: Compiled = serde_json::from_slice(&bytes).ok()?;
        let code = self.get(&code_key(asked.component, asked.libraries).ok()?, asked.engine)?;
        (code.code.digest == compiled.machine_code_digest).then_some(compiled)
    }

    /// Keeps what the compiler says.
    pub(crate) fn remember(&self, asked: &Compilation<'_>, compiled: &Compiled) -> Result<()> {
        let keeping = || format!("remember what component {} is", asked.component);
        let bytes = serde_json::to_vec(compiled).map_err(io::Error::from).trying(keeping)?;
        let name = asked.file_name()?;
        // It is only faster: a power cut may take it.
        files::write_casually(&self.directory, &name, &bytes).trying(keeping)
    }

    pub(crate) fn discard(&self, staged: StagedCode) {
        let _ = self.directory.remove_file(staged.name);
    }
}

/// A file that machine code is written to.
pub(crate) struct StagedCode {
    name: String,
    pub(crate) file: File,
}

/// What a file of machine code holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MachineCodeFile {
    pub(crate) digest: Blake3Digest,
    pub(crate) bytes: u64,
}

/// Machine code from the cache: the file opened for reading at its beginning.
pub(crate) struct CachedCode {
    pub(crate) file: File,
    pub(crate) code: MachineCodeFile,
}

#[cfg(test)]
mod tests;
