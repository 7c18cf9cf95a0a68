//! Uploads: named by their digests, resumed where they broke off.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use glovebox_api::limits::UPLOAD_CHUNK_BYTES;
use glovebox_api::{headers, path};
use glovebox_contract::digest::ContentHasher;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::FileDigest;

use crate::error::{ClientError, Context as _, Result};
use crate::http::Call;
use crate::patience::{Patience, patiently};
use crate::session::Session;

/// Bytes hashed at a time.
const HASHED_BYTES: usize = 1 << 20;

/// How often the host may say another offset than it said before, without anything getting on.
const DISAGREEMENTS: u32 = 5;

/// What an upload reads from.
trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

impl Session {
    /// Uploads a file, or what of it the host does not have yet. `progress` is told how many bytes
    /// the host has, and how many there are.
    ///
    /// # Errors
    /// When the file cannot be read or changes meanwhile, and with the host's reason.
    pub fn upload(&self, file: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<FileDigest> {
        let name = file.display().to_string();
        let mut source = File::open(file).trying(|| format!("read `{name}`"))?;
        if !source.metadata().trying(|| format!("read `{name}`"))?.is_file() {
            return Err(ClientError::Invalid(format!("`{name}` is not a regular file")));
        }
        let digest = measure(&mut source).trying(|| format!("read `{name}`"))?;
        Upload { session: self, name: &name, source: &mut source, digest }.run(progress)?;
        Ok(digest)
    }

    /// Uploads these bytes.
    ///
    /// # Errors
    /// With the host's reason.
    pub fn upload_bytes(&self, bytes: &[u8]) -> Result<FileDigest> {
        let mut source = Cursor::new(bytes);
        let name = "bytes in memory";
        let digest = measure(&mut source).trying(|| format!("read {name}"))?;
        Upload { session: self, name, source: &mut source, digest }.run(&mut |_, _| {})?;
        Ok(digest)
    }
}

/// Length and digests of all that there is to read.
fn measure(source: &mut dyn Source) -> std::io::Result<FileDigest> {
    let mut hasher = ContentHasher::new();
    let mut buffer = vec![0; HASHED_BYTES];
    let mut bytes = 0_u64;
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => return Ok(FileDigest { bytes, digest: hasher.finish() }),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(buffer.get(..count).unwrap_or_default());
        bytes = bytes.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

struct Upload<'a> {
    session: &'a Session,
    /// For messages.
    name: &'a str,
    source: &'a mut dyn Source,
    digest: FileDigest,
}

impl Upload<'_> {
    fn run(mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let client = self.session.client();
        let length = self.digest.bytes;
        let path = path::upload(&self.digest.digest);
        let chunk = client.info().upload_chunk_bytes;
        let chunk = chunk.min(u64::try_from(UPLOAD_CHUNK_BYTES).unwrap_or(u64::MAX));
        let mut offset = self.offset(&path)?;
        let mut patience = Patience::new(client.patience());
        let mut disagreements = 0;
        progress(offset.unwrap_or(0), length);
        // An upload of no bytes has one empty chunk.
        while offset.is_none_or(|offset| offset < length) {
            let at = offset.unwrap_or(0);
            match self.send(&path, at, chunk) {
                Ok(next) if next > at || length == 0 => {
                    offset = Some(next);
                    patience = Patience::new(client.patience());
                    disagreements = 0;
                    progress(next, length);
                    continue;
                }
                Ok(_) => disagreements += 1,
                Err(error) if error.is_passing() => {
                    if !patience.wait(error.retry_after()) {
                        return Err(error);
                    }
                }
                Err(error) if error.status() == Some(409) && disagreements < DISAGREEMENTS => {
                    disagreements += 1;
                }
                Err(error) if error.reason() == ReasonCode::UploadMismatch => {
                    let what = format!("upload `{}`", self.name);
                    let source = std::io::Error::other("it changed while it was sent");
                    return Err(ClientError::Local { what, source });
                }
                Err(error) => return Err(error),
            }
            if disagreements > DISAGREEMENTS {
                return Err(ClientError::answer(format!("PATCH {path}"), "nothing gets on"));
            }
            // Whatever happened, the host knows how much it has.
            offset = self.offset(&path)?;
        }
        Ok(())
    }

    /// How many bytes the host has; none when it does not know the upload.
    fn offset(&self, path: &str) -> Result<Option<u64>> {
        let patience = self.session.client().patience();
        let answer = patiently(patience, || match self.session.ask(&Call::head(path)) {
            Err(error) if error.reason() == ReasonCode::NotFound => Ok(None),
            other => other.map(Some),
        })?;
        let Some(answer) = answer else { return Ok(None) };
        let length = answer.header(headers::UPLOAD_LENGTH);
        match answer.header(headers::UPLOAD_OFFSET) {
            Some(offset) if offset <= self.digest.bytes && length == Some(self.digest.bytes) => {
                Ok(Some(offset))
            }
            _ => Err(ClientError::answer(
                answer.at(),
                "the host has another upload than this under its digest",
            )),
        }
    }

    /// Sends the chunk at `offset`, and gives the offset behind it.
    fn send(&mut self, path: &str, offset: u64, chunk: u64) -> Result<u64> {
        let length = self.digest.bytes;
        let count = chunk.min(length.saturating_sub(offset));
        let reading = || format!("read `{}`", self.name);
        let mut body = Vec::new();
        self.source.seek(SeekFrom::Start(offset)).trying(reading)?;
        (&mut self.source).take(count).read_to_end(&mut body).trying(reading)?;
        if u64::try_from(body.len()) != Ok(count) {
            let source = std::io::Error::other("it became shorter while it was sent");
            return Err(ClientError::Local { what: reading(), source });
        }
        let answer = self.session.ask(&Call::patch(path, &body, offset, length))?;
        match answer.header(headers::UPLOAD_OFFSET) {
            Some(next) if next == offset.saturating_add(count) => Ok(next),
            _ => Err(ClientError::answer(answer.at(), "the host took another part than was sent")),
        }
    }
}
