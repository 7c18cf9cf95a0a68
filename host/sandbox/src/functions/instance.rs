//! One instance of a library: calls into it, and what is made of how they end.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch as ArrowBatch, RecordBatchOptions};
use glovebox_contract::library::FunctionKind;
use glovebox_contract::reason::ReasonCode;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, Resource, TypedFunc,
};
use wasmtime::{Store, Trap};

use super::{FunctionLibrary, MAX_DETAIL_BYTES};
use crate::admission::FUNCTION_INTERFACES;
use crate::interfaces::bindings::types;
use crate::interfaces::data::RecordBatch;
use crate::services::{ErrorCode, HostError};
use crate::state::HostState;
use crate::text::harmless;

/// Host calls take names, texts and node lists beside the buffers of a batch.
const CALL_OVERHEAD_BYTES: u64 = 1 << 20;

pub(super) type Evaluate =
    TypedFunc<(u32, Resource<RecordBatch>), (Result<Resource<RecordBatch>, types::Error>,)>;

/// One instance of a library. Only one call is in it at a time.
pub struct FunctionInstance {
    pub(super) store: Store<HostState>,
    pub(super) instance: Instance,
    library: String,
    /// Whether the caller may read what the library says.
    shown: bool,
    /// The failure that ended it.
    broken: Option<HostError>,
    /// Looked up at the first call.
    pub(super) evaluate: Option<Evaluate>,
}

impl fmt::Debug for FunctionInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionInstance({})", self.library)
    }
}

/// How a call ended badly.
pub(super) enum Ended {
    /// With an error of the library.
    Told(types::Error),
    /// With a trap.
    Trapped(wasmtime::Error),
    /// With a result that is not one; the text says why.
    Wrong(String),
}

impl From<wasmtime::Error> for Ended {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trapped(error)
    }
}

impl From<HostError> for Ended {
    fn from(error: HostError) -> Self {
        Self::Trapped(wasmtime::Error::new(error))
    }
}

/// What everyone and what the caller is told of a call that ended badly.
fn judge(state: &HostState, called: &str, shown: bool, ended: Ended) -> HostError {
    let refused_memory = state.budget.was_refused();
    let failed = if refused_memory { ReasonCode::MemoryLimit } else { ReasonCode::FunctionFailed };
    // A library's own words may be secret, the host's words about it are not.
    let (reason, words) = match ended {
        Ended::Told(told) => match state.origin_of(&told) {
            Some(error) if error.reason() == ReasonCode::MemoryLimit => {
                (ReasonCode::MemoryLimit, "it needs more memory than its limit".into())
            }
            _ if shown => (failed, told.message),
            _ => (failed, "it returned an error".into()),
        },
        Ended::Trapped(error) => match (error.downcast_ref::<HostError>(), error.downcast_ref()) {
            (Some(error), _) => (error.reason(), error.detail().to_owned()),
            (_, Some(Trap::StackOverflow)) => {
                (ReasonCode::StackOverflow, "it overflowed its stack".into())
            }
            _ if refused_memory => {
                (ReasonCode::MemoryLimit, "it needs more memory than its limit".into())
            }
            _ => (ReasonCode::FunctionFailed, "it trapped".into()),
        },
        Ended::Wrong(why) => (ReasonCode::FunctionFailed, why),
    };
    let detail = harmless(&format!("{called}: {words}"), MAX_DETAIL_BYTES, true);
    HostError::new(ErrorCode::Internal, reason, detail)
}

