//! The digest of this program, which every run-start names.
//!
//! A program of a hundred megabytes takes longer to hash than a small run to run, so the digest is
//! remembered in the home, beside what tells this file from any other.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use glovebox_contract::digest::{Blake3Digest, ContentHasher};
use serde::{Deserialize, Serialize};

const FILE: &str = "program.json";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    identity: Identity,
    digest: Blake3Digest,
}

/// The digest of the running program. `cache` is the home's cache directory, which only the host
/// writes.
pub(crate) fn digest(cache: &Path) -> Result<Blake3Digest> {
    let mut program = File::open("/proc/self/exe").context("cannot read this program")?;
    let metadata = program.metadata()?;
    let identity = Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        bytes: metadata.len(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    };
    let file = cache.join(FILE);
    let remembered = std::fs::read(&file)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Remembered>(&bytes).ok())
        .filter(|remembered| remembered.identity == identity);
    if let Some(remembered) = remembered {
        return Ok(remembered.digest);
    }
    let mut hasher = ContentHasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = program.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    let digest = hasher.finish().blake3;
    // Best effort: without it the next command hashes again.
    let _ = serde_json::to_vec(&Remembered { identity, digest })
        .map(|bytes| std::fs::write(&file, bytes));
    Ok(digest)
}
