//! Functions of private libraries in SQL: `library.function(…)`.
//!
//! A session gets exactly the libraries that its notebook names. A function is known to the engine
//! as one quoted word, `"library.function"`, because the planner has no other names for functions;
//! [`Libraries::qualify`] writes calls so. What a function returns is checked in the sandbox, and
//! gets the one NaN and the one zero here, like everything else that leaves.

mod aggregate;
mod call;
mod scalar;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, Volatility};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, VisitMut, VisitorMut,
};
use glovebox_contract::library::{self, FunctionDeclaration, FunctionKind};
use glovebox_sandbox::functions::FunctionLibrary;
use glovebox_sandbox::services::HostError;

use crate::policy::meaning;

pub(crate) use call::bind_calls;

/// The libraries of a session by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Libraries(BTreeMap<String, Arc<FunctionLibrary>>);

impl Libraries {
    pub(crate) fn new(libraries: Vec<Arc<FunctionLibrary>>) -> Self {
        let named = libraries.into_iter().map(|library| (library.name().to_owned(), library));
        Self(named.collect())
    }

    /// The declaration of the function that SQL calls `name`, with a dot in it.
    fn find(&self, name: &str) -> Option<(&Arc<FunctionLibrary>, &FunctionDeclaration)> {
        let (library, function) = name.split_once('.')?;
        let library = self.0.get(library)?;
        let mut functions = library.functions();
        let (_, declaration) = functions.find(|(listed, _)| listed.as_str() == function)?;
        Some((library, declaration))
    }

    /// Whether SQL may call a function of this kind and name.
    pub(crate) fn has(&self, kind: FunctionKind, name: &str) -> bool {
        self.find(name).is_some_and(|(_, declaration)| declaration.kind == kind)
    }

    /// What the engine registers.
    pub(crate) fn scalars(&self) -> Vec<Arc<ScalarUDF>> {
        self.all(FunctionKind::Scalar)
            .map(|(library, name, declaration)| {
                Arc::new(ScalarUDF::new_from_impl(scalar::Scalar::new(library, name, declaration)))
            })
            .collect()
    }

    /// What the engine registers.
    pub(crate) fn aggregates(&self) -> Vec<Arc<AggregateUDF>> {
        self.all(FunctionKind::Aggregate)
            .map(|(library, name, declaration)| {
                let aggregate = aggregate::Aggregate::new(library, name, declaration);
                Arc::new(AggregateUDF::new_from_impl(aggregate))
            })
            .collect()
    }

    fn all(
        &self,
        kind: FunctionKind,
    ) -> impl Iterator<Item = (&Arc<FunctionLibrary>, &str, &FunctionDeclaration)> {
        self.0.values().flat_map(move |library| {
            library
                .functions()
                .filter(move |(_, declaration)| declaration.kind == kind)
                .map(move |(name, declaration)| (library, name.as_str(), declaration))
        })
    }

    /// Writes calls of the libraries' functions as the engine knows them.
    pub(crate) fn qualify(&self, query: &mut Query) {
        if self.0.is_empty() {
            return;
        }
        let ControlFlow::Continue(()) = query.visit(&mut Qualifier(self));
    }
}

struct Qualifier<'a>(&'a Libraries);

impl VisitorMut for Qualifier<'_> {
    type Break = std::convert::Infallible;

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(call) = expression
            && let Some(name) = dotted(&call.name)
            && self.0.find(&name).is_some()
        {
            let name = ObjectNamePart::Identifier(Ident::with_quote('"', name));
            call.name = ObjectName(vec![name]);
        }
        ControlFlow::Continue(())
    }
}

/// A name of two words with a dot between them.
fn dotted(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(library), ObjectNamePart::Identifier(function)] => {
            Some(format!("{}.{}", meaning(library), meaning(function)))
        }
        _ => None,
    }
}

/// The library's error on its way through the engine.
fn external(error: HostError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Number of a library's argument types, in order.
fn types(schema: Option<SchemaRef>) -> Vec<DataType> {
    let fields = schema.map(|schema| schema.fields().clone()).unwrap_or_default();
    fields.iter().map(|field| field.data_type().clone()).collect()
}

/// The same columns where each may have nulls: what arrives may have them wherever it likes.
fn nullable(schema: Option<SchemaRef>) -> SchemaRef {
    let fields = schema.map(|schema| schema.fields().clone()).unwrap_or_default();
    let field = |field: &Arc<Field>| Field::new(field.name(), field.data_type().clone(), true);
    Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
}

fn volatility(declared: library::Volatility) -> Volatility {
    match declared {
        library::Volatility::Immutable => Volatility::Immutable,
        library::Volatility::Stable => Volatility::Stable,
    }
}
