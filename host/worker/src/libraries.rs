//! Private libraries: composed at review time, and called by the query engine in a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::limits::Limits;
use glovebox_contract::manifest::Manifest;
use glovebox_contract::name::AssetName;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::descriptors::ReceivedDescriptors;
use glovebox_job::job::{CompileJob, RunJob};
use glovebox_sandbox::admission::{AdmissionError, admit, served_interfaces};
use glovebox_sandbox::compose::{self, Part};
use glovebox_sandbox::engine::Engine;
use glovebox_sandbox::functions::{FunctionLibrary, FunctionSettings};
use glovebox_sandbox::inspect::Inspection;
use glovebox_sandbox::services::{Budget, SharedLog};

use crate::run;
use crate::work::{Failure, read_whole};

fn refused(error: &AdmissionError) -> Failure {
    Failure::new(error.reason(), error.detail())
}

/// The component of a compile job with the libraries whose interfaces it imports; none when it
/// imports none.
pub(crate) fn compose(
    job: &CompileJob,
    root: Part<'_>,
    descriptors: &mut ReceivedDescriptors,
) -> Result<Option<Vec<u8>>, Failure> {
    let mut admitted: BTreeMap<AssetName, (Vec<u8>, Inspection)> = BTreeMap::new();
    for (name, file) in &job.libraries {
        let bytes = read_whole(file.component.descriptor, file.component.bytes, descriptors)?;
        if ContentDigest::of(&bytes) != file.digest {
            let detail =
                format!("library {name} does not have the digests that its statement names");
            return Err(Failure::new(ReasonCode::ComponentMismatch, detail));
        }
        let inspection =
            admit(&bytes, &served_interfaces(), &job.limits).map_err(|error| refused(&error))?;
        admitted.insert(name.clone(), (bytes, inspection));
    }
    let libraries = admitted
        .iter()
        .map(|(name, (bytes, inspection))| (name.clone(), Part { bytes, inspection }))
        .collect();
    compose::compose(root, &libraries, &job.limits).map_err(|error| refused(&error))
}

/// Checks that a library has the functions of its manifest. It is run for that, without data.
pub(crate) fn check_functions(
    engine: &Engine,
    code: &[u8],
    manifest: &Manifest,
    limits: &Limits,
) -> Result<(), Failure> {
    if manifest.functions.is_empty() {
        return Ok(());
    }
    // SAFETY: this very process made the machine code a moment ago.
    let component = unsafe { engine.load(code) }
        .map_err(|error| Failure::new(ReasonCode::Internal, error.to_string()))?;
    let settings = FunctionSettings {
        batch_bytes: limits.batch_bytes,
        log: None,
        memory: Budget::of_library(limits, manifest),
    };
    let name = manifest.name.as_str();
    FunctionLibrary::new(engine, &component, name, &manifest.functions, settings)?;
    Ok(())
}

/// The libraries whose functions the SQL of a run may call.
pub(crate) fn load(
    engine: &Engine,
    job: &RunJob,
    descriptors: &mut ReceivedDescriptors,
    log: &SharedLog,
    memory: &Budget,
) -> Result<Vec<Arc<FunctionLibrary>>, Failure> {
    let mut libraries = Vec::new();
    for (name, code) in &job.functions {
        let granted = job.grants.libraries().get(name).ok_or_else(|| {
            let detail = format!("library {name} is not granted");
            Failure::new(ReasonCode::Internal, detail)
        })?;
        let component = run::load(engine, code, descriptors)?;
        let settings = FunctionSettings {
            batch_bytes: job.grants.limits().batch_bytes,
            log: (!granted.private).then(|| log.clone()),
            memory: memory.clone(),
        };
        let library =
            FunctionLibrary::new(engine, &component, name.as_str(), &granted.functions, settings)?;
        libraries.push(Arc::new(library));
    }
    Ok(libraries)
}
