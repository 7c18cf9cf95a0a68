//! Functions of private libraries, called by the query engine.
//!
//! A [`FunctionLibrary`] is linked once; each thread of a query makes an instance of its own, so
//! nobody waits for another. An instance reaches batches, a log and nothing else. What it returns is
//! believed as little as what a notebook sends: type, rows and nulls are checked.

mod aggregate;
mod list;
mod scalar;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::{Field as ArrowField, Schema, SchemaRef};
use arrow::record_batch::RecordBatch as ArrowBatch;
use glovebox_contract::column::Column;
use glovebox_contract::library::{FunctionDeclaration, FunctionKind, LIBRARY_INTERFACES};
use glovebox_contract::name::Identifier;
use glovebox_contract::reason::ReasonCode;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower, Resource,
    TypedFunc,
};
use wasmtime::{Store, Trap};

use crate::admission::FUNCTION_INTERFACES;
use crate::arrow_types::column_type_to_arrow;
use crate::engine::{CompiledComponent, Engine};
use crate::interfaces::bindings::types;
use crate::interfaces::data::RecordBatch;
use crate::interfaces::{self};
use crate::memory::Budget;
use crate::services::{ErrorCode, HostError, SharedLog};
use crate::state::HostState;
use crate::text::harmless;

pub use aggregate::{Aggregation, narrow};
pub use table::TableCall;

/// Host calls take names, texts and node lists beside the buffers of a batch.
const CALL_OVERHEAD_BYTES: u64 = 1 << 20;

/// Longest text of a failure in bytes.
const MAX_DETAIL_BYTES: usize = 2048;

/// What a library's functions may use, and who may read its words.
#[derive(Clone)]
pub struct FunctionSettings {
    /// Bytes of a batch that crosses.
    pub batch_bytes: u64,
    /// Where its log goes. Without one, nothing that the library says reaches anybody: neither log
    /// lines nor the texts of its errors.
    pub log: Option<SharedLog>,
    /// The memory that its instances share with everything else in the run.
    pub memory: Budget,
}

/// A library whose functions SQL may call.
pub struct FunctionLibrary {
    /// Tells it from every other library of this process.
    id: u64,
    name: String,
    functions: BTreeMap<Identifier, Function>,
    ready: InstancePre<HostState>,
    settings: FunctionSettings,
}

/// A function of a library.
struct Function {
    declaration: FunctionDeclaration,
    /// Its place in the list of its interface.
    index: u32,
    arguments: SchemaRef,
    input: Option<SchemaRef>,
    returns: SchemaRef,
    state: SchemaRef,
}

impl fmt::Debug for FunctionLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionLibrary({}, {} functions)", self.name, self.functions.len())
    }
}

