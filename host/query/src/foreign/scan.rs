//! The scan of a foreign table.

use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream;
use tokio::sync::mpsc::Receiver;

use super::batches;
use crate::broker::{Broker, BrokerFailure, RowScan, Rows};

/// Rows of a foreign table, as the broker sends them.
#[derive(Debug)]
pub(super) struct ForeignExec {
    broker: Arc<dyn Broker>,
    scan: RowScan,
    /// Types of the columns of a batch.
    types: Vec<DataType>,
    /// For each column of `schema` where it is in a batch.
    sources: Vec<usize>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl ForeignExec {
    pub(super) fn new(
        broker: Arc<dyn Broker>,
        scan: RowScan,
        types: Vec<DataType>,
        sources: Vec<usize>,
        schema: SchemaRef,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { broker, scan, types, sources, schema, properties: Arc::new(properties) }
    }

    /// The same rows, sorted by all columns. A limit counts the sorted ones.
    fn sorted(&self) -> Arc<dyn ExecutionPlan> {
        let keys = self.schema.fields().iter().enumerate().map(|(index, field)| {
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), index));
            PhysicalSortExpr::new(column, SortOptions { descending: false, nulls_first: false })
        });
        // Rows without columns are all the same.
        let keys = LexOrdering::new(keys);
        let limit = self.scan.limit.filter(|_| keys.is_some());
        let scan =
            RowScan { limit: self.scan.limit.filter(|_| keys.is_none()), ..self.scan.clone() };
        let (types, sources) = (self.types.clone(), self.sources.clone());
        let schema = Arc::clone(&self.schema);
        let rows = Arc::new(Self::new(Arc::clone(&self.broker), scan, types, sources, schema));
        match keys {
            None => rows,
            Some(keys) => {
                let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
                Arc::new(SortExec::new(keys, rows).with_fetch(limit))
            }
        }
    }
}

/// `plan`, whose answer depends on the order of rows, with the rows of foreign tables in an order
/// that is always the same.
pub(crate) fn in_one_order(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let ordered = plan.transform_up(|node| match node.downcast_ref::<ForeignExec>() {
        Some(rows) => Ok(Transformed::yes(rows.sorted())),
        None => Ok(Transformed::no(node)),
    })?;
    Ok(ordered.data)
}

impl DisplayAs for ForeignExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let RowScan { columns, conditions, limit, .. } = &self.scan;
        write!(f, "ForeignExec: columns={columns:?}, conditions={conditions:?}, limit={limit:?}")
    }
}

impl ExecutionPlan for ForeignExec {
    fn name(&self) -> &str {
        "ForeignExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reading = Reading {
            broker: Arc::clone(&self.broker),
            scan: self.scan.clone(),
            rows: None,
            types: self.types.clone(),
            sources: self.sources.clone(),
            schema: Arc::clone(&self.schema),
        };
        let batches = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|batch| (batch, reading)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}

/// A scan that goes on. It asks when the first batch is wanted.
struct Reading {
    broker: Arc<dyn Broker>,
    scan: RowScan,
    rows: Option<Receiver<std::result::Result<Rows, BrokerFailure>>>,
    types: Vec<DataType>,
    sources: Vec<usize>,
    schema: SchemaRef,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let rows = self.rows.get_or_insert_with(|| self.broker.rows(self.scan.clone()));
        // An end that nobody announced is none.
        let next = rows.recv().await.unwrap_or(Err(BrokerFailure::GONE));
        match next.map_err(|failure| DataFusionError::External(Box::new(failure)))? {
            Rows::End => Ok(None),
            Rows::Batch(bytes) => {
                batches::read(bytes, &self.types, &self.sources, &self.schema).map(Some)
            }
        }
    }
}
