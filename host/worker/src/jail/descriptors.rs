//! Open files that a worker must not inherit.

use std::fs;
use std::os::fd::RawFd;

use super::{JailError, Step as _};

const LIST: &str = "/proc/self/fd";
const STEP: &str = "list the open files";

/// Closes everything but standard input, output and error.
pub(crate) fn close_unexpected() -> Result<(), JailError> {
    for descriptor in unexpected()? {
        // The descriptor that listed the directory is closed by now.
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}

/// Fails when more than standard input, output and error is open.
pub(super) fn expect_only_standard() -> Result<(), JailError> {
    let is_open = |descriptor: &RawFd| fs::read_link(format!("{LIST}/{descriptor}")).is_ok();
    match unexpected()?.into_iter().find(is_open) {
        None => Ok(()),
        Some(descriptor) => {
            Err(JailError::new("start", format!("descriptor {descriptor} was inherited")))
        }
    }
}

fn unexpected() -> Result<Vec<RawFd>, JailError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(LIST).step(STEP)? {
        let name = entry.step(STEP)?.file_name();
        let descriptor = name.to_str().and_then(|name| name.parse().ok());
        found.extend(descriptor.filter(|descriptor: &RawFd| *descriptor > 2));
    }
    Ok(found)
}
