//! Landlock: nothing but the scratch directory, no TCP, no sockets or signals to others.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath,
    PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    make_bitflags,
};

use super::{JailError, Step as _};

/// Rules for files since Linux 5.13: a kernel without them cannot confine a worker.
const NEEDED: ABI = ABI::V1;

/// Newer rules (truncation, TCP, abstract sockets, signals) apply where the kernel has them. They
/// repeat what namespaces and seccomp forbid anyway.
const WANTED: ABI = ABI::V7;

/// Restricts this process and its threads to come to `scratch`.
pub(super) fn restrict_files_and_ports(scratch: &Path) -> Result<(), JailError> {
    const STEP: &str = "apply Landlock rules (does the kernel have Landlock?)";
    let status = restrict(scratch).step(STEP)?;
    if status == RulesetStatus::NotEnforced {
        return Err(JailError::new(STEP, "the kernel does not enforce them"));
    }
    Ok(())
}

fn restrict(scratch: &Path) -> Result<RulesetStatus, Box<dyn std::error::Error + Send + Sync>> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WANTED))?
        .handle_access(AccessNet::from_all(WANTED))?
        .scope(Scope::from_all(WANTED))?
        .create()?
        .add_rule(PathBeneath::new(PathFd::new(scratch)?, scratch_rights()))?;
    let status: Result<_, RulesetError> = ruleset.restrict_self();
    Ok(status?.ruleset)
}

/// Plain files and directories; no devices, sockets, pipes or links.
fn scratch_rights() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{
        ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir
    })
}
