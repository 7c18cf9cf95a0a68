//! The names that SQL can resolve: `alias.table` for granted tables, bare names for views.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result, TableReference};
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::LogicalPlan;

/// Name of the one catalog. No alias can be written so, hence nobody can name it by accident.
pub(crate) const CATALOG: &str = "#glovebox";

/// Name of the schema of views, which no alias can have.
pub(crate) const VIEWS: &str = "#views";

type Tables = BTreeMap<String, Arc<dyn TableProvider>>;

/// Granted tables by alias and name, and the views of a script.
#[derive(Clone, Default)]
pub(crate) struct GrantedCatalog {
    schemas: Arc<BTreeMap<String, Arc<GrantedSchema>>>,
    views: Arc<GrantedSchema>,
    /// For each view the tables that it reads, views in it expanded.
    view_tables: Arc<Mutex<BTreeMap<String, usize>>>,
    /// For each granted view, by alias and name, the tables that it reads.
    granted_views: Arc<BTreeMap<(String, String), usize>>,
}

/// Tables by name.
#[derive(Default)]
struct GrantedSchema {
    tables: Mutex<Tables>,
}

impl GrantedCatalog {
    /// A catalog of `tables`, each with its alias and its name, and of no view.
    pub(crate) fn new(
        tables: impl IntoIterator<Item = (String, String, Arc<dyn TableProvider>)>,
    ) -> Self {
        let mut schemas: BTreeMap<String, Tables> = BTreeMap::new();
        for (alias, name, table) in tables {
            schemas.entry(alias).or_default().insert(name, table);
        }
        let schemas = schemas
            .into_iter()
            .map(|(alias, tables)| (alias, Arc::new(GrantedSchema { tables: Mutex::new(tables) })));
        Self {
            schemas: Arc::new(schemas.collect()),
            views: Arc::default(),
            view_tables: Arc::default(),
            granted_views: Arc::default(),
        }
    }

    /// A catalog of tables without an alias, which is what the SQL of a granted view sees.
    pub(crate) fn of_bare_names(
        tables: impl IntoIterator<Item = (String, Arc<dyn TableProvider>)>,
    ) -> Self {
        let tables = Mutex::new(tables.into_iter().collect());
        Self { views: Arc::new(GrantedSchema { tables }), ..Self::default() }
    }

    /// Says which of the tables are views, by alias and name, and how many tables each reads.
    pub(crate) fn with_granted_views(
        mut self,
        views: impl IntoIterator<Item = ((String, String), usize)>,
    ) -> Self {
        self.granted_views = Arc::new(views.into_iter().collect());
        self
    }

    /// The same tables with no views: what one script or one query sees at its start.
    pub(crate) fn without_views(&self) -> Self {
        Self {
            schemas: Arc::clone(&self.schemas),
            views: Arc::default(),
            view_tables: Arc::default(),
            granted_views: Arc::clone(&self.granted_views),
        }
    }

    /// Whether SQL may read what it calls `name`.
    pub(crate) fn has(&self, name: &TableReference) -> bool {
        match name {
            TableReference::Bare { table } => self.views.has(table),
            TableReference::Partial { schema, table } => {
                self.schemas.get(schema.as_ref()).is_some_and(|schema| schema.has(table))
            }
            TableReference::Full { .. } => false,
        }
    }

    /// Adds a view that reads `tables` tables; `false` when it exists and may not be replaced.
    pub(crate) fn add_view(
        &self,
        name: &str,
        plan: LogicalPlan,
        tables: usize,
        replace: bool,
    ) -> bool {
        let mut views = self.views.lock();
        if views.contains_key(name) && !replace {
            return false;
        }
        views.insert(name.to_owned(), Arc::new(ViewTable::new(plan, None)));
        let mut counts = self.view_tables.lock().unwrap_or_else(PoisonError::into_inner);
        counts.insert(name.to_owned(), tables);
        true
    }

    /// Adds the table of one call of a function. Gives its name, which nobody writes by accident.
    pub(crate) fn add_call(&self, table: Arc<dyn TableProvider>) -> String {
        let mut views = self.views.lock();
        let name = format!("#call-{}", views.len());
        views.insert(name.clone(), table);
        name
    }

    /// How many tables SQL reads when it names a granted table or view.
    pub(crate) fn granted_tables(&self, alias: &str, name: &str) -> usize {
        let key = (alias.to_owned(), name.to_owned());
        self.granted_views.get(&key).copied().unwrap_or(1)
    }

    /// How many tables the view `name` reads; 0 when there is none.
    pub(crate) fn view_tables(&self, name: &str) -> usize {
        let counts = self.view_tables.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(name).copied().unwrap_or(0)
    }
}

impl GrantedSchema {
    fn lock(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, table: &str) -> bool {
        self.lock().contains_key(table)
    }
}

impl fmt::Debug for GrantedCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.schemas.iter()).entry(&VIEWS, &self.views).finish()
    }
}

impl fmt::Debug for GrantedSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

#[async_trait]
impl SchemaProvider for GrantedSchema {
    fn table_names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(self.lock().get(name).cloned())
    }

    fn table_exist(&self, name: &str) -> bool {
        self.has(name)
    }
}

impl CatalogProvider for GrantedCatalog {
    fn schema_names(&self) -> Vec<String> {
        self.schemas.keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let schema = if name == VIEWS { Some(&self.views) } else { self.schemas.get(name) };
        schema.map(|schema| Arc::clone(schema) as Arc<dyn SchemaProvider>)
    }
}

impl CatalogProviderList for GrantedCatalog {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(self.clone()) as Arc<dyn CatalogProvider>)
    }
}
