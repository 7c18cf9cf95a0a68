//! Answers a worker's requests, a socket at a time, all sockets at once.

use std::os::unix::net::UnixStream as StdUnixStream;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use glovebox_contract::reason::ReasonCode;
use glovebox_job::broker::{BrokerAnswer, MAX_ANNOUNCED_BYTES, MAX_ANSWER_BYTES, encode};
use glovebox_room::remote::Serving;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::error::Failure;
use crate::request::{self, Checked};
use crate::runtime::Engine;
use crate::source::{RowSource, Scan};
use crate::table::Shared;

/// Bytes of pieces that are in memory at once for one run. A single larger answer may still be.
const MEMORY: usize = 256 << 20;

/// What the memory is counted in.
const MEMORY_UNIT: usize = 64 << 10;

/// Deleted rows that are written at once.
const ROWS_AT_ONCE: usize = 8 << 10;

/// Tables that are being served; dropping it ends that.
pub(crate) struct Served {
    state: Arc<State>,
    engine: Arc<Engine>,
    tasks: Vec<AbortHandle>,
}

struct State {
    tables: Vec<Arc<Shared>>,
    bytes: AtomicU64,
    failure: Mutex<Option<Failure>>,
    memory: Semaphore,
}

/// The worker has hung up. It does when it has what it wants, so that is no failure.
struct HungUp;

impl From<std::io::Error> for HungUp {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

/// Why an answer could not be given in full.
enum Broken {
    HungUp,
    Panicked,
    Failed(Failure),
}

impl From<HungUp> for Broken {
    fn from(_: HungUp) -> Self {
        Self::HungUp
    }
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Serves tables over one end of each socket.
pub(crate) fn serve(
    engine: Arc<Engine>,
    tables: Vec<Arc<Shared>>,
    sockets: Vec<StdUnixStream>,
) -> std::io::Result<Served> {
    let state = Arc::new(State {
        tables,
        bytes: AtomicU64::new(0),
        failure: Mutex::new(None),
        memory: Semaphore::new(MEMORY / MEMORY_UNIT),
    });
    let mut served = Served { state, engine, tasks: Vec::new() };
    for socket in sockets {
        socket.set_nonblocking(true)?;
        let handle = served.engine.handle().clone();
        let entered = handle.enter();
        let socket = UnixStream::from_std(socket)?;
        drop(entered);
        let state = Arc::clone(&served.state);
        let task = handle.spawn(async move { state.answer_all(socket).await });
        served.tasks.push(task.abort_handle());
    }
    Ok(served)
}

impl Serving for Served {
    fn failure(&self) -> Option<(ReasonCode, String)> {
        let failure = self.state.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().map(|failure| (failure.reason, failure.detail.clone()))
    }

    fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }

