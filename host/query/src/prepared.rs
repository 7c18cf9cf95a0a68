//! What a session is made from, checked, and under the names that SQL has for it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::session_state::SessionState;
use glovebox_contract::name::TableName;
use tokio::runtime::Handle;

use crate::catalog::GrantedCatalog;
use crate::error::Result;
use crate::foreign::PreparedForeign;
use crate::input::Input;
use crate::store::GrantedFiles;
use crate::table::PreparedTable;
use crate::view::{GrantedView, PreparedView};

/// An input whose files are in the store.
pub(crate) enum Prepared {
    Table(TableName, Box<PreparedTable>),
    View(TableName, Box<PreparedView>),
    Foreign(TableName, Box<PreparedForeign>),
}

/// An input that SQL can read.
pub(crate) struct Named {
    pub(crate) name: TableName,
    /// Its granted columns with the types of the grant.
    pub(crate) granted: SchemaRef,
    /// What SQL reads.
    pub(crate) for_queries: Arc<dyn TableProvider>,
    /// The same, with the types of the grant.
    pub(crate) for_scans: Arc<dyn TableProvider>,
    /// Tables that are read where it is named.
    tables: usize,
}

impl Prepared {
    /// Checks the files of `input` and moves them to `store`.
    pub(crate) fn new(input: Input, store: &mut GrantedFiles) -> Result<Self> {
        match input {
            Input::Table(table) => {
                let name = table.name.clone();
                let table = PreparedTable::new(&format!("table {name}"), table, store)?;
                Ok(Self::Table(name, Box::new(table)))
            }
            Input::Brokered(table) => {
                let name = table.name.clone();
                let table = PreparedTable::brokered(&format!("table {name}"), table, store)?;
                Ok(Self::Table(name, Box::new(table)))
            }
            Input::Foreign(table) => {
                let name = table.name.clone();
                let table = PreparedForeign::new(&format!("table {name}"), table)?;
                Ok(Self::Foreign(name, Box::new(table)))
            }
            Input::View(view) => {
                Ok(Self::View(view.name.clone(), Box::new(PreparedView::new(view, store)?)))
            }
        }
    }

    /// Plans what is a view. `state` knows no table, and no function of a library.
    pub(crate) fn named(self, state: &SessionState, runtime: &Handle) -> Result<Named> {
        match self {
            Self::Table(name, table) => Ok(Named {
                name,
                granted: Arc::clone(table.granted()),
                for_queries: Arc::new(table.for_queries()),
                for_scans: Arc::new(table.for_scans()),
                tables: 1,
            }),
            Self::Foreign(name, table) => Ok(Named {
                name,
                granted: Arc::clone(table.granted()),
                for_queries: Arc::new(table.for_queries()),
                for_scans: Arc::new(table.for_scans()),
                tables: 1,
            }),
            Self::View(name, view) => {
                let GrantedView { provider, tables } = view.plan(state, runtime)?;
                let granted = view.granted();
                Ok(Named {
                    name,
                    granted,
                    for_queries: Arc::clone(&provider),
                    for_scans: provider,
                    tables,
                })
            }
        }
    }
}

/// The catalog of these inputs, for queries or for scans.
pub(crate) fn catalog(
    inputs: &[Named],
    provider: impl Fn(&Named) -> &Arc<dyn TableProvider>,
) -> GrantedCatalog {
    let key = |input: &Named| (input.name.schema().to_owned(), input.name.table().to_owned());
    let tables = inputs.iter().map(|input| {
        let (alias, name) = key(input);
        (alias, name, Arc::clone(provider(input)))
    });
    let weights = inputs.iter().map(|input| (key(input), input.tables));
    GrantedCatalog::new(tables).with_granted_views(weights)
}
