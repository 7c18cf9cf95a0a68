//! Namespaces: no network, no other processes, no host name, mounts of one's own.

use std::fs;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::unistd::{Gid, Uid, getegid, geteuid, setgroups, sethostname, setresgid, setresuid};

use super::{JailError, Step as _};

/// `nobody` on every Linux; owns nothing.
const NOBODY: u32 = 65_534;

/// Puts the calling process into new namespaces and its children into a new process namespace.
///
/// The caller is user 0 there and, outside, the operator's user or `nobody` when the operator is
/// root: so limits bind, and an escape meets an ordinary user.
pub(crate) fn enter_namespaces() -> Result<(), JailError> {
    leave_root()?;
    let (uid, gid) = (geteuid(), getegid());
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWCGROUP,
    )
    .step("make namespaces (are user namespaces allowed here?)")?;
    fs::write("/proc/self/setgroups", "deny").step("give up supplementary groups")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))
        .step("map the user (are user namespaces restricted here?)")?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).step("map the group")?;
    sethostname("glovebox").step("set the host name")
}

fn leave_root() -> Result<(), JailError> {
    const STEP: &str = "become nobody";
    if !geteuid().is_root() {
        return Ok(());
    }
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    match setgroups(&[])
        .and_then(|()| setresgid(group, group, group))
        .and_then(|()| setresuid(user, user, user))
    {
        Ok(()) => {}
        // Root of a user namespace with few users is an ordinary user outside already.
        Err(Errno::EINVAL | Errno::EPERM) if in_user_namespace() => {}
        Err(errno) => return Err(JailError::new(STEP, errno)),
    }
    // Changing the user hides /proc/self from its own process, which must write its maps there.
    set_dumpable(true).step(STEP)
}

fn in_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.split_whitespace().eq(["0", "0", "4294967295"])
}
