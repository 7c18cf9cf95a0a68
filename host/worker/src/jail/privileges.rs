//! Privileges that a worker gives up.

use caps::{CapSet, clear};
use nix::sys::prctl::{set_dumpable, set_no_new_privs, set_pdeathsig};
use nix::sys::signal::Signal;

use super::{JailError, Step as _};

/// Ends this process when its parent ends.
pub(super) fn die_with_parent() -> Result<(), JailError> {
    set_pdeathsig(Signal::SIGKILL).step("tie its life to its parent's")
}

/// Gives up all capabilities, those of its own user namespace included, and every way to get new
/// ones; takes its memory away from debuggers and core dumps.
pub(super) fn drop_all() -> Result<(), JailError> {
    for set in [
        CapSet::Ambient,
        CapSet::Bounding,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        clear(None, set).map_err(|error| error.to_string()).step("drop capabilities")?;
    }
    set_no_new_privs().step("forbid new privileges")?;
    set_dumpable(false).step("forbid core dumps")
}
