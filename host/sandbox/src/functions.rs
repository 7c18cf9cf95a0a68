//! Functions of private libraries, called by the query engine.
//!
//! A [`FunctionLibrary`] is linked once; each thread of a query makes an instance of its own, so
//! nobody waits for another. An instance reaches batches, a log and nothing else. What it returns is
//! believed as little as what a notebook sends: type, rows and nulls are checked.

mod aggregate;
mod instance;
mod list;
mod scalar;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::{Field as ArrowField, Schema, SchemaRef};
use glovebox_contract::column::Column;
use glovebox_contract::library::{FunctionDeclaration, FunctionKind, LIBRARY_INTERFACES};
use glovebox_contract::name::Identifier;
use glovebox_contract::reason::ReasonCode;
use wasmtime::component::InstancePre;

use self::instance::Ended;
use crate::arrow_types::column_type_to_arrow;
use crate::engine::{CompiledComponent, Engine};
use crate::interfaces;
use crate::memory::Budget;
use crate::services::{ErrorCode, HostError, SharedLog};
use crate::state::HostState;
use crate::text::harmless;

pub use aggregate::{Aggregation, narrow};
pub use instance::FunctionInstance;
pub use table::TableCall;

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
        FunctionInstance::new(self)
    }
}

#[cfg(test)]
mod tests;
