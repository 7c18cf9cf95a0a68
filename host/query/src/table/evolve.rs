//! Files that are older than the columns of their table, and files that changed.
//!
//! What a file at the broker has for columns is known when it is opened. A table that evolves may
//! have columns that an old file lacks, and types that are wider than the file's. In any other table
//! a file with other columns is one that changed.

use std::sync::Arc;

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result as PlanResult};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use glovebox_contract::column::{Column, ColumnType};
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::arrow_types::{arrow_to_column_type, column_type_to_arrow};

use crate::coerce::fits;
use crate::error::error;

/// Looks at the columns of each file before it is read.
#[derive(Debug)]
pub(super) struct FileCheck {
    /// What errors call the table.
    pub(super) what: String,
    /// Whether files may lack columns and have narrower types.
    pub(super) evolving: bool,
    /// Granted columns that stand in the files, each with its name there.
    pub(super) wanted: Vec<(Column, String)>,
}

impl FileCheck {
    fn check(&self, file: &Schema) -> Result<(), String> {
        for (column, in_files) in &self.wanted {
            let shown = column.name.escape_debug();
            let mut found = file.fields().iter().filter(|field| field.name() == in_files);
            let field = match (found.next(), found.next()) {
                (Some(field), None) => field,
                (None, _) if self.evolving => continue,
                (None, _) => return Err(format!("a file lacks column `{shown}`")),
                _ => return Err(format!("a file has column `{shown}` twice")),
            };
            if !self.is_readable(field.data_type(), &column.column_type) {
                return Err(format!("column `{shown}` has another type in a file"));
            }
        }
        Ok(())
    }

    fn is_readable(&self, found: &DataType, wanted: &ColumnType) -> bool {
        let target = column_type_to_arrow(wanted);
        let same = arrow_to_column_type(found).is_ok_and(|found| wanted.is_compatible(&found));
        // Delta's timestamps are microseconds in UTC however the files have them.
        let times = matches!((found, &target), (DataType::Timestamp(..), DataType::Timestamp(..)));
        let readable = same || (self.evolving && (times || fits(found, &target)));
        readable && can_cast_types(found, &target)
    }
}

impl PhysicalExprAdapterFactory for FileCheck {
    fn create(
        &self,
        table: SchemaRef,
        file: SchemaRef,
    ) -> PlanResult<Arc<dyn PhysicalExprAdapter>> {
        self.check(&file).map_err(|detail| {
            let detail = format!("{}: {detail}", self.what);
            DataFusionError::External(Box::new(error(ReasonCode::SchemaMismatch, detail)))
        })?;
        DefaultPhysicalExprAdapterFactory.create(table, file)
    }
}
