//! The key that a host had the first time: it must have it ever after.

use std::path::{Path, PathBuf};

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::key::PublicKey;
use url::Url;

use crate::error::{ClientError, Context as _, Result};
use crate::files;

/// More than an address and a key need.
const MAX_PIN_BYTES: u64 = 8192;

/// Remembers the key of the host at `url`, or compares it with the one that is remembered.
pub(crate) fn check(state: &Path, url: &Url, found: &PublicKey) -> Result<()> {
    let path = file(state, url);
    let directory = path.parent().unwrap_or(state);
    files::create_directory(directory).trying(|| format!("make `{}`", directory.display()))?;
    let line = format!("{url} {found}\n");
    let writing = || format!("remember the key of the host in `{}`", path.display());
    if files::write_new(&path, line.as_bytes()).trying(writing)? {
        return Ok(());
    }
    let reading = || format!("read `{}`", path.display());
    let pinned = files::read(&path, MAX_PIN_BYTES).trying(reading)?.unwrap_or_default();
    if pinned == line.as_bytes() {
        return Ok(());
    }
    let pinned = String::from_utf8_lossy(&pinned);
    Err(ClientError::HostKey {
        url: url.to_string(),
        pinned: glovebox_contract::text::printable(pinned.trim().rsplit(' ').next().unwrap_or("")),
        found: found.to_string(),
        pin: path,
    })
}

/// The file for a host. Addresses do not make good names of files, so it is called by a digest.
fn file(state: &Path, url: &Url) -> PathBuf {
    let name = Blake3Digest::of(url.as_str().as_bytes()).to_hex();
    state.join("pins").join(name)
}
