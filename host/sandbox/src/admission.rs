//! What a component must be before anything compiles it.
//!
//! Compiling and running a component trusts wasmtime; this page trusts nothing. It reads the
//! binary once, front to back, and refuses what a notebook never needs: an import that was not
//! granted, a string encoding with a history of holes, sizes that only an attack has.

use std::collections::BTreeSet;

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::grants::Grants;
use glovebox_contract::limits::Limits;
use glovebox_contract::manifest::ComponentKind;
use glovebox_contract::reason::ReasonCode;

use crate::inspect::{Inspection, inspect};
use crate::interfaces;
use crate::memory::guest_bytes;

/// Most components inside a component.
pub const MAX_NESTED_COMPONENTS: usize = 8;
/// Most core modules inside a component.
pub const MAX_CORE_MODULES: usize = 64;
/// Most functions of all core modules together.
pub const MAX_FUNCTIONS: u64 = 100_000;
/// Most locals of one function.
pub const MAX_LOCALS: u64 = 50_000;
/// Most linear memories of all core modules together.
pub const MAX_MEMORIES: u64 = 8;
/// Most elements of a table when it is made.
pub const MAX_TABLE_ELEMENTS: u64 = 100_000;
/// Most imports and exports of a component.
pub const MAX_NAMES: usize = 256;
/// Most bytes of the manifest section.
pub const MAX_MANIFEST_BYTES: usize = 1 << 20;
/// Most bytes of the source section.
pub const MAX_SOURCE_BYTES: usize = 16 << 20;

/// The export that a notebook has.
pub const RUN_INTERFACE: &str = "glovebox:guest/run@0.1.0";

/// Why a component is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct AdmissionError {
    reason: ReasonCode,
    detail: String,
}

impl AdmissionError {
    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self { reason: ReasonCode::ComponentRefused, detail: detail.into() }
    }

    /// The public reason code.
    pub fn reason(&self) -> ReasonCode {
        self.reason
    }

    /// What is wrong, for the component's author.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// Admits a notebook under review: it imports no more than `interfaces`.
///
/// # Errors
/// With the reason and what is wrong; nothing was compiled.
pub fn admit(
    bytes: &[u8],
    interfaces: &BTreeSet<String>,
    limits: &Limits,
) -> Result<Inspection, AdmissionError> {
    if bytes.len() as u64 > limits.component_bytes {
        return Err(AdmissionError::refused(format!(
            "the component has {} bytes; the room allows {}",
            bytes.len(),
            limits.component_bytes
        )));
    }
    let inspection = inspect(bytes)?;
    let most = guest_bytes(limits);
    if inspection.memory_bytes > most {
        return Err(AdmissionError::refused(format!(
            "the component starts with {} bytes of memory; the room allows {most}",
            inspection.memory_bytes
        )));
    }
    check_imports(&inspection, interfaces)?;
    match &inspection.manifest {
        None => return Err(AdmissionError::refused("the component has no manifest section")),
        Some(manifest) if manifest.kind != ComponentKind::Notebook => {
            return Err(AdmissionError::refused("only notebooks are run, this is a library"));
        }
        Some(manifest) if !manifest.libraries.is_empty() => {
            return Err(AdmissionError::refused("this host does not link libraries yet"));
        }
        Some(_) => {}
    }
    if !inspection.exports.contains(RUN_INTERFACE) {
        return Err(AdmissionError::refused(format!(
            "the component does not export `{RUN_INTERFACE}`"
        )));
    }
    Ok(inspection)
}

/// Admits the component of a run: it is the approved one, to the bit, and imports no more than
/// its grants.
///
/// # Errors
/// As [`admit`], and [`ReasonCode::ComponentMismatch`] for other bytes.
pub fn admit_run(bytes: &[u8], grants: &Grants) -> Result<Inspection, AdmissionError> {
    let digest = ContentDigest::of(bytes);
    if digest != *grants.component() {
        return Err(AdmissionError {
            reason: ReasonCode::ComponentMismatch,
            detail: format!("the component is {digest}, approved is {}", grants.component()),
        });
    }
    admit(bytes, grants.interfaces(), grants.limits())
}

fn check_imports(
    inspection: &Inspection,
    granted: &BTreeSet<String>,
) -> Result<(), AdmissionError> {
    let not_granted = |name: &String, why: &str| AdmissionError {
        reason: ReasonCode::ImportNotGranted,
        detail: format!("the component imports `{name}`, {why}"),
    };
    for name in &inspection.imports {
        if !interfaces::SERVED.contains(&name.as_str()) {
            return Err(not_granted(name, "which this host does not serve"));
        }
        if !granted.contains(name) {
            return Err(not_granted(name, "which was not granted"));
        }
    }
    Ok(())
}

/// Every interface that this host serves; the widest set that a review can grant.
pub fn served_interfaces() -> BTreeSet<String> {
    interfaces::SERVED.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests;
