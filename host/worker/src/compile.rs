//! Compile jobs: a component is checked and turned into machine code, at review time.
//!
//! Compilers are large and components hostile, so this happens in the same jail as a run.

use std::os::unix::fs::FileExt as _;

use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::reason::ReasonCode;
use glovebox_job::descriptors::ReceivedDescriptors;
use glovebox_job::event::{Compiled, Event};
use glovebox_job::job::CompileJob;
use glovebox_sandbox::admission::{admit, served_interfaces};
use glovebox_sandbox::compose::Part;
use glovebox_sandbox::engine::Engine;

use crate::libraries;
use crate::work::{Failure, own_usage, read_whole};

pub(crate) fn compile(
    job: &CompileJob,
    mut descriptors: ReceivedDescriptors,
) -> Result<Event, Failure> {
    if job.component.bytes > job.limits.component_bytes {
        let detail = format!("the component has more than {} bytes", job.limits.component_bytes);
        return Err(Failure::new(ReasonCode::ComponentRefused, detail));
    }
    let bytes = read_whole(job.component.descriptor, job.component.bytes, &mut descriptors)?;
    if ContentDigest::of(&bytes) != job.digest {
        return Err(Failure::new(
            ReasonCode::ComponentMismatch,
            "the component does not have the digests that its statement names",
        ));
    }
    let inspection = admit(&bytes, &served_interfaces(), &job.limits)
        .map_err(|error| Failure::new(error.reason(), error.detail()))?;
    let composed =
        libraries::compose(job, Part { bytes: &bytes, inspection: &inspection }, &mut descriptors)?;
    let manifest = inspection.manifest.ok_or_else(|| {
        Failure::new(ReasonCode::ComponentRefused, "the component has no manifest section")
    })?;
    let engine =
        Engine::new().map_err(|error| Failure::new(ReasonCode::Internal, error.to_string()))?;
    let code = engine
        .compile(composed.as_deref().unwrap_or(&bytes))
        .map_err(|error| Failure::new(ReasonCode::ComponentRefused, error.to_string()))?;
    libraries::check_functions(&engine, &code, &manifest, &job.limits)?;
    descriptors.take(job.machine_code)?.write_all_at(&code, 0).map_err(|error| {
        Failure::new(storage_reason(&error), "the machine code could not be written")
    })?;
    Ok(Event::Compiled(Box::new(Compiled {
        engine: engine.configuration_digest(),
        exports: inspection.exports,
        imports: inspection.imports,
        machine_code_bytes: code.len() as u64,
        machine_code_digest: Blake3Digest::of(&code),
        manifest,
        source_paths: inspection.source.into_keys().collect(),
        usage: own_usage(),
        world: inspection.world,
    })))
}

fn storage_reason(error: &std::io::Error) -> ReasonCode {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            ReasonCode::StorageFull
        }
        _ => ReasonCode::Internal,
    }
}
