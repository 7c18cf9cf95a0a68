//! An empty root directory: all that a worker can name is its scratch directory.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use super::{JailError, SCRATCH, Step as _};

/// Any directory that is always there can carry the new root until it is the root.
const MOUNT_POINT: &str = "/proc";

/// Files and directories in the scratch directory.
const MAX_INODES: u32 = 65_536;

/// Replaces the root directory by an empty one in memory that holds at most `bytes`.
pub(super) fn enter_empty_root(bytes: u64) -> Result<(), JailError> {
    // A worker that dies first when memory is short spares the host. Some systems forbid it.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
        .step("make the mounts private")?;
    mount(
        Some("glovebox"),
        MOUNT_POINT,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        Some(options(bytes).as_str()),
    )
    .step("mount an empty root")?;
    chdir(MOUNT_POINT).step("enter the empty root")?;
    // The old root ends up on top of the new one and is taken away.
    pivot_root(".", ".").step("change the root")?;
    umount2(".", MntFlags::MNT_DETACH).step("take the old root away")?;
    chdir("/").step("enter the empty root")?;
    fs::DirBuilder::new().mode(0o700).create(SCRATCH).step("make the scratch directory")
}

fn options(bytes: u64) -> String {
    // A size of 0 would mean no limit.
    format!("mode=0700,size={},nr_inodes={MAX_INODES}", bytes.max(4096))
}
