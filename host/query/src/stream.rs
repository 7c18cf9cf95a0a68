//! Batches of a running query, made ahead of whoever reads them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{FutureExt, StreamExt};
use glovebox_contract::reason::ReasonCode;
use glovebox_sandbox::services::{BatchStream, HostError};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::edge::Edge;
use crate::error::{Result, error, execution};

/// Batches made ahead.
const AHEAD: usize = 3;

enum Message {
    Batch(RecordBatch),
    /// The query is done. Without it, the end of messages is a failure.
    End,
    Failed(HostError),
}

/// A query that runs on the session's threads. Dropping it stops the query.
pub(crate) struct QueryStream {
    schema: SchemaRef,
    messages: Receiver<Message>,
    task: JoinHandle<()>,
    done: bool,
}

impl QueryStream {
    /// Starts `plan`; its batches pass `edge`.
    pub(crate) fn start(
        runtime: &Handle,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        edge: Edge,
    ) -> Self {
        let schema = Arc::clone(edge.schema());
        let (sender, messages) = channel(AHEAD);
        let task = runtime.spawn(async move {
            let ran = AssertUnwindSafe(run(plan, context, edge, &sender)).catch_unwind().await;
            let last = match ran {
                Ok(Ok(())) => Message::End,
                Ok(Err(failure)) => Message::Failed(failure),
                // The panic's message may quote data.
                Err(_) => Message::Failed(error(
                    ReasonCode::QueryFailed,
                    "the query engine gave up on the data",
                )),
            };
            // Nobody listens when the reader is gone.
            drop(sender.send(last).await);
        });
        Self { schema, messages, task, done: false }
    }
}

async fn run(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    edge: Edge,
    sender: &Sender<Message>,
) -> Result<()> {
    let mut batches = execute_stream(plan, context).map_err(|failure| execution(&failure))?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|failure| execution(&failure))?;
        if batch.num_rows() == 0 {
            continue;
        }
        for piece in edge.pass(&batch)? {
            if sender.send(Message::Batch(piece)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

impl BatchStream for QueryStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.done {
            return Ok(None);
        }
        match self.messages.blocking_recv() {
            Some(Message::Batch(batch)) => Ok(Some(batch)),
            Some(Message::End) => {
                self.done = true;
                Ok(None)
            }
            Some(Message::Failed(failure)) => {
                self.done = true;
                Err(failure)
            }
            None => {
                self.done = true;
                Err(error(ReasonCode::Internal, "the query was stopped"))
            }
        }
    }
}

impl Drop for QueryStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}
