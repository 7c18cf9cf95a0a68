//! Files with secrets of the person at this machine.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// Longest such file.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a file that its owner alone may read. `what` says what it holds.
pub(crate) fn read(file: &Path, what: &str) -> Result<String> {
    let shown = file.display();
    let opened =
        std::fs::File::open(file).with_context(|| format!("cannot read {what} in {shown}"))?;
    let metadata = opened.metadata().with_context(|| format!("cannot read {what} in {shown}"))?;
    if !metadata.is_file() {
        bail!("{shown} is not a regular file");
    }
    if metadata.mode() & 0o077 != 0 {
        bail!(
            "{shown} holds {what} and can be read by others on this machine: make it private with \
             `chmod 600 {shown}`"
        );
    }
    let mut text = String::new();
    let read = opened.take(MAX_BYTES + 1).read_to_string(&mut text);
    // The error of a text that is not UTF-8 shows nothing of it.
    read.with_context(|| format!("cannot read {what} in {shown}"))?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{shown} is longer than {what} may be");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "horse").unwrap();
        let check = |mode: u32, expect: bool| {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let text = read(&file, "credentials");
            assert_eq!(text.is_ok(), expect, "{mode:o}");
            if let Err(error) = text {
                assert!(format!("{error:#}").contains("chmod 600"), "{error:#}");
            }
        };
        check(0o600, true);
        check(0o400, true);
        check(0o640, false);
        check(0o604, false);
        check(0o644, false);
        assert!(read(folder.path(), "credentials").is_err());
        assert!(read(&folder.path().join("none"), "credentials").is_err());
    }
}
