//! Run jobs: one notebook, with the query engine, the outputs and the log of its run.

use std::collections::BTreeMap;
use std::sync::Arc;

use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::reason::ReasonCode;
use glovebox_job::descriptors::ReceivedDescriptors;
use glovebox_job::event::Event;
use glovebox_job::job::{MachineCode, RunJob};
use glovebox_query::{Session, SessionSettings};
use glovebox_sandbox::engine::{CompiledComponent, Engine};
use glovebox_sandbox::functions::FunctionLibrary;
use glovebox_sandbox::run::run_notebook;
use glovebox_sandbox::services::{Budget, Services, SharedLog};

use crate::inputs;
use crate::jail::Confined;
use crate::libraries;
use crate::log::EventLog;
use crate::outputs::Outputs;
use crate::volumes::Volumes;
use crate::work::{self, Failure, Host, own_usage, read_whole};

/// Rows of a batch that crosses to the guest, unless the guest asks for fewer.
const BATCH_ROWS: usize = 8_192;

pub(crate) fn run(
    job: RunJob,
    mut descriptors: ReceivedDescriptors,
    confined: &Confined,
    host: &Arc<Host>,
) -> Result<Event, Failure> {
    let grants = &job.grants;
    let engine =
        Engine::new().map_err(|error| Failure::new(ReasonCode::Internal, error.to_string()))?;
    let component = load(&engine, &job.machine_code, &mut descriptors)?;
    let memory = Budget::of_run(grants);
    let log = SharedLog::new(Box::new(EventLog::new(Arc::clone(host), grants.limits().log_bytes)));
    let libraries = libraries::load(&engine, &job, &mut descriptors, &log, &memory)?;
    let session = session(&job, libraries, &mut descriptors, confined)?;
    let mut files = BTreeMap::new();
    for output in &job.outputs {
        files.insert(output.name.clone(), descriptors.take(output.descriptor)?);
    }
    let outputs = Outputs::new(grants, &job.computation, files)?;
    let volumes = Volumes::new(grants, &job.volumes, &mut descriptors)?;
    let services = Services {
        query: Box::new(session),
        outputs: Box::new(outputs.clone()),
        log: Box::new(log),
        volumes: Box::new(volumes),
        memory,
    };
    run_notebook(&engine, &component, grants, services)
        .map_err(|error| Failure::new(error.reason(), error.detail()))?;
    Ok(Event::Finished { outputs: outputs.conclude()?, usage: own_usage() })
}

/// Loads machine code after a look at its digest.
pub(crate) fn load(
    engine: &Engine,
    code: &MachineCode,
    descriptors: &mut ReceivedDescriptors,
) -> Result<CompiledComponent, Failure> {
    let bytes = read_whole(code.descriptor, code.bytes, descriptors)?;
    if Blake3Digest::of(&bytes) != code.digest {
        return Err(Failure::new(
            ReasonCode::Internal,
            "the machine code is not the one that this host made",
        ));
    }
    // SAFETY: these are the bytes with the digest that the host wrote down when its own compile
    // job made them; machine code never comes from a party.
    unsafe { engine.load(&bytes) }
        .map_err(|error| Failure::new(ReasonCode::Internal, error.to_string()))
}

fn session(
    job: &RunJob,
    libraries: Vec<Arc<FunctionLibrary>>,
    descriptors: &mut ReceivedDescriptors,
    confined: &Confined,
) -> Result<Session, Failure> {
    let limits = job.grants.limits();
    let mut tables = Vec::with_capacity(job.inputs.len());
    let broker = work::broker(&job.broker, descriptors)?;
    for input in &job.inputs {
        tables.push(inputs::input(&job.grants, input, broker.as_ref(), descriptors)?);
    }
    if tables.len() != job.grants.tables().len() {
        return Err(Failure::new(ReasonCode::Internal, "an input table is missing from the job"));
    }
    let settings = SessionSettings {
        // The other half is the guest's, the batches' and what the engine does not count.
        memory_bytes: limits.memory_bytes / 2,
        scratch: Some(confined.scratch().to_owned()),
        // A little below what the file system holds, so that the engine can say what happened.
        scratch_bytes: limits.scratch_bytes / 8 * 7,
        partitions: usize::try_from(job.partitions).unwrap_or(1).max(1),
        batch_rows: BATCH_ROWS,
        parameters: job.grants.parameters().clone(),
    };
    Ok(Session::with_libraries(tables, libraries, settings)?)
}
