//! What a component must be before anything compiles it.
//!
//! Compiling and running a component trusts wasmtime; this page trusts nothing. It reads the
//! binary once, front to back, and refuses what a notebook never needs: an import that was not
//! granted, a string encoding with a history of holes, sizes that only an attack has.

use std::collections::BTreeSet;

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::grants::Grants;
use glovebox_contract::library::{FunctionKind, HOST_PACKAGE, LIBRARY_INTERFACES};
use glovebox_contract::limits::Limits;
use glovebox_contract::manifest::{ComponentKind, Manifest};
use glovebox_contract::reason::ReasonCode;

use crate::inspect::{Inspection, inspect_parts};
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

/// The import of a notebook that reads volumes.
const VOLUMES_INTERFACE: &str = "glovebox:guest/volumes@0.1.0";

/// The exports that offer functions to SQL, each with the world of a library that offers no more.
pub(crate) const FUNCTION_INTERFACES: [(&str, &str); 3] = [
    ("glovebox:guest/scalar-functions@0.1.0", "scalar-udf"),
    ("glovebox:guest/aggregate-functions@0.1.0", "aggregate-udf"),
    ("glovebox:guest/table-functions@0.1.0", "table-udf"),
];

/// Why a component is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct AdmissionError {
    reason: ReasonCode,
    detail: String,
}

impl AdmissionError {
    pub(crate) fn new(reason: ReasonCode, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

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

/// Admits a component under review: a notebook that imports no more than `interfaces`, or a library
/// that imports no more than [`LIBRARY_INTERFACES`]; and both what their manifest says they need of
/// other libraries.
///
/// # Errors
/// With the reason and what is wrong; nothing was compiled.
pub fn admit(
    bytes: &[u8],
    interfaces: &BTreeSet<String>,
    limits: &Limits,
) -> Result<Inspection, AdmissionError> {
    let inspection = admit_parts(bytes, 1, limits)?;
    let Some(manifest) = &inspection.manifest else {
        return Err(AdmissionError::refused("the component has no manifest section"));
    };
    match manifest.kind {
        ComponentKind::Notebook => {
            check_imports(&inspection, manifest, |name| interfaces.contains(name))?;
            if manifest.volumes.is_empty() && inspection.imports.contains(VOLUMES_INTERFACE) {
                return Err(AdmissionError::refused(format!(
                    "the component imports `{VOLUMES_INTERFACE}`, but its manifest declares no volume"
                )));
            }
            if !inspection.exports.contains(RUN_INTERFACE) {
                return Err(AdmissionError::refused(format!(
                    "the component does not export `{RUN_INTERFACE}`"
                )));
            }
        }
        ComponentKind::Library => {
            check_imports(&inspection, manifest, |name| LIBRARY_INTERFACES.contains(&name))?;
            check_exports(&inspection, manifest)?;
        }
    }
    Ok(inspection)
}

/// Admits what `parts` admitted components were composed to, before it is compiled. It imports
/// nothing but what the parts import of the host.
pub(crate) fn admit_composed(
    bytes: &[u8],
    parts: u64,
    imports: &BTreeSet<String>,
    limits: &Limits,
) -> Result<(), AdmissionError> {
    let inspection = admit_parts(bytes, parts, limits)?;
    match inspection.imports.iter().find(|name| !imports.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(AdmissionError {
            reason: ReasonCode::ImportNotGranted,
            detail: format!("no part imports `{name}`, but the composed component does"),
        }),
    }
}

fn admit_parts(bytes: &[u8], parts: u64, limits: &Limits) -> Result<Inspection, AdmissionError> {
    let most = limits.component_bytes.saturating_mul(parts);
    if bytes.len() as u64 > most {
        return Err(AdmissionError::refused(format!(
            "the component has {} bytes; the room allows {most}",
            bytes.len()
        )));
    }
    let inspection = inspect_parts(bytes, parts)?;
    let most = guest_bytes(limits);
    if inspection.memory_bytes > most {
        return Err(AdmissionError::refused(format!(
            "the component starts with {} bytes of memory; the room allows {most}",
            inspection.memory_bytes
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
    manifest: &Manifest,
    granted: impl Fn(&str) -> bool,
) -> Result<(), AdmissionError> {
    let not_granted = |name: &String, why: &str| AdmissionError {
        reason: ReasonCode::ImportNotGranted,
        detail: format!("the component imports `{name}`, {why}"),
    };
    let of_libraries: BTreeSet<_> =
        manifest.libraries.values().flat_map(|library| &library.interfaces).collect();
    for name in &inspection.imports {
        if of_libraries.contains(name) {
            continue;
        }
        if !interfaces::SERVED.contains(&name.as_str()) {
            let why = if name.starts_with(HOST_PACKAGE) {
                "which this host does not serve"
            } else {
                "which its manifest takes from no library"
            };
            return Err(not_granted(name, why));
        }
        if !granted(name) {
            let why = match manifest.kind {
                ComponentKind::Notebook => "which was not granted",
                ComponentKind::Library => "but a library sees only what its caller passes in",
            };
            return Err(not_granted(name, why));
        }
    }
    match of_libraries.into_iter().find(|name| !inspection.imports.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(AdmissionError::refused(format!(
            "the manifest takes `{name}` from a library, but the component does not import it"
        ))),
    }
}

/// A library offers something, is no notebook, and says which functions it has.
fn check_exports(inspection: &Inspection, manifest: &Manifest) -> Result<(), AdmissionError> {
    let exports = &inspection.exports;
    if exports.is_empty() {
        return Err(AdmissionError::refused("the library exports nothing"));
    }
    let offers = |name: &str| FUNCTION_INTERFACES.iter().any(|(listed, _)| *listed == name);
    let odd = |name: &&String| name.starts_with(HOST_PACKAGE) && !offers(name);
    if let Some(name) = exports.iter().find(odd) {
        let detail = format!("a library does not export `{name}`");
        return Err(AdmissionError::refused(detail));
    }
    let kinds = [FunctionKind::Scalar, FunctionKind::Aggregate, FunctionKind::Table];
    for (kind, (name, _)) in kinds.into_iter().zip(FUNCTION_INTERFACES) {
        let declared = manifest.functions.values().any(|function| function.kind == kind);
        if declared != exports.contains(name) {
            return Err(AdmissionError::refused(format!(
                "functions of the manifest and the export `{name}` do not agree"
            )));
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