impl FunctionInstance {
    /// A new instance of `library`.
    pub(super) fn new(library: &FunctionLibrary) -> Result<Self, HostError> {
        let FunctionLibrary { name, ready, settings, .. } = library;
        let batch_bytes = settings.batch_bytes;
        let state =
            HostState::of_library(settings.memory.clone(), batch_bytes, settings.log.clone());
        let mut store = Store::new(ready.engine(), state);
        store.limiter(|state| &mut state.budget);
        let most = batch_bytes.saturating_add(CALL_OVERHEAD_BYTES);
        store.set_hostcall_fuel(usize::try_from(most).unwrap_or(usize::MAX));
        let shown = settings.log.is_some();
        let instance = match ready.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => {
                let called = format!("library {name}");
                return Err(judge(store.data(), &called, shown, Ended::Trapped(error)));
            }
        };
        let library = name.clone();
        Ok(Self { store, instance, library, shown, broken: None, evaluate: None })
    }

    /// Runs one call and says how it failed; a trap ends the instance.
    pub(super) fn call<T>(
        &mut self,
        function: &str,
        call: impl FnOnce(&mut Self) -> Result<T, Ended>,
    ) -> Result<T, HostError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        call(self).map_err(|ended| {
            let trapped = matches!(ended, Ended::Trapped(_));
            let called = format!("function {}.{function}", self.library);
            let error = judge(self.store.data(), &called, self.shown, ended);
            if trapped {
                self.broken = Some(error.clone());
            }
            error
        })
    }

    /// A function of one of the three interfaces.
    pub(super) fn export<P, R>(
        &mut self,
        kind: FunctionKind,
        name: &str,
    ) -> Result<TypedFunc<P, R>, Ended>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let missing = || Ended::Wrong(format!("it does not export `{name}` with the right types"));
        let index = self.export_index(kind, name).ok_or_else(missing)?;
        let function = self.instance.get_typed_func(&mut self.store, index);
        function.map_err(|_| missing())
    }

    fn export_index(&mut self, kind: FunctionKind, name: &str) -> Option<ComponentExportIndex> {
        let interface = interface_of(kind)?;
        let interface = self.instance.get_export_index(&mut self.store, None, interface)?;
        self.instance.get_export_index(&mut self.store, Some(&interface), name)
    }

    /// Hands a batch over. Its data stays where it is.
    pub(super) fn lend(
        &mut self,
        batch: &ArrowBatch,
        boundary: &SchemaRef,
    ) -> Result<Resource<RecordBatch>, HostError> {
        let state = self.store.data_mut();
        let charge = state.budget.charge(batch.get_array_memory_size() as u64)?;
        let batch = RecordBatch::new(batch.clone(), Arc::clone(boundary), charge);
        state.push(batch).map_err(|failure| {
            let trap = failure.into_trap();
            trap.downcast::<HostError>().unwrap_or_else(|_| {
                HostError::new(ErrorCode::Internal, ReasonCode::Internal, "no handle is left")
            })
        })
    }

    /// Takes a batch that the library returned, and checks that it is what was declared.
    pub(super) fn accept(
        &mut self,
        batch: Resource<RecordBatch>,
        expected: &SchemaRef,
        rows: Option<usize>,
    ) -> Result<ArrowBatch, Ended> {
        let batch = self.store.data_mut().handles.delete(batch).map_err(wasmtime::Error::from)?;
        let batch = batch.batch().clone();
        let found = batch.num_columns();
        if found != expected.fields().len() {
            let wanted = expected.fields().len();
            return Err(Ended::Wrong(format!("it returned {found} columns instead of {wanted}")));
        }
        if let Some(rows) = rows.filter(|rows| *rows != batch.num_rows()) {
            let found = batch.num_rows();
            return Err(Ended::Wrong(format!("it returned {found} rows for {rows}")));
        }
        for (field, column) in expected.fields().iter().zip(batch.columns()) {
            if column.data_type() != field.data_type() {
                let found = column.data_type();
                return Err(Ended::Wrong(format!(
                    "it returned {found} where {} is declared",
                    field.data_type()
                )));
            }
            if !field.is_nullable() && column.logical_null_count() > 0 {
                return Err(Ended::Wrong("it returned a null that it says it does not".into()));
            }
        }
        ArrowBatch::try_new_with_options(
            Arc::clone(expected),
            batch.columns().to_vec(),
            &RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
        )
        .map_err(|_| Ended::Wrong("it returned columns that do not fit".into()))
    }
}

pub(super) fn interface_of(kind: FunctionKind) -> Option<&'static str> {
    let place = match kind {
        FunctionKind::Scalar => 0,
        FunctionKind::Aggregate => 1,
        FunctionKind::Table => 2,
    };
    FUNCTION_INTERFACES.get(place).map(|(name, _)| *name)
}
