//! Runs one notebook from its first instruction to its verdict.

use std::collections::BTreeSet;
use std::thread;

use glovebox_contract::grants::Grants;
use glovebox_contract::library::{HOST_PACKAGE, LIBRARY_INTERFACES};
use glovebox_contract::reason::ReasonCode;
use wasmtime::component::{Component, InstancePre, types::ComponentItem};
use wasmtime::{Store, Trap};

use crate::admission::RUN_INTERFACE;
use crate::engine::{CompiledComponent, Engine};
use crate::interfaces;
use crate::interfaces::bindings::types;
use crate::services::{HostError, Services};
use crate::state::HostState;
use crate::text::harmless;

/// Stack of the thread that a guest runs on: the guest's part, and plenty for the host below it,
/// where SQL is parsed and planned by recursion.
const THREAD_STACK_BYTES: usize = 64 << 20;

/// Host calls take names, texts and node lists beside the buffers of a batch.
const CALL_OVERHEAD_BYTES: u64 = 1 << 20;

/// Longest text of a failure in bytes.
const MAX_DETAIL_BYTES: usize = 8192;

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct RunError {
    reason: ReasonCode,
    detail: String,
}

impl RunError {
    fn new(reason: ReasonCode, detail: impl AsRef<str>) -> Self {
        Self { reason, detail: harmless(detail.as_ref(), MAX_DETAIL_BYTES, true) }
    }

    /// What everyone is told.
    pub fn reason(&self) -> ReasonCode {
        self.reason
    }

    /// What the component's owner is told: text of the guest and of the host about the guest,
    /// free of control characters. It may be derived from data, so it goes to nobody else.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<&HostError> for RunError {
    fn from(error: &HostError) -> Self {
        Self::new(error.reason(), error.detail())
    }
}

/// Runs `component` with what `grants` allow, on a thread of its own, and returns when it ended.
///
/// Nothing here ends a guest that loops: the caller's process is killed at its deadline.
///
/// # Errors
/// With the public reason and a private text. An error of an output or of an input fails the run
/// whatever the guest did about it; an error that the guest returns as it got it keeps its reason.
pub fn run_notebook(
    engine: &Engine,
    component: &CompiledComponent,
    grants: &Grants,
    services: Services,
) -> Result<(), RunError> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("guest".into())
            .stack_size(THREAD_STACK_BYTES)
            .spawn_scoped(scope, || run_here(engine, &component.inner, grants, services))
            .map_err(|error| internal(format!("the guest's thread does not start: {error}")))?
            .join()
            .unwrap_or_else(|_| Err(internal("the host panicked while the guest ran")))
    })
}

fn internal(detail: impl AsRef<str>) -> RunError {
    RunError::new(ReasonCode::Internal, detail)
}

fn run_here(
    engine: &Engine,
    component: &Component,
    grants: &Grants,
    services: Services,
) -> Result<(), RunError> {
    let ready = link(engine, component, grants)?;
    let mut store = Store::new(&engine.inner, HostState::new(grants, services));
    store.limiter(|state| &mut state.budget);
    let most = grants.limits().batch_bytes.saturating_add(CALL_OVERHEAD_BYTES);
    store.set_hostcall_fuel(usize::try_from(most).unwrap_or(usize::MAX));
    let ended = call_run(&ready, &mut store);
    judge(ended, store.data())
}

/// The host's interfaces that a run may use: the notebook's, and of those that any library may
/// have the ones that its libraries import.
fn host_interfaces(grants: &Grants) -> BTreeSet<String> {
    let of_host = |name: &&String| name.starts_with(HOST_PACKAGE);
    let of_library = |name: &&String| LIBRARY_INTERFACES.contains(&name.as_str());
    let libraries = grants.libraries().values();
    let libraries = libraries.flat_map(|library| library.interfaces.iter().filter(of_library));
    grants.interfaces().iter().filter(of_host).chain(libraries).cloned().collect()
}

/// Links the granted interfaces. Types are checked here, before any of the guest's code runs.
fn link(
    engine: &Engine,
    component: &Component,
    grants: &Grants,
) -> Result<InstancePre<HostState>, RunError> {
    let granted = host_interfaces(grants);
    let linker = interfaces::link(&engine.inner, &granted).map_err(|name| {
        RunError::new(
            ReasonCode::ImportNotGranted,
            format!("this host does not serve the interface `{name}`"),
        )
    })?;
    for (name, _) in component.component_type().imports(&engine.inner) {
        if !granted.contains(name) {
            return Err(RunError::new(
                ReasonCode::ImportNotGranted,
                format!("the component imports `{name}`, which was not granted"),
            ));
        }
    }
    linker
        .instantiate_pre(component)
        .map_err(|error| RunError::new(ReasonCode::ComponentRefused, format!("{error:#}")))
}

/// What the guest's `run` returns.
type Ended = Result<Result<(), types::Error>, wasmtime::Error>;

fn call_run(ready: &InstancePre<HostState>, store: &mut Store<HostState>) -> Ended {
    let component = ready.component();
    let export = component
        .get_export(None, RUN_INTERFACE)
        .filter(|(item, _)| matches!(item, ComponentItem::ComponentInstance(_)))
        .and_then(|(_, interface)| component.get_export_index(Some(&interface), "run"))
        .ok_or_else(|| wasmtime::Error::new(NoRun))?;
    let instance = ready.instantiate(&mut *store)?;
    let run = instance
        .get_typed_func::<(), (Result<(), types::Error>,)>(&mut *store, &export)
        .map_err(|_| wasmtime::Error::new(NoRun))?;
    let (result,) = run.call(&mut *store, ())?;
    Ok(result)
}

#[derive(Debug, thiserror::Error)]
#[error("the component does not export `run` of `{RUN_INTERFACE}`")]
struct NoRun;

/// The verdict on a guest that ended.
fn judge(ended: Ended, state: &HostState) -> Result<(), RunError> {
    if let Some(error) = state.verdict() {
        return Err(error.into());
    }
    let refused_memory = state.budget.was_refused();
    match ended {
        Ok(Ok(())) => match state.outputs.unfinished() {
            None => Ok(()),
            Some(output) => Err(RunError::new(
                ReasonCode::OutputUnfinished,
                format!("output `{output}` was not finished"),
            )),
        },
        Ok(Err(told)) => Err(match state.origin_of(&told) {
            Some(error) => error.into(),
            None if refused_memory => RunError::new(ReasonCode::MemoryLimit, &told.message),
            None => RunError::new(ReasonCode::GuestError, &told.message),
        }),
        Err(error) => Err(trapped(&error, refused_memory)),
    }
}

fn trapped(error: &wasmtime::Error, refused_memory: bool) -> RunError {
    if let Some(error) = error.downcast_ref::<HostError>() {
        return error.into();
    }
    if error.downcast_ref::<NoRun>().is_some() {
        return RunError::new(ReasonCode::ComponentRefused, error.to_string());
    }
    let reason = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => ReasonCode::StackOverflow,
        _ if refused_memory => ReasonCode::MemoryLimit,
        _ => ReasonCode::GuestTrap,
    };
    RunError::new(reason, format!("{error:#}"))
}

#[cfg(test)]
mod tests;