    fn check_unchanged(&self) -> glovebox_room::error::Result<()> {
        for shared in &self.state.tables {
            let table = Arc::clone(shared);
            let checked = self.engine.wait(None, async move { table.check_unchanged().await });
            checked.map_err(|failure| failure.into_room_error(&shared.table))?;
        }
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl State {
    /// Answers one request after another until the worker hangs up or says what is no request.
    async fn answer_all(&self, mut socket: UnixStream) {
        loop {
            let request = match request::read(&mut socket).await {
                Ok(Some(request)) => request,
                Ok(None) => return,
                Err(failure) => {
                    // Where the next request begins, nobody knows.
                    let _ = self.fail(&mut socket, failure).await;
                    return;
                }
            };
            let table = |number: usize| self.tables.get(number).map(|shared| &shared.open);
            let number = table_of(&request);
            let answered = match request::check(request, table) {
                // Whoever wrote what is read may have found a way to end its reader.
                Ok(checked) => AssertUnwindSafe(self.answer(&mut socket, checked))
                    .catch_unwind()
                    .await
                    .unwrap_or(Err(Broken::Panicked)),
                Err(failure) => Err(Broken::Failed(failure)),
            };
            let failure = match answered {
                Ok(()) => continue,
                Err(Broken::HungUp) => return,
                Err(Broken::Panicked) => {
                    // How much of an answer was sent, nobody knows.
                    self.keep(Failure::unreadable("what it answers cannot be understood"));
                    return;
                }
                Err(Broken::Failed(failure)) => match self.tables.get(number) {
                    Some(shared) => shared.failure(failure),
                    None => failure,
                },
            };
            if self.fail(&mut socket, failure).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, socket: &mut UnixStream, request: Checked<'_>) -> Result<(), Broken> {
        match request {
            Checked::Ranges { table, file, ranges, bytes } => {
                let units = usize::try_from(bytes).unwrap_or(MEMORY).min(MEMORY) / MEMORY_UNIT;
                let units = u32::try_from(units).unwrap_or(u32::MAX);
                let _held = self.memory.acquire_many(units).await.map_err(|_| HungUp)?;
                let pieces = table.reader.read(file, &ranges).await?;
                let wanted = ranges.iter().map(|range| range.end.saturating_sub(range.start));
                if !wanted.eq(pieces.iter().map(length)) {
                    return Err(Failure::unavailable("a piece is shorter than asked for").into());
                }
                let lengths = pieces.iter().map(length).collect();
                self.count(bytes);
                send(socket, &BrokerAnswer::Bytes { lengths }).await?;
                for piece in &pieces {
                    socket.write_all(piece).await.map_err(HungUp::from)?;
                }
                Ok(())
            }
            Checked::DeletedRows { table, file } => {
                let rows = table.reader.deleted_rows(file).await?;
                let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
                if count > MAX_ANNOUNCED_BYTES / 8 {
                    return Err(Failure::unsupported("a file has too many deleted rows").into());
                }
                self.count(count.saturating_mul(8));
                send(socket, &BrokerAnswer::DeletedRows { count }).await?;
                for rows in rows.chunks(ROWS_AT_ONCE) {
                    let bytes: Vec<u8> = rows.iter().flat_map(|row| row.to_le_bytes()).collect();
                    socket.write_all(&bytes).await.map_err(HungUp::from)?;
                }
                Ok(())
            }
            Checked::Rows { rows, scan } => self.rows(socket, rows, scan).await,
        }
    }

    async fn rows(
        &self,
        socket: &mut UnixStream,
        rows: &dyn RowSource,
        scan: Scan,
    ) -> Result<(), Broken> {
        let width = scan.columns.len();
        let mut batches = rows.scan(scan).await?;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            if batch.num_columns() != width {
                return Err(
                    Failure::unreadable("an answer has other columns than asked for").into()
                );
            }
            let stream = ipc_stream(&batch)?;
            let bytes = u64::try_from(stream.len()).unwrap_or(u64::MAX);
            if bytes > MAX_ANNOUNCED_BYTES {
                return Err(Failure::unsupported("a row is too large").into());
            }
            self.count(bytes);
            send(socket, &BrokerAnswer::Batch { bytes }).await?;
            socket.write_all(&stream).await.map_err(HungUp::from)?;
        }
        send(socket, &BrokerAnswer::End).await?;
        Ok(())
    }

    /// Keeps a failure, the first of all, and tells the worker its reason.
    async fn fail(&self, socket: &mut UnixStream, failure: Failure) -> Result<(), HungUp> {
        let reason = failure.reason;
        self.keep(failure);
        send(socket, &BrokerAnswer::Failed { reason }).await
    }

    fn keep(&self, failure: Failure) {
        tracing::warn!(reason = %failure.reason, detail = failure.detail, "a table cannot be read");
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }

    fn count(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn table_of(request: &glovebox_job::broker::BrokerRequest) -> usize {
    use glovebox_job::broker::BrokerRequest;
    let (BrokerRequest::Ranges { table, .. }
    | BrokerRequest::DeletedRows { table, .. }
    | BrokerRequest::Rows { table, .. }) = request;
    usize::try_from(*table).unwrap_or(usize::MAX)
}

fn length(piece: &Bytes) -> u64 {
    u64::try_from(piece.len()).unwrap_or(u64::MAX)
}

async fn send(socket: &mut UnixStream, answer: &BrokerAnswer) -> Result<(), HungUp> {
    let frame = encode(answer, MAX_ANSWER_BYTES).map_err(|_| HungUp)?;
    socket.write_all(&frame).await.map_err(HungUp::from)
}

/// A batch as an Arrow IPC stream of its own.
fn ipc_stream(batch: &RecordBatch) -> Result<Vec<u8>, Failure> {
    let wrong = |error: arrow::error::ArrowError| {
        Failure::unreadable(format!("rows cannot be handed on: {error}"))
    };
    let mut stream = Vec::with_capacity(batch.get_array_memory_size().saturating_add(4096));
    let mut writer = StreamWriter::try_new(&mut stream, &batch.schema()).map_err(wrong)?;
    writer.write(batch).map_err(wrong)?;
    writer.finish().map_err(wrong)?;
    drop(writer);
    Ok(stream)
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
