//! Reads files and looks them up in a report.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use glovebox_contract::bundle::{ComponentUse, MAX_BUNDLE_BYTES, NamedOutput, Report};
use glovebox_contract::checkpoint::MAX_CHECKPOINT_BYTES;
use glovebox_contract::digest::{Blake3Digest, ContentDigest, ContentHasher};
use serde::Serialize;

use crate::ContentOf;

/// A file that was asked about.
#[derive(Debug, Serialize)]
pub(crate) struct FileFinding<T> {
    /// Content digest of the table in it, where it was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<Blake3Digest>,
    pub(crate) digest: ContentDigest,
    pub(crate) file: String,
    pub(crate) found: Vec<T>,
}

pub(crate) fn read_bundle(path: &Path) -> anyhow::Result<Vec<u8>> {
    read_at_most(path, MAX_BUNDLE_BYTES)
}

pub(crate) fn read_note(path: &Path) -> anyhow::Result<String> {
    let bytes = read_at_most(path, MAX_CHECKPOINT_BYTES)?;
    String::from_utf8(bytes).with_context(|| format!("{} is not a checkpoint", path.display()))
}

pub(crate) fn check_output(
    report: &Report,
    path: &Path,
    content_of: Option<ContentOf>,
) -> anyhow::Result<FileFinding<NamedOutput>> {
    let (bytes, digest) = hash(path)?;
    let found = report.receipts_naming(bytes, &digest);
    let mut finding = finding(path, digest, found);
    // A file that no receipt names need not even be a table.
    if let Some(content_of) = content_of.filter(|_| !finding.found.is_empty()) {
        finding.content = Some(content_of(path)?);
    }
    Ok(finding)
}

pub(crate) fn check_component(
    report: &Report,
    path: &Path,
) -> anyhow::Result<FileFinding<ComponentUse>> {
    let (_, digest) = hash(path)?;
    Ok(finding(path, digest, report.uses_of_component(&digest)))
}

fn finding<T>(path: &Path, digest: ContentDigest, found: Vec<T>) -> FileFinding<T> {
    FileFinding { content: None, digest, file: path.display().to_string(), found }
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("cannot open {}", path.display()))
}

fn read_at_most(path: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let more_than_limit = u64::try_from(limit)?.saturating_add(1);
    open(path)?
        .take(more_than_limit)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(bytes.len() <= limit, "{} has more than {limit} bytes", path.display());
    Ok(bytes)
}

/// Length and digests of a file of any size.
fn hash(path: &Path) -> anyhow::Result<(u64, ContentDigest)> {
    let mut file = open(path)?;
    let mut hasher = ContentHasher::new();
    let mut length = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count =
            file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        if count == 0 {
            return Ok((length, hasher.finish()));
        }
        hasher.update(&buffer[..count]);
        length += u64::try_from(count)?;
    }
}