fn schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| {
        let data_type = column_type_to_arrow(&column.column_type.logical());
        ArrowField::new(&column.name, data_type, column.nullable)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

impl FunctionLibrary {
    /// Links the library called `name`, and checks that it has exactly the functions of its
    /// manifest. For that it is run once.
    ///
    /// # Errors
    /// `import-not-granted` when it imports more than a library may, `library-mismatch` when its
    /// functions are others than `declared`, `function-failed` when it does not even list them.
    pub fn new(
        engine: &Engine,
        component: &CompiledComponent,
        name: &str,
        declared: &BTreeMap<Identifier, FunctionDeclaration>,
        settings: FunctionSettings,
    ) -> Result<Self, HostError> {
        let refused = |reason, detail: String| {
            let detail = format!("library {name}: {detail}");
            HostError::new(ErrorCode::Internal, reason, harmless(&detail, MAX_DETAIL_BYTES, true))
        };
        let component = &component.inner;
        let granted: BTreeSet<String> = LIBRARY_INTERFACES.map(str::to_owned).into();
        let linker = interfaces::link(&engine.inner, &granted)
            .map_err(|name| refused(ReasonCode::Internal, format!("`{name}` is not served")))?;
        for (import, _) in component.component_type().imports(&engine.inner) {
            if !granted.contains(import) {
                let detail = format!("it imports `{import}`");
                return Err(refused(ReasonCode::ImportNotGranted, detail));
            }
        }
        let ready = linker
            .instantiate_pre(component)
            .map_err(|error| refused(ReasonCode::ComponentRefused, format!("{error:#}")))?;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut library =
            Self { id, name: name.into(), functions: BTreeMap::new(), ready, settings };
        let listed = library.instance()?.list()?;
        library.functions = list::agree(declared, listed)
            .map_err(|why| refused(ReasonCode::LibraryMismatch, why))?;
        Ok(library)
    }

    /// Tells it from every other library of this process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name in the room.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its functions by name.
    pub fn functions(&self) -> impl Iterator<Item = (&Identifier, &FunctionDeclaration)> {
        self.functions.iter().map(|(name, function)| (name, &function.declaration))
    }

    /// The columns that a function takes, in the types in which they cross.
    pub fn arguments(&self, function: &str) -> Option<SchemaRef> {
        self.find(function).map(|(_, function)| Arc::clone(&function.arguments))
    }

    /// The columns that a function returns, in the types in which they cross.
    pub fn returns(&self, function: &str) -> Option<SchemaRef> {
        self.find(function).map(|(_, function)| Arc::clone(&function.returns))
    }

    /// The columns that an aggregate keeps, in the types in which they cross.
    pub fn state(&self, function: &str) -> Option<SchemaRef> {
        self.find(function).map(|(_, function)| Arc::clone(&function.state))
    }

    /// The columns of the table that a function reads, in the types in which they cross.
    pub fn input(&self, function: &str) -> Option<SchemaRef> {
        self.find(function).and_then(|(_, function)| function.input.clone())
    }

    fn find(&self, function: &str) -> Option<(&Identifier, &Function)> {
        self.functions.iter().find(|(name, _)| name.as_str() == function)
    }

    fn function(&self, name: &str, kind: FunctionKind) -> Result<&Function, HostError> {
        match self.find(name) {
            Some((_, function)) if function.declaration.kind == kind => Ok(function),
            _ => Err(HostError::new(
                ErrorCode::NotGranted,
                ReasonCode::SqlRefused,
                format!("library {} has no such function `{}`", self.name, name.escape_debug()),
            )),
        }
    }

    /// A new instance.
    ///
    /// # Errors
    /// When it does not fit the memory limit, or fails as it starts.
    pub fn instance(&self) -> Result<FunctionInstance, HostError> {
        let Self { name, ready, settings, .. } = self;
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
            Err(error) => return Err(judge(store.data(), name, shown, Ended::Trapped(error))),
        };
        Ok(FunctionInstance {
            store,
            instance,
            library: name.clone(),
            shown,
            broken: None,
            evaluate: None,
        })
    }
}

type Evaluate =
    TypedFunc<(u32, Resource<RecordBatch>), (Result<Resource<RecordBatch>, types::Error>,)>;

/// One instance of a library. Only one call is in it at a time.
pub struct FunctionInstance {
    store: Store<HostState>,
    instance: Instance,
    library: String,
    /// Whether the caller may read what the library says.
    shown: bool,
    /// The failure that ended it.
    broken: Option<HostError>,
    /// Looked up at the first call.
    evaluate: Option<Evaluate>,
}

impl fmt::Debug for FunctionInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionInstance({})", self.library)
    }
}

/// How a call ended badly.
enum Ended {
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
    /// Runs one call and says how it failed; a trap ends the instance.
    fn call<T>(
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
    fn export<P, R>(&mut self, kind: FunctionKind, name: &str) -> Result<TypedFunc<P, R>, Ended>
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
    fn lend(
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
    fn accept(
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
            &arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows())),
        )
        .map_err(|_| Ended::Wrong("it returned columns that do not fit".into()))
    }
}

fn interface_of(kind: FunctionKind) -> Option<&'static str> {
    let place = match kind {
        FunctionKind::Scalar => 0,
        FunctionKind::Aggregate => 1,
        FunctionKind::Table => 2,
    };
    FUNCTION_INTERFACES.get(place).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests;
