//! Joins a component with the libraries whose interfaces it imports.
//!
//! Every import that is not the host's is satisfied by the one library that the importing
//! component's manifest names for it. Batches pass between the parts as handles of the one host,
//! so nothing is copied. What the parts import of the host becomes the import of the whole.
//!
//! What a hidden library logs is dropped: its words are its owner's, and the log is read by the
//! notebook's author. So its import of `logging` is satisfied by a component that does nothing.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::library::{HOST_PACKAGE, MAX_LIBRARIES};
use glovebox_contract::limits::Limits;
use glovebox_contract::manifest::Manifest;
use glovebox_contract::name::AssetName;
use glovebox_contract::reason::ReasonCode;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

use crate::admission::{AdmissionError, admit_composed};
use crate::inspect::Inspection;

/// The interface that a hidden library gets no real one of.
const LOGGING: &str = "glovebox:guest/logging@0.1.0";

/// A component that takes log lines and does nothing. Made by the test below.
const SILENT: &[u8] = include_bytes!("compose/silent.wasm");

/// An admitted component and its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// What they say.
    pub inspection: &'a Inspection,
}

/// Composes `root` with those of `libraries` whose interfaces it imports, directly or through
/// another, and admits the result. None when it imports no library's.
///
/// # Errors
/// `library-mismatch` when a library is missing, does not export what is wanted, or exports it with
/// other types; `component-refused` when libraries need each other in a circle or the whole is
/// larger than the limits.
pub fn compose(
    root: Part<'_>,
    libraries: &BTreeMap<AssetName, Part<'_>>,
    limits: &Limits,
) -> Result<Option<Vec<u8>>, AdmissionError> {
    let manifest = manifest(root.inspection)?;
    if manifest.libraries.values().all(|library| library.interfaces.is_empty()) {
        return Ok(None);
    }
    let mut composer = Composer {
        graph: CompositionGraph::new(),
        libraries,
        made: BTreeMap::new(),
        open: Vec::new(),
        silent: None,
        imports: BTreeSet::new(),
    };
    let package = composer.package("the component", root.bytes)?;
    let instance = composer.instance(package, root, manifest)?;
    for name in &root.inspection.exports {
        let export = composer.graph.alias_instance_export(instance, name).map_err(internal)?;
        composer.graph.export(export, name).map_err(internal)?;
    }
    let bytes = composer.graph.encode(EncodeOptions::default()).map_err(|error| {
        mismatch(format!("the component and its libraries do not fit together: {error:#}"))
    })?;
    let parts = composer.made.len() as u64 + 1 + u64::from(composer.silent.is_some());
    admit_composed(&bytes, parts, &composer.imports, limits)?;
    Ok(Some(bytes))
}

fn manifest(inspection: &Inspection) -> Result<&Manifest, AdmissionError> {
    let manifest = inspection.manifest.as_ref();
    manifest.ok_or_else(|| AdmissionError::refused("the component has no manifest section"))
}

fn mismatch(detail: String) -> AdmissionError {
    AdmissionError::new(ReasonCode::LibraryMismatch, detail)
}

fn internal(error: impl std::fmt::Display) -> AdmissionError {
    AdmissionError::refused(format!("the component cannot be composed: {error}"))
}

struct Composer<'a> {
    graph: CompositionGraph,
    libraries: &'a BTreeMap<AssetName, Part<'a>>,
    /// One instance of each library that is used.
    made: BTreeMap<AssetName, NodeId>,
    /// Libraries that are being made, outermost first.
    open: Vec<AssetName>,
    /// The interface that drops what is logged.
    silent: Option<NodeId>,
    /// What the parts import of the host.
    imports: BTreeSet<String>,
}

impl Composer<'_> {
    fn package(&mut self, name: &str, bytes: &[u8]) -> Result<PackageId, AdmissionError> {
        let package = Package::from_bytes(name, None, bytes, self.graph.types_mut())
            .map_err(|error| AdmissionError::refused(format!("{name}: {error:#}")))?;
        self.graph.register_package(package).map_err(internal)
    }

    /// An instance of `part` with every import that a library satisfies.
    fn instance(
        &mut self,
        package: PackageId,
        part: Part<'_>,
        manifest: &Manifest,
    ) -> Result<NodeId, AdmissionError> {
        let instance = self.graph.instantiate(package);
        let is_library = !self.open.is_empty();
        for import in &part.inspection.imports {
            let source = if !import.starts_with(HOST_PACKAGE) {
                let (name, library) = self.library_for(import, manifest)?;
                self.graph
                    .alias_instance_export(library, import)
                    .map_err(|_| mismatch(format!("library {name} does not export `{import}`")))?
            } else if import == LOGGING && is_library && part.inspection.source.is_empty() {
                self.silent()?
            } else {
                self.imports.insert(import.clone());
                continue;
            };
            self.graph.set_instantiation_argument(instance, import, source).map_err(|error| {
                let why = std::error::Error::source(&error).map(ToString::to_string);
                let why = why.unwrap_or_else(|| error.to_string());
                mismatch(format!("`{import}` has other types in the library: {why}"))
            })?;
        }
        Ok(instance)
    }

    /// The instance of the library that `manifest` names for `interface`.
    fn library_for(
        &mut self,
        interface: &str,
        manifest: &Manifest,
    ) -> Result<(AssetName, NodeId), AdmissionError> {
        let named = manifest.libraries.iter().find(|(_, l)| l.interfaces.contains(interface));
        let Some((name, requirement)) = named else {
            let detail = format!("the manifest names no library for `{interface}`");
            return Err(mismatch(detail));
        };
        if let Some(made) = self.made.get(name) {
            return Ok((name.clone(), *made));
        }
        if self.open.contains(name) {
            let circle: Vec<_> = self.open.iter().map(ToString::to_string).collect();
            let circle = circle.join(" → ");
            return Err(mismatch(format!("libraries need each other: {circle} → {name}")));
        }
        if self.made.len() >= MAX_LIBRARIES || self.open.len() >= MAX_LIBRARIES {
            return Err(mismatch(format!("more than {MAX_LIBRARIES} libraries are needed")));
        }
        let libraries = self.libraries;
        let library =
            *libraries.get(name).ok_or_else(|| mismatch(format!("library {name} is missing")))?;
        if let Some(wanted) = requirement.digest
            && wanted != library.inspection.digest
        {
            let found = library.inspection.digest;
            return Err(mismatch(format!("library {name} is {found}, wanted is {wanted}")));
        }
        self.open.push(name.clone());
        let package = self.package(&format!("library {name}"), library.bytes)?;
        let instance = self.instance(package, library, self::manifest(library.inspection)?)?;
        self.open.pop();
        self.made.insert(name.clone(), instance);
        Ok((name.clone(), instance))
    }

    fn silent(&mut self) -> Result<NodeId, AdmissionError> {
        if let Some(silent) = self.silent {
            return Ok(silent);
        }
        let package = self.package("silent", SILENT)?;
        let instance = self.graph.instantiate(package);
        let logging = self.graph.alias_instance_export(instance, LOGGING).map_err(internal)?;
        self.silent = Some(logging);
        Ok(logging)
    }
}

#[cfg(test)]
mod tests;
