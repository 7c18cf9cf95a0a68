//! What the host keeps for one guest while it runs.

use std::collections::BTreeMap;
use std::fmt;

use glovebox_contract::column::Column;
use glovebox_contract::grants::Grants;
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::FileDigest;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};

use crate::interfaces::bindings::types;
use crate::memory::Budget;
use crate::outputs::OutputLedger;
use crate::services::{
    ErrorCode, GuestLog, HostError, Nothing, QueryEngine, Services, SharedLog, VolumeFiles,
};

/// Most handles that a guest holds at a time.
const MAX_HANDLES: usize = 4096;

/// Everything a host call can reach.
pub(crate) struct HostState {
    pub(crate) handles: ResourceTable,
    pub(crate) budget: Budget,
    pub(crate) query: Box<dyn QueryEngine>,
    pub(crate) outputs: OutputLedger,
    pub(crate) log: Box<dyn GuestLog>,
    pub(crate) volumes: Box<dyn VolumeFiles>,
    /// Bytes of log text that are left.
    pub(crate) log_bytes: u64,
    pub(crate) facts: Facts,
    /// The error that a guest was told last: if it ends with that very error, the run's reason
    /// is the error's and not "the guest failed".
    last_error: Option<HostError>,
    /// A failure of the host or of an input. A guest may not turn it into a success.
    failure: Option<HostError>,
}

/// What a run is and may touch, as plain values.
pub(crate) struct Facts {
    pub(crate) run: String,
    pub(crate) room: String,
    pub(crate) notebook: String,
    pub(crate) revision: String,
    pub(crate) started_at: i64,
    pub(crate) batch_bytes: u64,
    pub(crate) parameters: BTreeMap<String, ParameterValue>,
    pub(crate) tables: BTreeMap<String, Vec<Column>>,
    pub(crate) volumes: BTreeMap<String, BTreeMap<String, FileDigest>>,
}

impl HostState {
    pub(crate) fn new(grants: &Grants, services: Services) -> Self {
        let mut handles = ResourceTable::new();
        handles.set_max_capacity(MAX_HANDLES);
        let text = |name: &dyn fmt::Display| name.to_string();
        Self {
            handles,
            budget: services.memory,
            query: services.query,
            outputs: OutputLedger::new(services.outputs, grants),
            log: services.log,
            volumes: services.volumes,
            log_bytes: grants.limits().log_bytes,
            facts: Facts {
                run: grants.run().to_string(),
                room: grants.room().to_string(),
                notebook: grants.notebook().to_owned(),
                revision: grants.revision().to_string(),
                started_at: grants.started_at(),
                batch_bytes: grants.limits().batch_bytes,
                parameters: grants.parameters().iter().map(|(n, v)| (text(n), v.clone())).collect(),
                tables: grants.tables().iter().map(|(n, c)| (text(n), c.clone())).collect(),
                volumes: grants.volumes().iter().map(|(n, f)| (text(n), f.clone())).collect(),
            },
            last_error: None,
            failure: None,
        }
    }

    /// The host of a library whose functions SQL calls: it has batches, a log and nothing else.
    pub(crate) fn of_library(budget: Budget, batch_bytes: u64, log: Option<SharedLog>) -> Self {
        let mut handles = ResourceTable::new();
        handles.set_max_capacity(MAX_HANDLES);
        Self {
            handles,
            budget,
            query: Box::new(Nothing),
            outputs: OutputLedger::empty(Box::new(Nothing)),
            volumes: Box::new(Nothing),
            // The log has a limit of its own.
            log_bytes: if log.is_some() { u64::MAX } else { 0 },
            log: log.map_or_else(|| Box::new(Nothing) as Box<dyn GuestLog>, |log| Box::new(log)),
            facts: Facts {
                run: String::new(),
                room: String::new(),
                notebook: String::new(),
                revision: String::new(),
                started_at: 0,
                batch_bytes,
                parameters: BTreeMap::new(),
                tables: BTreeMap::new(),
                volumes: BTreeMap::new(),
            },
            last_error: None,
            failure: None,
        }
    }

    /// Gives the guest a handle.
    pub(crate) fn push<T: Send + 'static>(&mut self, entry: T) -> Result<Resource<T>, Failure> {
        self.handles.push(entry).map_err(|error| match error {
            ResourceTableError::Full => Failure::Error(HostError::new(
                ErrorCode::LimitExceeded,
                ReasonCode::MemoryLimit,
                format!("more than {MAX_HANDLES} open handles"),
            )),
            error => Failure::Trap(error.into()),
        })
    }

    /// What the guest is told of an error.
    pub(crate) fn report(&mut self, error: HostError) -> types::Error {
        let told = types::Error { code: code_of(error.code()), message: error.detail().to_owned() };
        if is_final(error.reason()) {
            self.failure.get_or_insert_with(|| error.clone());
        }
        self.last_error = Some(error);
        told
    }

    /// The error of the host that `told` repeats.
    pub(crate) fn origin_of(&self, told: &types::Error) -> Option<&HostError> {
        self.last_error
            .as_ref()
            .filter(|error| code_of(error.code()) == told.code && error.detail() == told.message)
    }

    /// What fails the run whatever the guest does about it.
    pub(crate) fn verdict(&self) -> Option<&HostError> {
        self.outputs.violation().or(self.failure.as_ref())
    }
}

/// Whether a run that met this reason once cannot end well.
fn is_final(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::InputUnreadable
            | ReasonCode::InputCorrupt
            | ReasonCode::InputChanged
            | ReasonCode::VolumeChanged
            | ReasonCode::ScratchLimit
            | ReasonCode::StorageFull
            | ReasonCode::Internal
    )
}

fn code_of(code: ErrorCode) -> types::ErrorCode {
    match code {
        ErrorCode::NotGranted => types::ErrorCode::NotGranted,
        ErrorCode::InvalidArgument => types::ErrorCode::InvalidArgument,
        ErrorCode::SchemaMismatch => types::ErrorCode::SchemaMismatch,
        ErrorCode::LimitExceeded => types::ErrorCode::LimitExceeded,
        ErrorCode::PolicyDenied => types::ErrorCode::PolicyDenied,
        ErrorCode::Closed => types::ErrorCode::Closed,
        ErrorCode::Internal => types::ErrorCode::Internal,
    }
}

/// How a host call fails: with an error for the guest, or by ending it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The guest goes on with an error.
    Error(HostError),
    /// The guest traps, for example because it used a handle that is not its own.
    Trap(wasmtime::Error),
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::Error(error)
    }
}

impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl Failure {
    /// The failure as a trap, for calls that cannot return an error.
    pub(crate) fn into_trap(self) -> wasmtime::Error {
        match self {
            Self::Error(error) => wasmtime::Error::new(error),
            Self::Trap(error) => error,
        }
    }
}
